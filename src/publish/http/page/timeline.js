// The timeline of the history: lanes of labels over time, with nights, and gaps in which nothing was heard. It draws what it is given,
// and says what lies at a place of it; it fetches nothing.

import { css, fit } from "./dom.js";
import { DAY_MS, HOUR_MS, midnight } from "./past.js";
import { nameOf, spoken, t } from "./words.js";

const AXIS = 28;
const LANE = 30;
const LEAST_LANE = 22;
/** The width of an event that is shorter than it can be seen. */
const LEAST_WIDTH = 3;
/** The least distance of two time marks, in CSS pixels. */
const TICK_WIDTH = 86;
const MINUTE_MS = 60_000;
/** The hours between which it is night. */
const NIGHT = [22, 6];
/** Over a longer span nights are too narrow to be seen. */
const NIGHTS_MS = 16 * DAY_MS;
/** The distances of time marks to choose from: milliseconds within a day, then days, then months. */
const STEPS = [
  ...[1 / 6, 1 / 2, 1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => ({ ms: minutes * MINUTE_MS })),
  ...[1, 2, 7, 14].map((days) => ({ ms: days * DAY_MS, days })),
  ...[1, 3, 6, 12].map((months) => ({ ms: months * 30 * DAY_MS, months })),
];

/** The time marks of a stretch, by the clocks of the browser. */
function* ticks(from, until, step) {
  const first = new Date(from);
  if (step.months) {
    const at = new Date(first.getFullYear(), 0, 1);
    for (let month = 0; ; month += step.months) {
      const tick = new Date(at.getFullYear(), month, 1).getTime();
      if (tick > until) return;
      if (tick >= from) yield tick;
    }
  }
  if (step.days) {
    const zero = new Date(2000, 0, 3);
    let day = Math.floor((from - zero.getTime()) / DAY_MS / step.days) * step.days;
    for (; ; day += step.days) {
      const tick = new Date(2000, 0, 3 + day).getTime();
      if (tick > until) return;
      if (tick >= from) yield tick;
    }
  }
  const day = midnight(first).getTime();
  for (let tick = day + Math.ceil((from - day) / step.ms) * step.ms; tick <= until; tick += step.ms) yield tick;
}

/** The text of a time mark. */
function marked(at, step) {
  const date = new Date(at);
  const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (step.months) return date.toLocaleDateString(spoken(), date.getMonth() === 0 ? { year: "numeric" } : { month: "short" });
  if (step.days || isMidnight) return date.toLocaleDateString(spoken(), { month: "short", day: "numeric" });
  return date.toLocaleTimeString(spoken(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(step.ms < MINUTE_MS ? { second: "2-digit" } : {}) });
}

export class Timeline {
  /** The stretch that is shown. */
  from = Date.now() - DAY_MS;
  span = DAY_MS;
  /** The labels that have a lane, from the top down. */
  lanes = [];
  /** The times in which nothing was heard; `isAll` is false where others were. */
  gaps = [];
  /** When the store began, or null. */
  began = null;
  /** The id of the chosen event, or null. */
  chosen = null;

  #canvas;
  #byLabel = new Map();
  #most = new Map();

  constructor(canvas) {
    this.#canvas = canvas;
  }

  get until() {
    return this.from + this.span;
  }

