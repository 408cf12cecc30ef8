#!/usr/bin/env python3
"""Measures how well mimid hears a folder of labelled recordings.

usage: measure.py FOLDER [--mimid PATH] [--config FILE] [--curves] [--json] [--label-map FILE]

FOLDER holds recordings (WAV, FLAC, Ogg Vorbis, MP3) and truth.tsv with the columns filename, onset, offset, event_label in
seconds. Recordings that truth.tsv does not name hold none of its classes. Without --config every label is reported.

A detection counts for a class of the truth if one of its names is that label or a descendant of it in the ontology.
--label-map names a file of two tab-separated columns, without a header: a label of the truth, and a label of mimid that counts
for it as well. Detections of one class that touch or overlap are one.

The figures, for each class and as the mean over the truth's classes:
  f1_500ms, f1_200ms   F1 of events: the onset within the collar, the offset within the collar or half the event, if that is more
  f1_half              F1 of events that cover at least half of each other
  unmatched_per_hour   detections without a counterpart by f1_half; the sum over the classes
  unconfirmed_per_hour starts that were taken back; the sum over the classes, and over all labels
and over all true events that were announced, where mimid states when:
  start_delay_s        from the true onset until the start was sent: median, 95th percentile
  onset_error_s        from the true onset to the stated onset: median, and median of the absolute
  onset_within         share of the true onsets within the stated uncertainty; likewise for the offset
With --curves, from the score curves and free of any threshold:
  best_f1_500ms, best_f1_half   the same F1 with each class's best threshold
  psds1, psds2                  polyphonic sound detection scores, scenarios 1 and 2 of DCASE task 4
"""
import argparse
import csv
import json
import pathlib
import tempfile

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

import common

# Detections that are closer than this touch: the times are printed with fewer digits than they have.
TOUCH_S = 0.01

# The two scenarios of DCASE task 4: the first asks for exact times, the second forgives them and punishes confused classes.
SCENARIOS = {
    "psds1": dict(dtc_threshold=0.7, gtc_threshold=0.7, cttc_threshold=None, alpha_ct=0.0, alpha_st=1.0, max_efpr=100.0),
    "psds2": dict(dtc_threshold=0.1, gtc_threshold=0.1, cttc_threshold=0.3, alpha_ct=0.5, alpha_st=1.0, max_efpr=100.0),
}


def within(collar):
    """The rule by which the ends of a true event and a detection agree; each is (onset, offset)."""
    def agree(true, found):
        late = max(collar, 0.5 * (true[1] - true[0]))
        return abs(found[0] - true[0]) <= collar and abs(found[1] - true[1]) <= late
    return agree


def half(true, found):
    common_s = min(true[1], found[1]) - max(true[0], found[0])
    return 2.0 * common_s >= max(true[1] - true[0], found[1] - found[0])


RULES = {"f1_500ms": within(0.5), "f1_200ms": within(0.2), "f1_half": half}


def merged(spans):
    """Sorted (onset, offset), those that touch made one."""
    out = []
    for onset, offset in sorted(spans):
        if out and onset <= out[-1][1] + TOUCH_S:
            out[-1] = (out[-1][0], max(offset, out[-1][1]))
        else:
            out.append((onset, offset))
    return out


def count_pairs(true, found, rule):
    """The most pairs that the rule allows, so that the figure does not hang on the order."""
    allowed = [[rule(t, f) for f in found] for t in true]
    if not np.any(allowed):
        return 0
    return int(np.count_nonzero(maximum_bipartite_matching(csr_array(np.array(allowed))) >= 0))


def first_touching(true, heard):
    """The first of `heard` for each true event, or None. One that touches several belongs to the earliest of them: it cannot
    announce another."""
    first = [None] * len(true)
    for event in sorted(heard, key=lambda e: (e.onset if e.announced is None else e.announced, e.onset)):
        for i, (onset, offset) in enumerate(true):
            during = event.announced is not None and onset <= event.announced <= offset
            if during or (event.onset < offset and event.offset > onset):
                first[i] = first[i] or event
                break
    return first


