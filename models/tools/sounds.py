"""Windows of log-mels out of recordings, for the scripts that look at how the graph does on real sounds.

It needs soundfile and soxr beside numpy.  The log-mel is that of golden.py, the lengths of the windows are the manifest's.
"""
import pathlib

import numpy as np
import soundfile
import soxr

import golden

WINDOW_FRAMES = (97, 289)
SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}


def recordings(paths):
    """Every recording that `paths` name: files, and folders with all that is below them."""
    found = []
    for path in map(pathlib.Path, paths):
        found += [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
    return found


def log_mel(path):
    """[n_mels, n_frames] of a recording's channels' mean."""
    samples, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
    samples = samples.mean(axis=1)
    if rate_hz != golden.SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, golden.SAMPLE_RATE_HZ)
    return golden.log_mel_db(samples).T.astype(np.float32)


def windows(paths, step_frames, most, seed=1):
    """For each length, `[windows, 1, n_mels, frames]`: one every `step_frames`, at most so many, chosen by lot."""
    chance = np.random.default_rng(seed)
    found = {frames: [] for frames in WINDOW_FRAMES}
    for path in recordings(paths):
        mel = log_mel(path)
        for frames, cut in found.items():
            first = int(chance.integers(step_frames))
            cut += [mel[:, t:t + frames] for t in range(first, mel.shape[1] - frames + 1, step_frames)]
    for frames, cut in found.items():
        chosen = sorted(chance.permutation(len(cut))[:most])
        found[frames] = np.stack([cut[i] for i in chosen])[:, None]
    return found
