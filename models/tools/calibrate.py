#!/usr/bin/env python3
"""Writes models/ced-tiny/roundings.tsv: which channels of each LayerNormalization are divided before they are rounded to 8 bits.

usage: calibrate.py --graph tiny.onnx RECORDING_OR_FOLDER…

It needs onnxruntime, soundfile and soxr beside models/requirements.txt.  The network runs in f32 over windows of the recordings and of
digital silence.  For each product behind a LayerNormalization the divisors (encoder.py says what they are) are chosen that make the
least mean square error at the product's output, with at most FURTHER_ROWS rows more.
"""
import argparse
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

MODELS = pathlib.Path(__file__).resolve().parent.parent
TABLE = MODELS / "ced-tiny" / "roundings.tsv"
sys.path.append(str(MODELS))
import encoder  # It lies there.
import sounds

FURTHER_ROWS, MOST_DIVISOR = 4, 4
TOKENS_OF_A_BATCH = 24


def seen(model, tensors, windows):
    """For each of the tensors a sample of tokens, [tokens, channels]."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    chance = np.random.default_rng(0)
    samples = [[] for _ in tensors]
    for cut in windows.values():
        silence = np.full((1, *cut.shape[1:]), -100, dtype=np.float32)
        cut = np.concatenate([cut, silence])
        for first in range(0, len(cut), 16):
            for i, values in enumerate(session.run(tensors, {"logmel": cut[first:first + 16]})):
                samples[i].append(values[chance.integers(len(values), size=TOKENS_OF_A_BATCH)])
    return [np.concatenate(sample) for sample in samples]


def rows_needed(weight):
    """[divisors, channels]: how many further rows each divisor from 1 on costs."""
    largest = np.abs(weight.astype(int)).max(axis=1)
    return np.ceil(np.arange(1, MOST_DIVISOR + 1)[:, None] * largest / encoder.INT8_MAX) - 1


def chosen_divisors(values, weight):
    """The divisors of a product's channels: those that lead most tokens are brought down one by one."""
    power, rows, size = (weight.astype(float) ** 2).sum(axis=1), rows_needed(weight), np.abs(values)
    divisors, channels = np.ones(len(power), dtype=int), np.arange(len(power))
    error = lambda divisors: ((size / divisors).max(axis=1) ** 2).mean() * (power * divisors ** 2).sum()
    while True:
        now, used, best = error(divisors), rows[divisors - 1, channels].sum(), (0, None)
        leads = np.bincount((size / divisors).argmax(axis=1), minlength=len(power))
        for channel in np.argsort(-leads, kind="stable")[:16]:
            for divisor in range(divisors[channel] + 1, MOST_DIVISOR + 1):
                trial = divisors.copy()
                trial[channel] = divisor
                more = rows[divisor - 1, channel] - rows[divisors[channel] - 1, channel]
                gain = (now - error(trial)) / max(more, 0.05)
                if used + more <= FURTHER_ROWS and gain > best[0]:
                    best = gain, trial
        if best[1] is None:
            return divisors
        divisors = best[1]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--graph", required=True)
    a.add_argument("--step-frames", type=int, default=100, help="how far two windows are apart")
    a.add_argument("--most", type=int, default=2000, help="how many windows of each length")
    a.add_argument("recordings", nargs="+")
    o = a.parse_args()
    weights = encoder.Weights(onnx.load(o.graph))
    # What LayerNormalization gives goes into one product only, so its name says which.
    products = [(block, *pair) for block in range(encoder.N_BLOCKS) for pair in encoder.BEHIND_NORM.items()]
    tensors = [f"{block}.{norm}" for block, _, norm in products]
    lines = ["product\tdivided\n"]
    results = seen(encoder.plain(weights, tensors), tensors, sounds.windows(o.recordings, o.step_frames, o.most))
    for (block, product, _), values in zip(products, results):
        divisors = chosen_divisors(values, weights.product(block, product)[0])
        divided = " ".join(f"{channel}:{divisor}" for channel, divisor in enumerate(divisors) if divisor > 1)
        lines.append(f"{block}.{product}\t{divided}\n")
    TABLE.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
