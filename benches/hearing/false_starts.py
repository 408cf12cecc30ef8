#!/usr/bin/env python3
"""Counts what mimid starts in recordings that hold none of it.

usage: false_starts.py FOLDER [--mimid PATH] [--config FILE] [--labels LABEL ...] [--json]

FOLDER holds recordings, such as those by negatives.py. Every start counts, also one that was taken back later, for a subscriber
was told of it. Printed are the starts an hour by label, and one by one those of --labels and their descendants in the ontology:
alarms, animals and babies unless told otherwise, with their sum an hour. Times are seconds into the recording, scores 0 to 1.
Without --config the preset "home" is reported.
"""
import argparse
import collections
import json
import pathlib

import common

LABELS = ["Alarm", "Animal", "Baby cry, infant cry", "Crying, sobbing", "Whimper"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--mimid", metavar="PATH", help="the binary [default: target/release/mimid here, then the PATH's]")
    parser.add_argument("--config", metavar="FILE", help='mimid\'s configuration [default: one that reports the preset "home"]')
    parser.add_argument("--labels", metavar="LABEL", nargs="+", default=LABELS, help="what must not start")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()

    mimid = common.Mimid(args.mimid, args.config, '[report]\npreset = "home"\n')
    family = mimid.families()
    for label in args.labels:
        if not family(label):
            parser.error(f"mimid knows no label {label!r}")
    wrong = set().union(*map(family, args.labels))
    files = common.recordings(args.folder)
    hours = sum(map(common.seconds, files.values())) / 3600.0

    heard = mimid.scan(files.values())
    by_label = collections.Counter(event.label for event in heard)
    false = [event for event in heard if event.names & wrong]
    if args.json:
        starts = [dict(file=e.file, announced=e.announced, onset=e.onset, label=e.label, score=e.score, confirmed=e.confirmed)
                  for e in false]
        print(json.dumps({"hours": hours, "per_hour": {label: n / hours for label, n in by_label.most_common()},
                          "false_per_hour": len(false) / hours, "false": starts}, ensure_ascii=False))
        return
    for event in false:
        # Where it was sent, or else where it is said to begin.
        at = event.onset if event.announced is None else event.announced
        score = "" if event.score is None else f"{event.score:.2f}"
        print(f"{event.file:16} {at:8.2f} s  {event.label:40} {score}{'' if event.confirmed else '  taken back'}")
    print(f"\n{'starts':>6}  {'an hour':>8}")
    for label, n in by_label.most_common():
        print(f"{n:6}  {n / hours:8.1f}  {label}{'  *' if label in wrong else ''}")
    print(f"{len(false):6}  {len(false) / hours:8.1f}  of {', '.join(map(repr, args.labels))} (*) in {hours:.2f} hours")


if __name__ == "__main__":
    main()
