// The way to the daemon: requests, and lines that come by themselves.
//
// Lines come over WebSockets rather than as Server-Sent Events: a browser opens six connections to a host at most, all its windows
// together, and each stream would hold one.

/** A request that was refused: its status, the daemon's code, and its sentence. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Asks for something, and gives what is answered. */
export async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said.code ?? "", said.message ?? answer.statusText);
  return said;
}

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 5_000;
/** Something comes at least every 30 s; a connection on which nothing does is dead, whatever the system says of it. */
const SILENT_MS = 45_000;

/**
 * Follows the lines of a path for good: where the connection ends it is made again, to what `path()` says then.
 * `line` gets each line; `lost`, where it is given, is called when a connection ends or cannot be made.
 */
export class Follower {
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

  /** Makes the connection anew, because what it is to tell has changed. */
  again() {
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
