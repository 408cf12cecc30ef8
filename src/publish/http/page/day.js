// The card of the last 24 hours: how many events of each label there were, and when.

import { ask } from "./api.js";
import { daemon } from "./daemon.js";
import { byId, el, say } from "./dom.js";
import { only } from "./events.js";
import { nameOf, number, t, time } from "./words.js";

/** The time between two requests for the counts. */
const EVERY_MS = 30_000;
const MOST_ROWS = 40;

const body = byId("day-rows");
let counts = null;
let timer = 0;

/** The counts of all sources together, a row a label, the most frequent first. */
function byLabel() {
  const all = new Map();
  for (const { label, events } of counts.counts) {
    const before = all.get(label) ?? new Array(events.length).fill(0);
    all.set(label, before.map((count, at) => count + events[at]));
  }
  const total = (events) => events.reduce((sum, count) => sum + count, 0);
  const rows = [...all].map(([label, events]) => ({ label, events, total: total(events) })).filter((row) => row.total > 0);
  return rows.sort((one, other) => other.total - one.total || nameOf(one.label).localeCompare(nameOf(other.label))).slice(0, MOST_ROWS);
}

/** The beginning of the bucket with this index. */
function begins(index, length) {
  const bucketMs = counts.bucket_s * 1_000;
  const last = Math.floor(Date.parse(counts.now) / bucketMs) * bucketMs;
  return last - (length - 1 - index) * bucketMs;
}

function strip(events) {
  const most = Math.max(...events);
  const cell = (count, at) => {
    const element = el("i", count > 0 ? { title: `${time(begins(at, events.length), Date.parse(counts.now), false)}  ${count}` } : {});
    element.style.setProperty("--part", count === 0 ? 0 : 0.25 + (0.75 * count) / most);
    return element;
  };
  return el("div", { class: "strip", "aria-hidden": "true" }, ...events.map(cell));
}

function row({ label, events, total }) {
  const busiest = time(begins(events.indexOf(Math.max(...events)), events.length), Date.parse(counts.now), false);
  const text = t("day_row", { label: nameOf(label), count: number(total), time: busiest });
  const name = el("button", { type: "button", class: "name", onclick: () => only(label) }, nameOf(label));
  return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, strip(events), el("span", { class: "hidden" }, text)), el("td", { class: "total" }, number(total)));
}

/** Writes all texts in the language in use. */
export function speak() {
  if (counts === null) return;
  const rows = byLabel();
  body.replaceChildren(...rows.map(row));
  const length = counts.counts[0]?.events.length ?? 48;
  byId("day").querySelector("tfoot").hidden = rows.length === 0;
  byId("day-hours").replaceChildren(...[0, length / 4, length / 2, (length * 3) / 4].map((at) => el("span", {}, time(begins(at, length), undefined, false).slice(-5))));
  byId("day-none").hidden = rows.length > 0;
  const isYoung = Date.parse(counts.now) - Date.parse(counts.began) < 86_400_000;
  say(byId("day-since"), isYoung ? t("day_since", { time: time(counts.began, Date.parse(counts.now), false) }) : "");
}

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, EVERY_MS);
  if (document.hidden || !daemon.answers) return;
  counts = await ask("GET", "/api/v1/counts").catch(() => counts);
  speak();
}

/** Asks for the counts soon, because an event was counted; once for several events in a row. */
function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 700);
}

/** Follows the daemon's state. */
export function follow() {
  daemon.addEventListener("answers", refresh);
  daemon.addEventListener("event", ({ detail: { part } }) => part !== "update" && soon());
  document.addEventListener("visibilitychange", refresh);
}
