#!/usr/bin/env python3
"""Writes how high each label's score can plausibly become into the column `highest` of the table of thresholds.

usage: models/.venv/bin/python models/tools/highest.py

The graph ends in LayerNorm (z, of length sqrt(n), then gain g and bias b) and one row of weights w a label. So a label's logit is
    |w*g| * sqrt(n) * cos + (w.b + bias),   cos the cosine between z and w*g, both without their means,
and only cos depends on the sound. In 5,901 windows of 290 recordings (docs/hearing.md names them) no label's cos exceeded 0.279, and no
score 0.970. A score that would need more than that is taken to be out of reach. A label is no less sure than those below it in the
ontology, so it gets the highest of these.
"""
import argparse
import csv
import pathlib

import numpy as np

import evidence

MODEL = pathlib.Path(__file__).resolve().parent.parent / "ced-tiny"
HIGHEST_COS = 0.28
HIGHEST_SCORE = 0.97


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    gain, bias, rows, biases = evidence.last_layer(MODEL)
    directions = rows * gain
    directions = directions - directions.mean(axis=1, keepdims=True)
    logits = np.linalg.norm(directions, axis=1) * np.sqrt(len(gain)) * HIGHEST_COS + rows @ bias + biases
    ids = [row["id"] for row in evidence.read_rows(MODEL / "labels.tsv")]
    highest = {id_: min(HIGHEST_SCORE, 1 / (1 + np.exp(-logit))) for id_, logit in zip(ids, logits)}
    parents = {row["id"]: row["parents"].split() for row in evidence.read_rows(MODEL / "ontology.tsv")}
    for id_ in ids:
        above = list(parents.get(id_, []))
        for parent in above:
            above.extend(up for up in parents.get(parent, []) if up not in above)
            if parent in highest:
                highest[parent] = max(highest[parent], highest[id_])
    table = MODEL / "thresholds.tsv"
    rows = evidence.read_rows(table)
    with open(table, "w", newline="", encoding="utf-8") as file:
        # Every other column stays as it is.
        out = csv.DictWriter(file, list(dict.fromkeys([*rows[0], "highest"])), delimiter="\t", lineterminator="\n")
        out.writeheader()
        out.writerows(row | {"highest": f"{highest[row['id']]:.3f}"} for row in rows)


if __name__ == "__main__":
    main()
