#!/usr/bin/env python3
"""Writes tests/golden/evaluate.json: made events and score curves, and the numbers that sed_eval and sed_scores_eval give for them.

usage: golden.py OUT.json

`mimid evaluate` must give the same numbers within 1e-6. The events are random from fixed seeds: few or many, alike or confused, with equal
scores among the curves. Times are multiples of 10 ms, so that no comparison with a collar hangs on the last digit of a float; collars and
parts are met exactly all the same.
"""
import json
import sys

import numpy as np
import sed_eval
from sed_scores_eval import intersection_based
from sed_scores_eval.base_modules.scores import create_score_dataframe

SCENARIOS = {
    "psds1": dict(dtc_threshold=0.7, gtc_threshold=0.7, cttc_threshold=None, alpha_ct=0.0, alpha_st=1.0, max_efpr=100.0),
    "psds2": dict(dtc_threshold=0.1, gtc_threshold=0.1, cttc_threshold=0.3, alpha_ct=0.5, alpha_st=1.0, max_efpr=100.0),
}


def united(spans):
    out = []
    for onset, offset in sorted(spans):
        if out and onset <= out[-1][1] + 0.01:
            out[-1] = (out[-1][0], max(offset, out[-1][1]))
        else:
            out.append((onset, offset))
    return out


def some_events(rng, lasts, most):
    spans = []
    for _ in range(rng.integers(0, most + 1)):
        onset = int(rng.integers(0, lasts * 100 - 20))
        spans.append((onset, min(lasts * 100, onset + int(rng.integers(5, 400)))))
    return united([(a / 100, b / 100) for a, b in spans])


