#!/usr/bin/env python3
"""Fits the weights of a segment's evidence and the thresholds of all labels to recordings.

usage: thresholds.py --kinds DIR --background DIR --scenes DIR… [--alarms DIR] [--segments KEEP] [--mimid PATH] [--judge]

The probability that a segment is a sound of its label is the logistic function of a weighted sum and of the label's own offset. The
weights are of the log odds of the peaks of both scores, the logarithm of the duration, the signal-to-noise ratio, and how loud the label's
background was. All labels share them, and they go into the manifest. The table holds the offsets: a label's `threshold` is the value of the
shared sum at which its own odds are even. The offsets are shrunk towards 0, so that a label with few examples or none keeps what suits all.

The `start_threshold` is the least causal score from which on the share --stands of the label's announcements is borne out: a segment of
probability --sure or more overlaps it, of the label or of a related one. Another regression, on the causal score, the background and the
label's offset, says how many would be; it counts as some announcements beside the label's own, so that a label with few examples leans
on it. `alike` names the labels that the graph's last layer hears in the same sounds. `highest`, which highest.py makes, stays as it is.

The labels in [detection.alarms] of the manifest need more than even odds: an alarm that is none is worse than one that is missed.

--kinds and --background are folders with recordings and a table of the folder's name (kinds.tsv: filename, labels joined by |, source);
--scenes are labelled folders (truth.tsv). --alarms is one whose recordings tell of the labels in [detection.alarms] of the manifest only,
and hold any of them, or none. Each recording of --kinds is heard alone and at second 12 of 30 s of faint noise, each background in a loop
of five minutes. --segments keeps what `mimid scan --segments` says of them, and takes what is kept there. --judge writes nothing, and
prints how recordings in noise fare by weights that were fitted without any recording of the same source: a sixth of the sources is left out
at a time.
"""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import tomllib

import numpy as np

import evidence
from evidence import Segments, log_odds, probability

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches" / "hearing"))
import common
import staged

# How long a background is looped, in seconds.
LOOP_S = 300.0
# A set of recordings counts as so many segments, for the evidence and for the start, however many it has. All scenes are one set.
SIZES = {"noise": (20000, 20000), "alone": (14000, 10000), "background": (70000, 20000), "scenes": (24000, 8000), "alarms": (400, 1000)}
# The variances of the labels' offsets, in squared log odds.
VARIANCE, START_VARIANCE = 1.0, 4.0
# What the regression says of a label's announcements counts as so many of them, and an announcement of each set as so much.
LEANING = 4.0
ANNOUNCED = {"noise": 1.0, "alone": 0.7, "background": 1.0, "scenes": 0.1, "alarms": 0.2}
# The start thresholds that are tried, in log odds.
TRIED = np.arange(-4.0, 3.51, 0.1)
# An alarm that is none costs as much as so many that are missed.
ALARM_COST = 3.0
# The least causal score that announces an alarm.
ALARM_START = 0.16
# The least causal score of a segment that could be announced.
LEAST_CAUSAL = 0.02
# A segment bears out announcements that are so far away from it at most, in seconds.
NEAR_S = 0.3
# The least and the highest of each threshold.
THRESHOLDS, STARTS = (0.003, 0.97), (0.04, 0.97)
# Noise that the copies in noise do hold.
NOISES = {"Silence", "White noise", "Pink noise", "Noise", "Static"}
PARTS = ["confirmed", "causal", "duration", "snr", "background"]
FOLDS = 6
JUDGED = [0.1, 0.15, 0.2, 0.3, 0.36, 0.5]
# So many recordings are made and scanned at a time, for the disk's sake.
BATCH = 24


def tables(mimid, keep, recordings, make):
    """The paths of the recordings' tables of segments, by name. `make` makes the recording that is scanned."""
    keep.mkdir(parents=True, exist_ok=True)
    missing = [one for one in recordings if not (keep / f"{one.stem}.tsv").exists()]
    for i in range(0, len(missing), BATCH):
        # A scan that is interrupted leaves half a table, which must not be kept.
        with tempfile.TemporaryDirectory() as work:
            paths = make(work, missing[i:i + BATCH])
            mimid.run("scan", "--format", "tsv", "--segments", work, "--config", mimid.config, "--", *paths)
            for path in paths:
                shutil.move(pathlib.Path(work, path.stem).with_suffix(".tsv"), keep / f"{path.stem}.tsv")
    return {one.stem: keep / f"{one.stem}.tsv" for one in recordings}


