#!/usr/bin/env python3
"""Copies a labelled folder with one thing wrong, to see what that costs.

usage: degrade.py FOLDER OUT --how HOW [--seed 1]

FOLDER holds recordings and truth.tsv; OUT gets 16-bit mono WAV files and the truth. The truth keeps its times. HOW is one of
  quiet      the whole recording at -50 dBFS (root mean square)
  clipped    so loud that one sample in a hundred is cut off
  dc         0.2 of full scale added
  hum        50 Hz and harmonics added, 10 dB above the background
  telephone  300 to 3400 Hz, written at 8 kHz
  overlap    two recordings mixed into one, with the events of both
  reverb     an echoing room: 0.6 s until it is down by 60 dB, as strong as the direct sound
  gaps       50 ms of silence every 2 s, at random
"""
import argparse
import math
import pathlib
import sys

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfiltfilt

import common


def quiet(rng, samples, rate):
    return samples * (common.from_db(-50.0) / common.rms(samples)), rate


def clipped(rng, samples, rate):
    return samples / max(float(np.quantile(np.abs(samples), 0.99)), 1e-6), rate


def dc(rng, samples, rate):
    return samples + 0.2, rate


def hum(rng, samples, rate):
    # The background is what a tenth of the recording, cut into pieces of 100 ms, does not exceed.
    piece = rate // 10
    pieces = samples[:max(1, len(samples) // piece) * piece].reshape(-1, min(piece, len(samples)))
    background = float(np.quantile(np.sqrt(np.mean(np.square(pieces), axis=1)), 0.1))
    t = np.arange(len(samples)) / rate
    tone = sum(np.sin(2.0 * np.pi * 50.0 * k * t + rng.uniform(0.0, 6.28)) / k for k in range(1, 11))
    return common.below_full_scale(samples + tone * (common.from_db(10.0) * background / common.rms(tone))), rate


def telephone(rng, samples, rate):
    # Forwards and backwards, so that nothing is delayed against the truth.
    high = min(3400.0, 0.45 * rate)
    passed = sosfiltfilt(butter(4, [300.0, high], "bandpass", fs=rate, output="sos"), samples)
    return resampled(passed, rate, 8000), 8000


def reverb(rng, samples, rate):
    t = np.arange(int(0.6 * rate)) / rate
    tail = rng.standard_normal(len(t)) * common.from_db(-60.0 * t / 0.6)
    tail /= np.sqrt(np.sum(tail ** 2))
    # The direct sound comes at once, so that the onsets stay where they are.
    tail[0] = 1.0
    return common.below_full_scale(fftconvolve(samples, tail)[:len(samples)]), rate


def gaps(rng, samples, rate):
    out, length = samples.copy(), int(0.05 * rate)
    for start in range(0, len(out), 2 * rate):
        at = start + int(rng.integers(0, 2 * rate - length))
        out[at:at + length] = 0.0
    return out, rate


def resampled(samples, rate, new_rate):
    shared = math.gcd(rate, new_rate)
    return resample_poly(samples, new_rate // shared, rate // shared)


def overlap(files, rows, out):
    """Every recording once; where their number is odd, the first one twice."""
    names = list(files)
    if len(names) < 2:
        sys.exit("It takes two recordings to overlap.")
    mixed_rows = []
    for first, second in zip(names[::2], names[1::2] + names[:len(names) % 2]):
        samples, rate = common.read_sound(files[first])
        other, other_rate = common.read_sound(files[second])
        other = resampled(other, other_rate, rate) if other_rate != rate else other
        mixed = np.zeros(max(len(samples), len(other)))
        mixed[:len(samples)] += samples
        mixed[:len(other)] += other
        name = f"{files[first].stem}+{files[second].stem}.wav"
        common.write_sound(out / name, common.below_full_scale(mixed), rate)
        mixed_rows += [(name, *row[1:]) for row in rows if row[0] in (first, second)]
    common.write_truth(out, mixed_rows)


ONE_BY_ONE = {how.__name__: how for how in (quiet, clipped, dc, hum, telephone, reverb, gaps)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--how", required=True, choices=sorted([*ONE_BY_ONE, "overlap"]))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    files, rows = common.recordings(args.folder), common.read_truth(args.folder)
    args.out.mkdir(parents=True, exist_ok=True)
    # What lies there from before would be measured along, and the folder itself would be overwritten.
    if any(args.out.iterdir()):
        sys.exit(f"{args.out} is not empty.")
    if args.how == "overlap":
        overlap(files, rows, args.out)
        return
    for i, path in enumerate(files.values()):
        samples, rate = ONE_BY_ONE[args.how](np.random.default_rng([args.seed, i]), *common.read_sound(path))
        common.write_sound(args.out / f"{path.stem}.wav", samples, rate)
    common.write_truth(args.out, [(f"{files[row[0]].stem}.wav", *row[1:]) for row in rows])


if __name__ == "__main__":
    main()
