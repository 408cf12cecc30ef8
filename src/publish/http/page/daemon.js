// The page's copy of the daemon's state: its status, labels, events, and the last minute of scores of the chosen source. It shows
// nothing.
//
// All times are by the daemon's clock; the browser's clock may differ.

import { Subscription, ask } from "./api.js";

/** The most events that are kept. */
const MOST_EVENTS = 2_000;
/** How long scores are kept. */
const KEPT_MS = 70_000;
/** The time between two requests for the status. */
const STATUS_MS = 5_000;

class Daemon extends EventTarget {
  /** The last answer to `status`; null before the first. */
  status = null;
  /** Whether the daemon answers at the moment. */
  answers = false;
  /** The labels of `GET /api/v1/labels`, by slug. */
  labels = new Map();
  /** The events by their ids, in the order of their announcements. */
  events = new Map();
  /** The name of the chosen source. */
  source = null;
  /** The last `live.start` line. */
  shape = null;
  /** The scored hops of the last minute: `{at, confirmedAt, bySlug}`, the times of the causal and of the confirmed scores. */
  minute = [];

  #seq = 0;
  #instance = null;
  #ahead = null;
  #stream = new Subscription(() => this.#eventsPath(), { line: (line) => this.#take(line), lost: () => this.#away() });
  #view = new Subscription(() => `/api/v1/live?source=${encodeURIComponent(this.source)}`, { line: (line) => this.#live(line) });
  #timer = 0;

  /** The daemon's time now, in milliseconds; an estimate before its first line. */
  now() {
    return performance.now() + (this.#ahead ?? performance.timeOrigin);
  }

  /** Loads the state and subscribes to its changes. */
  async start() {
    await this.refresh();
    await this.loadLabels();
    this.#stream.start();
    this.#watch();
    document.addEventListener("visibilitychange", () => this.#watch());
  }

  /** Asks for the status, now and from then on regularly. */
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

  /** Chooses a source. */
  choose(source) {
    if (source === this.source) return;
    this.source = source;
    this.minute = [];
    this.shape = null;
    this.#tell("source");
    this.#watch(true);
  }

  /** Sets thresholds, which act at once; with `save` they are also written into the configuration file. */
  async set(slug, thresholds, save = false) {
    const { threshold, start_threshold, release } = await ask("PATCH", `/api/v1/labels/${encodeURIComponent(slug)}`, save ? { ...thresholds, save } : thresholds);
    Object.assign(this.labels.get(slug) ?? {}, { threshold, start_threshold, release });
    this.#tell("thresholds", slug);
  }

  /** Has a label reported, or not, and the configuration file say so. */
  async report(slug, reported) {
    await ask("PUT", `/api/v1/labels/${encodeURIComponent(slug)}/reported`, { reported });
    await this.loadLabels();
  }

  /** The newest scores of a label: `{score, two_sided, why}`, where `score` is the causal and `two_sided` the confirmed one. */
  scoreOf(slug) {
    return this.minute.at(-1)?.bySlug.get(slug);
  }

  /** Subscribes to the live view of the chosen source while the page is visible. */
  #watch(again = false) {
    if (document.hidden || this.source === null || !this.answers) this.#view.stop();
    else if (again) this.#view.restart();
    else this.#view.start();
  }

  #eventsPath() {
    const since = new URLSearchParams({ since: this.#seq });
    if (this.#instance) since.set("instance", this.#instance);
    return `/api/v1/events?${since}`;
  }

  #take(line) {
    this.#back();
    // `hello` and `subscribed` come before the replayed lines and have a higher number than they have.
    if (line.seq !== undefined && !["hello", "subscribed"].includes(line.type)) this.#seq = line.seq;
    const [family, part] = line.type.split(".");
    if (line.type === "subscribed") this.#subscribed(line);
    else if (line.type === "heartbeat") this.#setClock(line.ts);
    else if (family === "event") this.#event(part, line.event);
    else if (line.type === "dropped") this.#tell("missed", line.count);
    else if (line.type === "config.reloaded") this.loadLabels().then(() => this.refresh()).catch(() => {});
    if (["source", "paused", "resumed", "config", "overrun"].includes(family)) this.refresh().catch(() => {});
  }

  /** A restarted daemon never ends the events of the one before, so they are closed here. */
  #subscribed(line) {
    if (!line.restarted) return;
    this.#seq = 0;
    this.#instance = null;
    for (const event of this.events.values()) event.isOpen = false;
    this.#tell("events");
    this.loadLabels().then(() => this.refresh()).catch(() => {});
  }

  #event(part, fields) {
    const isNew = !this.events.has(fields.id);
    const event = Object.assign(this.events.get(fields.id) ?? {}, fields, {
      isOpen: part !== "end",
      isTakenBack: fields.reason === "unconfirmed",
      from: Date.parse(fields.onset),
      until: fields.offset ? Date.parse(fields.offset) : null,
    });
    this.events.set(fields.id, event);
    if (this.events.size > MOST_EVENTS) this.events.delete(this.events.keys().next().value);
    this.#tell("event", { event, isNew, part });
  }

  #live(line) {
    if (line.type === "live.start") {
      this.shape = line;
      this.#tell("shape");
    } else if (line.type === "live") {
      if (line.scored_at) this.#score(line);
      this.#tell("live", line);
    }
  }

  #score(line) {
    const at = Date.parse(line.scored_at);
    if (this.minute.at(-1)?.at === at) return;
    if (at < (this.minute.at(-1)?.at ?? 0)) this.minute = [];
    const bySlug = new Map(line.labels.map((label) => [label.slug, label]));
    this.minute.push({ at, confirmedAt: at - (this.shape?.two_sided_lag_ms ?? 0), bySlug });
    while (this.minute[0].at < at - KEPT_MS) this.minute.shift();
  }

  /** Estimates how far the daemon's clock is ahead of the browser's, by the line that arrived with the least delay. */
  #setClock(ts) {
    const ahead = Date.parse(ts) - performance.now();
    const isFarOff = this.#ahead === null || Math.abs(ahead - this.#ahead) > 5_000;
    this.#ahead = isFarOff ? ahead : Math.max(ahead, this.#ahead - 0.5);
  }

  #back() {
    if (this.answers) return;
    this.answers = true;
    this.#tell("answers");
    this.#watch();
  }

  #away() {
    if (this.answers) {
      this.answers = false;
      this.#view.stop();
      this.#tell("answers");
    }
    // The daemon may have closed the connection because it asks for the token now.
    this.refresh().catch((error) => this.#refused(error));
  }

  #refused(error) {
    if (error.status !== 401) return;
    this.#stream.stop();
    this.#view.stop();
    clearTimeout(this.#timer);
    this.#tell("tokenNeeded");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

export const daemon = new Daemon();