def heard_of(rng, truth, lasts, most):
    """The true events a little off, some of them missed, and others that are not there."""
    found = []
    for onset, offset in truth:
        if rng.random() < 0.7:
            shift, stretch = int(rng.normal(0, 25)), int(rng.normal(0, 50))
            a = min(max(0, round(onset * 100) + shift), lasts * 100 - 10)
            b = min(lasts * 100, max(a + 5, round(offset * 100) + shift + stretch))
            found.append((a / 100, b / 100))
    return united(found + some_events(rng, lasts, max(1, most // 2)))


def curve_of(rng, truth, lasts, levels):
    """Steps that are higher within true events, with pits in them and peaks elsewhere."""
    bounds = sorted({0, lasts * 100, *(int(rng.integers(1, lasts * 100)) for _ in range(int(rng.integers(3, 25)))),
                     *(round(t * 100) + int(rng.integers(-20, 20)) for span in truth for t in span)})
    bounds = [b for b in bounds if 0 <= b <= lasts * 100]
    ends, scores = [], []
    for a, b in zip(bounds, bounds[1:]):
        inside = any(on <= (a + b) / 200 < off for on, off in truth)
        score = rng.beta(5, 2) if inside else rng.beta(1, 4)
        ends.append(b / 100)
        scores.append(float(np.round(score * levels) / levels) if levels else float(score))
    return ends, scores


def make(seed, n_recordings, n_labels, lasts, most, levels):
    rng = np.random.default_rng(seed)
    recordings = []
    for at in range(n_recordings):
        # The last recordings differ in length, and hold nothing of some labels.
        labels = []
        for label in range(n_labels):
            truth = some_events(rng, lasts + at % 3, most) if (at + label) % 4 else []
            labels.append({"truth": truth, "heard": heard_of(rng, truth, lasts + at % 3, most)})
        if n_labels > 1 and seed % 2:
            # A confusion: what is the first label's is heard as the second one's.
            labels[1]["heard"] = united(labels[1]["heard"] + labels[0]["truth"][:1])
        for label in labels:
            label["ends"], label["scores"] = curve_of(rng, label["truth"], lasts + at % 3, levels)
        recordings.append({"lasts": float(lasts + at % 3), "labels": labels})
    for label in range(n_labels):
        if not any(recording["labels"][label]["truth"] for recording in recordings):
            recordings[0]["labels"][label]["truth"] = [(1.0, 2.5)]
    return recordings


def name(label):
    return f"label{label}"


def event_list(recording, at, kind):
    events = [dict(filename=f"{at}.wav", onset=on, offset=off, event_label=name(label), event_onset=on, event_offset=off)
              for label, pair in enumerate(recording["labels"]) for on, off in pair[kind]]
    return sorted(events, key=lambda e: (e["onset"], e["offset"], e["event_label"]))


def of_sed_eval(metrics, n_labels):
    each = metrics.results_class_wise_metrics()
    return {
        "labels": [each[name(label)]["f_measure"]["f_measure"] for label in range(n_labels)],
        "macro": metrics.results_class_wise_average_metrics()["f_measure"]["f_measure"],
        "micro": metrics.results_overall_metrics()["f_measure"]["f_measure"],
    }


def errors_of(metrics):
    rates = metrics.results_overall_metrics()["error_rate"]
    return {"error_rate": rates["error_rate"], "substitution": rates["substitution_rate"],
            "deletion": rates["deletion_rate"], "insertion": rates["insertion_rate"]}


def expected(recordings, n_labels):
    names = [name(label) for label in range(n_labels)]
    # Where nothing is heard of a label, precision is 0: sed_eval's way to count such a label at all.
    event = {f"{kind}{ms}ms": sed_eval.sound_event.EventBasedMetrics(event_label_list=names, t_collar=ms / 1000, percentage_of_length=0.5,
                                                                   evaluate_onset=True, evaluate_offset=kind == "f1_",
                                                                   event_matching_type="optimal",
                                                                   empty_system_output_handling="zero_score")
             for kind in ("f1_", "f1_onset_") for ms in (500, 200)}
    segment = sed_eval.sound_event.SegmentBasedMetrics(event_label_list=names, time_resolution=1.0)
    segment.empty_system_output_handling = "zero_score"
    for at, recording in enumerate(recordings):
        truth, heard = (event_list(recording, at, kind) for kind in ("truth", "heard"))
        for metrics in event.values():
            metrics.evaluate(truth, heard)
        segment.evaluate(truth, heard, evaluated_length_seconds=recording["lasts"])
    out = {key: of_sed_eval(metrics, n_labels) for key, metrics in event.items()}
    out["f1_segment"] = of_sed_eval(segment, n_labels)
    out["errors"] = {"event_500ms": errors_of(event["f1_500ms"]), "event_200ms": errors_of(event["f1_200ms"]), "segment": errors_of(segment)}

    truth = {str(at): [(on, off, name(label)) for label, pair in enumerate(recording["labels"]) for on, off in pair["truth"]]
             for at, recording in enumerate(recordings)}
    lasts = {str(at): recording["lasts"] for at, recording in enumerate(recordings)}

    def frames(of):
        """A table of scores with a row for every stretch in which no score changes; `of` gives the steps of a label."""
        tables = {}
        for at, recording in enumerate(recordings):
            steps = [of(pair, recording["lasts"]) for pair in recording["labels"]]
            ends = sorted({end for each, _ in steps for end in each})
            scores = np.array([[values[next(i for i, e in enumerate(each) if e >= end - 1e-9)] for each, values in steps] for end in ends])
            tables[str(at)] = create_score_dataframe(scores, timestamps=np.array([0.0, *ends]), event_classes=names)
        return tables

    def as_steps(pair, lasts):
        """The heard events as a curve of ones and zeros, for the counts at one threshold."""
        ends, values = [], []
        for on, off in pair["heard"]:
            for end, value in ((on, 0.0), (off, 1.0)):
                if end > (ends[-1] if ends else 0.0):
                    ends.append(end)
                    values.append(value)
        if not ends or ends[-1] < lasts:
            ends.append(lasts)
            values.append(0.0)
        return ends, values

    f1, *_ = intersection_based.fscore(scores=frames(as_steps), ground_truth=truth, threshold=0.5, dtc_threshold=0.5, gtc_threshold=0.5)
    out["f1_intersection"] = {"labels": [f1[each] for each in names], "macro": f1["macro_average"], "micro": f1["micro_average"]}
    scores = frames(lambda pair, _: (pair["ends"], pair["scores"]))
    for key, scenario in SCENARIOS.items():
        score, single, *_ = intersection_based.psds(scores=scores, ground_truth=truth, audio_durations=lasts, **scenario)
        out[key] = {"score": float(score), "labels": [float(single[each]) for each in names]}
    return out


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    cases = []
    for seed in range(18):
        n_labels = 1 + seed % 4 if seed % 4 else 2
        n_recordings, lasts = 2 + seed % 5, (10, 12, 30)[seed % 3]
        recordings = make(seed, n_recordings, n_labels, lasts, 2 + seed % 4, (0, 10, 1000)[seed % 3])
        cases.append({"recordings": recordings, "expected": expected(recordings, n_labels)})
    def rounded(value):
        if isinstance(value, (float, np.floating)):
            return float(f"{value:.9g}")
        if isinstance(value, dict):
            return {key: rounded(each) for key, each in value.items()}
        return [rounded(each) for each in value] if isinstance(value, (list, tuple)) else value
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"cases": rounded(cases)}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
