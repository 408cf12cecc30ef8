#!/usr/bin/env python3
"""Compares the prepared graph with the same network in f32, over windows of recordings, and says what both cost.

usage: agree.py --graph tiny.onnx RECORDING_OR_FOLDER…

It needs onnxruntime, soundfile and soxr beside models/requirements.txt, and cargo: mimid's own program for it (benches/probe) scores
the windows with mimid's kernels, and ONNX Runtime with the definitions of the same operators that the graph carries.  It also looks
whether a window's scores are the same, bit for bit, alone and in a batch of others.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

MODELS = pathlib.Path(__file__).resolve().parent.parent
PREPARED = MODELS / "ced-tiny" / "model.onnx"
sys.path += [str(MODELS), str(MODELS.parent / "benches" / "cost")]
import encoder  # It lies in models/,
import probe  # and this one in benches/cost/.
import sounds

BATCH, ROUNDS = 8, 15


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


def by_mimid(windows, batch):
    """The scores that mimid gives, and what a window took of CPU time in ms."""
    with tempfile.NamedTemporaryFile() as out:
        command = [probe.binary(), "scores", str(windows.shape[-1]), str(batch), out.name]
        said = subprocess.run(command, input=windows.astype("<f4").tobytes(), stdout=subprocess.PIPE, check=True, env=probe.environment())
        return np.fromfile(out.name, "<f4").reshape(len(windows), -1), json.loads(said.stdout)["window_ms"]


def scores(session, windows, batch):
    return np.concatenate([session.run(None, {"logmel": windows[i:i + batch]})[0] for i in range(0, len(windows), batch)])


def cost_ms(session, windows):
    """CPU time a window, the median of ROUNDS runs."""
    taken = []
    for _ in range(ROUNDS):
        before = time.process_time_ns()
        session.run(None, {"logmel": windows})
        taken.append((time.process_time_ns() - before) / 1e6 / len(windows))
    return float(np.median(taken))


def compare(name, actual, expected):
    difference = np.abs(expected - actual)
    heard = difference[np.maximum(expected, actual) > 0.05]
    print(f"  {name}: mean difference {difference.mean():.1e}, top-1 agreement {(expected.argmax(1) == actual.argmax(1)).mean():.2%}, of scores "
          f"above 0.05 the 99.9th percentile {np.quantile(heard, 0.999):.3f} and the mean {heard.mean():.4f}")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--graph", required=True)
    a.add_argument("--step-frames", type=int, default=50, help="how far two windows are apart")
    a.add_argument("--most", type=int, default=2000, help="how many windows of each length")
    a.add_argument("recordings", nargs="+")
    o = a.parse_args()
    defined = session(str(PREPARED))
    plain = session(encoder.plain(encoder.Weights(onnx.load(o.graph))).SerializeToString())
    for frames, windows in sounds.windows(o.recordings, o.step_frames, o.most).items():
        print(f"{frames} frames, {len(windows)} windows:")
        expected = scores(plain, windows, BATCH)
        actual, together_ms = by_mimid(windows, BATCH)
        alone, alone_ms = by_mimid(windows, 1)
        compare("mimid and f32", actual, expected)
        compare("the graph's definitions and f32", scores(defined, windows, BATCH), expected)
        print(f"  alone as in a batch: {'yes' if np.array_equal(alone, actual) else 'NO'}")
        for batch, ours in ((1, alone_ms), (BATCH, together_ms)):
            print(f"  {batch} a call: {ours:.2f} ms a window, in f32 {cost_ms(plain, windows[:batch]):.2f} ms")


if __name__ == "__main__":
    main()
