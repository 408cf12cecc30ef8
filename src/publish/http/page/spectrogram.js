// The scrolling spectrogram of the chosen source, with its events above.
//
// A ring buffer holds the columns of the last minute by their times. Columns are coloured when they arrive, and again when the
// theme or the range of levels changes. The right edge follows the clock with a short delay, so that it never waits for a column.

import { css, fit } from "./dom.js";
import { colours } from "./scale.js";
import { nameOf, time } from "./words.js";

/** The time span of the ring buffer. */
const KEPT_MS = 65_000;
/** The delay of the right edge behind the clock of the columns. */
const BEHIND_MS = 150;
/** A gap of at most this many columns is bridged. */
const BRIDGED = 3;
/** The least range of levels that the colours cover, in half decibels. */
const LEAST_RANGE = 70;
const LANES = 4;
const LANE_HEIGHT = 22;
/** The distances of time marks to choose from. */
const TICKS_MS = [1_000, 2_000, 5_000, 10_000, 15_000, 30_000];
/** The least distance of two time marks, in CSS pixels. */
const TICK_WIDTH = 84;
const TICKS_HZ = [250, 500, 1_000, 2_000, 4_000];

export class Spectrogram {
  /** The id of the highlighted event, or null. */
  marked = null;
  /** The time span that is shown, in milliseconds. */
  span = 30_000;

  #canvas;
  #columnMs = 20;
  #lagMs = 0;
  #bands = [];
  #levels = new Uint8Array();
  #capacity = 0;
  #picture = document.createElement("canvas");
  #newest = null;
  #ahead = null;
  #seen = new Float64Array(256);
  #range = [20, 130];
  #palette = new Uint8ClampedArray(256 * 4);
  #measured = 0;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Starts again, with columns as `live.start` describes them. */
  begin({ bands_hz: bands, column_ms: columnMs, two_sided_lag_ms: lagMs }) {
    this.#bands = bands;
    // A model without a spectrogram has no bands and no columns.
    this.#columnMs = columnMs || 20;
    this.#lagMs = lagMs;
    this.#capacity = Math.ceil(KEPT_MS / columnMs);
    this.#levels = new Uint8Array(this.#capacity * bands.length);
    this.#picture.width = this.#capacity;
    this.#picture.height = Math.max(bands.length, 1);
    this.#newest = this.#ahead = null;
    this.#seen.fill(0);
    this.dress();
  }

  get hasBands() {
    return this.#bands.length > 0;
  }

