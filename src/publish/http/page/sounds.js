// The card of sounds: the causal score of each label, and the plot of the one that is open. It sets no threshold itself.

import { Curve } from "./curve.js";
import { daemon } from "./daemon.js";
import { byId, el, say } from "./dom.js";
import { MARKS, place } from "./scale.js";
import { goesBy, nameOf, score, t } from "./words.js";

/** The least time between two changes of the order, so that rows can be read. */
const ORDER_MS = 4_000;
/** A label counts as heard now if its causal score reached this… */
const HEARD = 0.01;
/** …within this time. */
const HEARD_MS = 10_000;

const list = byId("sound-rows");
const filter = byId("sound-filter");
const which = byId("sound-which");
const rows = new Map();
let open = null;
let ordered = 0;

/** The row of a label. */
class SoundRow {
  curve = null;
  #label;
  #shown = "";
  #name = el("span", { class: "name" });
  #fill = el("span", { class: "fill" });
  #mark = el("span", { class: "mark" });
  #score = el("span", { class: "score" });
  #button;

  constructor(label) {
    this.#label = label;
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, this.#fill, this.#mark);
    this.#button = el("button", { type: "button", class: "row", "aria-expanded": "false", onclick: () => toggle(label.slug) }, el("span", { class: "dot" }), this.#name, bar, this.#score);
    this.element = el("li", { "data-slug": label.slug }, this.#button);
  }

  /** Writes the label's name in the language in use. */
  speak() {
    say(this.#name, nameOf(this.#label.label));
    this.element.classList.toggle("silent", this.#label.reported !== "yes");
    this.curve?.speak();
    this.#shown = "";
    this.show();
  }

  /** Shows the newest causal score. */
  show() {
    const newest = daemon.scoreOf(this.#label.slug);
    const value = newest?.score ?? 0;
    this.curve?.draw();
    const shown = `${value} ${newest?.why} ${this.#label.start_threshold}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#fill.style.transform = `scaleX(${place(value)})`;
    this.#mark.hidden = this.#label.start_threshold === null;
    if (!this.#mark.hidden) this.#mark.style.insetInlineStart = `${place(this.#label.start_threshold) * 100}%`;
    say(this.#score, value >= 0.0005 ? score(value) : "–");
    this.element.dataset.why = newest?.why ?? "";
  }

  /** Takes the label's new settings. */
  renew(label) {
    const hadThresholds = this.#label.threshold !== null;
    this.#label = label;
    // A label that is reported has sliders, and another has none.
    if (this.curve && hadThresholds !== (label.threshold !== null)) {
      const isFocused = this.curve.element.contains(document.activeElement);
      this.toggle(true);
      if (isFocused) this.curve.element.querySelector(".report input")?.focus({ preventScroll: true });
    } else this.curve?.follow();
  }

  toggle(isOpen) {
    this.#button.setAttribute("aria-expanded", String(isOpen));
    this.curve?.element.remove();
    this.curve = isOpen ? new Curve(this.#label.slug) : null;
    if (this.curve) {
      this.element.append(this.curve.element);
      this.curve.draw();
    }
  }
}

function toggle(slug) {
  const was = open;
  if (was !== null) rows.get(was)?.toggle(false);
  open = was === slug ? null : slug;
  if (open !== null) rows.get(open)?.toggle(true);
}

/** Opens a label's plot, scrolls to it and focuses it. */
export function reveal(slug) {
  const label = daemon.labels.get(slug);
  if (label === undefined) return;
  if (which.value !== "all" && label.reported !== "yes") which.value = "all";
  filter.value = "";
  order();
  if (open !== slug) toggle(slug);
  const row = rows.get(slug).element;
  row.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  row.querySelector("button").focus({ preventScroll: true });
}

/** The highest causal score of each label, within the last minute and at most `within` milliseconds. */
function strongest(within) {
  const highest = new Map();
  const since = (daemon.minute.at(-1)?.at ?? 0) - within;
  for (const { at, bySlug } of daemon.minute) {
    if (at < since) continue;
    for (const [slug, { score }] of bySlug) if (score > (highest.get(slug) ?? 0)) highest.set(slug, score);
  }
  return highest;
}

/** Orders the rows: the strongest of the last minute first. */
function order() {
  ordered = performance.now();
  const [lately, minute] = [strongest(HEARD_MS), strongest(Infinity)];
  const isShown = (label) => {
    if (filter.value.trim() !== "" && !goesBy(label.label, filter.value)) return false;
    if (label.slug === open) return true;
    if (which.value === "heard") return (lately.get(label.slug) ?? 0) >= HEARD;
    return which.value === "all" || label.reported === "yes";
  };
  // Coarse steps keep labels that are about equally strong from changing places again and again.
  const strength = (label) => Math.round(place(minute.get(label.slug) ?? 0) * 12);
  const shown = [...daemon.labels.values()].filter(isShown);
  shown.sort((one, other) => strength(other) - strength(one) || nameOf(one.label).localeCompare(nameOf(other.label)));
  const elements = shown.map((label) => rows.get(label.slug).element);
  if (elements.some((element, at) => list.children[at] !== element) || list.children.length !== elements.length) {
    const scrolled = list.scrollTop;
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(...elements);
    list.scrollTop = scrolled;
    focused?.focus({ preventScroll: true });
  }
  byId("sound-none").hidden = elements.length > 0 || daemon.labels.size === 0;
}

/** Whether the pointer or the focus is in the list; its order stays then. */
const isHeld = () => list.matches(":hover") || list.contains(document.activeElement);

function renew() {
  for (const label of daemon.labels.values()) {
    if (rows.has(label.slug)) rows.get(label.slug).renew(label);
    else rows.set(label.slug, new SoundRow(label));
  }
  for (const slug of rows.keys()) if (!daemon.labels.has(slug)) rows.delete(slug);
  if (!rows.has(open)) open = null;
  speak();
}

/** Writes all texts in the language in use. */
export function speak() {
  rows.forEach((row) => row.speak());
  filter.placeholder = t("find_sound");
  order();
}

/** Writes the scores under the bars. */
function drawScale() {
  const mark = (score) => {
    const element = el("span", {}, String(score));
    element.style.insetInlineStart = `${place(score) * 100}%`;
    return element;
  };
  byId("sound-scale").replaceChildren(...MARKS.map(mark));
}

/** Follows the daemon's state. */
export function follow() {
  drawScale();
  filter.addEventListener("input", order);
  which.addEventListener("change", order);
  daemon.addEventListener("labels", renew);
  daemon.addEventListener("thresholds", ({ detail: slug }) => {
    rows.get(slug)?.show();
    rows.get(slug)?.curve?.follow();
  });
  daemon.addEventListener("live", () => {
    if (performance.now() - ordered > ORDER_MS && !isHeld()) order();
    for (const element of list.children) rows.get(element.dataset.slug)?.show();
  });
  daemon.addEventListener("source", () => rows.forEach((row) => row.show()));
}
