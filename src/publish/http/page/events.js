// The card of recent events, the newest first, with its filters. It decides nothing about events.

import { daemon } from "./daemon.js";
import { byId, el, say } from "./dom.js";
import { reveal } from "./sounds.js";
import { duration, goesBy, level, nameOf, score, t, time } from "./words.js";

/** The most rows that are shown. */
const MOST_ROWS = 200;
/** The least time between two announcements to a screen reader. */
const ANNOUNCE_EVERY_MS = 2_500;

const list = byId("event-rows");
const filter = byId("event-filter");
const source = byId("event-source");
const withdrawn = byId("event-withdrawn");
const none = byId("event-none");
const announcer = byId("announcer");
const rows = new Map();
const listeners = { mark: () => {} };
let missed = 0;
let unannounced = [];
let announced = 0;

/** Whether an event is shown; events that were taken back only where the user asks for them. */
export const isWanted = (event) => withdrawn.checked || !event.isTakenBack;

function isShown(event) {
  return (
    isWanted(event) &&
    (source.value === "" || event.source === source.value) &&
    (filter.value.trim() === "" || [event.label, ...event.also].some((label) => goesBy(label, filter.value)))
  );
}

/** The duration of an event, so far where it is open. */
function length(event) {
  const until = event.until ?? (event.isOpen ? daemon.now() : event.from);
  return duration(until - event.from);
}

function row(event) {
  const mark = (id) => () => listeners.mark(id);
  const name = el("button", { type: "button", class: "name", onclick: () => reveal(event.slug), onfocus: mark(event.id), onblur: mark(null) });
  const parts = Object.fromEntries(["time", "lasted", "detail"].map((part) => [part, el(part === "time" ? "time" : "span", { class: part })]));
  const element = el("li", { onpointerenter: mark(event.id), onpointerleave: mark(null) }, parts.time, name, parts.lasted, parts.detail);
  return { element, name, ...parts };
}

function fill(event) {
  const shown = rows.get(event.id);
  if (shown === undefined) return;
  shown.element.className = event.isTakenBack ? "withdrawn" : event.isOpen ? "open" : "";
  say(shown.name, nameOf(event.label));
  say(shown.time, time(event.from, daemon.now()));
  shown.time.dateTime = event.onset;
  say(shown.lasted, event.isTakenBack ? t("event_withdrawn") : length(event));
  const also = event.also.length > 0 ? [t("event_also", { labels: event.also.map(nameOf).join(t("comma")) })] : [];
  const facts = [event.source, t("event_peak", { score: score(event.peak_score) }), `${level(event.level_dbfs)} dBFS`, ...also];
  say(shown.detail, facts.join(" · "));
}

/** Builds the whole list again. */
function renew() {
  rows.clear();
  const shown = [...daemon.events.values()].filter(isShown).sort((one, other) => other.from - one.from).slice(0, MOST_ROWS);
  const elements = shown.map((event) => {
    rows.set(event.id, row(event));
    fill(event);
    return rows.get(event.id).element;
  });
  list.replaceChildren(...elements);
  tellNone();
}

function tellNone() {
  none.hidden = list.children.length > 0 && missed === 0;
  if (list.children.length === 0) say(none, t(daemon.events.size === 0 ? "events_none" : "events_none_match"));
  else if (missed > 0) say(none, t("missed", { count: missed }));
}

/** Updates the list when an event began, changed or ended. */
function take({ event, isNew, part }) {
  if (part === "start" && isNew && Math.abs(daemon.now() - event.from) < 30_000) tell(event);
  if (!isShown(event)) {
    rows.get(event.id)?.element.remove();
    rows.delete(event.id);
  } else if (rows.has(event.id)) {
    fill(event);
  } else {
    rows.set(event.id, row(event));
    fill(event);
    place(event);
  }
  tellNone();
}

/** Inserts a new row before the first event that began earlier. */
function place(event) {
  const before = [...list.children].find((element) => Date.parse(element.firstChild.dateTime) <= event.from);
  list.insertBefore(rows.get(event.id).element, before ?? null);
  while (list.children.length > MOST_ROWS) {
    const last = list.lastChild;
    for (const [id, { element }] of rows) if (element === last) rows.delete(id);
    last.remove();
  }
}

/** Announces new events to screen readers, several together where they are frequent. */
function tell(event) {
  unannounced.push(t("event_in", { label: nameOf(event.label), source: event.source }));
  const wait = Math.max(announced + ANNOUNCE_EVERY_MS - performance.now(), 0);
  if (unannounced.length === 1) setTimeout(tellAll, wait);
}

function tellAll() {
  const [first, second, ...more] = unannounced;
  const rest = more.length > 0 ? [t("and_more", { count: more.length })] : [];
  say(announcer, [first, second, ...rest].filter(Boolean).join(t("comma")));
  unannounced = [];
  announced = performance.now();
}

function offerSources() {
  const names = [...new Set([...(daemon.status?.sources ?? []).map(({ name }) => name), ...[...daemon.events.values()].map((event) => event.source)])];
  const offered = ["", ...names];
  if (offered.length === source.options.length && offered.every((name, at) => source.options[at].value === name)) return;
  const chosen = source.value;
  source.replaceChildren(...offered.map((name) => el("option", { value: name }, name === "" ? t("any_source") : name)));
  source.value = offered.includes(chosen) ? chosen : "";
}

/** Writes all texts in the language in use. */
export function speak() {
  filter.placeholder = t("find_event");
  source.replaceChildren();
  offerSources();
  renew();
}

/** Shows the events of one label only. */
export function only(label) {
  filter.value = nameOf(label);
  renew();
  byId("events").scrollIntoView({ block: "nearest" });
  filter.focus({ preventScroll: true });
}

/** Follows the daemon's state; `onMark` is called with the id of the event under the pointer or the focus, or null. */
export function follow(onMark) {
  listeners.mark = onMark;
  for (const [input, type] of [[filter, "input"], [source, "change"], [withdrawn, "change"]]) input.addEventListener(type, renew);
  daemon.addEventListener("event", ({ detail }) => take(detail));
  daemon.addEventListener("events", renew);
  daemon.addEventListener("status", offerSources);
  daemon.addEventListener("missed", ({ detail }) => {
    missed += detail;
    tellNone();
  });
  // The durations of open events grow.
  setInterval(() => [...daemon.events.values()].filter((event) => event.isOpen).forEach(fill), 500);
}
