#!/usr/bin/env python3
"""Measures mimid on real recordings of many kinds of sound, and on steady backgrounds.

usage: kinds.py KINDS BACKGROUND [--part kinds,background] [--seconds 600] [--mimid PATH] [--details] [--json]

KINDS and BACKGROUND are folders of recordings with a table of the folder's name (kinds.tsv: filename, labels joined by |, source). The
first label of a recording is the exact one; the others are right as well. The thresholds are the shipped ones. Preset all is judged on all
recordings, preset home on those whose exact label it reports. Each recording is heard alone, and at second 12 of 30 s of pink noise at
-58 dBFS. An event stands unless it was announced and taken back.
  recognised    an event that stands has a right label, as its own or among `also`; in noise it touches the sound
  exact         it has the exact one
  other labels  own labels of standing events that are not right, each once for a recording; in noise Silence is right
  stand         events that stand, those that were taken back, and the share that stands; "right" are those of the latter with a right label
  lost          recordings that were not recognised, though something right was announced
  delay         in noise, from the beginning of the sound until a right event that stands was announced, the first one of a recording
  onset error   in noise, from the beginning of the sound to the earliest onset of such an event
In noise the beginning is the first 10 ms within 40 dB of the loudest ones and above -55 dBFS. Backgrounds are looped, and heard with preset
home. Their figures are by the hour: events that stand, those whose own label is not right, and those taken back. Where right labels are
told, the coverage is the share of the time that they cover, and the pieces are the events that cover it.
  false alarms  events of a smoke or fire alarm, or with one among `also`, in any recording that holds neither, taken back or not
"""
import argparse
import json
import pathlib
import tempfile
from collections import Counter

import numpy as np

import common
import staged

PRESETS = ["all", "home"]
ALARMS = {"Smoke detector, smoke alarm", "Fire alarm"}
# Recordings and backgrounds that are made at a time, for the disk's sake.
BATCHES = {"kinds": 24, "background": 2}


def scan(mimid, paths):
    """{name of the recording: [event]}."""
    found = {}
    for event in mimid.scan(paths):
        found.setdefault(pathlib.Path(event.file).stem, []).append(event)
    return found


def batches(recordings, size, make):
    """The paths of what `make` makes of the recordings, a batch at a time; each batch is gone after its turn."""
    for i in range(0, len(recordings), size):
        with tempfile.TemporaryDirectory() as folder:
            yield staged.write_all(folder, recordings[i:i + size], make)


def false_alarms(recordings, found):
    """{recording that holds no smoke or fire alarm: [words on one that was told of all the same]}."""
    out = {}
    for one in recordings:
        if ALARMS & set(one.labels):
            continue
        for event in found.get(one.name, []):
            for alarm in sorted(ALARMS & event.names):
                beside = "" if alarm == event.label else f" beside {event.label}"
                out.setdefault(one.name, []).append(f"{alarm}{beside}{'' if event.confirmed else ', taken back'}")
    return out


def spread(values):
    """Median and 95th percentile; nothing of no value."""
    return {"median": float(np.median(values)), "p95": float(np.percentile(values, 95))} if values else {"median": None, "p95": None}


