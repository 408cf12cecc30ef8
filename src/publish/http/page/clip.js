// Plays the sound of an event that was kept, with its spectrogram.

import { byId, css, fit, say } from "./dom.js";
import { colours } from "./scale.js";
import { nameOf, t } from "./words.js";

/** The samples of a frame of the spectrogram: a power of two. */
const FRAME = 1_024;
/** The most frames of a picture. */
const MOST_FRAMES = 900;
/** The highest frequency that is drawn, in Hz. */
const TOP_HZ = 8_000;
/** The levels of the darkest and the brightest colour, in dB. */
const RANGE_DB = [-100, -25];

const WINDOW = Float32Array.from({ length: FRAME }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / FRAME));

let shown = null;
let picture = null;

/** The Fourier transform of as many numbers as a power of two, in place. */
export function transform(real, imaginary) {
  const n = real.length;
  for (let at = 1, other = 0; at < n; at++) {
    let bit = n >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) [real[at], real[other], imaginary[at], imaginary[other]] = [real[other], real[at], imaginary[other], imaginary[at]];
  }
  for (let length = 2; length <= n; length <<= 1) {
    const angle = (-2 * Math.PI) / length;
    for (let from = 0; from < n; from += length) {
      for (let at = 0; at < length / 2; at++) {
        const [cos, sin] = [Math.cos(angle * at), Math.sin(angle * at)];
        const [low, high] = [from + at, from + at + length / 2];
        const [x, y] = [real[high] * cos - imaginary[high] * sin, real[high] * sin + imaginary[high] * cos];
        [real[high], imaginary[high]] = [real[low] - x, imaginary[low] - y];
        real[low] += x;
        imaginary[low] += y;
      }
    }
  }
}

/** The spectrogram of samples: frames of levels in dB, the lowest frequency first. */
function spectrogram(samples, rate) {
  const frames = Math.max(Math.min(MOST_FRAMES, Math.floor(samples.length / (FRAME / 4))), 1);
  const hop = Math.max((samples.length - FRAME) / frames, 1);
  const bins = Math.min(FRAME / 2, Math.ceil((TOP_HZ / rate) * FRAME));
  return Array.from({ length: frames }, (_, frame) => {
    const from = Math.floor(frame * hop);
    const real = Float32Array.from(WINDOW, (weight, at) => weight * (samples[from + at] ?? 0));
    const imaginary = new Float32Array(FRAME);
    transform(real, imaginary);
    return Float32Array.from({ length: bins }, (_, bin) => 20 * Math.log10(Math.hypot(real[bin], imaginary[bin]) / (FRAME / 4) + 1e-9));
  });
}

/** Draws the spectrogram, and where the sound that plays is. */
export function drawClip() {
  const canvas = byId("clip-picture");
  const { context, width, height } = fit(canvas);
  context.fillStyle = css("--well");
  context.fillRect(0, 0, width, height);
  if (picture === null) return;
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, 0, 0, width, height);
  const audio = byId("clip-audio");
  if (audio.duration > 0) {
    context.fillStyle = css("--event");
    context.fillRect((audio.currentTime / audio.duration) * width, 0, 2, height);
  }
}

/** A picture with a pixel for each level. */
function paint(frames) {
  const canvas = new OffscreenCanvas(frames.length, frames[0].length);
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const colour = colours(css("--levels").split(/\s+/));
  const [low, high] = RANGE_DB;
  frames.forEach((levels, x) => {
    levels.forEach((level, bin) => {
      const at = 4 * ((levels.length - 1 - bin) * canvas.width + x);
      image.data.set([...colour((level - low) / (high - low)), 255], at);
    });
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The address of the sound of an event. */
export const soundOf = (id) => `/api/v1/clips/${encodeURIComponent(id)}`;

/** Shows the clip of an event and plays it. */
export async function play(event) {
  shown = event.id;
  picture = null;
  byId("clip").hidden = false;
  say(byId("clip-name"), nameOf(event.label));
  const audio = byId("clip-audio");
  audio.src = soundOf(event.id);
  // A browser may want another touch first.
  audio.play().catch(() => {});
  drawClip();
  try {
    const answer = await fetch(soundOf(event.id));
    if (!answer.ok) throw new Error((await answer.json()).message);
    const context = new OfflineAudioContext(1, 1, 16_000);
    const sound = await context.decodeAudioData(await answer.arrayBuffer());
    if (shown !== event.id) return;
    picture = paint(spectrogram(sound.getChannelData(0), sound.sampleRate));
    say(byId("clip-fault"), "");
  } catch (error) {
    if (shown === event.id) say(byId("clip-fault"), t("clip_fault", { reason: error.message }));
  }
  drawClip();
}

/** Wires the player. */
export function wireClip() {
  const audio = byId("clip-audio");
  let drawing = 0;
  const follow = () => {
    drawClip();
    drawing = audio.paused ? 0 : requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => (drawing === 0 ? follow() : undefined));
  for (const name of ["pause", "seeked", "loadedmetadata"]) audio.addEventListener(name, drawClip);
  byId("clip-picture").addEventListener("click", ({ offsetX }) => {
    if (audio.duration > 0) audio.currentTime = (offsetX / byId("clip-picture").clientWidth) * audio.duration;
  });
  byId("clip-close").addEventListener("click", () => {
    audio.pause();
    audio.removeAttribute("src");
    shown = null;
    byId("clip").hidden = true;
  });
  window.addEventListener("resize", drawClip);
}
