"""Recordings of many kinds, and what is made of them: each one in faint noise, and steady backgrounds at length.

A folder of recordings of many kinds holds a tab-separated table of its own name (kinds/kinds.tsv) with the columns filename, labels and
source. The labels are joined by |: the first one is exact, the others are right as well. Recordings of one source resemble each other.
"""
import csv
import dataclasses
import pathlib
import sys
import zlib

import numpy as np

import common

# A recording in noise begins at this second …
BEGINS_S = 12.0
# … of so many, and the noise has this level.
NOISE_S = 30.0
NOISE_DBFS = -58.0
# A sound may be told until so long after the recording's end.
LATE_S = 0.5
# A sound begins within so many dB of the recording's loudest 10 ms, and above this level.
BEGINNING_DB = 40.0
BEGINNING_DBFS = -55.0
# The seam of a looped background is faded over this time, or over an eighth of the recording.
SEAM_S = 1.0


@dataclasses.dataclass
class Recording:
    path: pathlib.Path
    labels: list
    source: str

    @property
    def name(self):
        """The file name without its suffix, by which mimid's output names what is made of it."""
        return self.path.stem


def read_table(folder):
    """The recordings that the folder's table names."""
    folder = pathlib.Path(folder).resolve()
    with open(folder / f"{folder.name}.tsv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = []
    for row in rows:
        labels = [label for label in row["labels"].split("|") if label]
        found.append(Recording(folder / row["filename"], labels, row.get("source") or row["filename"]))
    bad = [one.path.name for one in found if not one.labels]
    if bad or not found:
        sys.exit(f"{bad[0]} in {folder.name}.tsv has no label." if bad else f"{folder.name}.tsv names no recording.")
    if len({one.name for one in found}) < len(found):
        sys.exit(f"Two recordings in {folder.name}.tsv differ only in their suffix; rename one.")
    return found


def beginning(samples, rate):
    """When the sound of a recording begins, in seconds."""
    frame = min(rate // 100, len(samples))
    frames = samples[:len(samples) // frame * frame].reshape(-1, frame)
    levels = 10.0 * np.log10(np.mean(np.square(frames), axis=1) + 1e-15)
    above = levels > max(levels.max() - BEGINNING_DB, BEGINNING_DBFS)
    return 0.01 * int(np.argmax(above))


def span_in_noise(recording):
    """When the sound of a recording begins in its copy in noise, and until when it may be told, in seconds."""
    samples, rate = common.read_sound(recording.path)
    return BEGINS_S + beginning(samples, rate), min(NOISE_S, BEGINS_S + len(samples) / rate) + LATE_S


def in_noise(recording):
    """A recording laid on pink noise, and the sample rate. The file name is the seed, so that the copy is always the same."""
    samples, rate = common.read_sound(recording.path)
    length, start = int(NOISE_S * rate), int(BEGINS_S * rate)
    white = np.random.default_rng(zlib.crc32(recording.path.name.encode())).standard_normal(length)
    frequencies = np.fft.rfftfreq(length)
    frequencies[0] = frequencies[1]
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(frequencies), length)
    out = pink * (common.from_db(NOISE_DBFS) / pink.std())
    samples = samples[:length - start]
    out[start:start + len(samples)] += samples
    return out, rate


def looped(recording, seconds):
    """A recording again and again until it lasts `seconds`, and the sample rate. Its end is faded into its beginning at the same power."""
    samples, rate = common.read_sound(recording.path)
    seam = min(int(SEAM_S * rate), len(samples) // 8)
    rising = np.sin(np.linspace(0.0, 0.5 * np.pi, seam))
    mixed = samples[-seam:] * rising[::-1] + samples[:seam] * rising
    once = np.concatenate([samples[seam:-seam], mixed])
    length = int(seconds * rate)
    return np.resize(once, length), rate


def write_all(folder, recordings, make):
    """Writes what `make` makes of each recording into `folder`, and returns the paths."""
    paths = [pathlib.Path(folder) / f"{recording.name}.wav" for recording in recordings]
    for path, recording in zip(paths, recordings):
        common.write_sound(path, *make(recording))
    return paths
