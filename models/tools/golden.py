#!/usr/bin/env python3
"""Makes tests/golden/logmel.json: a few short signals, and the log-mel spectrograms that the Rust features must give for them.

usage: python3 models/tools/golden.py > tests/golden/logmel.json.tmp && mv tests/golden/logmel.json.tmp tests/golden/logmel.json

It needs numpy alone.  The definition is followed in float64 and written for clarity, with matrices and without streaming, so
that it shares no trick, and no mistake, with the daemon's code.  The parameters are those of models/ced-tiny/manifest.toml.

The file holds {"parameters": {...}, "cases": [{"name", "about", "samples", "log_mel_db"}, ...]}.  The samples are 16-bit integers
(a sample of 1.0 would be 32768), so that no two languages have to agree on a sine.  `log_mel_db` is [n_frames][n_mels] in dB,
rounded to 4 decimals; n_frames = n_samples / 160 + 1, and what lies before and after the signal is digital silence.
"""
import argparse
import json

import numpy as np

SAMPLE_RATE_HZ, N_FFT, HOP, N_MELS, F_MIN_HZ, F_MAX_HZ, AMIN = 16000, 512, 160, 64, 0.0, 8000.0, 1e-10


def mel_filters():
    """[n_mels, n_bins]: triangles whose corners are evenly spaced on the HTK scale, 1 at the peak, not normalised."""
    to_mel = lambda hz: 2595.0 * np.log10(1.0 + hz / 700.0)
    corners_mel = np.linspace(to_mel(F_MIN_HZ), to_mel(F_MAX_HZ), N_MELS + 2)
    corners_hz = 700.0 * (10.0 ** (corners_mel / 2595.0) - 1.0)
    bins_hz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE_HZ / N_FFT
    return np.stack([np.interp(bins_hz, corners_hz[i:i + 3], [0.0, 1.0, 0.0]) for i in range(N_MELS)])


def log_mel_db(samples):
    """[n_frames, n_mels]: frame t is centred on sample t * HOP."""
    padded = np.concatenate([np.zeros(N_FFT // 2), samples, np.zeros(N_FFT // 2)])
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)
    rows, filters = [], mel_filters()
    for t in range(len(samples) // HOP + 1):
        spectrum = np.fft.rfft(padded[t * HOP:t * HOP + N_FFT] * window)
        power = spectrum.real ** 2 + spectrum.imag ** 2
        rows.append(10.0 * np.log10(np.maximum(filters @ power, AMIN)))
    return np.array(rows)


def noise(n, seed):
    """The upper 16 bits of a linear congruential generator (a = 1664525, c = 1013904223, modulo 2^32), as signed integers."""
    out, state = [], seed
    for _ in range(n):
        state = (1664525 * state + 1013904223) % 2 ** 32
        out.append((state >> 16) - 32768)
    return np.array(out)


def signals():
    """Name, what it is there for, and the samples."""
    t = np.arange(6400) / SAMPLE_RATE_HZ
    # From 50 Hz to 7950 Hz in 0.4 s at half of full scale, so that every band is at some time the loudest.
    phase = 2.0 * np.pi * (50.0 * t + (7950.0 - 50.0) / (2.0 * 0.4) * t ** 2)
    yield "sweep", "A linear sine sweep from 50 to 7950 Hz at half of full scale.", np.rint(16384.0 * np.sin(phase))
    impulse = np.zeros(4800)
    impulse[2003] = 32767
    yield "impulse", "One full-scale sample off the grid of hops: shows the centring, and every filter's sum.", impulse
    edges = np.zeros(4800)
    edges[[0, 4799]] = 32767
    yield "edges", "The first and the last sample alone: shows the zero padding at both ends.", edges
    yield "silence", "Digital silence: every value is the floor.", np.zeros(4800)
    yield "noise", "Full-scale white noise, seed 1.", noise(4800, 1)
    yield "one-bit noise", "White noise of -1, 0 and 1: a quiet room, near the floor.", (noise(4800, 2) + 32768) * 3 // 65536 - 1
    # 445 Hz or so: a period of 36 samples, which is not a divisor of the hop.
    yield "square", "A full-scale square wave with a period of 36 samples: loud, with harmonics up to the top.", np.where(np.arange(4800) % 36 < 18, 32767, -32768)
    # 5037 is no multiple of the hop: the last 77 samples make no frame of their own.
    yield "odd length", "Noise at a tenth of full scale, seed 3, 5037 samples: n_frames is rounded down.", noise(5037, 3) // 10


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    parameters = {
        "sample_rate_hz": SAMPLE_RATE_HZ, "n_fft": N_FFT, "win_length": N_FFT, "hop_length": HOP, "window": "hann-periodic", "center": True,
        "n_mels": N_MELS, "mel_scale": "htk", "f_min_hz": F_MIN_HZ, "f_max_hz": F_MAX_HZ, "power": 2.0, "amin": AMIN,
    }
    cases = []
    for name, about, samples in signals():
        samples = samples.astype(np.int16)
        # Adding 0.0 turns a rounded minus zero into zero.
        rows = np.round(log_mel_db(samples / 32768.0), 4) + 0.0
        frames = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows.tolist())
        head = f'{{"name":{json.dumps(name)},"about":{json.dumps(about)},\n"samples":{json.dumps(samples.tolist(), separators=(",", ":"))}'
        cases.append(f'{head},\n"log_mel_db":[\n{frames}]}}')
    print(f'{{"parameters":{json.dumps(parameters)},\n"cases":[\n' + ",\n".join(cases) + "]}")


if __name__ == "__main__":
    main()
