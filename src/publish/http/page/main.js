// Starts the page, and runs its live view and the state in its header: state, pause, spectrogram.

import { Refused, ask } from "./api.js";
import { daemon } from "./daemon.js";
import * as day from "./day.js";
import { byId, el, say } from "./dom.js";
import * as events from "./events.js";
import * as meter from "./meter.js";
import * as notify from "./notify.js";
import * as sounds from "./sounds.js";
import { Spectrogram } from "./spectrogram.js";
import { askForToken, showMain, wireTop } from "./top.js";
import { nameOf, onLanguage, speak, t, time } from "./words.js";

/** The time between two descriptions of the spectrogram for screen readers. */
const DESCRIBE_EVERY_MS = 5_000;
/** The time that a source has for its first sound after it was opened. */
const FIRST_SOUND_MS = 3_000;
/** The time between two drawings for users who prefer reduced motion. */
const STILL_MS = 1_000;

const spectrogram = new Spectrogram(byId("spectrogram"));
const stillness = matchMedia("(prefers-reduced-motion: reduce)");
let described = -Infinity;
let drawn = 0;
let heardAt = 0;
let stateBefore = null;

/** The events of the chosen source that are shown. */
const ownEvents = () => [...daemon.events.values()].filter((event) => event.source === daemon.source && events.isWanted(event));

function draw() {
  requestAnimationFrame(draw);
  const now = performance.now();
  if (document.hidden || (stillness.matches && now - drawn < STILL_MS)) return;
  drawn = now;
  const shown = ownEvents();
  spectrogram.draw(shown, daemon.now());
  if (now - described > DESCRIBE_EVERY_MS) {
    described = now;
    const since = daemon.now() - spectrogram.span;
    const labels = [...new Set(shown.filter((event) => (event.until ?? daemon.now()) > since).map((event) => nameOf(event.label)))];
    const eventsText = labels.length > 0 ? t("spectrogram_events", { labels: labels.join(t("comma")) }) : t("spectrogram_quiet");
    byId("spectrogram").setAttribute("aria-label", t("spectrogram_of", { source: daemon.source ?? "", seconds: spectrogram.span / 1_000, events: eventsText }));
  }
  // A source without live lines is not heard at all, which is not the same as a quiet one.
  if (now - heardAt > 1_500) tellNoSound();
}

function tellNoSound() {
  const source = daemon.status?.sources.find(({ name }) => name === daemon.source);
  const empty = byId("live-empty");
  if (source === undefined || !daemon.answers) empty.hidden = true;
  else {
    empty.hidden = false;
    if (daemon.status.paused) say(empty, t("no_sound_paused"));
    else if (isOpening(source)) say(empty, t("state_opening"));
    else say(empty, source.reason ?? t("no_sound_lost", { source: source.name }));
  }
  meter.rest();
}

/** Whether a source is about to be heard: it is being opened, or was paused until just now. */
const isOpening = ({ state }) => state === "opening" || state === "paused";

/** Gives a source that was opened just now the time for its first sound. */
function awaitSound() {
  const state = daemon.status?.sources.find(({ name }) => name === daemon.source)?.state;
  if (state === "live" && stateBefore !== "live") heardAt = performance.now() + FIRST_SOUND_MS;
  stateBefore = state;
}

/** Shows the state of the daemon in the header. */
function tellState() {
  const [pill, status] = [byId("state"), daemon.status];
  const sources = status?.sources ?? [];
  const trouble = sources.filter((source) => !["live", "ended"].includes(source.state) && !isOpening(source));
  const paused = status?.paused;
  const until = paused?.until ? { time: time(paused.until, daemon.now(), false) } : null;
  let [kind, words] = ["well", t("state_listening")];
  if (status === null) [kind, words] = ["away", t("state_connecting")];
  else if (!daemon.answers) [kind, words] = ["away", t("state_away")];
  else if (paused) [kind, words] = ["paused", until === null ? t("state_paused") : t(paused.reason === "quiet_hours" ? "state_quiet" : "state_paused_until", until)];
  else if (trouble.length > 0) [kind, words] = ["trouble", t("state_trouble")];
  else if (sources.some(isOpening)) [kind, words] = ["away", t("state_opening")];
  pill.dataset.kind = kind;
  say(byId("state-text"), words);
  const notice = byId("notice");
  notice.hidden = kind !== "trouble";
  if (kind === "trouble") say(notice, trouble.map(({ name, reason }) => `${name}: ${reason ?? t("no_sound_lost", { source: name })}`).join("  "));
  byId("resume").hidden = !paused || paused.reason === "quiet_hours";
  byId("pause-menu").hidden = Boolean(paused);
  if (status) say(byId("about"), t("about", { version: status.version, model: status.model.name, labels: status.model.labels }));
}

