#!/usr/bin/env python3
"""Prepares the model folder `ced-tiny` from the published weights: writes the graph anew, from the log-mel on, and the labels.

usage: prepare.py --graph tiny.onnx --labels class_labels_indices.csv --ontology ontology.json --out models/ced-tiny [--write-hashes]

The graph comes in with the waveform as its input and int8 weights behind DequantizeLinear.  It goes out with the log-mel
[batch, 1, mels, frames] as its input, as encoder.py writes it, with the folder's roundings.tsv.  The same input gives
the same bytes on every machine; the hashes in the folder's manifest.toml are compared, or written with --write-hashes (for maintainers).
"""
import argparse
import csv
import hashlib
import json
import os
import re
import sys

import onnx

import encoder

GRAPH_SHA256 = "3890f227660be71886ff48633d11a731993e0206db8a486781412c28a0873435"


def fail(sentence):
    sys.exit(f"prepare.py: {sentence}")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read_roundings(path):
    """The table that tools/calibrate.py writes, one line a product behind a LayerNormalization: the channels of that one that are divided."""
    with open(path, newline="", encoding="utf-8") as f:
        rows = csv.DictReader(f, delimiter="\t")
        return {row["product"]: encoder.Divided(tuple(map(int, pair.split(":"))) for pair in row["divided"].split()) for row in rows}


def prepare_graph(data, roundings):
    model = encoder.quantised(encoder.Weights(onnx.load_from_string(data)), roundings)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def prepare_labels(path):
    with open(path, newline="", encoding="utf-8") as f:
        rows = sorted(csv.DictReader(f), key=lambda row: int(row["index"]))
    if [int(row["index"]) for row in rows] != list(range(encoder.N_LABELS)):
        fail(f"{path} does not hold the labels 0 to {encoder.N_LABELS - 1}")
    return "".join(["id\tname\n", *(f"{row['mid']}\t{row['display_name']}\n" for row in rows)]).encode()


def prepare_ontology(path):
    with open(path, encoding="utf-8") as f:
        nodes = json.load(f)
    parents = {node["id"]: [] for node in nodes}
    for node in nodes:
        for child in node["child_ids"]:
            parents[child].append(node["id"])
    return "".join(["id\tname\tparents\n", *(f"{n['id']}\t{n['name']}\t{' '.join(parents[n['id']])}\n" for n in nodes)]).encode()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--graph", "--labels", "--ontology", "--out"):
        a.add_argument(name, required=True)
    a.add_argument("--write-hashes", action="store_true")
    o = a.parse_args()
    with open(o.graph, "rb") as f:
        data = f.read()
    if sha256(data) != GRAPH_SHA256:
        fail(f"{o.graph} has the sha256 {sha256(data)}, expected {GRAPH_SHA256}; fetch the package soundevents 0.5.0 again")
    roundings = read_roundings(os.path.join(o.out, "roundings.tsv"))
    made = {"": ("model.onnx", prepare_graph(data, roundings)), "labels_": ("labels.tsv", prepare_labels(o.labels)),
            "ontology_": ("ontology.tsv", prepare_ontology(o.ontology))}
    manifest_path = os.path.join(o.out, "manifest.toml")
    with open(manifest_path, encoding="utf-8") as f:
        manifest = f.read()
    for prefix, (name, content) in made.items():
        key, digest = f"{prefix}sha256", sha256(content)
        pattern = re.compile(rf'^{key} = "([0-9a-f]*)"$', re.MULTILINE)
        pinned = pattern.search(manifest)
        if pinned is None:
            fail(f"{manifest_path} has no {key}")
        if o.write_hashes:
            manifest = pattern.sub(f'{key} = "{digest}"', manifest)
        elif pinned[1] != digest:
            fail(f"{name} came out with the sha256 {digest}, but {manifest_path} pins {pinned[1]}; are the packages those of requirements.txt?")
    if o.write_hashes:
        made["manifest"] = ("manifest.toml", manifest.encode())
    for name, content in made.values():
        path = os.path.join(o.out, name)
        with open(path + ".tmp", "wb") as f:
            f.write(content)
        os.replace(path + ".tmp", path)


if __name__ == "__main__":
    main()