def as_they_are(_, paths):
    return paths


def of_kinds(mimid, keep, folder, labels):
    """The segments of the recordings of many kinds, alone and in noise."""
    found = {one.name: one for one in staged.read_table(folder)}
    paths = [one.path for one in found.values()]

    def copies(work, some):
        return staged.write_all(work, [found[path.stem] for path in some], staged.in_noise)
    alone, noisy = tables(mimid, keep / "alone", paths, as_they_are), tables(mimid, keep / "noise", paths, copies)
    out = []
    for name, one in found.items():
        # A revision behind @ does not make another source.
        source = one.source.partition("@")[0]
        accepted = [labels.index[label] for label in one.labels if label in labels.index]
        by_itself = Segments.read(alone[name], "alone", source, labels)
        by_itself.is_true = np.isin(by_itself.label, accepted)
        start, end = staged.span_in_noise(one)
        heard = Segments.read(noisy[name], "noise", source, labels)
        is_accepted = np.isin(heard.label, accepted)
        heard.is_true = is_accepted & (heard.offset > staged.BEGINS_S) & (heard.onset < end)
        # Nobody knows whether an accepted label is wrong elsewhere; and the noise is there.
        noises = [labels.index[name] for name in NOISES if name in labels.index]
        unknown = (is_accepted & ~heard.is_true) | (np.isin(heard.label, noises) & ~is_accepted)
        out += [by_itself, heard.those(~unknown)]
    return out


def of_backgrounds(mimid, keep, folder, labels):
    found = {one.name: one for one in staged.read_table(folder)}

    def make(work, some):
        return staged.write_all(work, [found[path.stem] for path in some], lambda one: staged.looped(one, LOOP_S))
    out = []
    for name, path in tables(mimid, keep / "background", [one.path for one in found.values()], make).items():
        segments = Segments.read(path, "background", f"background {name}", labels)
        segments.is_true = np.isin(segments.label, [labels.index[label] for label in found[name].labels if label in labels.index])
        out.append(segments)
    return out


def of_scenes(mimid, keep, folder, labels):
    """The segments of a labelled folder: true ones overlap an event of the label or of one above or below it."""
    group = f"scenes {folder.resolve().name}"
    truth = {}
    for name, onset, offset, label in common.read_truth(folder):
        if label not in labels.index:
            sys.exit(f"thresholds.py: the truth of {folder} has {label!r}, which is no label.")
        truth.setdefault(pathlib.Path(name).stem, []).append((onset, offset, labels.index[label]))
    out = []
    recordings = list(common.recordings(folder).values())
    for name, path in tables(mimid, keep / group.replace(" ", "-"), recordings, as_they_are).items():
        segments = Segments.read(path, group, group, labels)
        for onset, offset, event in truth.get(name, []):
            kin = [i for i in range(len(labels.ids)) if labels.is_above(i, event) or labels.is_above(event, i)]
            segments.is_true |= np.isin(segments.label, kin) & (segments.onset < offset) & (segments.offset > onset)
        out.append(segments)
    return out


def alarm_labels(labels, model):
    """The labels in [detection.alarms] of the manifest, as indices."""
    manifest = tomllib.loads((model / "manifest.toml").read_text())
    return [labels.index[name] for name in manifest["detection"].get("alarms", {}).get("labels", [])]


def of_alarms(mimid, keep, folder, labels, model):
    """The segments of alarms' labels; true ones overlap an alarm of any of them, for they are told apart by no one."""
    alarms = alarm_labels(labels, model)
    truth = [row for row in common.read_truth(folder) if labels.index.get(row[3]) in alarms]
    out = []
    for name, path in tables(mimid, keep / "alarms", list(common.recordings(folder).values()), as_they_are).items():
        segments = Segments.read(path, "alarms", "alarms", labels)
        segments = segments.those(np.isin(segments.label, alarms))
        for file, onset, offset, _ in truth:
            if pathlib.Path(file).stem == name:
                segments.is_true |= (segments.onset < offset) & (segments.offset > onset)
        out.append(segments)
    return out


def weights_of(segments, column):
    """How much each segment counts; `column` of SIZES."""
    sets = np.array([group.partition(" ")[0] for group in segments.group])
    out = np.zeros(len(segments))
    groups = {group: set_ for group, set_ in zip(segments.group, sets)}
    for group, set_ in groups.items():
        these = segments.group == group
        out[these] = SIZES[set_][column] / list(groups.values()).count(set_) / these.sum()
    return out