def median(values):
    return float(np.median(values)) if values else None


def share(values):
    return sum(values) / len(values) if values else None


def measure_events(truth, heard, classes, hours):
    """`truth` and `heard` are {class: {file: [...]}}: spans, and events."""
    out = {"classes": {}}
    delays, errors, onsets_within, offsets_within = [], [], [], []
    for name in classes:
        n_true, n_found, n_unconfirmed, pairs = 0, 0, 0, dict.fromkeys(RULES, 0)
        for file, true in truth[name].items():
            events = heard[name].get(file, [])
            confirmed = [event for event in events if event.confirmed]
            found = merged((event.onset, event.offset) for event in confirmed)
            n_true, n_found, n_unconfirmed = n_true + len(true), n_found + len(found), n_unconfirmed + len(events) - len(confirmed)
            for rule, agree in RULES.items():
                pairs[rule] += count_pairs(true, found, agree)

            starts = first_touching(true, [event for event in events if event.announced is not None])
            delays += [event.announced - onset for (onset, _), event in zip(true, starts) if event]
            for (onset, offset), event in zip(true, first_touching(true, confirmed)):
                if event:
                    errors.append(event.onset - onset)
                    if event.onset_uncertainty is not None:
                        onsets_within.append(abs(event.onset - onset) <= event.onset_uncertainty)
                    if event.offset_uncertainty is not None:
                        offsets_within.append(abs(event.offset - offset) <= event.offset_uncertainty)
        figures = {rule: 2.0 * pairs[rule] / max(1, n_true + n_found) for rule in RULES}
        figures["unmatched_per_hour"] = (n_found - pairs["f1_half"]) / hours
        figures["unconfirmed_per_hour"] = n_unconfirmed / hours
        out["classes"][name] = {"events": n_true, "detections": n_found, **figures}
    rows = list(out["classes"].values())
    out |= {rule: float(np.mean([row[rule] for row in rows])) for rule in RULES}
    out |= {key: sum(row[key] for row in rows) for key in ("unmatched_per_hour", "unconfirmed_per_hour")}
    out["start_delay_s"] = {"events": len(delays), "median": median(delays),
                            "p95": float(np.percentile(delays, 95)) if delays else None}
    out["onset_error_s"] = {"events": len(errors), "median": median(errors), "median_absolute": median([abs(e) for e in errors])}
    out["onset_within"], out["offset_within"] = share(onsets_within), share(offsets_within)
    return out


def measure_curves(truth, families, folder, files, durations):
    """A class's score is the highest of its labels'."""
    # Only here: the events can be measured without this package.
    from sed_scores_eval import collar_based, intersection_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    classes = list(families)
    curves, events, lengths = {}, {}, {}
    for name, path in files.items():
        with open(pathlib.Path(folder) / f"{path.stem}.tsv", newline="", encoding="utf-8") as file:
            header = next(csv.reader(file, delimiter="\t"))
            table = np.loadtxt(file, delimiter="\t", ndmin=2)
        columns = {c: [i for i, label in enumerate(header) if i > 1 and label in families[c]] for c in classes}
        # initial: a class of which the model tells no label scores 0.
        scores = np.stack([table[:, columns[c]].max(axis=1, initial=0.0) for c in classes], axis=1)
        curves[name] = create_score_dataframe(scores, timestamps=np.append(table[:, 0], table[-1, 1]), event_classes=classes)
        events[name] = [(onset, offset, c) for c in classes for onset, offset in truth[c][name]]
        # The package refuses events and curves that last longer than the recording, be it by a rounding.
        lengths[name] = max(durations[name], table[-1, 1], *(offset for _, offset, _ in events[name]), 0.0)
    given = dict(scores=curves, ground_truth=events)
    best = {
        "best_f1_500ms": collar_based.best_fscore(**given, onset_collar=0.5, offset_collar=0.5, offset_collar_rate=0.5),
        "best_f1_half": intersection_based.best_fscore(**given, dtc_threshold=0.5, gtc_threshold=0.5),
    }
    out = {key: float(f1["macro_average"]) for key, (f1, *_) in best.items()}
    return out | {key: float(intersection_based.psds(**given, audio_durations=lengths, **scenario)[0])
                  for key, scenario in SCENARIOS.items()}


