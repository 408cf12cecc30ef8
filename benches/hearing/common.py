"""What the scripts of this folder share: labelled folders, sound files, and mimid itself as a child process.

A labelled folder holds recordings and truth.tsv, tab-separated with the columns filename, onset, offset, event_label.
Times are seconds from the recording's start; samples are floats, full scale is 1.
"""
import csv
import functools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

COLUMNS = ["filename", "onset", "offset", "event_label"]
SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".mp3"}


def recordings(folder):
    """The folder's recordings by file name. Score curves are named by the stem, so no two may share one."""
    paths = sorted(path for path in pathlib.Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        sys.exit(f"{folder} holds no recordings.")
    if len({path.stem for path in paths}) < len(paths):
        sys.exit(f"Two recordings in {folder} differ only in their suffix; rename one.")
    return {path.name: path for path in paths}


def seconds(path):
    """How long a recording is."""
    return soundfile.info(path).duration


def read_truth(folder):
    """[(file name, onset, offset, label)]. A row without a label only says that the recording holds nothing."""
    with open(pathlib.Path(folder) / "truth.tsv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["event_label"]]
    return [(row["filename"], float(row["onset"]), float(row["offset"]), row["event_label"]) for row in rows]


def write_truth(folder, rows):
    with open(pathlib.Path(folder) / "truth.tsv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows([name, f"{onset:.3f}", f"{offset:.3f}", label] for name, onset, offset, label in sorted(rows))


def read_sound(path):
    """The mean of all channels, and the sample rate in Hz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def write_sound(path, samples, rate):
    """A 16-bit mono WAV; what lies beyond full scale is clipped."""
    soundfile.write(path, np.clip(samples, -1.0, 1.0), rate, subtype="PCM_16")


def from_db(db):
    """The factor for an amplitude."""
    return 10.0 ** (db / 20.0)


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-12


def below_full_scale(samples):
    """Scaled down where it would clip, for clipping is a degradation of its own."""
    return samples * min(1.0, 0.99 / (float(np.abs(samples).max()) + 1e-12))


class Mimid:
    """A binary and a configuration: `toml` is the text of one, for when no path is given."""

    def __init__(self, binary, config, toml):
        self.binary = binary or next((str(path) for path in [default_binary()] if path.exists()), "mimid")
        # Kept for as long as the object lives, for every run reads it.
        self.kept = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.kept.write(toml)
        self.kept.flush()
        self.config = config or self.kept.name

    def run(self, *args):
        try:
            done = subprocess.run([self.binary, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            sys.exit(f"{self.binary} cannot be run ({error}); give its path with --mimid.")
        if done.returncode:
            sys.exit(f"mimid {args[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def scan(self, paths, scores=None):
        """What it heard, a dict an event, unconfirmed ones among them; with `scores`, also the score curves into that folder."""
        # An older binary has no --unconfirmed and can still be measured, only without those.
        unconfirmed = ["--unconfirmed"] if "--unconfirmed" in self.run("scan", "--help") else []
        curves = ["--scores", scores] if scores else []
        said = self.run("scan", "--format", "jsonl", *unconfirmed, *curves, "--config", self.config, "--", *paths)
        return [Heard(json.loads(line)) for line in said.splitlines() if line]

    def reported(self):
        """The labels that the configuration reports by themselves."""
        listed = json.loads(self.run("labels", "--json", "--config", self.config))
        return {label["label"] for label in listed if label["reported"] == "yes"}

    def families(self):
        """A function from a label to the set of itself and all its descendants in the ontology, empty for an unknown label."""
        children, known = {}, set()
        for label in json.loads(self.run("labels", "--json", "--config", self.config)):
            known.add(label["label"])
            for parent in label["parents"]:
                children.setdefault(parent, []).append(label["label"])

        @functools.cache
        def family(label):
            found, todo = set(), [label] if label in known or label in children else []
            while todo:
                label = todo.pop()
                if label not in found:
                    found.add(label)
                    todo += children.get(label, [])
            return found

        return family


class Heard:
    """One line of `mimid scan --format jsonl`. Only file, label, onset and offset have been there in every version."""

    def __init__(self, line):
        self.file = pathlib.Path(line["file"]).name
        self.label = line["label"]
        # The labels that are part of the same event are names of it, too.
        self.names = {line["label"], *(line.get("also") or [])}
        self.onset = line["onset"]
        self.announced = line.get("announced")
        # An event that was never confirmed may have no end; it lasted at least until it was announced.
        ends = [line.get("offset"), self.announced, self.onset]
        self.offset = next(end for end in ends if end is not None)
        self.confirmed = line.get("reason") != "unconfirmed"
        self.onset_uncertainty = None if line.get("onset_uncertainty_ms") is None else line["onset_uncertainty_ms"] / 1000.0
        self.offset_uncertainty = None if line.get("offset_uncertainty_ms") is None else line["offset_uncertainty_ms"] / 1000.0
        self.score = line.get("peak_score")


def default_binary():
    return pathlib.Path(__file__).resolve().parents[2] / "target" / "release" / "mimid"
