"""Samples to log-mel: an hour of it beside kaldi-native-fbank, and the way of a live 48 kHz stereo source."""
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import probe

HOUR_S = 3600
ROUNDS = 6


def measure(effort, figures):
    part_s = round(HOUR_S / ROUNDS * effort.scale / 60) * 60 or 60
    rounds = [(probe.figures("log-mel", part_s)["cpu_s"], kaldi(part_s)) for _ in range(ROUNDS)]
    hours = part_s / HOUR_S
    ours = median(ours for ours, _ in rounds) / hours
    call = median(theirs["call_cpu_s"] for _, theirs in rounds) / hours
    theirs = median(theirs["cpu_s"] for _, theirs in rounds) / hours
    figures.beside("log-mel of an hour of 16 kHz sound, CPU time", ours, " s")
    figures.beside("the same by kaldi-native-fbank, called from Python", theirs, " s")
    figures.beside("of that the call: samples to C++, cut into frames", call, " s")
    figures.at_most("log-mel: mimid over kaldi-native-fbank without the call", ours / (theirs - call), 1.0, " times")
    live = probe.figures("live", effort.seconds(60), 9)
    figures.at_most("mix, resample and log-mel, 48 kHz stereo live, of one core", live["core_percent"], 0.4, " %")
    return []


def kaldi(seconds):
    command = [sys.executable, Path(__file__).with_name("kaldi.py"), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("kaldi-native-fbank is missing; `make bench` installs it, as benches/cost/requirements.txt pins it.")
    return json.loads(done.stdout)