def fit_evidence(segments, n_labels, heard, chosen=slice(None)):
    weight = weights_of(segments, 0)
    steady = (segments.group == "background") & segments.is_true
    weight[steady] *= segments.confirmed[steady] >= heard
    return evidence.fit(segments.parts()[chosen], segments.label[chosen], segments.is_true[chosen], weight[chosen], n_labels, VARIANCE)


def borne_out(segments, is_event, labels, at_home):
    """Which segments an event bears out. A household's own label is borne out by one that the household is told of."""
    out = np.zeros(len(segments), bool)
    at_home = np.isin(segments.label, at_home)
    for indices in segments.recordings().values():
        sure = indices[is_event[indices]]
        onset = np.maximum.outer(segments.onset[indices], segments.onset[sure])
        offset = np.minimum.outer(segments.offset[indices], segments.offset[sure])
        is_related = labels.related[np.ix_(segments.label[indices], segments.label[sure])]
        is_told = at_home[sure][None, :] | ~at_home[indices][:, None]
        out[indices] = ((offset - onset > -NEAR_S) & is_related & is_told).any(axis=1)
    return out


def fit_start(segments, odds, own, labels, at_home, options):
    """Each label's start threshold for even odds, and the weight of the background against the causal score.

    `own` has the labels' offsets of the evidence. A label without examples of announcements starts from those.
    """
    weight = weights_of(segments, 1)
    could = segments.causal >= LEAST_CAUSAL
    segments, odds, weight = segments.those(could), odds[could], weight[could]
    stands = borne_out(segments, odds >= log_odds(options.sure), labels, at_home)
    parts = np.column_stack([segments.causal_parts(), own[segments.label]])
    (causal, background, offset, lean), _ = evidence.fit(parts, segments.label, stands, weight, len(labels.ids), START_VARIANCE)
    lowered = max(0.0, -background / causal)
    score = parts[:, 0] - lowered * parts[:, 1]
    counts = np.array([ANNOUNCED[group.partition(" ")[0]] for group in segments.group])
    starts = np.full(len(labels.ids), STARTS[1])
    for label in range(len(labels.ids)):
        mine = segments.label == label
        for tried in TRIED:
            above = mine & (score >= tried)
            expected = probability(causal * (tried + 0.5) + offset + lean * own[label])
            if (counts[above & stands].sum() + LEANING * expected) / (counts[above].sum() + LEANING) >= options.stands:
                # The daemon moves the table's even odds to those that are asked for.
                starts[label] = probability(tried - log_odds(options.sure))
                break
    return starts, lowered


def leave_out(segments, n_labels, heard):
    """The log odds of each segment by what was fitted without its source."""
    sources = sorted(set(segments.source))
    np.random.default_rng(0).shuffle(sources)
    odds = np.zeros(len(segments))
    for fold in range(FOLDS):
        left = np.isin(segments.source, sources[fold::FOLDS])
        weights, offsets = fit_evidence(segments, n_labels, heard, ~left)
        odds[left] = segments.parts()[left] @ weights + offsets[segments.label[left]]
    return odds


def judge(segments, odds, folder, labels):
    """Prints how the recordings in noise are told: recognised by any accepted label, by the exact one, and by how many other names."""
    recordings = segments.recordings()
    found = staged.read_table(folder)
    ends = {one.name: staged.span_in_noise(one)[1] for one in found}
    print(f"{len(found)} recordings in noise, a sixth of the sources left out at a time\nprobability  recognised  exact  other labels")
    for sure in JUDGED:
        recognised = exact = others = 0
        for one in found:
            mine = recordings.get(("noise", one.name), np.array([], int))
            some = segments.those(mine)
            right = set(one.labels) - ({"Silence"} if len(one.labels) > 1 else set())
            told, names = set(), set()
            for label, parts in evidence.events(some, odds[mine] - log_odds(sure), labels):
                of_event = {labels.names[some.label[i]] for i in parts}
                is_there = some.offset[parts].max() > staged.BEGINS_S and some.onset[parts].min() < ends[one.name]
                if is_there and of_event & right:
                    told |= of_event
                names |= {labels.names[label]} - set(one.labels) - {"Silence"}
            recognised, exact, others = recognised + bool(told), exact + (one.labels[0] in told), others + len(names)
        print(f"{sure:11.2f}  {recognised:10}  {exact:5}  {others:12}")


