#!/usr/bin/env python3
"""Prepares the model folder `ced-tiny` from the published weights: cuts the graph at the log-mel, folds its weights, writes the labels.

usage: prepare.py --graph tiny.onnx --labels class_labels_indices.csv --ontology ontology.json --out models/ced-tiny [--write-hashes]

The graph comes in with the waveform as its input and int8 weights behind DequantizeLinear.  It goes out with the log-mel
[batch, 1, mels, frames] as its input, f32 weights, and everything folded that depends on no input.  The same input gives the same
bytes on every machine; the hashes in the folder's manifest.toml are compared, or written with --write-hashes (for maintainers).
"""
import argparse
import csv
import hashlib
import json
import os
import re
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, reference

GRAPH_SHA256 = "3890f227660be71886ff48633d11a731993e0206db8a486781412c28a0873435"
# The tensors at which the front end ends: the log-mel itself, and two sizes that the encoder takes from the waveform.
LOG_MEL, BATCH_SIZE, FRAMES_LESS_ONE = "unsqueeze_2", "val_0", "floordiv_2"
OUTPUT = "logits"  # Its name in the published graph; the graph ends in a Sigmoid, so these are probabilities.
N_MELS, N_LABELS = 64, 527


def fail(sentence):
    sys.exit(f"prepare.py: {sentence}")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Graph:
    """The nodes and constants of a graph while it is being worked on."""

    def __init__(self, model):
        self.nodes = list(model.graph.node)
        self.constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.opsets = list(model.opset_import)
        self.ir_version = model.ir_version


def dequantise_weights(graph):
    """int8 weights become f32 constants: the runtime would do it at every start."""
    kept = []
    for node in graph.nodes:
        if node.op_type == "DequantizeLinear" and node.input[0] in graph.constants:
            q, scale, zero = (graph.constants[name] for name in node.input)
            if scale.ndim:
                fail(f"{node.input[0]} is quantised per channel, which this script does not know")
            graph.constants[node.output[0]] = ((q.astype(np.float32) - zero.astype(np.float32)) * scale).astype(np.float32)
        else:
            kept.append(node)
    graph.nodes = kept


def cut_front_end(graph):
    """The log-mel becomes the input; the two sizes that were taken from the waveform are taken from its shape."""
    graph.constants["one"] = np.array(1, dtype=np.int64)
    head = [
        helper.make_node("Identity", ["logmel"], [LOG_MEL]),
        helper.make_node("Shape", ["logmel"], [BATCH_SIZE], start=0, end=1),
        helper.make_node("Shape", ["logmel"], ["frames_1d"], start=3, end=4),
        helper.make_node("Squeeze", ["frames_1d"], ["frames"]),
        helper.make_node("Sub", ["frames", "one"], [FRAMES_LESS_ONE]),
    ]
    replaced = {LOG_MEL, BATCH_SIZE, FRAMES_LESS_ONE}
    graph.nodes = head + [n for n in graph.nodes if not replaced & set(n.output)]


def keep_what_is_used(graph):
    """Only what the output depends on stays."""
    made_by = {out: node for node in graph.nodes for out in node.output}
    wanted, used = [OUTPUT], set()
    while wanted:
        node = made_by.get(wanted.pop())
        if node is not None and id(node) not in used:
            used.add(id(node))
            wanted.extend(node.input)
    graph.nodes = [n for n in graph.nodes if id(n) in used]
    names = {name for n in graph.nodes for name in n.input}
    graph.constants = {name: value for name, value in graph.constants.items() if name in names}


def fold_constants(graph):
    """What depends on constants alone is computed once, here."""
    kept = []
    for node in graph.nodes:
        if node.input and all(name in graph.constants for name in node.input):
            inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(graph.constants[n].dtype), graph.constants[n].shape) for n in node.input]
            outputs = [helper.make_value_info(n, onnx.TypeProto()) for n in node.output]
            alone = helper.make_model(helper.make_graph([node], "one", inputs, outputs), opset_imports=graph.opsets, ir_version=graph.ir_version)
            values = reference.ReferenceEvaluator(alone).run(None, {n: graph.constants[n] for n in node.input})
            graph.constants.update(zip(node.output, (np.asarray(v) for v in values)))
        else:
            kept.append(node)
    graph.nodes = kept


def serialise(graph):
    """The finished model, as bytes that depend on nothing but the graph."""
    for node in graph.nodes:
        node.output[:] = ["scores" if name == OUTPUT else name for name in node.output]
        node.doc_string = ""
        del node.metadata_props[:]
    constants = [numpy_helper.from_array(np.ascontiguousarray(graph.constants[name]), name) for name in sorted(graph.constants)]
    body = helper.make_graph(
        graph.nodes,
        "ced-tiny",
        [helper.make_tensor_value_info("logmel", TensorProto.FLOAT, ["batch", 1, N_MELS, "frames"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", N_LABELS])],
        initializer=constants,
    )
    model = helper.make_model(body, opset_imports=graph.opsets, ir_version=graph.ir_version, producer_name="mimid")
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def prepare_graph(data):
    graph = Graph(onnx.load_from_string(data))
    for step in (dequantise_weights, cut_front_end, keep_what_is_used, fold_constants, keep_what_is_used):
        step(graph)
    return serialise(graph)


def prepare_labels(path):
    with open(path, newline="", encoding="utf-8") as f:
        rows = sorted(csv.DictReader(f), key=lambda row: int(row["index"]))
    if [int(row["index"]) for row in rows] != list(range(N_LABELS)):
        fail(f"{path} does not hold the labels 0 to {N_LABELS - 1}")
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
    made = {"": ("model.onnx", prepare_graph(data)), "labels_": ("labels.tsv", prepare_labels(o.labels)),
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
