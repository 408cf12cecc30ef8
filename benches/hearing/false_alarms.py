#!/usr/bin/env python3
"""Works out how often a day each label of the preset home is told wrongly, and which labels should wait for their confirmation.

usage: false_alarms.py KINDS BACKGROUND NEGATIVES [--alarms DIR] [--preset FILE] [--seconds 300] [--write] [--json] [--mimid PATH]

KINDS and BACKGROUND are the folders of kinds.py, NEGATIVES is one that negatives.py made, DIR one that alarms.py made. Everything is heard
once, with the preset home and every label announced at once. An event is wrong if nobody would accept its label for its recording. Taken
back or not, it is a false alarm of a label that is announced at once; of one that waits it is a false alarm only if it stands.
  a day     100 single sounds in faint noise like those of KINDS, 4 hours of BACKGROUND, and 2 hours of NEGATIVES
  rate      false alarms a day: for each of the three a gamma-Poisson estimate, whose prior has the mean of the label's section and the
            shape under which the counts of all labels are most likely
  early     announcements within 2 s of the onset, before any confirmation, that stand and that were taken back; the others wait anyway
  stands    the share of the early ones that stands, with two more of the section's share
A label waits if its share is below 0.5, or if it saves five false alarms a day. --write writes the choice and the rate of each label into FILE
[default: config/presets/home.toml].
"""
import argparse
import json
import math
import pathlib
import re
import tempfile
from collections import Counter, defaultdict

import numpy as np

import common
import staged

SOUNDS_A_DAY, BACKGROUND_H, NEGATIVES_H = 100, 4.0, 2.0
EARLY_S = 2.0
# The least share of early announcements that stands.
LEAST = 0.5
# A label that saves more false alarms a day by waiting waits, whatever that share.
SAVED_A_DAY = 5.0
# How much the section counts beside the label: early announcements, and what the shape of the gamma prior may be.
SECTION_EARLY, SHAPES = 2.0, np.geomspace(0.02, 2.0, 41)
BATCH = 24
ENTRY = re.compile(r'^    \{ label = "([^"]+)".*\},$')


def read_preset(path):
    """{label: section}, in the file's order."""
    found, section = {}, None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("name = "):
            section = line.split('"')[1]
        elif entry := ENTRY.match(line):
            found[entry[1]] = section
    return found


class Part:
    """Recordings that were heard: [(accepted labels, events)], how much of a day one is, and their false alarms."""

    def __init__(self, heard, days):
        self.heard, self.days = heard, days

    def exposure(self, label):
        """Days in which the label would have been wrong."""
        return sum(self.days for accepted, _ in self.heard if label not in accepted)

    def wrong(self, label, standing_only):
        return sum(event.label == label and (event.confirmed or not standing_only)
                   for accepted, events in self.heard if label not in accepted for event in events)


def likelihood(shape, counts):
    """The log likelihood of [(false alarms, days, mean rate)] where the rates of labels are gamma distributed around their means."""
    total = 0.0
    for n, days, mean in counts:
        share = days * mean / (days * mean + shape)
        total += math.lgamma(n + shape) - math.lgamma(shape) - math.lgamma(n + 1) + shape * math.log1p(-share) + n * math.log(share)
    return total


def rates(parts, sections, standing_only):
    """{label: false alarms a day}, the sum over the parts."""
    out = Counter()
    for part in parts:
        wrong = {label: part.wrong(label, standing_only) for label in sections}
        days = {label: part.exposure(label) for label in sections}
        overall = (sum(wrong.values()) + 0.5) / sum(days.values())
        means = {}
        for section in set(sections.values()):
            labels = [label for label in sections if sections[label] == section]
            # A section has the overall rate of one further label, so that none is free of false alarms.
            further = max(days[label] for label in labels)
            mean = (sum(wrong[label] for label in labels) + overall * further) / (sum(days[label] for label in labels) + further)
            means |= dict.fromkeys(labels, mean)
        counts = [(wrong[label], days[label], means[label]) for label in sections if days[label]]
        shape = max(SHAPES, key=lambda shape: likelihood(shape, counts))
        for label in sections:
            out[label] += (shape + wrong[label]) / (shape / means[label] + days[label])
    return out


def early(parts, sections):
    """{label: [stood, taken back]} of the announcements before any confirmation."""
    found = {label: [0, 0] for label in sections}
    for part in parts:
        for _, events in part.heard:
            for event in events:
                if event.label in found and event.announced - event.onset < EARLY_S:
                    found[event.label][not event.confirmed] += 1
    return found


def stands(found, sections):
    """{label: share of the early announcements that is expected to stand}."""
    out = {}
    for section in set(sections.values()):
        labels = [label for label in sections if sections[label] == section]
        stood, back = (sum(found[label][i] for label in labels) for i in range(2))
        mean = (stood + 1.0) / (stood + back + 2.0)
        out |= {label: (found[label][0] + SECTION_EARLY * mean) / (sum(found[label]) + SECTION_EARLY) for label in labels}
    return out