def write_manifest(path, values):
    """Sets the keys of [detection.evidence], which must all be there; everything else stays."""
    head, section, rest = re.split(r"^(\[detection\.evidence\]\n)", path.read_text(), maxsplit=1, flags=re.MULTILINE)
    end = re.search(r"^\[", rest, re.MULTILINE)
    own, rest = (rest[:end.start()], rest[end.start():]) if end else (rest, "")
    for key, value in values.items():
        own, n = re.subn(rf"^{key} = .*$", f"{key} = {float(value)}", own, flags=re.MULTILINE)
        if n != 1:
            sys.exit(f"thresholds.py: [detection.evidence] of {path.name} has no key {key}.")
    path.write_text(head + section + own + rest)


def write_table(path, labels, thresholds, starts):
    highest = {row["id"]: row.get("highest", "") for row in evidence.read_rows(path)} if path.exists() else {}
    with open(path, "w", newline="", encoding="utf-8") as out:
        out.write("id\tname\tthreshold\tstart_threshold\thighest\talike\n")
        for i, id_ in enumerate(labels.ids):
            alike = " ".join(labels.ids[j] for j in np.nonzero(labels.alike[i])[0])
            out.write(f"{id_}\t{labels.names[i]}\t{thresholds[i]:.3f}\t{starts[i]:.3f}\t{highest.get(id_, '')}\t{alike}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--background", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--scenes", required=True, type=pathlib.Path, nargs="+", metavar="DIR")
    parser.add_argument("--alarms", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--segments", type=pathlib.Path, metavar="KEEP", help="where the tables of segments are kept [default: nowhere]")
    parser.add_argument("--mimid", metavar="PATH", help="the binary [default: target/release/mimid here, then the PATH's]")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models" / "ced-tiny", metavar="DIR",
                        help="the model that mimid hears with, whose manifest and table are written [default: models/ced-tiny]")
    parser.add_argument("--stands", type=float, default=0.84, help="the share of announcements that is borne out [%(default)s]")
    parser.add_argument("--sure", type=float, default=0.5, help="the probability that makes an event [%(default)s]")
    parser.add_argument("--heard", type=float, default=0.3,
                        help="the least confirmed score of a background's segments that count as right [%(default)s]")
    parser.add_argument("--judge", action="store_true", help="judge on sources left out, and write nothing")
    options = parser.parse_args()
    if len({folder.resolve().name for folder in options.scenes}) < len(options.scenes):
        parser.error("two folders of scenes have the same name")
    labels = evidence.Labels(options.model)
    mimid = common.Mimid(options.mimid, None, '[report]\npreset = "home"\n')
    with tempfile.TemporaryDirectory() as nowhere:
        keep = options.segments or pathlib.Path(nowhere)
        parts = of_kinds(mimid, keep, options.kinds, labels) + of_backgrounds(mimid, keep, options.background, labels)
        for folder in options.scenes:
            parts += of_scenes(mimid, keep, folder, labels)
        if options.alarms:
            parts += of_alarms(mimid, keep, options.alarms, labels, options.model)
        segments = Segments.joined(parts)
    if options.judge:
        judge(segments, leave_out(segments, len(labels.ids), options.heard), options.kinds, labels)
        return
    weights, offsets = fit_evidence(segments, len(labels.ids), options.heard)
    weights = np.round(weights, 3)
    odds = segments.parts() @ weights + offsets[segments.label]
    home = [labels.index[label] for label in mimid.reported()]
    starts, start_background = fit_start(segments, odds, offsets, labels, home, options)
    values = dict(zip(PARTS, weights)) | {"start_background": round(start_background, 3), "offset": weights[-1]}
    write_manifest(options.model / "manifest.toml", values)
    needed = -offsets
    alarms = alarm_labels(labels, options.model)
    needed[alarms] += np.log(ALARM_COST)
    starts[alarms] = np.maximum(starts[alarms], ALARM_START)
    write_table(options.model / "thresholds.tsv", labels, np.clip(probability(needed), *THRESHOLDS), np.clip(starts, *STARTS))
    print(f"{len(segments)} segments of {len(segments.recordings())} recordings, {segments.is_true.sum()} of them true")
    print(", ".join(f"{key} {value}" for key, value in values.items()))


if __name__ == "__main__":
    main()
