// Starts the history, and joins its parts: what is sought, the timeline and how it is moved, the list, and the summaries.

import { Refused, ask } from "./api.js";
import { wireClip } from "./clip.js";
import { byId, el, say } from "./dom.js";
import { choose, exportCsv, onTrouble, renewFound, speak as speakFound } from "./found.js";
import { drawHeat, renewHeat, renewWeeks } from "./heat.js";
import { Past } from "./past.js";
import { read } from "./seek.js";
import { Timeline, bounded, stretchText } from "./timeline.js";
import { askForToken, showMain, wireTop } from "./top.js";
import { duration, nameOf, number, onLanguage, speak, t } from "./words.js";

/** The time without a move after which what is shown is fetched. */
const SETTLED_MS = 220;
/** The time between two looks for new events while the present is shown. */
const EVERY_MS = 15_000;
/** The span around an event that a link leads to. */
const AROUND_MS = 10 * 60_000;
/** The most labels that a search asks for. */
const MOST_LABELS = 12;

const canvas = byId("timeline");
const timeline = new Timeline(canvas);
const past = new Past();
/** The names of labels that the store has. */
let labels = [];
let sources = [];
let needsDrawing = false;
let settling = 0;
let isHeld = false;

function draw() {
  if (needsDrawing) return;
  needsDrawing = true;
  requestAnimationFrame(() => {
    needsDrawing = false;
    timeline.draw(Date.now());
  });
}

/** Gives the timeline what is known of what it shows; `isSettled` chooses its lanes anew. */
function fill(isSettled) {
  const { items, isWhole } = past.over(timeline.from - timeline.span / 2, timeline.until + timeline.span / 2);
  // Until all of it is there, what was shown stays.
  if (isWhole || timeline.lanes.length === 0) timeline.take(items);
  if (isSettled && isWhole) timeline.lanes = timeline.totals().slice(0, timeline.room).map(({ label }) => label);
  draw();
}

/** Shows a stretch of time, and fetches what is missing once nothing moves any more. */
function show(from, span) {
  timeline.span = bounded(span);
  timeline.from = Math.min(Math.max(from, Date.UTC(2000)), Date.now() + timeline.span / 2);
  fill(false);
  clearTimeout(settling);
  settling = setTimeout(settle, SETTLED_MS);
}

async function settle() {
  fill(!isHeld);
  say(byId("past-title"), stretchText(timeline.from, timeline.until));
  for (const input of document.querySelectorAll("input[name=span]")) input.checked = Number(input.value) === timeline.span;
  if (isHeld) return;
  keepPlace();
  const shown = { from: timeline.from, until: timeline.until };
  try {
    const [{ began, gaps }] = await Promise.all([past.gaps(shown.from - timeline.span, shown.until + timeline.span), renewFound(past, shown), renewHeat(past, shown)]);
    timeline.began = began;
    const isAll = ({ source }) => source === null || source === past.filter.source || (past.filter.source === "" && sources.length < 2);
    timeline.gaps = gaps.map((gap) => ({ ...gap, isAll: isAll(gap) })).filter((gap) => gap.isAll || past.filter.source === "");
    byId("notice").hidden = true;
    draw();
  } catch (error) {
    trouble(error);
  }
}

/** Shows why there is no answer. */
function trouble(error) {
  if (error instanceof Refused && error.status === 401) return askForToken();
  byId("notice").hidden = false;
  say(byId("notice"), error instanceof Refused ? error.message : t("state_away"));
}

/** Writes what is shown into the address, so that it is a link. */
function keepPlace() {
  const place = new URLSearchParams({ from: new Date(Math.round(timeline.from)).toISOString(), span: Math.round(timeline.span / 1_000) });
  if (byId("sought").value.trim() !== "") place.set("seek", byId("sought").value.trim());
  if (past.filter.source !== "") place.set("source", past.filter.source);
  if (past.filter.confirmed) place.set("confirmed", "true");
  if (past.filter.marked) place.set("marked", past.filter.marked);
  if (timeline.chosen !== null) place.set("event", timeline.chosen);
  history.replaceState(null, "", `#${place}`);
}

