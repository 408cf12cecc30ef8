"""One window of 1.92 s from samples to scores, beside the same weights' original graph and the bare graph."""
import json
import pathlib
import subprocess

import probe
from mimid import PROJECT


def measure(effort, figures):
    said = probe.figures("window", original_graph(), effort.count(25))
    figures.beside("one window of 1.92 s from samples to scores, CPU time", said["mimid_ms"], " ms")
    figures.beside("the original graph with the settings of soundevents 0.5", said["original_ms"], " ms")
    figures.beside("the bare prepared graph on a ready log-mel", said["bare_ms"], " ms")
    figures.at_most("one window: mimid over the original graph", said["to_original"], 1.0 / 6.0, " times")
    figures.at_most("one window: mimid over the bare prepared graph", said["to_bare"], 1.05, " times")
    return []


def original_graph():
    """The file of the package that set-up takes the weights out of; cargo has checked its checksum."""
    command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout)["packages"]
    package = next(package for package in packages if package["name"] == "soundevents")
    return pathlib.Path(package["manifest_path"]).parent / "models" / "tiny.onnx"
