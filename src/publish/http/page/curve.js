// The plot of one label: its scores over the last minute, and its thresholds as sliders at the height of their lines.

import { ask } from "./api.js";
import { daemon } from "./daemon.js";
import { css, el, fit, say } from "./dom.js";
import * as notify from "./notify.js";
import { MARKS, place, scoreAt } from "./scale.js";
import { nameOf, score, t } from "./words.js";

const SPAN_MS = 60_000;
/** A longer distance between two scores is drawn as a gap. */
const GAP_MS = 700;
/** Half the height of a slider's thumb, and the margin of the plot, so that a thumb is at the height of its line. */
const MARGIN = 9;
/** The number of steps of a slider. */
const STEPS = 200;
/** How far a key moves a slider. Browsers disagree about the arrows of a vertical one: here Right is up everywhere. */
const KEYS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: STEPS / 10, PageDown: -STEPS / 10, Home: -STEPS, End: STEPS };
/** The least time between two requests while a slider is dragged. */
const SET_EVERY_MS = 80;

/** A plot with its sliders, for the label with this slug. */
export class Curve {
  element;
  #slug;
  #canvas = el("canvas", { class: "curve", role: "img" });
  #sliders;
  #before;
  /** The thresholds that were moved and are not saved. */
  #moved = new Set();
  #sending = null;
  #waiting = null;
  #note = el("p", { class: "note", role: "status" });
  #save = el("button", { type: "button", class: "button strong", onclick: () => this.#keep() });
  #undo = el("button", { type: "button", class: "button", onclick: () => this.#takeBack() });
  #test = el("button", { type: "button", class: "button", onclick: () => this.#sendTest() });
  #report = el("input", { type: "checkbox", onchange: () => this.#choose() });
  #notify = el("input", { type: "checkbox", onchange: () => this.#askToNotify() });
  #why = el("p", { class: "why" });
  #legend = el("dl", { class: "legend" });

