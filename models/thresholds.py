#!/usr/bin/env python3
"""Finds the threshold of every label from recordings whose sounds are known, and writes them beside the model's manifest.

usage: thresholds.py --out models/ced-tiny/thresholds.tsv [--mimid PATH] [--keep DIR] FOLDER...

A FOLDER holds recordings and truth.tsv (tab-separated columns filename, onset, offset, event_label; seconds).  Everything that is
heard in them at any threshold is listed with its score, the peak of its two-sided curve.  What is heard where the truth says
neither it nor a label above or below it in the ontology is false.  A label's threshold is then

    the score that its false events exceed `rate` times an hour, at `margin` times the odds; at least `floor`, at most `ceiling`

so it rests on what the label does where it is not, and not on recordings of it, which nobody has for 527 labels.  The threshold
at which an event is announced at once is `start-part` of that, at least `start-floor`, and no less than `start-margin` times the odds of the highest causal
score that the label has in the folders of ordinary background (--background): what is announced there wakes somebody for nothing.
README.md tells how the numbers were chosen.  --keep DIR keeps each folder's scan, and uses what is kept.
"""
import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from glob import glob

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ced-tiny")
# Below this nothing is listed; it lies well below any threshold that can come out.
LEAST = 0.002
REPORT = '[report]\npreset = "all"\n[defaults]\n'
# Everything that the two-sided curve could call an event …
BOTH_SIDES = REPORT + f"threshold = {LEAST}\nstart_threshold = 1.0\n"
# … and everything that the causal score could announce: nothing is confirmed, so each is listed with its causal peak.
CAUSAL = REPORT + "threshold = 1.0\nstart_threshold = 0.01\n"
# A false event that touches a true one by its rim only is not excused by it, in seconds.
RIM_S = 0.5


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def families():
    """For each name in the ontology, the labels that it is, or that are above or below it."""
    nodes = {row["id"]: row for row in table(os.path.join(MODEL, "ontology.tsv"))}

    def above(id_):
        found, todo = set(), [id_]
        while todo:
            for parent in (nodes[todo.pop()]["parents"] or "").split():
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    labels = {row["name"]: row["id"] for row in table(os.path.join(MODEL, "labels.tsv"))}
    up = {name: above(id_) if id_ in nodes else set() for name, id_ in labels.items()}
    named = {row["name"]: id_ for id_, row in nodes.items()}
    return {
        name: {label for label, other in labels.items() if other == id_ or other in above(id_) or id_ in up[label]}
        for name, id_ in named.items()
    }


def scan(mimid, folder, keep, settings=BOTH_SIDES):
    """Everything that is heard in a folder, one dictionary an event."""
    ending = ".jsonl" if settings == BOTH_SIDES else ".starts.jsonl"
    kept = keep and os.path.join(keep, os.path.basename(os.path.normpath(folder)) + ending)
    if kept and os.path.exists(kept):
        with open(kept) as file:
            return [json.loads(line) for line in file]
    recordings = sorted(path for ending in ("wav", "flac", "ogg", "mp3") for path in glob(os.path.join(folder, f"*.{ending}")))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(settings)
        config.flush()
        command = [mimid, "scan", "--config", config.name, "--format", "jsonl", "--unconfirmed", *recordings]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    if kept:
        os.makedirs(keep, exist_ok=True)
        with open(kept, "w") as file:
            file.write(out)
    return [json.loads(line) for line in out.splitlines()]


def seconds_of(path):
    import soundfile
    return soundfile.info(path).duration


def false_scores(mimid, folders, keep, settings=BOTH_SIDES):
    """For each label the scores of its false events, the highest first, and how many hours they were heard in."""
    kin, false, heard_s = families(), defaultdict(list), 0.0
    for folder in folders:
        truth = defaultdict(list)
        for row in table(os.path.join(folder, "truth.tsv")):
            truth[row["filename"]].append((float(row["onset"]), float(row["offset"]), kin.get(row["event_label"]) or {row["event_label"]}))
        names = set()
        for event in scan(mimid, folder, keep, settings):
            name = os.path.basename(event["file"])
            names.add(event["file"])
            excused = (event["label"] in family and event["onset"] < offset + RIM_S and event["offset"] > onset - RIM_S for onset, offset, family in truth[name])
            if not any(excused):
                false[event["label"]].append(event["peak_score"])
        heard_s += sum(seconds_of(name) for name in names)
    return {label: sorted(scores, reverse=True) for label, scores in false.items()}, heard_s / 3600


def at_odds(score, factor):
    """The score with `factor` times the odds."""
    odds = factor * score / (1 - min(score, 0.999))
    return odds / (1 + odds)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folders", nargs="+", metavar="FOLDER")
    args.add_argument("--out", required=True)
    args.add_argument("--mimid", default="target/release/mimid")
    args.add_argument("--keep", metavar="DIR")
    args.add_argument("--rate", type=float, default=2.0, help="false events an hour [%(default)s]")
    args.add_argument("--margin", type=float, default=4.0, help="[%(default)s]")
    args.add_argument("--floor", type=float, default=0.02, help="[%(default)s]")
    args.add_argument("--ceiling", type=float, default=0.65, help="[%(default)s]")
    args.add_argument("--background", action="append", default=[], metavar="FOLDER")
    args.add_argument("--start-part", type=float, default=0.7, help="[%(default)s]")
    args.add_argument("--start-floor", type=float, default=0.04, help="[%(default)s]")
    args.add_argument("--start-margin", type=float, default=2.0, help="[%(default)s]")
    o = args.parse_args()
    false, hours = false_scores(o.mimid, o.folders + o.background, o.keep)
    announced, _ = false_scores(o.mimid, o.background, o.keep, CAUSAL)
    if hours == 0:
        sys.exit("thresholds.py: nothing was heard in these folders; are there recordings in them?")
    rank = int(o.rate * hours)
    with open(o.out, "w", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerow(["id", "name", "threshold", "start_threshold"])
        for row in table(os.path.join(MODEL, "labels.tsv")):
            scores = false.get(row["name"], [])
            exceeded = scores[rank] if rank < len(scores) else 0.0
            threshold = min(o.ceiling, max(o.floor, at_odds(exceeded, o.margin)))
            loudest = announced.get(row["name"], [0.0])[0]
            start = min(o.ceiling, max(o.start_floor, o.start_part * threshold, at_odds(loudest, o.start_margin)))
            out.writerow([row["id"], row["name"], f"{threshold:.3f}", f"{start:.3f}"])
    print(f"{hours:.2f} hours; {sum(rank < len(false.get(row['name'], [])) for row in table(os.path.join(MODEL, 'labels.tsv')))} labels above the floor's reach")


if __name__ == "__main__":
    main()