/** Shows the choice of a source where there are several. */
function offerSources() {
  const names = daemon.status?.sources.map(({ name }) => name) ?? [];
  const group = byId("sources");
  group.hidden = names.length < 2;
  const shown = [...group.querySelectorAll("input")].map((input) => input.value);
  if (names.length !== shown.length || names.some((name, at) => name !== shown[at])) {
    const choice = (name) => el("label", {}, el("input", { type: "radio", name: "source", value: name, onchange: () => daemon.choose(name) }), el("span", {}, name));
    group.replaceChildren(...names.map(choice));
  }
  for (const input of group.querySelectorAll("input")) input.checked = input.value === daemon.source;
}

async function request(path, body) {
  try {
    await ask("POST", path, body);
    await daemon.refresh();
  } catch (error) {
    byId("notice").hidden = false;
    say(byId("notice"), error.message);
  }
}

function wire() {
  for (const button of byId("pause-menu").querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () => {
      byId("pause-menu").open = false;
      request("/api/v1/pause", button.dataset.seconds === "" ? {} : { seconds: Number(button.dataset.seconds) });
    });
  }
  document.addEventListener("click", ({ target }) => byId("pause-menu").contains(target) || (byId("pause-menu").open = false));
  byId("pause-menu").addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    byId("pause-menu").open = false;
    byId("pause-menu").querySelector("summary").focus();
  });
  byId("resume").addEventListener("click", () => request("/api/v1/resume", {}));
  wireTop(() => spectrogram.dress());
  for (const input of document.querySelectorAll("input[name=span]")) {
    input.addEventListener("change", () => (spectrogram.span = Number(input.value) * 1_000));
  }
  const canvas = byId("spectrogram");
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    spectrogram.marked = spectrogram.at(offsetX, offsetY, ownEvents(), daemon.now())?.id ?? null;
    canvas.classList.toggle("pointing", spectrogram.marked !== null);
  });
  canvas.addEventListener("pointerleave", () => (spectrogram.marked = null));
  canvas.addEventListener("click", () => {
    const event = daemon.events.get(spectrogram.marked);
    if (event !== undefined) sounds.reveal(event.slug);
  });
}

function follow() {
  sounds.follow();
  events.follow((id) => (spectrogram.marked = id));
  day.follow();
  notify.follow(sounds.reveal);
  for (const type of ["status", "answers", "source"]) {
    daemon.addEventListener(type, () => {
      awaitSound();
      tellState();
      offerSources();
    });
  }
  daemon.addEventListener("shape", () => {
    spectrogram.begin(daemon.shape);
  });
  daemon.addEventListener("live", ({ detail: line }) => {
    heardAt = performance.now();
    spectrogram.push(line);
    meter.show(line);
    byId("live-empty").hidden = spectrogram.hasBands;
    if (!spectrogram.hasBands) say(byId("live-empty"), t("no_spectrogram"));
  });
  daemon.addEventListener("tokenNeeded", logIn);
  onLanguage(() => {
    described = -Infinity;
    tellState();
    sounds.speak();
    events.speak();
    day.speak();
  });
}

/** Asks for the token, and shows nothing of the daemon meanwhile. */
function logIn() {
  byId("state").hidden = byId("pause-menu").hidden = byId("resume").hidden = true;
  askForToken();
}

/** Starts as soon as the daemon answers, and tries every second until then. */
async function start() {
  try {
    await daemon.start();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return logIn();
    setTimeout(start, 1_000);
    return;
  }
  showMain();
}

wire();
follow();
await speak();
draw();
start();
