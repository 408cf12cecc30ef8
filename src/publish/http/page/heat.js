// Two summaries of the history: the hours of the day by days as a heat map, and this week against the last.

import { byId, css, el, fit, say } from "./dom.js";
import { DAY_MS, midnight } from "./past.js";
import { colours } from "./scale.js";
import { nameOf, number, spoken, t } from "./words.js";

const AXIS = 20;
const GUTTER = 34;
/** The fewest and the most days of the heat map. */
const DAYS = [28, 400];
const MOST_ROWS = 12;

let cells = new Map();
let stretch = null;

const dayName = (date) => [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");

/** The days of a heat map for what the timeline shows. */
function days({ from, until }) {
  const last = midnight(Math.min(until, Date.now()));
  const wanted = Math.ceil((last.getTime() - from) / DAY_MS) + 1;
  const count = Math.min(Math.max(wanted, DAYS[0]), DAYS[1]);
  return Array.from({ length: count }, (_, at) => midnight(last, at - count + 1));
}

/** Fetches the heat map of the days that the timeline shows, and draws it. */
export async function renewHeat(past, shown) {
  const all = days(shown);
  const end = midnight(all.at(-1), 1);
  const counts = await past.counts({ since: all[0].toISOString(), until: end.toISOString() }, ["day", "hour"]);
  cells = new Map(counts.map(({ day, hour, events }) => [`${day} ${hour}`, events]));
  stretch = all;
  const labels = past.filter.labels.map(nameOf).join(t("comma"));
  say(byId("heat-of"), labels);
  drawHeat();
}

/** Draws the heat map in the colours of the theme. */
export function drawHeat() {
  if (stretch === null) return;
  const { context, width, height } = fit(byId("heat"));
  context.clearRect(0, 0, width, height);
  const most = Math.max(...cells.values(), 1);
  const colour = colours(css("--levels").split(/\s+/));
  const [cell, hour] = [(width - GUTTER) / stretch.length, (height - AXIS) / 24];
  const gap = cell > 4 ? 1 : 0;
  stretch.forEach((date, day) => {
    for (let at = 0; at < 24; at++) {
      const events = cells.get(`${dayName(date)} ${at}`) ?? 0;
      const [red, green, blue] = colour(events === 0 ? 0 : 0.2 + (0.8 * Math.log1p(events)) / Math.log1p(most));
      context.fillStyle = events === 0 ? css("--grid-card") : `rgb(${red} ${green} ${blue})`;
      context.fillRect(GUTTER + day * cell, at * hour, Math.max(cell - gap, 0.5), hour - 1);
    }
  });
  context.fillStyle = css("--faint");
  context.font = `11px ${css("--font")}`;
  context.textBaseline = "top";
  for (const at of [0, 6, 12, 18]) context.fillText(`${String(at).padStart(2, "0")}:00`, 0, at * hour);
  const every = Math.ceil(70 / cell);
  for (let day = 0; day < stretch.length - every / 2; day += every) {
    context.fillText(stretch[day].toLocaleDateString(spoken(), { month: "short", day: "numeric" }), GUTTER + day * cell, height - AXIS + 6);
  }
  const [busiest, events] = [...cells].reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0]);
  const [day, at] = busiest.split(" ");
  byId("heat").setAttribute("aria-label", events === 0 ? t("found_none") : t("heat_text", { days: stretch.length, count: number(events), day, hour: `${at}:00` }));
}

/** Fetches and shows this week beside the last one. */
export async function renewWeeks(past) {
  const now = Date.now();
  const week = (weeks) => ({ since: new Date(now - (weeks + 1) * 7 * DAY_MS).toISOString(), until: new Date(now - weeks * 7 * DAY_MS).toISOString() });
  const [these, last] = await Promise.all([0, 1].map(async (weeks) => new Map((await past.counts(week(weeks), ["label"])).map(({ label, events }) => [label, events]))));
  const all = [...new Set([...these.keys(), ...last.keys()])].map((label) => ({ label, events: these.get(label) ?? 0, before: last.get(label) ?? 0 }));
  const rows = all.sort((one, other) => other.events + other.before - one.events - one.before).slice(0, MOST_ROWS);
  const most = Math.max(...rows.flatMap(({ events, before }) => [events, before]), 1);
  const amount = (events) => {
    const bar = el("i");
    bar.style.setProperty("--part", events / most);
    return el("td", {}, el("span", { class: "amount", "aria-hidden": "true" }, bar), number(events));
  };
  byId("week-rows").replaceChildren(...rows.map(({ label, events, before }) => el("tr", {}, el("th", { scope: "row" }, nameOf(label)), amount(events), amount(before))));
  byId("weeks").hidden = rows.length === 0;
  byId("week-none").hidden = rows.length > 0;
}
