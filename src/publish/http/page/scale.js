// Scores and levels as places on a scale of 0…1.
//
// The scale of scores is linear in log-odds, ln(p / (1 − p)). The steps from 0.01 to 0.02 and from 0.5 to 0.67, which both double
// the odds, are equally long, so that low and high thresholds can be set equally well.

const LEAST = 0.002;
const MOST = 0.998;
const odds = (score) => Math.log(score / (1 - score));
const [BOTTOM, TOP] = [odds(LEAST), odds(MOST)];

/** The place of a score, 0…1. */
export function place(score) {
  return (odds(Math.min(Math.max(score, LEAST), MOST)) - BOTTOM) / (TOP - BOTTOM);
}

/** The score at a place, rounded to the precision of a slider. */
export function scoreAt(place) {
  const score = 1 / (1 + Math.exp(-(BOTTOM + place * (TOP - BOTTOM))));
  return Number(score.toPrecision(score > 0.9 ? 3 : 2));
}

/** The scores that are marked on an axis. */
export const MARKS = [0.01, 0.1, 0.5, 0.9, 0.99];

/** The place of a level between −80 and 0 dBFS, 0…1. */
export const levelPlace = (dbfs) => Math.min(Math.max((dbfs + 80) / 80, 0), 1);

/** A function from 0…1 to the colour `[r, g, b]` between evenly spaced stops; a stop is `#rrggbb`. */
export function colours(stops) {
  const rgb = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  return (at) => {
    const place = Math.min(Math.max(at, 0), 1) * (rgb.length - 1);
    const [below, part] = [Math.min(Math.floor(place), rgb.length - 2), place - Math.min(Math.floor(place), rgb.length - 2)];
    return rgb[below].map((value, channel) => value + (rgb[below + 1][channel] - value) * part);
  };
}
