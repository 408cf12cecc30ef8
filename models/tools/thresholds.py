#!/usr/bin/env python3
"""Finds the threshold of every label from recordings whose sounds are known, and writes them beside the model's manifest.

usage: thresholds.py --out models/ced-tiny/thresholds.tsv [--mimid PATH] [--keep DIR] FOLDER...

A FOLDER holds recordings and truth.tsv (tab-separated columns filename, onset, offset, event_label; seconds).  Everything that is
heard in them at any threshold is listed with its score, the peak of its two-sided curve.  What is heard where the truth says
neither it nor a label above or below it in the ontology is false.  A label's threshold is then

    the score that its false events exceed `rate` times an hour, at `margin` times the odds; at least `floor`, at most `ceiling`

so it rests on what the label does where it is not, and not on recordings of it, which nobody has for 527 labels.  The threshold
at which an event is announced at once is `start-part` of that, at least `start-floor`, and no less than `start-margin` times the odds
of the highest causal score that the label has in the folders of ordinary background (--background): what is announced there wakes
somebody for nothing.
The column `highest`, which highest.py makes, stays as it is.  docs/hearing.md tells how the numbers were chosen.  --keep DIR keeps each folder's scan, and uses what is kept.
"""
import argparse
import csv
import json
import pathlib
import sys
from collections import defaultdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "benches" / "hearing"))
import common

MODEL = pathlib.Path(__file__).resolve().parent.parent / "ced-tiny"
# Below this nothing is listed; it lies well below any threshold that can come out.
LEAST = 0.002
REPORT = '[report]\npreset = "all"\n[defaults]\n'
# Everything that the two-sided curve could call an event …
BOTH_SIDES = REPORT + f"threshold = {LEAST}\nstart_threshold = 1.0\n"
# … and everything that the causal score could announce: nothing is confirmed, so each is listed with its causal peak.
CAUSAL = REPORT + "threshold = 1.0\nstart_threshold = 0.01\n"
# A false event that touches a true one by its rim only is not excused by it, in seconds.
RIM_S = 0.5


def scan(mimid, folder, keep, settings):
    """Everything that is heard in a folder, as common.Heard."""
    ending = ".jsonl" if settings == BOTH_SIDES else ".starts.jsonl"
    kept = keep and pathlib.Path(keep, pathlib.Path(folder).resolve().name + ending)
    if kept and kept.exists():
        return [common.Heard(json.loads(line)) for line in kept.read_text().splitlines()]
    program = common.Mimid(mimid, None, settings)
    out = program.run("scan", "--config", program.config, "--format", "jsonl", "--unconfirmed", *common.recordings(folder).values())
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(out)
    return [common.Heard(json.loads(line)) for line in out.splitlines()]


def false_scores(mimid, folders, keep, settings=BOTH_SIDES):
    """For each label the scores of its false events, the highest first, and how many hours they were heard in."""
    family = common.Mimid(mimid, None, REPORT).families()
    false, heard_s = defaultdict(list), 0.0
    for folder in folders:
        truth = defaultdict(list)
        for name, onset, offset, label in common.read_truth(folder):
            truth[name].append((onset - RIM_S, offset + RIM_S, label))
        heard_s += sum(map(common.seconds, common.recordings(folder).values()))
        for event in scan(mimid, folder, keep, settings):
            excused = (
                event.onset < until and event.offset > since
                and (event.label == label or event.label in family(label) or label in family(event.label))
                for since, until, label in truth[event.file]
            )
            if not any(excused):
                false[event.label].append(event.score)
    return {label: sorted(scores, reverse=True) for label, scores in false.items()}, heard_s / 3600


def at_odds(score, factor):
    """The score with `factor` times the odds."""
    odds = factor * score / (1 - min(score, 0.999))
    return odds / (1 + odds)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folders", nargs="+", metavar="FOLDER")
    args.add_argument("--out", required=True)
    args.add_argument("--mimid", metavar="PATH")
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
    with open(MODEL / "labels.tsv", newline="") as file:
        labels = [(row["id"], row["name"]) for row in csv.DictReader(file, delimiter="\t")]
    highest = {}
    if pathlib.Path(o.out).exists():
        with open(o.out, newline="") as file:
            highest = {row["id"]: row.get("highest", "") for row in csv.DictReader(file, delimiter="\t")}
    with open(o.out, "w", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerow(["id", "name", "threshold", "start_threshold", "highest"])
        for id_, name in labels:
            scores = false.get(name, [])
            exceeded = scores[rank] if rank < len(scores) else 0.0
            threshold = min(o.ceiling, max(o.floor, at_odds(exceeded, o.margin)))
            loudest = announced.get(name, [0.0])[0]
            start = min(o.ceiling, max(o.start_floor, o.start_part * threshold, at_odds(loudest, o.start_margin)))
            out.writerow([id_, name, f"{threshold:.3f}", f"{start:.3f}", highest.get(id_, "")])
    exceeding = sum(rank < len(false.get(name, [])) for _, name in labels)
    print(f"{hours:.2f} hours; {exceeding} labels above the floor's reach")


if __name__ == "__main__":
    main()
