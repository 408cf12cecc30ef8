// The level meter: the level, its peak, which is held for a while, the noise floor, and clipping.

import { byId, say } from "./dom.js";
import { levelPlace } from "./scale.js";
import { level, t } from "./words.js";

const HOLD_MS = 1_500;
const FALL_PER_S = 20;
/** The least time between two levels for a screen reader. */
const DESCRIBE_EVERY_MS = 1_000;

const meter = byId("meter");
const [fill, floor, peak] = ["fill", "floor", "peak"].map((name) => meter.querySelector(`.${name}`));
const reading = meter.querySelector("output");
const clip = meter.querySelector(".clip");

let shown = { level: -80, peak: -80, at: 0, described: 0, drawn: 0 };

/** Shows the levels of a live line. */
export function show({ level_dbfs: dbfs, noise_floor_dbfs: floorDbfs, clipped_samples: clipped }, now = performance.now()) {
  const fallen = shown.peak - (Math.max(now - shown.at - HOLD_MS, 0) / 1_000) * FALL_PER_S;
  const holds = dbfs < fallen;
  shown = { ...shown, level: dbfs, peak: holds ? shown.peak : dbfs, at: holds ? shown.at : now };
  fill.style.transform = `scaleY(${levelPlace(dbfs)})`;
  peak.style.bottom = `${levelPlace(holds ? fallen : dbfs) * 100}%`;
  floor.style.bottom = `${levelPlace(floorDbfs) * 100}%`;
  clip.hidden = clipped === 0;
  if (now - shown.drawn > 200) {
    say(reading, level(Math.max(dbfs, -99)));
    shown.drawn = now;
  }
  if (now - shown.described > DESCRIBE_EVERY_MS) {
    meter.setAttribute("aria-valuenow", Math.round(Math.max(dbfs, -80)));
    meter.setAttribute("aria-valuetext", t("level_text", { level: level(dbfs), floor: level(floorDbfs) }));
    shown.described = now;
  }
}

/** Empties the meter, because no sound comes. */
export function rest() {
  fill.style.transform = "scaleY(0)";
  peak.style.bottom = floor.style.bottom = "0";
  clip.hidden = true;
  say(reading, "–");
  meter.removeAttribute("aria-valuenow");
}