/** Shows what the address says. */
async function followPlace() {
  const place = new URLSearchParams(location.hash.slice(1));
  byId("sought").value = place.get("seek") ?? byId("sought").value;
  byId("confirmed").checked = place.get("confirmed") === "true" || byId("confirmed").checked;
  byId("marked-only").value = place.get("marked") ?? byId("marked-only").value;
  const source = place.get("source");
  if (source !== null) byId("source").value = source;
  timeline.chosen = place.get("event");
  choose(timeline.chosen);
  const [from, span] = [Date.parse(place.get("from") ?? ""), Number(place.get("span") ?? 0) * 1_000];
  seek(false);
  if (!Number.isNaN(from) && span > 0) return show(from, span);
  if (timeline.chosen === null) return show(Date.now() - timeline.span * 0.98, timeline.span);
  try {
    const event = await past.event(timeline.chosen);
    show((event.from + event.until) / 2 - AROUND_MS / 2, Math.max(AROUND_MS, (event.until - event.from) * 1.5));
  } catch (error) {
    trouble(error);
  }
}

/** Asks for what the search and the filters say, and shows its time where they say one. */
function seek(isMoved = true) {
  const said = read(byId("sought").value, labels);
  const found = said.labels.slice(0, MOST_LABELS);
  // A name that the store does not have finds nothing.
  past.ask({ labels: said.name !== "" && found.length === 0 ? [said.name] : found, source: byId("source").value, confirmed: byId("confirmed").checked, marked: byId("marked-only").value });
  timeline.lanes = [];
  if (!isMoved) return;
  const [from, until] = [said.from ?? timeline.from, said.until ?? (said.from === null ? timeline.until : Date.now())];
  show(from, Math.max(until - from, 60_000));
  renewWeeks(past).catch(trouble);
}

/** Zooms by a factor about a moment that stays where it is. */
function zoom(factor, about = timeline.from + timeline.span / 2) {
  const span = bounded(timeline.span * factor);
  show(about - ((about - timeline.from) * span) / timeline.span, span);
}

/** Tells what lies under the pointer. */
function point(x, y) {
  const [item, gap] = [timeline.item(x, y), timeline.gap(x)];
  canvas.classList.toggle("pointing", item !== undefined);
  if (item === undefined && gap === undefined) return say(byId("pointed"), t("timeline_hint"));
  const silence = gap === undefined ? [] : [t(`gap_${gap.kind}`, { source: gap.source ?? "", reason: gap.reason ?? "" }).trim()];
  const heard = item === undefined ? [] : [stretchText(item.from, item.until), nameOf(item.label), item.events === undefined ? duration(item.until - item.from) : t("timeline_count", { count: number(item.events), confirmed: number(item.confirmed) })];
  say(byId("pointed"), [...heard, ...silence].join(" · "));
}

/** Opens what was clicked: an event, or the stretch of a number. */
function open(item) {
  if (item === undefined) return;
  if (item.events !== undefined) return show(item.from, item.until - item.from);
  timeline.chosen = item.id;
  choose(item.id);
  keepPlace();
  draw();
}

function wirePointers() {
  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    moved = pointers.size > 1 ? Infinity : 0;
    isHeld = true;
    canvas.classList.add("held");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return point(event.offsetX, event.offsetY);
    const scale = timeline.at(1) - timeline.at(0);
    if (pointers.size === 1) {
      moved += Math.abs(event.offsetX - before.offsetX);
      show(timeline.from - (event.offsetX - before.offsetX) * scale, timeline.span);
    } else {
      const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      const [was, is] = [before, event].map(({ offsetX }) => Math.max(Math.abs(offsetX - other.offsetX), 20));
      zoom(was / is, timeline.at(other.offsetX));
    }
    pointers.set(event.pointerId, event);
  });
  const release = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size > 0) return;
    isHeld = false;
    canvas.classList.remove("held");
    if (event.type === "pointerup" && moved < 5) open(timeline.item(event.offsetX, event.offsetY));
    clearTimeout(settling);
    settling = setTimeout(settle, SETTLED_MS / 4);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => say(byId("pointed"), t("timeline_hint")));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) show(timeline.from + (event.deltaX / canvas.clientWidth) * timeline.span, timeline.span);
      else zoom(Math.exp(Math.max(Math.min(event.deltaY, 120), -120) * 0.003), timeline.at(event.offsetX));
    },
    { passive: false },
  );
}