def judge(recordings, found, spans):
    """The figures of one preset. `spans` has when each sound is to be told, where the recordings are in noise."""
    totals = Counter(recordings=len(recordings))
    others, taken_back, missed, lost = Counter(), Counter(), {}, []
    delays, errors = {}, []
    for one in recordings:
        accepted, events = set(one.labels), found.get(one.name, [])
        start, end = spans[one.name] if spans else (0.0, np.inf)
        # Silence is not what a recording in noise is recognised by, unless it is all that it holds.
        meant = accepted - {"Silence"} if spans and len(one.labels) > 1 else accepted

        def is_right(event):
            return bool(event.names & meant) and (not spans or (event.offset > staged.BEGINS_S and event.onset < end))
        standing = [event for event in events if event.confirmed]
        refused = [event for event in events if not event.confirmed]
        right = [event for event in standing if is_right(event)]
        rightly = sum(is_right(event) for event in refused)
        totals.update(recognised=bool(right), exact=any(one.labels[0] in event.names for event in right),
                      stand=len(standing), taken_back=len(refused), taken_back_rightly=rightly)
        others.update({event.label for event in standing} - accepted - ({"Silence"} if spans else set()))
        taken_back.update(event.label for event in refused)
        if not right:
            missed[one.name] = {"exact": one.labels[0], "told": Counter(event.label for event in standing)}
            lost += [one.name] if rightly else []
        elif spans:
            first = min(right, key=lambda event: event.announced)
            delays[one.name] = first.announced - start, first.label
            errors.append(min(event.onset for event in right) - start)
    out = {key: totals[key] for key in ("recordings", "recognised", "exact", "stand", "taken_back", "taken_back_rightly")}
    out |= {"other_labels": sum(others.values()), "lost": lost, "missed": missed}
    out |= {"other_labels_by_name": others, "taken_back_by_name": taken_back}
    if spans:
        out |= {"delays": delays, "delay_s": spread([delay for delay, _ in delays.values()]), "onset_error_s": spread([abs(error) for error in errors])}
        out["onset_error_s"]["mean"] = float(np.mean(errors)) if errors else None
    return out


def measure_kinds(mimids, folder):
    recordings = staged.read_table(folder)
    reported = mimids["home"].reported()
    judged = {"all": recordings, "home": [one for one in recordings if one.labels[0] in reported]}
    out = {}
    for where in ("alone", "in noise"):
        found = {preset: {} for preset in PRESETS}
        spans = None if where == "alone" else {one.name: staged.span_in_noise(one) for one in recordings}
        groups = [[one.path for one in recordings]] if where == "alone" else batches(recordings, BATCHES["kinds"], staged.in_noise)
        for paths in groups:
            for preset, events in found.items():
                events |= scan(mimids[preset], paths)
        for preset in PRESETS:
            alarms = {"false_alarms": false_alarms(recordings, found[preset])}
            out[f"preset {preset}, {where}"] = judge(judged[preset], found[preset], spans) | alarms
    return out


def covered(events, seconds):
    """The share of the time that events cover."""
    total, until = 0.0, 0.0
    for event in sorted(events, key=lambda event: event.onset):
        onset, offset = max(event.onset, until), min(event.offset, seconds)
        total, until = total + max(0.0, offset - onset), max(until, offset)
    return total / seconds


def measure_backgrounds(mimid, folder, seconds):
    recordings = staged.read_table(folder)
    found, hours = {}, seconds / 3600.0
    for paths in batches(recordings, BATCHES["background"], lambda one: staged.looped(one, seconds)):
        found |= scan(mimid, paths)
    each, wrong, taken_back = {}, Counter(), Counter()
    for one in recordings:
        standing = [event for event in found.get(one.name, []) if event.confirmed]
        refused = [event.label for event in found.get(one.name, []) if not event.confirmed]
        right = [event for event in standing if event.label in one.labels]
        mistaken = Counter(event.label for event in standing if event.label not in one.labels)
        wrong, taken_back = wrong + mistaken, taken_back + Counter(refused)
        each[one.name] = {"per_hour": len(standing) / hours, "wrong_per_hour": mistaken.total() / hours,
                          "taken_back_per_hour": len(refused) / hours, "coverage": covered(right, seconds),
                          "pieces_per_hour": len(right) / hours, "wrong": mistaken, "right": Counter(event.label for event in right)}
    out = {key: float(np.mean([row[key] for row in each.values()])) for key in ("per_hour", "wrong_per_hour", "taken_back_per_hour")}
    told = [row for row in each.values() if row["right"]]
    out |= {key: float(np.mean([row[key] for row in told] or [0.0])) for key in ("coverage", "pieces_per_hour")}
    return out | {"recordings": len(recordings), "seconds": seconds, "rightly_told": len(told), "wrong_by_name": wrong,
                  "taken_back_by_name": taken_back, "each": each, "false_alarms": false_alarms(recordings, found)}


def share(part, whole):
    return f"{part} of {whole} ({100.0 * part / max(1, whole):.1f} %)"


def listed(counter, most=40):
    return ", ".join(f"{label} {n}" for label, n in Counter(counter).most_common(most)) or "none"


