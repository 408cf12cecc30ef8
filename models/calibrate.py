#!/usr/bin/env python3
"""Writes ced-tiny/activations.tsv: how what goes into each product is rounded to 8 bits.  For maintainers; set-up takes the table as it is.

usage: calibrate.py --graph tiny.onnx RECORDING_OR_FOLDER…

It needs onnxruntime, soundfile and soxr beside models/requirements.txt.  The network runs in f32 over windows of the recordings, and for each
product the step and the divided or copied channels (encoder.py) are chosen that make the least mean square error at its output, as far
as the extra rows and copies allow.  The feed-forward network's second product is never cut short of REACH of the highest value that
was seen: its rare high values matter more than their number.
"""
import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime

import encoder
import sounds

TABLE = pathlib.Path(__file__).resolve().parent / "ced-tiny" / "activations.tsv"
FURTHER_ROWS, FURTHER_COPIES, MOST_DIVISOR, REACH = 8, 64, 4, 0.9
ROWS_OF_A_BATCH = 24


def seen(weights, windows):
    """For each product a sample of what goes in, [samples, channels], and each channel's highest value."""
    names = [f"{block}.{name}" for block in range(encoder.N_BLOCKS) for name in encoder.PRODUCTS]
    model, tensors = encoder.plain(weights, names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    chance = np.random.default_rng(0)
    samples, highest = {name: [] for name in names}, {name: [] for name in names}
    for cut in windows.values():
        silence = np.full((1, *cut.shape[1:]), -100, dtype=np.float32)
        cut = np.concatenate([cut, silence])
        for first in range(0, len(cut), 16):
            for name, values in zip(names, session.run(tensors, {"logmel": cut[first:first + 16]})):
                values = values.reshape(-1, values.shape[-1])
                samples[name].append(values[chance.integers(len(values), size=ROWS_OF_A_BATCH)])
                highest[name].append(values.max(axis=0))
    return {name: (np.concatenate(samples[name]), np.max(highest[name], axis=0)) for name in names}


def with_divisors(values, integers):
    """The step and the divided channels of a product: zero is in the middle of the range."""
    power, largest = (integers.astype(float) ** 2).sum(axis=1), np.abs(integers.astype(int)).max(axis=1)
    divisors = np.arange(1, MOST_DIVISOR + 1)
    rows = np.ceil(divisors[:, None] * largest / encoder.INT8_MAX) - 1
    channels = np.arange(len(power))
    best = None
    top = np.abs(values).max()
    for step in np.geomspace(top / 127 / 8, top / 127, 28):
        errors = []
        for divisor in divisors:
            x = values / divisor
            rounded = np.clip(np.rint(x / step), -128, 127) * step
            errors.append(((rounded - x) ** 2).mean(axis=0) * divisor ** 2 * power)
        errors, chosen = np.array(errors), np.zeros(len(power), dtype=int)
        while True:
            more = rows - rows[chosen, channels]
            gain = (errors[chosen, channels] - errors) / np.maximum(more, 0.05)
            full = rows[chosen, channels].sum() + more > FURTHER_ROWS
            gain[full | (divisors[:, None] <= chosen + 1)] = 0
            divisor, channel = np.unravel_index(gain.argmax(), gain.shape)
            if gain[divisor, channel] <= 0:
                break
            chosen[channel] = divisor
        error = errors[chosen, channels].sum()
        if best is None or error < best[0]:
            best = error, step, chosen + 1
    _, step, chosen = best
    return step, 128, {c: d for c, d in enumerate(chosen) if d > 1}


def with_copies(highest):
    """The smallest step with which FURTHER_COPIES copies reach as far as they must; below zero Gelu goes to -0.17 only."""
    highest = np.maximum(highest, 0) * REACH
    for step in np.geomspace(highest.max() / 255 / 12, highest.max() / 200, 60):
        zero = round(0.17 / step)
        n = np.ceil(highest / ((encoder.UINT8_MAX - zero) * step)).astype(int)
        if np.maximum(n - 1, 0).sum() <= FURTHER_COPIES:
            break
    return step, zero, {c: k for c, k in enumerate(n) if k > 1}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--graph", required=True)
    a.add_argument("--step-frames", type=int, default=100)
    a.add_argument("--most", type=int, default=600, help="windows of each length")
    a.add_argument("recordings", nargs="+")
    o = a.parse_args()
    weights = encoder.Weights(onnx.load(o.graph))
    lines = ["product\tstep\tzero_point\tchannels\n"]
    for name, (values, highest) in seen(weights, sounds.windows(o.recordings, o.step_frames, o.most)).items():
        block, product = name.split(".")
        integers = weights.product(int(block), product)[0]
        step, zero, channels = with_copies(highest) if product == "fc2" else with_divisors(values, integers)
        lines.append(f"{name}\t{np.float32(step)}\t{zero}\t{' '.join(f'{c}:{n}' for c, n in channels.items())}\n")
    TABLE.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