/** The moves of the keys. */
const KEYS = {
  ArrowLeft: () => show(timeline.from - timeline.span / 8, timeline.span),
  ArrowRight: () => show(timeline.from + timeline.span / 8, timeline.span),
  PageUp: () => show(timeline.from - timeline.span, timeline.span),
  PageDown: () => show(timeline.from + timeline.span, timeline.span),
  "+": () => zoom(0.6),
  "-": () => zoom(1 / 0.6),
  Home: () => show(timeline.began ?? timeline.from, timeline.span),
  End: () => show(Date.now() - timeline.span * 0.98, timeline.span),
};

function wire() {
  wireTop(() => {
    draw();
    drawHeat();
  });
  wirePointers();
  wireClip();
  canvas.addEventListener("keydown", (event) => {
    const move = KEYS[event.key === "=" ? "+" : event.key];
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move();
  });
  for (const input of document.querySelectorAll("input[name=span]")) {
    input.addEventListener("change", () => {
      const end = Math.min(timeline.until, Date.now() + Number(input.value) * 0.02);
      show(end - Number(input.value), Number(input.value));
    });
  }
  byId("earlier").addEventListener("click", KEYS.PageUp);
  byId("later").addEventListener("click", KEYS.PageDown);
  byId("now").addEventListener("click", KEYS.End);
  byId("seek").addEventListener("submit", (event) => {
    event.preventDefault();
    seek();
  });
  for (const id of ["sought", "source", "confirmed"]) byId(id).addEventListener("change", () => seek());
  byId("export").addEventListener("click", () => exportCsv(past, { from: timeline.from, until: timeline.until }).catch(trouble));
  past.addEventListener("loaded", () => fill(!isHeld));
  past.addEventListener("failed", ({ detail }) => trouble(detail));
  onTrouble(trouble);
  byId("marked-only").addEventListener("change", () => seek());
  window.addEventListener("hashchange", followPlace);
  new ResizeObserver(() => fill(true)).observe(canvas);
  window.addEventListener("resize", drawHeat);
  setInterval(() => {
    const now = Date.now();
    if (!document.hidden && !isHeld && timeline.from < now && timeline.until > now) settle();
  }, EVERY_MS);
  onLanguage(() => {
    offer();
    speakFound();
    byId("sought").placeholder = t("seek_hint");
    say(byId("pointed"), t("timeline_hint"));
    say(byId("past-title"), stretchText(timeline.from, timeline.until));
    draw();
    drawHeat();
    if (!byId("main").hidden) renewWeeks(past).catch(trouble);
  });
}

/** Offers the labels and the sources that the store has. */
function offer() {
  byId("labels").replaceChildren(...labels.map((label) => el("option", { value: nameOf(label) })));
  const chosen = byId("source").value;
  byId("source").replaceChildren(...["", ...sources].map((name) => el("option", { value: name }, name === "" ? t("any_source") : name)));
  byId("source").value = ["", ...sources].includes(chosen) ? chosen : "";
}

/** Starts as soon as the daemon answers, and tries every second until then. */
async function start() {
  try {
    const [counts, status] = await Promise.all([past.counts({ since: "1000d" }, ["label"], []), ask("GET", "/api/v1/status")]);
    labels = counts.map(({ label }) => label).sort((one, other) => nameOf(one).localeCompare(nameOf(other)));
    sources = status.sources.map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof Refused) || error.status === 503) return setTimeout(start, 1_000);
    if (error.status !== 401) showMain();
    return trouble(error);
  }
  showMain();
  offer();
  await followPlace();
  renewWeeks(past).catch(trouble);
}

wire();
await speak();
start();