def hear(mimid, args):
    """The three parts, and with the alarms those that say what stands."""
    family = mimid.families()

    def events(paths):
        found = defaultdict(list)
        for event in mimid.scan(paths):
            found[pathlib.Path(event.file).stem].append(event)
        return found

    def made(folder, make, days):
        recordings, heard = staged.read_table(folder), []
        for i in range(0, len(recordings), BATCH):
            with tempfile.TemporaryDirectory() as out:
                batch = recordings[i:i + BATCH]
                found = events(staged.write_all(out, batch, make))
                heard += [(set(one.labels), found[one.name]) for one in batch]
        return Part(heard, days)

    def labelled(folder):
        paths, accepted = common.recordings(folder), defaultdict(set)
        for name, _, _, label in common.read_truth(folder):
            accepted[name] |= {label} | family(label)
        found = events(paths.values())
        hours = sum(map(common.seconds, paths.values())) / 3600.0
        return Part([(accepted[name], found[path.stem]) for name, path in paths.items()], hours / len(paths) / NEGATIVES_H)

    parts = [made(args.kinds, staged.in_noise, 1.0 / SOUNDS_A_DAY),
             made(args.background, lambda one: staged.looped(one, args.seconds), args.seconds / 3600.0 / BACKGROUND_H),
             labelled(args.negatives)]
    alarms = labelled(args.alarms) if args.alarms else Part([], 0.0)
    # What beeps there stands for the labels of alarms alone.
    meant = {label for accepted, _ in alarms.heard for label in accepted}
    about = [(accepted, [event for event in events if event.label in meant]) for accepted, events in alarms.heard]
    return parts, [*parts, Part(about, 0.0)]


def rounded(rate):
    """Two digits, as far as such a rate is known."""
    return float(f"{rate:.2g}")


def rewrite(path, figures):
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if entry := ENTRY.match(line):
            row = figures[entry[1]]
            waits = ', announce = "confirmed"' if row["announce"] == "confirmed" else ""
            line = f'    {{ label = "{entry[1]}"{waits}, false_alarms_per_day = {row["false_alarms_per_day"]:g} }},'
        lines.append(line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    preset = pathlib.Path(__file__).resolve().parents[2] / "config" / "presets" / "home.toml"
    for name in ("kinds", "background", "negatives"):
        parser.add_argument(name, type=pathlib.Path, metavar=name.upper())
    parser.add_argument("--alarms", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--preset", type=pathlib.Path, metavar="FILE", default=preset)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long a background is heard [%(default)s]")
    parser.add_argument("--write", action="store_true", help="write the figures into the preset")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--mimid", metavar="PATH", help="the binary [default: target/release/mimid here, then the PATH's]")
    args = parser.parse_args()
    sections = read_preset(args.preset)
    mimid = common.Mimid(args.mimid, None, '[defaults]\nannounce = "at once"\n[report]\npreset = "home"\n')
    parts, judged = hear(mimid, args)
    found = early(judged, sections)
    shares, at_once, confirmed = stands(found, sections), rates(parts, sections, False), rates(parts, sections, True)
    # Each has a prior of its own, and what stands cannot be more than what was announced.
    confirmed = {label: min(rate, at_once[label]) for label, rate in confirmed.items()}
    figures = {}
    for label, section in sections.items():
        waits = shares[label] < LEAST or at_once[label] - confirmed[label] > SAVED_A_DAY
        figures[label] = {"section": section, "announce": "confirmed" if waits else "at once",
                          "false_alarms_per_day": rounded((confirmed if waits else at_once)[label]),
                          "at_once": rounded(at_once[label]), "confirmed": rounded(confirmed[label]), "early": found[label],
                          "stands": round(shares[label], 2)}
    if args.write:
        rewrite(args.preset, figures)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False))
        return
    print(f"{'label':32}  {'at once':>8}  {'confirmed':>9}  {'early, back':>11}  stands  announced")
    for label, row in figures.items():
        counts = f"{row['early'][0]}, {row['early'][1]}"
        print(f"{label:32}  {row['at_once']:8g}  {row['confirmed']:9g}  {counts:>11}  {row['stands']:6.2f}  {row['announce']}")
    told = [found[label] for label in sections if figures[label]["announce"] == "at once"]
    all_early = [sum(column) for column in zip(*found.values())]
    kept = [sum(column) for column in zip(*told)]
    print(f"early announcements that stand: {all_early[0]} of {sum(all_early)} with every label at once,"
          f" {kept[0]} of {sum(kept)} with this choice")
    total = sum(row["false_alarms_per_day"] for row in figures.values())
    print(f"false alarms a day of all labels: {sum(at_once.values()):.1f} at once, {sum(confirmed.values()):.1f} confirmed,"
          f" {total:.1f} with this choice")


if __name__ == "__main__":
    main()