  constructor(slug) {
    this.#slug = slug;
    const label = daemon.labels.get(slug);
    const slider = (key) => {
      const input = el("input", { type: "range", min: 0, max: STEPS, step: 1, "aria-orientation": "vertical", class: key, oninput: () => this.#move(key), onkeydown: (pressed) => this.#press(pressed, key) });
      const output = el("output");
      return { key, input, output, column: el("label", { class: "slider" }, el("span", { class: "title" }), el("span", { class: "track" }, input), output) };
    };
    this.#sliders = label.threshold === null ? [] : [slider("threshold"), slider("start_threshold")];
    this.#before = this.#inForce();
    const plot = el("div", { class: "plot" }, this.#canvas, ...this.#sliders.map(({ column }) => column));
    const buttons = this.#sliders.length > 0 ? [this.#save, this.#undo, this.#test] : [];
    const choice = (name, input) => el("label", { class: `check ${name}` }, input, el("span"));
    // A group, and a label in one, is reported as the configuration says.
    const choices = [...(label.mid !== null && label.group === null ? [choice("report", this.#report)] : []), choice("notify", this.#notify)];
    this.element = el("div", { class: "inspector" }, this.#why, plot, this.#legend, el("div", { class: "choices" }, ...choices), el("div", { class: "actions" }, ...buttons, this.#note));
    this.speak();
    this.follow();
  }

  /** Writes all texts in the language in use. */
  speak() {
    const label = daemon.labels.get(this.#slug);
    for (const { key, column, input } of this.#sliders) {
      say(column.querySelector(".title"), t(key));
      input.setAttribute("aria-label", t(`${key}_of`, { label: nameOf(label.label) }));
    }
    const seconds = Math.round((daemon.shape?.two_sided_lag_ms ?? 3_000) / 1_000);
    this.#legend.replaceChildren(
      ...["causal", "confirmed", ...this.#sliders.map(({ key }) => key)].flatMap((curve) => [el("dt", { class: curve }), el("dd", {}, t(`legend_${curve}`, { seconds }))]),
    );
    for (const name of ["report", "notify"]) {
      const text = this.element.querySelector(`.${name} span`);
      if (text !== null) say(text, t(`choose_${name}`));
    }
    for (const [button, key] of [[this.#save, "save"], [this.#undo, "undo"], [this.#test, "test"]]) say(button, t(key));
    this.follow();
  }

  /** Shows the thresholds that are in force. */
  follow() {
    const inForce = this.#inForce();
    for (const { key, input, output } of this.#sliders) {
      // A label that is no longer reported has no thresholds.
      if (typeof inForce[key] !== "number") continue;
      // A slider that is being dragged keeps its place.
      if (!this.#isMoving()) input.value = Math.round(place(inForce[key]) * STEPS);
      say(output, score(inForce[key]));
      input.setAttribute("aria-valuetext", score(inForce[key]));
    }
    this.#save.hidden = this.#undo.hidden = this.#moved.size === 0;
    this.#test.hidden = this.#moved.size > 0;
    this.#report.checked = daemon.labels.get(this.#slug)?.reported === "yes";
    this.#notify.checked = notify.isWanted(this.#slug);
    this.draw();
  }

  /** Draws the scores and the thresholds. */
  draw() {
    const label = daemon.labels.get(this.#slug);
    const { context, width, height } = fit(this.#canvas);
    if (width === 0 || label === undefined) return;
    const now = Math.max(daemon.minute.at(-1)?.at ?? 0, daemon.now() - 400);
    const x = (at) => width - ((now - at) / SPAN_MS) * width;
    const y = (value) => MARGIN + (1 - place(value)) * (height - 2 * MARGIN);
    context.clearRect(0, 0, width, height);
    this.#drawMarks(context, width, height, y);
    const points = (key, time) => daemon.minute.map((hop) => ({ at: hop[time], value: hop.bySlug.get(this.#slug)?.[key] ?? 0 }));
    const scores = points("score", "at");
    this.#trace(context, points("two_sided", "confirmedAt"), x, y, css("--sure"), y(0));
    this.#trace(context, scores, x, y, css("--score"), null);
    for (const { key } of this.#sliders) this.#drawThreshold(context, key, y(this.#inForce()[key]), width);
    this.#tell(label, scores);
  }

  #drawMarks(context, width, height, y) {
    context.font = `10.5px ${css("--font")}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (const mark of MARKS) {
      const at = Math.round(y(mark)) + 0.5;
      context.strokeStyle = css("--grid-card");
      context.beginPath();
      context.moveTo(34, at);
      context.lineTo(width, at);
      context.stroke();
      context.fillStyle = css("--faint");
      context.fillText(String(mark), 0, at);
    }
    context.textBaseline = "alphabetic";
    context.fillText(t("minute_ago"), 34, height - 1);
    context.textAlign = "right";
    context.fillText(t("now"), width - 2, height - 1);
  }

  /** Draws a line through points, with a gap where scores are missing; with `ground`, also the area down to that height. */
  #trace(context, points, x, y, colour, ground) {
    const runs = [];
    for (const point of points) {
      if (runs.length === 0 || point.at - runs.at(-1).at(-1).at > GAP_MS) runs.push([]);
      runs.at(-1).push(point);
    }
    context.save();
    context.beginPath();
    context.rect(34, 0, context.canvas.width, context.canvas.height);
    context.clip();
    for (const run of runs) {
      context.beginPath();
      run.forEach(({ at, value }) => context.lineTo(x(at), y(value)));
      context.strokeStyle = context.fillStyle = colour;
      context.lineWidth = ground === null ? 1.75 : 1;
      context.lineJoin = "round";
      context.stroke();
      if (ground === null) continue;
      context.lineTo(x(run.at(-1).at), ground);
      context.lineTo(x(run[0].at), ground);
      context.globalAlpha = 0.28;
      context.fill();
      context.globalAlpha = 1;
    }
    context.restore();
  }

  #drawThreshold(context, key, at, width) {
    context.strokeStyle = css(key === "threshold" ? "--sure" : "--score");
    context.lineWidth = 1.25;
    context.setLineDash(key === "threshold" ? [] : [5, 4]);
    context.beginPath();
    context.moveTo(34, at);
    context.lineTo(width, at);
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 1;
  }

  #tell(label, scores) {
    const newest = daemon.scoreOf(this.#slug);
    const highest = Math.max(...scores.map(({ value }) => value), 0);
    const text = t("curve_of", { label: nameOf(label.label), score: score(newest?.score ?? 0), highest: score(highest) });
    if (this.#canvas.getAttribute("aria-label") !== text) this.#canvas.setAttribute("aria-label", text);
    if (label.group !== null) say(this.#why, t("reported_as", { group: nameOf(label.group) }));
    else if (label.threshold === null) say(this.#why, t("not_reported"));
    else say(this.#why, t(`why_${newest?.why ?? "below"}`));
  }

  #inForce() {
    const { threshold, start_threshold } = daemon.labels.get(this.#slug) ?? {};
    return { threshold, start_threshold };
  }

  #isMoving() {
    return this.#sending !== null || this.#waiting !== null;
  }

  /** Moves a slider by a key. */
  #press(pressed, key) {
    const by = KEYS[pressed.key];
    if (by === undefined || pressed.ctrlKey || pressed.altKey || pressed.metaKey) return;
    pressed.preventDefault();
    const { input } = this.#sliders.find((slider) => slider.key === key);
    const before = input.value;
    input.value = Number(before) + by;
    if (input.value !== before) this.#move(key);
  }

  /** Has the daemon report the label, or not; the configuration file says so from then on. */
  async #choose() {
    try {
      await daemon.report(this.#slug, this.#report.checked);
      say(this.#note, t("saved", { file: daemon.status.config }));
    } catch (error) {
      say(this.#note, error.message);
    }
    this.follow();
  }

  async #askToNotify() {
    const refusal = await notify.want(this.#slug, this.#notify.checked);
    say(this.#note, refusal === null ? "" : t(refusal));
    this.follow();
  }

  /** Takes a slider's new value, which is set at once. While an answer is outstanding, only the last value is kept. */
  #move(key) {
    const slider = this.#sliders.find((slider) => slider.key === key);
    const value = scoreAt(Number(slider.input.value) / STEPS);
    say(slider.output, score(value));
    slider.input.setAttribute("aria-valuetext", score(value));
    Object.assign(daemon.labels.get(this.#slug), { [key]: value });
    this.#moved.add(key);
    this.#waiting = { ...this.#waiting, [key]: value };
    this.#send();
  }

  async #send() {
    if (this.#sending !== null || this.#waiting === null) return;
    const thresholds = this.#waiting;
    this.#waiting = null;
    this.#sending = daemon.set(this.#slug, thresholds);
    try {
      await this.#sending;
      say(this.#note, t("unsaved"));
    } catch (error) {
      say(this.#note, error.message);
      await daemon.loadLabels().catch(() => {});
    }
    await new Promise((done) => setTimeout(done, SET_EVERY_MS));
    this.#sending = null;
    if (this.#waiting !== null) this.#send();
    else this.follow();
  }

  async #keep() {
    try {
      // A threshold that was not moved is not written, so that it goes on following the other one or the model's default.
      const inForce = this.#inForce();
      await daemon.set(this.#slug, Object.fromEntries([...this.#moved].map((key) => [key, inForce[key]])), true);
      this.#before = this.#inForce();
      this.#moved.clear();
      say(this.#note, t("saved", { file: daemon.status.config }));
    } catch (error) {
      say(this.#note, error.message);
    }
    this.follow();
  }

  async #takeBack() {
    try {
      await daemon.set(this.#slug, this.#before);
      this.#moved.clear();
      say(this.#note, "");
    } catch (error) {
      say(this.#note, error.message);
    }
    this.follow();
  }

  async #sendTest() {
    try {
      await ask("POST", "/api/v1/test", { label: daemon.labels.get(this.#slug).label });
      say(this.#note, t("test_sent"));
    } catch (error) {
      say(this.#note, error.message);
    }
  }
}
