// The list of the events that the history shows, the newest first. Each has a permanent link.

import { play } from "./clip.js";
import { byId, el, say } from "./dom.js";
import { announce, markText, marksOf } from "./marks.js";
import { known } from "./past.js";
import { duration, level, nameOf, number, score, spoken, t } from "./words.js";

const PAGE = 100;

const list = byId("found-rows");
let next = null;
let shown = [];
let asked = 0;
let chosen = null;
let trouble = () => {};

/** The address of an event on this page. */
export const linkTo = (id) => `#event=${id}`;

const when = (at) => new Date(at).toLocaleString(spoken(), { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function row(event) {
  const also = event.also.length > 0 ? [t("event_also", { labels: event.also.map(nameOf).join(t("comma")) })] : [];
  const facts = [event.source, t("event_peak", { score: score(event.peak_score) }), `${level(event.level_dbfs)} dBFS`, ...also];
  if (event.mark) facts.push(markText(event));
  const isKept = event.clip?.state === "kept";
  if (event.clip !== null && event.clip !== undefined && !isKept) facts.push(t("clip_not_kept", { state: t(`clip_state_${event.clip.state}`), reason: event.clip.reason ?? "" }));
  const lasted = event.isTakenBack ? t("event_withdrawn") : duration(event.until - event.from);
  return el(
    "li",
    { class: [event.isTakenBack ? "withdrawn" : "", event.id === chosen ? "chosen" : ""].join(" ").trim() || null, "data-id": event.id },
    el("time", { datetime: event.onset }, when(event.from)),
    el("a", { class: "name", href: linkTo(event.id) }, nameOf(event.label)),
    el("span", { class: "lasted" }, lasted),
    el("span", { class: "detail" }, facts.join(" · ")),
    isKept ? el("button", { type: "button", class: "button play", "aria-label": t("clip_play_of", { label: nameOf(event.label) }), onclick: () => play(event) }, t("clip_play")) : null,
    // What goes on, or was never heard, is neither right nor wrong yet.
    event.offset === null || event.source === "test" ? null : marksOf(event, marked, (error) => trouble(error)),
  );
}

/** Shows an event as it is marked now, and leaves the focus where it was. */
function marked(id, event, kind) {
  shown = shown.map((one) => (one.id === id ? known(event) : one));
  list.querySelector(`[data-id="${id}"]`)?.replaceWith(row(known(event)));
  list.querySelector(`[data-id="${id}"] [data-mark="${kind}"]`)?.focus();
  announce(event);
}

/** Calls `told` with what goes wrong where an event is marked. */
export const onTrouble = (told) => (trouble = told);

/** Writes all texts in the language in use. */
export function speak() {
  // An answer that is being typed is not taken away, and neither is the focus.
  if (list.querySelector("form:not([hidden])") === null) {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const [id, mark] = [focused?.closest("li").dataset.id, focused?.dataset.mark];
    list.replaceChildren(...shown.map(row));
    if (focused !== null) list.querySelector(`[data-id="${id}"] ${mark === undefined ? ".name" : `[data-mark="${mark}"]`}`)?.focus();
  }
  byId("found-none").hidden = shown.length > 0;
  byId("more").hidden = next === null;
  say(byId("found-count"), shown.length === 0 ? "" : next === null ? number(shown.length) : t("found_first", { count: number(shown.length) }));
}

/** Marks the event of this id, and brings it into view. */
export function choose(id) {
  chosen = id;
  for (const element of list.children) element.classList.toggle("chosen", element.dataset.id === id);
  list.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
}

/** Fetches the events of a stretch. */
export async function renewFound(past, { from, until }) {
  const own = ++asked;
  const page = await past.page({ since: new Date(from).toISOString(), until: new Date(until).toISOString(), limit: PAGE });
  if (own !== asked) return;
  ({ events: shown, next } = page);
  speak();
  choose(chosen);
  byId("more").onclick = async () => {
    const more = await past.page({ since: new Date(from).toISOString(), until: new Date(until).toISOString(), limit: PAGE, before: next });
    if (own !== asked) return;
    shown = [...shown, ...more.events];
    next = more.next;
    speak();
  };
}

/** A cell of a CSV file (RFC 4180); a text that a spreadsheet would compute begins with an apostrophe. */
function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

const COLUMNS = ["onset", "offset", "label", "also", "source", "score", "peak_score", "threshold", "level_dbfs", "confirmed_at", "reason", "node", "model", "id", "mark", "mark_label"];

/** The value of an event in a column. */
function value(event, column) {
  if (column === "also") return event.also.join("; ");
  if (column === "mark") return event.mark?.mark;
  return column === "mark_label" ? event.mark?.label : event[column];
}

/** Saves all events of a stretch as a CSV file. */
export async function exportCsv(past, { from, until }) {
  const lines = [COLUMNS.join(",")];
  for (let before = null; ; ) {
    const page = await past.page({ since: new Date(from).toISOString(), until: new Date(until).toISOString(), limit: 1_000, ...(before === null ? {} : { before }) });
    for (const event of page.events) lines.push(COLUMNS.map((column) => cell(value(event, column))).join(","));
    before = page.next;
    if (before === null) break;
  }
  const address = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  el("a", { href: address, download: `mimid-${new Date(from).toISOString().slice(0, 10)}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