def shown(value, unit=""):
    return "not stated" if value is None else f"{value:.3f}{unit}"


def show(out):
    width = max(map(len, [*out["classes"], "all classes"]))
    heads = [*RULES, "unmatched/h", "unconfirmed/h"]
    keys = [*RULES, "unmatched_per_hour", "unconfirmed_per_hour"]
    print(f"{'':{width}}  events  found  " + "  ".join(f"{head:>13}" for head in heads))
    total = {key: sum(row[key] for row in out["classes"].values()) for key in ("events", "detections")}
    for name, row in [*out["classes"].items(), ("all classes", out | total)]:
        figures = [f"{row[key]:>13.{3 if key in RULES else 1}f}" for key in keys]
        print(f"{name:{width}}  {row['events']:>6}  {row['detections']:>5}  " + "  ".join(figures))
    delay, error = out["start_delay_s"], out["onset_error_s"]
    print(f"\nunconfirmed starts of all labels  {out['unconfirmed_of_all_labels_per_hour']:.1f}/h")
    print(f"start delay       median {shown(delay['median'], ' s')}, 95 % {shown(delay['p95'], ' s')}, of {delay['events']} events")
    print(f"onset error       median {shown(error['median'], ' s')}, absolute {shown(error['median_absolute'], ' s')},"
          f" of {error['events']} events")
    print(f"within the stated uncertainty  onsets {shown(out['onset_within'])}, offsets {shown(out['offset_within'])}")
    for key in ("best_f1_500ms", "best_f1_half", *SCENARIOS):
        if key in out:
            print(f"{key:16}  {out[key]:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--mimid", metavar="PATH", help="the binary [default: target/release/mimid here, then the PATH's]")
    parser.add_argument("--config", metavar="FILE", help="mimid's configuration [default: one that reports every label]")
    parser.add_argument("--label-map", metavar="FILE", help="further labels that count for a label of the truth")
    parser.add_argument("--curves", action="store_true", help="also the figures that need no threshold")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()

    files, rows = common.recordings(args.folder), common.read_truth(args.folder)
    missing = sorted({row[0] for row in rows} - set(files))
    if missing or not rows:
        parser.error(f"truth.tsv names {missing[0]}, which is not in {args.folder}" if missing else "truth.tsv holds no event")
    mimid = common.Mimid(args.mimid, args.config, '[report]\npreset = "all"\n')

    family = mimid.families()
    families = {name: family(name) for name in sorted({row[3] for row in rows})}
    if args.label_map:
        for line in pathlib.Path(args.label_map).read_text(encoding="utf-8").splitlines():
            name, _, label = line.partition("\t")
            if name in families:
                families[name] |= family(label)
    for name in families:
        if not families[name]:
            parser.error(f"mimid knows no label {name!r}; say with --label-map what counts for it")

    truth = {c: {file: merged((on, off) for f, on, off, label in rows if (f, label) == (file, c)) for file in files}
             for c in families}
    durations = {name: common.seconds(path) for name, path in files.items()}
    hours = sum(durations.values()) / 3600.0
    with tempfile.TemporaryDirectory() as scores:
        heard = mimid.scan(files.values(), scores if args.curves else None)
        of_class = {c: {} for c in families}
        for event in heard:
            for c, labels in families.items():
                if event.names & labels:
                    of_class[c].setdefault(event.file, []).append(event)
        out = measure_events(truth, of_class, families, hours)
        out["unconfirmed_of_all_labels_per_hour"] = sum(not event.confirmed for event in heard) / hours
        if args.curves:
            out |= measure_curves(truth, families, scores, files, durations)
    print(json.dumps(out, ensure_ascii=False)) if args.json else show(out)


if __name__ == "__main__":
    main()
