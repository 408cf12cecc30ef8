#!/usr/bin/env python3
"""How well learnt sounds tell recordings apart that they were not learnt from.

usage: learnt.py FOLDER [--mimid target/release/mimid] [--recordings 5] [--draws 3] [--seed 1]

FOLDER holds one folder a kind of sound, with recordings whose names begin with the number of their fold, as those of ESC-50 do.  Each fold is
left out in turn.  From each kind so many recordings of the other folds are drawn, and all kinds are learnt beside one another.  The figure of a
kind is the average precision with which the highest score of a recording tells the recordings of the fold that was left out.
"""
import argparse
import csv
import pathlib
import random
import subprocess
import tempfile

import numpy as np


def average_precision(scores, is_right):
    order = np.argsort(-np.array(scores), kind="stable")
    right = np.array(is_right)[order]
    return float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean())


def highest(path):
    """The highest score of each label in a table of scores."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file, delimiter="\t")
        names = next(rows)[2:]
        best = np.zeros(len(names))
        for row in rows:
            best = np.maximum(best, np.array(row[2:], dtype=float))
    return dict(zip(names, best))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("--mimid", default="target/release/mimid")
    a.add_argument("--recordings", type=int, default=5)
    a.add_argument("--draws", type=int, default=3)
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    kinds = {p.name: sorted(f for f in p.iterdir() if f.name[0].isdigit()) for p in sorted(o.folder.iterdir()) if p.is_dir()}
    folds = sorted({f.name[0] for files in kinds.values() for f in files})
    chance, found = random.Random(o.seed), {kind: [] for kind in kinds}
    for fold in folds:
        for _ in range(o.draws):
            with tempfile.TemporaryDirectory() as place:
                place = pathlib.Path(place)
                (place / "c.toml").write_text("", encoding="utf-8")
                for kind, files in kinds.items():
                    known = chance.sample([f for f in files if f.name[0] != fold], o.recordings)
                    subprocess.run([o.mimid, "learn", f"My {kind}", *known, "--config", place / "c.toml"], check=True, stdout=subprocess.DEVNULL)
                held_out = [(f, kind) for kind, files in kinds.items() for f in files if f.name[0] == fold]
                scores = []
                for kind in kinds:
                    (place / kind).mkdir()
                    files = [f for f, own in held_out if own == kind]
                    command = [o.mimid, "scan", "--config", place / "c.toml", "--scores", place / kind, *files]
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    scores += [(highest(place / kind / f"{f.stem}.tsv"), kind) for f in files]
            for kind in kinds:
                found[kind].append(average_precision([best[f"My {kind}"] for best, _ in scores], [own == kind for _, own in scores]))
    for kind, values in found.items():
        print(f"{kind}\t{np.mean(values):.3f}")
    print(f"mean of {len(kinds)} kinds, {o.recordings} recordings\t{np.mean([np.mean(values) for values in found.values()]):.3f}")


if __name__ == "__main__":
    main()