  /** The number of lanes that have room. */
  get room() {
    return Math.max(Math.floor((this.#canvas.clientHeight - AXIS) / LANE), 1);
  }

  /** Takes what there is to draw. */
  take(items) {
    this.#byLabel.clear();
    this.#most.clear();
    for (const item of items) {
      if (!this.#byLabel.has(item.label)) this.#byLabel.set(item.label, []);
      this.#byLabel.get(item.label).push(item);
      if (item.events) this.#most.set(item.label, Math.max(this.#most.get(item.label) ?? 1, item.events));
    }
  }

  /** The labels within the stretch that is shown, the most frequent first, with their numbers. */
  totals() {
    const sum = (items) => items.reduce((all, item) => (item.until > this.from && item.from < this.until ? all + (item.events ?? 1) : all), 0);
    const all = [...this.#byLabel].map(([label, items]) => ({ label, events: sum(items) })).filter(({ events }) => events > 0);
    return all.sort((one, other) => other.events - one.events || nameOf(one.label).localeCompare(nameOf(other.label)));
  }

  #layout() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const gutter = Math.min(170, width * 0.3);
    const lane = Math.max(Math.min((height - AXIS) / Math.max(this.lanes.length, 1), LANE), LEAST_LANE);
    const x = (at) => gutter + ((at - this.from) / this.span) * (width - gutter);
    return { width, height, gutter, lane, x };
  }

  /** The moment at a place. */
  at(x) {
    const { gutter, width } = this.#layout();
    return this.from + ((x - gutter) / (width - gutter)) * this.span;
  }

  /** The item at a place, or undefined; of several the shortest. */
  item(x, y) {
    const { lane, x: place } = this.#layout();
    const label = this.lanes[Math.floor(y / lane)];
    const hit = (item) => x >= place(item.from) - 2 && x <= Math.max(place(item.until), place(item.from) + LEAST_WIDTH) + 2;
    return (this.#byLabel.get(label) ?? []).filter(hit).sort((one, other) => one.until - one.from - (other.until - other.from))[0];
  }

  /** The gap at a place, or undefined. */
  gap(x) {
    const at = this.at(x);
    return this.gaps.find((gap) => gap.from <= at && gap.until > at);
  }

  draw(now) {
    const { context } = fit(this.#canvas);
    const { width, height, gutter, lane, x } = this.#layout();
    context.clearRect(0, 0, width, height);
    const bottom = height - AXIS;
    context.save();
    context.beginPath();
    context.rect(gutter, 0, width - gutter, height);
    context.clip();
    if (this.span <= NIGHTS_MS) this.#nights(context, x, bottom);
    this.#grid(context, x, bottom, width - gutter);
    this.lanes.forEach((label, at) => this.#lane(context, label, at * lane, lane, x));
    this.#silences(context, x, bottom, now);
    context.restore();
    this.#names(context, gutter, lane, width);
  }

  #nights(context, x, bottom) {
    context.fillStyle = css("--grid-card");
    const first = new Date(this.from);
    for (let day = -1; ; day++) {
      const [dusk, dawn] = NIGHT.map((hour, at) => new Date(first.getFullYear(), first.getMonth(), first.getDate() + day + at, hour).getTime());
      if (dusk > this.until) return;
      context.fillRect(x(dusk), 0, x(dawn) - x(dusk), bottom);
    }
  }

  #grid(context, x, bottom, width) {
    const step = STEPS.find(({ ms }) => (ms / this.span) * width >= TICK_WIDTH) ?? STEPS.at(-1);
    context.font = `11px ${css("--font")}`;
    context.textBaseline = "middle";
    for (const tick of ticks(this.from - step.ms, this.until, step)) {
      const at = Math.round(x(tick)) + 0.5;
      context.strokeStyle = css("--grid");
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, bottom + 5);
      context.stroke();
      context.fillStyle = css("--faint");
      context.fillText(marked(tick, step), at + 4, bottom + AXIS / 2);
    }
  }

  #lane(context, label, top, height, x) {
    const most = this.#most.get(label) ?? 1;
    const [event, edge] = [css("--event"), css("--event-edge")];
    for (const item of this.#byLabel.get(label) ?? []) {
      if (item.until < this.from || item.from > this.until) continue;
      const left = x(item.from);
      if (item.events === undefined) {
        const length = Math.max(x(item.until) - left, LEAST_WIDTH);
        context.fillStyle = item.id === this.chosen ? css("--ink") : event;
        context.strokeStyle = edge;
        if (item.isTakenBack) context.strokeRect(left + 0.5, top + 6.5, length, height - 13);
        else context.fillRect(left, top + 5, length, height - 10);
        continue;
      }
      // A bar as high as its number is of the lane's highest, so that one event is seen beside a thousand.
      const part = Math.log1p(item.events) / Math.log1p(most);
      const full = height - 6;
      const bar = Math.max(full * part, 3);
      const length = Math.max(x(item.until) - left - 1, 1);
      context.fillStyle = edge;
      context.fillRect(left, top + 3 + full - bar, length, bar);
      const sure = (bar * item.confirmed) / item.events;
      context.fillStyle = event;
      context.fillRect(left, top + 3 + full - sure, length, sure);
    }
  }

  /** Hatches where nothing was heard. */
  #silences(context, x, bottom, now) {
    const hatch = (from, until, height) => {
      const [left, right] = [Math.max(x(from), x(this.from)), Math.min(x(until), x(this.until))];
      if (right - left < 0.5) return;
      context.save();
      context.beginPath();
      context.rect(left, 0, Math.max(right - left, 1), height);
      context.clip();
      context.fillStyle = css("--halo");
      context.fillRect(left, 0, right - left, height);
      context.strokeStyle = css("--faint");
      context.globalAlpha = 0.5;
      context.beginPath();
      for (let at = Math.floor((left - height) / 8) * 8; at < right; at += 8) {
        context.moveTo(at, height);
        context.lineTo(at + height, 0);
      }
      context.stroke();
      context.restore();
    };
    if (this.began !== null && this.began > this.from) hatch(this.from, this.began, bottom);
    for (const gap of this.gaps) if (gap.until > this.from && gap.from < this.until) hatch(gap.from, gap.until, gap.isAll ? bottom : 5);
    if (now < this.until) {
      context.fillStyle = css("--accent");
      context.fillRect(Math.round(x(now)), 0, 2, bottom);
    }
  }

  #names(context, gutter, lane, width) {
    context.font = `13px ${css("--font")}`;
    context.textBaseline = "middle";
    this.lanes.forEach((label, at) => {
      let text = nameOf(label);
      while (text.length > 2 && context.measureText(text).width > gutter - 22) text = `${text.slice(0, -2).trimEnd()}…`;
      context.fillStyle = css("--ink");
      context.fillText(text, 14, at * lane + lane / 2 + 1);
      context.strokeStyle = css("--grid");
      context.beginPath();
      context.moveTo(0, Math.round((at + 1) * lane) + 0.5);
      context.lineTo(width, Math.round((at + 1) * lane) + 0.5);
      context.stroke();
    });
    if (this.lanes.length === 0) {
      context.fillStyle = css("--faint");
      context.fillText(t("found_none"), 14, LANE);
    }
  }
}

/** The length of a stretch that is shown, between ten seconds and ten years. */
export const bounded = (span) => Math.min(Math.max(span, MINUTE_MS / 6), 3_660 * DAY_MS);

/** A stretch of time in words. */
export function stretchText(from, until) {
  const far = until - from > 20 * HOUR_MS;
  const date = { year: "numeric", month: "short", day: "numeric" };
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const format = new Intl.DateTimeFormat(spoken(), far ? date : { ...date, ...clock });
  return format.formatRange(new Date(from), new Date(until));
}
