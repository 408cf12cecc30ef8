// The events that the store has, and their numbers: fetched in tiles of time, and cached. It shows nothing.
//
// Far away, events come as their numbers by days; nearer, by hours; near, one by one.

import { Refused, ask } from "./api.js";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** The most pages of single events that a tile has. */
const MOST_PAGES = 5;
const PAGE = 1_000;
/** The most requests at a time: the daemon reads its file for so many. */
const AT_ONCE = 3;
/** The age at which a tile that time is still adding to is fetched again. */
const STALE_MS = 10_000;
/** The most tiles that are kept. */
const MOST_TILES = 300;

const GRAINS = [
  { by: null, days: 1 / 12, most: 12 * HOUR_MS },
  { by: ["day", "hour", "label"], days: 8, most: 20 * DAY_MS },
  { by: ["day", "label"], days: 64, most: Infinity },
];

/** The time zone of the browser, by whose days and hours events are counted. */
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The midnight before a moment, or so many days after that one. */
export function midnight(at, days = 0) {
  const date = new Date(at);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days);
}

/** The beginning of a tile. Tiles of days begin at midnight here, whatever the clocks did between. */
function begins(grain, n) {
  if (grain.by === null) return n * grain.days * DAY_MS;
  return new Date(2000, 0, 1 + n * grain.days).getTime();
}

/** The number of the tile that has a moment. */
function tileAt(grain, at) {
  const zero = grain.by === null ? 0 : new Date(2000, 0, 1).getTime();
  let n = Math.floor((at - zero) / (grain.days * DAY_MS));
  while (begins(grain, n) > at) n--;
  while (begins(grain, n + 1) <= at) n++;
  return n;
}

/** An event of the store as the page uses it. */
export function known(event) {
  const from = Date.parse(event.onset);
  return { ...event, from, until: event.offset === null ? Date.now() : Date.parse(event.offset), isTakenBack: event.reason === "unconfirmed" || (event.offset !== null && event.confirmed_at === null) };
}

/** The stretch that a number of events belongs to, and the number. */
function counted({ day, hour, label, events, confirmed }) {
  const [year, month, date] = day.split("-").map(Number);
  const from = new Date(year, month - 1, date, hour ?? 0).getTime();
  const until = hour === undefined ? new Date(year, month - 1, date + 1).getTime() : from + HOUR_MS;
  return { label, from, until, events, confirmed };
}

export class Past extends EventTarget {
  /** What is asked for: names of labels, a source or "", and whether only confirmed events are. */
  filter = { labels: [], source: "", confirmed: false };

  #tiles = new Map();
  #waiting = [];
  #running = 0;

  /** Asks for other events from now on. */
  ask(filter) {
    this.filter = filter;
    this.forget();
  }

  /** Drops what was fetched. */
  forget() {
    this.#tiles.clear();
    this.#waiting = [];
  }

  /** What is known of a stretch of time; what is missing is fetched, and "loaded" tells when more is there. */
  over(from, until) {
    const grain = GRAINS.find(({ most }) => until - from <= most);
    const all = [];
    let isWhole = true;
    for (let n = tileAt(grain, from); n <= tileAt(grain, until); n++) {
      const tile = this.#tile(grain, n);
      if (tile.items === null) isWhole = false;
      else all.push(...tile.items);
    }
    return { items: all, isWhole };
  }

  #tile(grain, n) {
    const key = `${grain.days} ${n}`;
    let tile = this.#tiles.get(key);
    const end = begins(grain, n + 1);
    const isStale = tile?.items && end > tile.at && Date.now() - tile.at > STALE_MS;
    if (tile === undefined || (isStale && !tile.isAsked)) {
      tile ??= { items: null, at: 0 };
      tile.isAsked = true;
      this.#tiles.delete(key);
      this.#tiles.set(key, tile);
      if (this.#tiles.size > MOST_TILES) this.#tiles.delete(this.#tiles.keys().next().value);
      this.#waiting.push(() => this.#fetch(grain, n, tile));
      this.#next();
    }
    return tile;
  }

  /** Begins a request that waits, the newest first. */
  #next() {
    while (this.#running < AT_ONCE && this.#waiting.length > 0) {
      this.#running++;
      this.#waiting.pop()().finally(() => {
        this.#running--;
        this.#next();
      });
    }
  }

  async #fetch(grain, n, tile) {
    const asked = Date.now();
    const [from, until] = [begins(grain, n), begins(grain, n + 1)];
    const stretch = { since: new Date(from).toISOString(), until: new Date(until).toISOString() };
    try {
      tile.items = grain.by === null ? await this.#events(stretch) : (await this.counts(stretch, grain.by)).map(counted);
      tile.at = asked;
      this.dispatchEvent(new Event("loaded"));
    } catch (error) {
      tile.items ??= [];
      tile.at = asked;
      this.dispatchEvent(new CustomEvent("failed", { detail: error }));
    } finally {
      tile.isAsked = false;
    }
  }

  async #events(stretch) {
    const all = [];
    let before = null;
    for (let page = 0; page < MOST_PAGES; page++) {
      const { events, next } = await this.page({ ...stretch, limit: PAGE, ...(before === null ? {} : { before }) });
      all.push(...events);
      if (next === null) break;
      before = next;
    }
    return all;
  }

  /** The path of a request with these parameters and the filter. */
  #path(parameters, labels = this.filter.labels) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => !Array.isArray(value)));
    for (const [name, values] of Object.entries(parameters)) if (Array.isArray(values)) values.forEach((value) => query.append(name, value));
    labels.forEach((label) => query.append("label", label));
    if (this.filter.source !== "") query.set("source", this.filter.source);
    if (this.filter.confirmed) query.set("confirmed", "true");
    if (this.filter.marked) query.set("marked", this.filter.marked);
    return `/api/v1/history?${query}`;
  }

  /** Asks the store; a name of which it has nothing is none of it. */
  async #get(path, nothing) {
    try {
      return await ask("GET", path);
    } catch (error) {
      if (error instanceof Refused && error.code === "unknown_name") return nothing;
      throw error;
    }
  }

  /** The numbers of events by these. */
  async counts(parameters, by, labels = undefined) {
    return (await this.#get(this.#path({ ...parameters, by, zone }, labels), { counts: [] })).counts;
  }

  /** A page of events, the newest first, and the place of the next one. */
  async page(parameters) {
    const { events, next } = await this.#get(this.#path(parameters), { events: [], next: null });
    return { events: events.map(known), next };
  }

  /** The event of this id. */
  event = async (id) => known(await ask("GET", `/api/v1/history/${encodeURIComponent(id)}`));

  /** When nothing was heard, and when the store began. */
  async gaps(from, until) {
    const query = new URLSearchParams({ since: new Date(from).toISOString(), until: new Date(until).toISOString() });
    const { began, gaps } = await ask("GET", `/api/v1/history/gaps?${query}`);
    const parsed = gaps.map((gap) => ({ ...gap, from: Date.parse(gap.from), until: gap.until === null ? Date.now() : Date.parse(gap.until) }));
    return { began: began === null ? null : Date.parse(began), gaps: parsed };
  }
}
