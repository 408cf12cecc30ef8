// The connection to the daemon: requests with their answers, and subscriptions. It shows nothing.
//
// A subscription is a WebSocket. Server-Sent Events would each hold one of the six HTTP connections that a browser opens to a
// host, in all its windows together.

/** A request that was refused, with the HTTP status, the daemon's error code, and the daemon's sentence. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Sends a request and returns the answer. */
export async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said.code ?? "", said.message ?? answer.statusText);
  return said;
}

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 5_000;
/** The daemon sends at least a heartbeat every 30 s; a connection that is silent for longer than this is broken. */
const SILENT_MS = 45_000;

/**
 * A subscription that connects again whenever its connection ends, to the path that `path()` returns then.
 * `line` gets each line; `lost`, where it is given, is called when a connection ends or cannot be made.
 */
export class Subscription {
  #socket = null;
  #timer = 0;
  #wait = FIRST_WAIT_MS;
  #stopped = true;
  #path;
  #on;

  constructor(path, on) {
    this.#path = path;
    this.#on = on;
  }

  start() {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  /** Connects again at once, because the path has changed. */
  restart() {
    this.stop();
    this.#wait = FIRST_WAIT_MS;
    this.start();
  }

  #connect() {
    const url = new URL(this.#path(), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#watch();
    socket.onopen = () => (this.#wait = FIRST_WAIT_MS);
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#watch();
      this.#on.line(JSON.parse(data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), SILENT_MS);
  }

  #lost() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#on.lost?.();
    this.#timer = setTimeout(() => this.#connect(), this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
  }
}
