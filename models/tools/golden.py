#!/usr/bin/env python3
"""Makes tests/golden/logmel.json: a few short signals, and the log-mel spectrograms that the Rust features must give for them.

usage: python3 models/tools/golden.py > tests/golden/logmel.json.tmp && mv tests/golden/logmel.json.tmp tests/golden/logmel.json

It needs numpy alone.  The definition is followed in float64 and written for clarity, with matrices and without streaming, so
that it shares no trick, and no mistake, with the daemon's code.  The parameters of the cases are those of
models/ced-tiny/manifest.toml; the definitions are those of other models, each with parameters of its own.

The file holds {"parameters": {...}, "cases": [{"name", "about", "samples", "log_mel_db"}, ...], "samples_of_definitions": [...],
"definitions": [{"name", "about", "parameters", "log_mel"}, ...]}.  The samples are 16-bit integers
(a sample of 1.0 would be 32768), so that no two languages have to agree on a sine.  `log_mel_db` is [n_frames][n_mels] in dB,
rounded to 4 decimals; n_frames = n_samples / 160 + 1, and what lies before and after the signal is digital silence.
"""
import argparse
import json

import numpy as np

# Those of ced-tiny, for the cases; each of the definitions differs from them in some.
CED = {
    "sample_rate_hz": 16000, "n_fft": 512, "win_length": 512, "hop_length": 160, "window": "hann-periodic", "center": True,
    "n_mels": 64, "mel_scale": "htk", "f_min_hz": 0.0, "f_max_hz": 8000.0, "power": 2.0, "amin": 1e-10,
}
SAMPLE_RATE_HZ = CED["sample_rate_hz"]

# The definitions of other models: name, what it is there for, and the parameters that differ.
DEFINITIONS = [
    ("slaney", "Slaney's scale and areas, as librosa has them by default, with 128 bands at 32 kHz.",
     {"sample_rate_hz": 32000, "n_fft": 1024, "win_length": 1024, "hop_length": 320, "n_mels": 128, "mel_scale": "slaney", "norm": "slaney",
      "f_min_hz": 50.0, "f_max_hz": 14000.0}),
    ("natural", "The natural logarithm of the power and a floor that is added, then one mean and one deviation; a symmetric window that is shorter than the transform.",
     {"sample_rate_hz": 32000, "n_fft": 1024, "win_length": 800, "hop_length": 320, "window": "hann-symmetric", "n_mels": 128,
      "f_max_hz": 15000.0, "amin": 1e-5, "floor": "add", "log": "ln", "mean": -4.5, "std": 5.0}),
    ("per band", "The logarithm to the base of 10, with a mean and a deviation for each band.",
     {"n_mels": 40, "mel_scale": "slaney", "log": "log10", "mean": [-3.0 - band / 16 for band in range(40)],
      "std": [1.0 + band / 8 for band in range(40)]}),
]


def to_mel(scale, hz):
    """The mel of a frequency."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    return hz * 3.0 / 200.0 if hz < 1000.0 else 15.0 + 27.0 * np.log(hz / 1000.0) / np.log(6.4)


def to_hz(scale, mel):
    """The frequency of each mel."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * 6.4 ** ((mel - 15.0) / 27.0))


def mel_filters(p):
    """[n_mels, n_bins]: triangles whose corners are evenly spaced on the mel scale, 1 at the peak or of the area 1."""
    corners_mel = np.linspace(to_mel(p["mel_scale"], p["f_min_hz"]), to_mel(p["mel_scale"], p["f_max_hz"]), p["n_mels"] + 2)
    corners_hz = to_hz(p["mel_scale"], corners_mel)
    bins_hz = np.arange(p["n_fft"] // 2 + 1) * p["sample_rate_hz"] / p["n_fft"]
    filters = np.stack([np.interp(bins_hz, corners_hz[i:i + 3], [0.0, 1.0, 0.0]) for i in range(p["n_mels"])])
    if p.get("norm") == "slaney":
        filters *= (2.0 / (corners_hz[2:] - corners_hz[:-2]))[:, None]
    return filters


def log_mel(samples, p):
    """[n_frames, n_mels]: frame t is centred on sample t * hop_length."""
    n_fft, length, hop = p["n_fft"], p["win_length"], p["hop_length"]
    padded = np.concatenate([np.zeros(n_fft // 2), samples, np.zeros(n_fft // 2)])
    window = np.zeros(n_fft)
    margin = (n_fft - length) // 2
    period = length - 1 if p["window"] == "hann-symmetric" else length
    window[margin:margin + length] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / period)
    rows, filters = [], mel_filters(p)
    for t in range(len(samples) // hop + 1):
        spectrum = np.fft.rfft(padded[t * hop:t * hop + n_fft] * window)
        power = filters @ (spectrum.real ** 2 + spectrum.imag ** 2)
        power = power + p["amin"] if p.get("floor") == "add" else np.maximum(power, p["amin"])
        value = {"db": 10.0 * np.log10(power), "ln": np.log(power), "log10": np.log10(power)}[p.get("log", "db")]
        rows.append((value - np.array(p.get("mean", 0.0))) / np.array(p.get("std", 1.0)))
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


def frames_of(rows):
    """The frames as JSON, one a line."""
    # Adding 0.0 turns a rounded minus zero into zero.
    rows = np.round(rows, 4) + 0.0
    return ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows.tolist())


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    cases, definitions = [], []
    for name, about, samples in signals():
        samples = samples.astype(np.int16)
        frames = frames_of(log_mel(samples / 32768.0, CED))
        head = f'{{"name":{json.dumps(name)},"about":{json.dumps(about)},\n"samples":{json.dumps(samples.tolist(), separators=(",", ":"))}'
        cases.append(f'{head},\n"log_mel_db":[\n{frames}]}}')
    # Loud and faint noise, with silence between: every band has levels from the floor to the top.
    samples = np.concatenate([noise(1600, 4), np.zeros(1600, dtype=int), noise(1600, 5) // 1000]).astype(np.int16)
    for name, about, own in DEFINITIONS:
        head = f'{{"name":{json.dumps(name)},"about":{json.dumps(about)},\n"parameters":{json.dumps(CED | own)}'
        definitions.append(f'{head},\n"log_mel":[\n{frames_of(log_mel(samples / 32768.0, CED | own))}]}}')
    own_samples = json.dumps(samples.tolist(), separators=(",", ":"))
    print(f'{{"parameters":{json.dumps(CED)},\n"cases":[\n' + ",\n".join(cases)
          + f'],\n"samples_of_definitions":{own_samples},\n"definitions":[\n' + ",\n".join(definitions) + "]}")


if __name__ == "__main__":
    main()
