#!/usr/bin/env python3
"""Compares the prepared graph with the same network in f32, over windows of recordings, and says what both cost.

usage: agree.py --graph tiny.onnx RECORDING_OR_FOLDER…

It needs onnxruntime, soundfile and soxr beside models/requirements.txt.  It also looks whether a window's scores are the same, bit for
bit, alone and in a batch of others.
"""
import argparse
import pathlib
import time

import numpy as np
import onnx
import onnxruntime

import encoder
import sounds

PREPARED = pathlib.Path(__file__).resolve().parent / "ced-tiny" / "model.onnx"
BATCH, ROUNDS = 8, 15


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


def scores(session, windows, batch):
    return np.concatenate([session.run(None, {"logmel": windows[i:i + batch]})[0] for i in range(0, len(windows), batch)])


def cost_ms(sessions, windows):
    """CPU time a window, the lowest of ROUNDS interleaved runs."""
    taken = [[] for _ in sessions]
    for _ in range(ROUNDS):
        for session, times in zip(sessions, taken):
            before = time.process_time_ns()
            session.run(None, {"logmel": windows})
            times.append((time.process_time_ns() - before) / 1e6 / len(windows))
    return [min(times) for times in taken]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--graph", required=True)
    a.add_argument("--step-frames", type=int, default=50, help="how far two windows are apart")
    a.add_argument("--most", type=int, default=2000, help="how many windows of each length")
    a.add_argument("recordings", nargs="+")
    o = a.parse_args()
    prepared = session(str(PREPARED))
    plain = session(encoder.plain(encoder.Weights(onnx.load(o.graph))).SerializeToString())
    for frames, windows in sounds.windows(o.recordings, o.step_frames, o.most).items():
        expected, actual = scores(plain, windows, BATCH), scores(prepared, windows, BATCH)
        difference = np.abs(expected - actual)
        heard = difference[np.maximum(expected, actual) > 0.05]
        alone = np.array_equal(scores(prepared, windows[:BATCH], 1), actual[:BATCH])
        print(f"{frames} frames, {len(windows)} windows: mean difference {difference.mean():.1e}, top-1 agreement "
              f"{(expected.argmax(1) == actual.argmax(1)).mean():.2%}, of scores above 0.05 the 99.9th percentile {np.quantile(heard, 0.999):.3f} "
              f"and the mean {heard.mean():.4f}; alone as in a batch: {'yes' if alone else 'NO'}")
        for batch in (1, BATCH):
            f32, ours = cost_ms([plain, prepared], windows[:batch])
            print(f"  {batch} a call: {ours:.2f} ms a window, in f32 {f32:.2f} ms")


if __name__ == "__main__":
    main()
