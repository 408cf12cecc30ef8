// What the page knows of the daemon: its state, its labels, its events, and the last minute of what the chosen source hears.
//
// Every time here is the daemon's; a browser's clock may be another one.

import { Follower, ask } from "./api.js";

/** How many events are kept. */
const MOST_EVENTS = 2_000;
/** How long scores are kept. */
const KEPT_MS = 70_000;
/** How often the daemon's state is asked for. */
const STATUS_MS = 5_000;

class Daemon extends EventTarget {
  /** The answer to `status`, once there is one. */
  status = null;
  /** Whether the daemon answers just now. */
  answers = false;
  /** The labels as the daemon lists them, by slug. */
  labels = new Map();
  /** The events by their ids, in the order in which they began to be told. */
  events = new Map();
  /** The source that is looked at. */
  source = null;
  /** What `live.start` said. */
  shape = null;
  /** The last minute of scores: `{at, twoSidedAt, bySlug}`. */
  heard = [];

  #seq = 0;
  #instance = null;
  #ahead = null;
  #stream = new Follower(() => this.#eventsPath(), { line: (line) => this.#take(line), lost: () => this.#away() });
  #view = new Follower(() => `/api/v1/live?source=${encodeURIComponent(this.source)}`, { line: (line) => this.#look(line) });
  #timer = 0;

  /** The daemon's time just now in milliseconds, as far as it is known. */
  now() {
    return performance.now() + (this.#ahead ?? performance.timeOrigin);
  }

  /** Asks for everything and follows it from then on. */
  async start() {
    await this.refresh();
    await this.loadLabels();
    this.#stream.start();
    this.#lookOn();
    document.addEventListener("visibilitychange", () => this.#lookOn());
  }

  /** Asks how the daemon is. */
  async refresh() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh().catch((error) => this.#refused(error)), STATUS_MS);
    const status = await ask("GET", "/api/v1/status");
    this.#setClock(status.ts);
    this.#instance ??= status.instance;
    const names = status.sources.map((source) => source.name);
    this.status = status;
    this.#back();
    if (!names.includes(this.source)) this.choose(names[0] ?? null);
    this.#tell("status");
  }

  async loadLabels() {
    const { labels } = await ask("GET", "/api/v1/labels");
    this.labels = new Map(labels.map((label) => [label.slug, label]));
    this.#tell("labels");
  }

  /** Looks at this source from now on. */
  choose(source) {
    if (source === this.source) return;
    this.source = source;
    this.heard = [];
    this.shape = null;
    this.#tell("source");
    this.#lookOn(true);
  }

  /** Sets thresholds, which act at once; with `save` they are written into the configuration file, too. */
  async set(slug, thresholds, save = false) {
    const { threshold, start_threshold, release } = await ask("PATCH", `/api/v1/labels/${encodeURIComponent(slug)}`, save ? { ...thresholds, save } : thresholds);
    Object.assign(this.labels.get(slug) ?? {}, { threshold, start_threshold, release });
    this.#tell("thresholds", slug);
  }

  /** The newest of what a label's curve says: `{score, two_sided, why}`. */
  scoreOf(slug) {
    return this.heard.at(-1)?.bySlug.get(slug);
  }

  /** Nobody looks at a page that is hidden, so the daemon need not show it anything. */
  #lookOn(again = false) {
    if (document.hidden || this.source === null || !this.answers) this.#view.stop();
    else if (again) this.#view.again();
    else this.#view.start();
  }

  #eventsPath() {
    const since = new URLSearchParams({ since: this.#seq });
    if (this.#instance) since.set("instance", this.#instance);
    return `/api/v1/events?${since}`;
  }

  #take(line) {
    this.#back();
    // `subscribed` comes before what is told again, and has the newest number.
    if (line.seq !== undefined && line.type !== "subscribed") this.#seq = line.seq;
    const [family, part] = line.type.split(".");
    if (line.type === "subscribed") this.#subscribed(line);
    else if (line.type === "heartbeat") this.#setClock(line.ts);
    else if (family === "event") this.#event(part, line.event);
    else if (line.type === "dropped") this.#tell("missed", line.count);
    else if (line.type === "config.reloaded") this.loadLabels().then(() => this.refresh()).catch(() => {});
    if (["source", "paused", "resumed", "config", "overrun"].includes(family)) this.refresh().catch(() => {});
  }

  /** What an old daemon had begun a new one will never end. */
  #subscribed(line) {
    if (!line.restarted) return;
    this.#seq = 0;
    this.#instance = null;
    for (const event of this.events.values()) event.isOpen = false;
    this.#tell("events");
    this.loadLabels().then(() => this.refresh()).catch(() => {});
  }

  #event(part, told) {
    const isNew = !this.events.has(told.id);
    const event = Object.assign(this.events.get(told.id) ?? {}, told, {
      isOpen: part !== "end",
      isWithdrawn: told.reason === "unconfirmed",
      from: Date.parse(told.onset),
      until: told.offset ? Date.parse(told.offset) : null,
    });
    this.events.set(told.id, event);
    if (this.events.size > MOST_EVENTS) this.events.delete(this.events.keys().next().value);
    this.#tell("event", { event, isNew, part });
  }

  #look(line) {
    if (line.type === "live.start") {
      this.shape = line;
      this.#tell("shape");
    } else if (line.type === "live") {
      if (line.scored_at) this.#hear(line);
      this.#tell("live", line);
    }
  }

  #hear(line) {
    const at = Date.parse(line.scored_at);
    if (this.heard.at(-1)?.at === at) return;
    if (at < (this.heard.at(-1)?.at ?? 0)) this.heard = [];
    const bySlug = new Map(line.labels.map((label) => [label.slug, label]));
    this.heard.push({ at, twoSidedAt: at - (this.shape?.two_sided_lag_ms ?? 0), bySlug });
    while (this.heard[0].at < at - KEPT_MS) this.heard.shift();
  }

  /** Follows the daemon's clock: the line that came fastest knows best how far it is ahead of this one. */
  #setClock(ts) {
    const ahead = Date.parse(ts) - performance.now();
    const isFarOff = this.#ahead === null || Math.abs(ahead - this.#ahead) > 5_000;
    this.#ahead = isFarOff ? ahead : Math.max(ahead, this.#ahead - 0.5);
  }

  #back() {
    if (this.answers) return;
    this.answers = true;
    this.#tell("answers");
    this.#lookOn();
  }

  #away() {
    if (this.answers) {
      this.answers = false;
      this.#view.stop();
      this.#tell("answers");
    }
    // Its last words may be that it wants to know who asks.
    this.refresh().catch((error) => this.#refused(error));
  }

  #refused(error) {
    if (error.status !== 401) return;
    this.#stream.stop();
    this.#view.stop();
    clearTimeout(this.#timer);
    this.#tell("unknown");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

export const daemon = new Daemon();