def timed(figures):
    if figures["median"] is None:
        return "not measured"
    return f"median {figures['median']:.2f} s, 95th percentile {figures['p95']:.2f} s"


def show_alarms(out):
    print(f"  false alarms        {sum(map(len, out['false_alarms'].values()))}")
    for name, told in out["false_alarms"].items():
        print(f"    {name}: {'; '.join(told)}")


def show_kinds(title, out, details):
    n, told = out["recordings"], out["stand"] + out["taken_back"]
    print(f"{title}: {n} recordings")
    print(f"  recognised          {share(out['recognised'], n)}\n  exact               {share(out['exact'], n)}")
    print(f"  other labels        {out['other_labels']} ({out['other_labels'] / max(1, n):.2f} a recording)")
    print(f"  stand               {share(out['stand'], told)}; {out['taken_back']} taken back, {out['taken_back_rightly']} of them right")
    print(f"  lost                {len(out['lost'])} of {len(out['missed'])} that were not recognised")
    if "delay_s" in out:
        error = out["onset_error_s"]
        mean = "" if error["mean"] is None else f", mean {error['mean']:+.2f} s"
        print(f"  delay               {timed(out['delay_s'])}\n  onset error         {timed(error)}{mean}")
    show_alarms(out)
    if details:
        for name, row in out["missed"].items():
            print(f"  not recognised      {name} ({row['exact']}){', lost' if name in out['lost'] else ''}; told: {listed(row['told'], 8)}")
        print(f"  other labels        {listed(out['other_labels_by_name'])}\n  taken back          {listed(out['taken_back_by_name'])}")


def show_backgrounds(out, details):
    print(f"backgrounds, preset home: {out['recordings']} of {out['seconds']:g} s")
    for head, key in (("events", "per_hour"), ("wrong ones", "wrong_per_hour"), ("taken back", "taken_back_per_hour")):
        print(f"  {head:18}  {out[key]:.1f} an hour")
    print(f"  right labels        told in {out['rightly_told']}; there they cover {100.0 * out['coverage']:.0f} % of the time,"
          f" in {out['pieces_per_hour']:.1f} events an hour")
    show_alarms(out)
    if details:
        for name, row in out["each"].items():
            print(f"  {name:18}  {row['per_hour']:.0f} an hour, {row['wrong_per_hour']:.0f} wrong,"
                  f" {row['taken_back_per_hour']:.0f} taken back, {100.0 * row['coverage']:.0f} % covered;"
                  f" right: {listed(row['right'], 6)}; wrong: {listed(row['wrong'], 6)}")
        print(f"  wrong               {listed(out['wrong_by_name'])}\n  taken back          {listed(out['taken_back_by_name'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", type=pathlib.Path, metavar="KINDS")
    parser.add_argument("background", type=pathlib.Path, metavar="BACKGROUND")
    parser.add_argument("--part", default="kinds,background", help="what is measured, joined by commas [%(default)s]")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long a background is heard [%(default)s]")
    parser.add_argument("--mimid", metavar="PATH", help="the binary [default: target/release/mimid here, then the PATH's]")
    parser.add_argument("--details", action="store_true", help="also list what was missed, wrong and taken back, and each background")
    parser.add_argument("--json", action="store_true", help="print one JSON object, with all details")
    args = parser.parse_args()
    parts = args.part.split(",")
    if unknown := set(parts) - {"kinds", "background"}:
        parser.error(f"--part has {min(unknown)!r}; it takes kinds and background")
    mimids = {preset: common.Mimid(args.mimid, None, f'[report]\npreset = "{preset}"\n') for preset in PRESETS}
    out = {}
    if "kinds" in parts:
        out |= measure_kinds(mimids, args.kinds)
    if "background" in parts:
        out["backgrounds"] = measure_backgrounds(mimids["home"], args.background, args.seconds)
    if args.json:
        print(json.dumps(out, ensure_ascii=False))
        return
    for title, figures in out.items():
        if title == "backgrounds":
            show_backgrounds(figures, args.details)
        else:
            show_kinds(title, figures, args.details)


if __name__ == "__main__":
    main()