  /** Applies the colours of the theme. */
  dress() {
    const colour = colours(css("--levels").split(/\s+/));
    const [low, high] = this.#range;
    for (let level = 0; level < 256; level++) {
      this.#palette.set([...colour((level - low) / (high - low)), 255], level * 4);
    }
    if (this.#capacity > 0 && this.hasBands) this.#paint(0, this.#capacity);
  }

  /** Adds the columns of a live line. */
  push({ at, columns }) {
    const bytes = Uint8Array.from(atob(columns), (byte) => byte.charCodeAt(0));
    const count = this.hasBands ? bytes.length / this.#bands.length : 0;
    if (count === 0) return;
    const from = Math.round(Date.parse(at) / this.#columnMs);
    const last = from + count - 1;
    this.#follow((last + 1) * this.#columnMs);
    // Missing columns are left empty, apart from short gaps, which the rounding of times causes.
    if (this.#newest === null || from - this.#newest > this.#capacity || from < this.#newest - this.#capacity / 2) this.#levels.fill(0);
    else for (let slot = this.#newest + 1; slot < from; slot++) this.#store(slot, from - this.#newest <= BRIDGED ? bytes.subarray(0, this.#bands.length) : null);
    for (let index = 0; index < count; index++) {
      this.#store(from + index, bytes.subarray(index * this.#bands.length, (index + 1) * this.#bands.length));
    }
    const first = Math.max(Math.min((this.#newest ?? from) + 1, from), last - this.#capacity + 1);
    this.#newest = last;
    this.#measure(bytes);
    this.#paint(first, last - first + 1);
  }

  /** The daemon's time at the right edge. */
  now(fallback) {
    return this.#ahead === null ? fallback : performance.now() + this.#ahead - BEHIND_MS;
  }

  /** Draws the spectrogram with these events. */
  draw(events, fallback) {
    const { context, width, height } = fit(this.#canvas);
    const [now, top] = [this.now(fallback), LANES * LANE_HEIGHT + 8];
    const x = (at) => width - ((now - at) / this.span) * width;
    context.fillStyle = css("--well");
    context.fillRect(0, 0, width, height);
    if (this.#newest !== null) this.#drawColumns(context, now, width, top, height - top);
    this.#drawTimes(context, now, x, width, height);
    this.#drawBands(context, top, height - top);
    this.#drawEvents(context, events, now, x, width, top, height);
  }

  /** The event whose bar is at this position, of these. */
  at(px, py, events, fallback) {
    const now = this.now(fallback);
    const at = now - ((this.#canvas.clientWidth - px) / this.#canvas.clientWidth) * this.span;
    const lane = Math.floor((py - 4) / LANE_HEIGHT);
    return this.#shown(events, now).find((event) => event.lane === lane && at >= event.from && at <= (event.until ?? now));
  }

  #store(slot, bytes) {
    const begin = (slot % this.#capacity) * this.#bands.length;
    if (bytes) this.#levels.set(bytes, begin);
    else this.#levels.fill(0, begin, begin + this.#bands.length);
  }

  /** Follows the source's clock smoothly, because columns arrive in blocks at uneven intervals. */
  #follow(end) {
    const ahead = end - performance.now();
    if (this.#ahead === null || Math.abs(ahead - this.#ahead) > 1_500) this.#ahead = ahead;
    else this.#ahead += (ahead - this.#ahead) * 0.04;
  }

  /** Fits the range of levels to the levels of the last seconds, once a second. */
  #measure(bytes) {
    for (const level of bytes) this.#seen[level] += level > 0 ? 1 : 0;
    if (performance.now() - this.#measured < 1_000) return;
    this.#measured = performance.now();
    let total = 0;
    for (let level = 0; level < 256; level++) total += this.#seen[level] *= 0.97;
    const quantile = (part) => {
      let [level, sum] = [0, this.#seen[0]];
      while (level < 255 && sum < part * total) sum += this.#seen[++level];
      return level;
    };
    const low = quantile(0.25) - 4;
    const range = [low, Math.max(quantile(0.998) + 4, low + LEAST_RANGE)];
    if (range.some((level, at) => Math.abs(level - this.#range[at]) > 5)) {
      this.#range = range;
      this.dress();
    }
  }

  /** Colours `count` columns from a slot of the ring buffer on. */
  #paint(slot, count) {
    const context = this.#picture.getContext("2d");
    const bands = this.#bands.length;
    let begin = slot % this.#capacity;
    for (let left = Math.min(count, this.#capacity); left > 0; ) {
      const run = Math.min(left, this.#capacity - begin);
      const image = context.createImageData(run, bands);
      for (let column = 0; column < run; column++) {
        for (let band = 0; band < bands; band++) {
          const level = this.#levels[(begin + column) * bands + band];
          const pixel = ((bands - 1 - band) * run + column) * 4;
          for (let channel = 0; channel < 4; channel++) image.data[pixel + channel] = this.#palette[level * 4 + channel];
        }
      }
      context.putImageData(image, begin, 0);
      left -= run;
      begin = 0;
    }
  }

  #drawColumns(context, now, width, top, height) {
    const bands = this.#bands.length;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    // The columns from the left edge to the newest one are at most two runs of the ring buffer.
    const perColumn = (width * this.#columnMs) / this.span;
    let slot = Math.max(Math.floor((now - this.span) / this.#columnMs) - 1, this.#newest - this.#capacity + 1);
    while (slot <= this.#newest) {
      const begin = slot % this.#capacity;
      const run = Math.min(this.#newest - slot + 1, this.#capacity - begin);
      const left = width - ((now - slot * this.#columnMs) / this.span) * width;
      context.drawImage(this.#picture, begin, 0, run, bands, left, top, run * perColumn, height);
      slot += run;
    }
  }

  #drawTimes(context, now, x, width, height) {
    const step = TICKS_MS.find((step) => (step / this.span) * width > TICK_WIDTH) ?? TICKS_MS.at(-1);
    context.font = `11px ${css("--font")}`;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    for (let at = Math.ceil((now - this.span) / step) * step; at < now; at += step) {
      const left = Math.round(x(at)) + 0.5;
      context.strokeStyle = css("--grid");
      context.beginPath();
      context.moveTo(left, 0);
      context.lineTo(left, height);
      context.stroke();
      if (left > 34 && left < width - 30) this.#write(context, time(at, now), left, height - 7);
    }
  }

  #drawBands(context, top, height) {
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (const hz of TICKS_HZ) {
      const above = this.#bands.findIndex((band) => band >= hz);
      if (above < 1) continue;
      const band = above - 1 + (hz - this.#bands[above - 1]) / (this.#bands[above] - this.#bands[above - 1]);
      const y = top + height * (1 - (band + 0.5) / this.#bands.length);
      if (y < height + top - 18) this.#write(context, hz < 1_000 ? `${hz} Hz` : `${hz / 1_000} kHz`, 8, y);
    }
  }

  /** Writes text with an outline, so that it can be read over any background. */
  #write(context, text, x, y) {
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = css("--halo");
    context.strokeText(text, x, y);
    context.fillStyle = css("--on-picture");
    context.fillText(text, x, y);
    context.lineWidth = 1;
  }

  /** The events within the time span that is shown, by onset. */
  #shown(events, now) {
    const from = now - this.span;
    const shown = events.filter((event) => event.from < now + 1_000 && (event.until ?? (event.isOpen ? now : event.from)) > from);
    return shown.sort((one, other) => one.from - other.from);
  }

  #drawEvents(context, events, now, x, width, top, height) {
    const lanes = Array.from({ length: LANES }, () => []);
    context.font = `600 12px ${css("--font")}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (const event of this.#shown(events, now)) {
      const until = event.until ?? (event.isOpen ? now : event.from);
      const label = nameOf(event.label);
      const [left, right] = [x(event.from), Math.max(x(until), x(event.from) + 4)];
      const [visible, wide] = [Math.max(left, 0), context.measureText(label).width + 14];
      // The name is inside the bar, else after it, or before it where there is no room after it.
      const isInside = right - visible >= wide && !event.isTakenBack;
      const isBefore = !isInside && right + wide > width;
      const [from, to] = [isBefore ? left - wide : left, isInside || isBefore ? right : right + wide];
      // An event keeps its lane while that is free; a new one takes the first free lane. Without a free lane, it is in the list
      // only.
      const isFree = (lane) => lane?.every(([begin, end]) => to + 3 < begin || from > end + 3) ?? false;
      if (!isFree(lanes[event.lane])) event.lane = lanes.findIndex(isFree);
      if (event.lane < 0) continue;
      lanes[event.lane].push([from, to]);
      const y = 4 + event.lane * LANE_HEIGHT;
      const isMarked = this.marked === event.id;
      context.globalAlpha = event.isTakenBack ? 0.45 : 1;
      // The event's boundaries in the spectrogram below, and its area where it is highlighted.
      context.fillStyle = css("--event-ground");
      if (isMarked) context.fillRect(left, top, right - left, height - top);
      context.fillStyle = css("--event-edge");
      for (const edge of event.isOpen ? [left] : [left, right]) context.fillRect(edge - 0.5, y + 3, 1, height - y - 3);
      this.#drawBar(context, event, left, right, y);
      const middle = y + LANE_HEIGHT / 2 - 1.5;
      if (isInside) {
        context.fillStyle = css("--on-event");
        context.fillText(label, visible + 7, middle);
      } else {
        // A name begins within the picture, also where it is wider than the room before its bar.
        this.#write(context, label, isBefore ? Math.max(left - wide, 0) + 8 : Math.max(right, 0) + 6, middle);
      }
      context.globalAlpha = 1;
    }
  }

  /** Draws the bar of an event. The end of an open event, whose confirmed score is not known yet, is paler. */
  #drawBar(context, event, left, right, y) {
    context.beginPath();
    context.roundRect(left, y, right - left, LANE_HEIGHT - 4, 5);
    if (event.isTakenBack) {
      context.setLineDash([3, 3]);
      context.strokeStyle = css("--event");
      context.stroke();
      context.setLineDash([]);
      return;
    }
    const settled = event.isOpen ? Math.max(right - left - (this.#lagMs / this.span) * this.#canvas.clientWidth, 0) / (right - left) : 1;
    const [colour, paler] = [css("--event"), css("--event-open")];
    const fill = context.createLinearGradient(left, 0, right, 0);
    fill.addColorStop(0, settled > 0 ? colour : paler);
    fill.addColorStop(settled, settled > 0 ? colour : paler);
    fill.addColorStop(Math.min(settled + 0.02, 1), settled < 1 ? paler : colour);
    context.fillStyle = fill;
    context.fill();
  }
}
