"""The arithmetic of thresholds.py: the labels' relations, the facts about segments, the regression, and the events that segments make."""
import csv
import dataclasses

import numpy as np
import onnx
from onnx.numpy_helper import to_array

# These are the daemon's bounds of the facts about a segment (src/detect/evidence.rs, src/model/odds.rs).
LEAST_SCORE = 1e-4
QUIET = -4.6
UNKNOWN_SNR_DB = 6.0
GREATEST_SNR_DB = 40.0
DURATIONS_S = (0.1, 10.0)
# Two labels are alike where the cosine of their rows exceeds this …
ALIKE_COSINE = 0.2
# … unless nothing is above both, and one of them is among so many with the highest bias: those are alike in being frequent only.
FREQUENT = 20
# Segments that are so far apart still make one event, in seconds.
APART_S = 0.5


def log_odds(score):
    score = np.clip(score, LEAST_SCORE, 1.0 - LEAST_SCORE)
    return np.log(score / (1.0 - score))


def probability(odds):
    return 1.0 / (1.0 + np.exp(-odds))


def read_rows(path, quoting=csv.QUOTE_MINIMAL):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=quoting))


def last_layer(model):
    """The graph's end: gain and bias of the normalisation, and one row of weights and one bias a label."""
    weights = {tensor.name: to_array(tensor) for tensor in onnx.load(model / "model.onnx").graph.initializer}
    return [weights[name] for name in ("head_norm.weight", "head_norm.bias", "model.outputlayer.1.weight", "model.outputlayer.1.bias")]


class Labels:
    """The labels of a model by index, and how they are related."""

    def __init__(self, model):
        rows = read_rows(model / "labels.tsv")
        self.ids, self.names = [row["id"] for row in rows], [row["name"] for row in rows]
        self.index = {name: i for i, name in enumerate(self.names)}
        parents = {row["id"]: row["parents"].split() for row in read_rows(model / "ontology.tsv")}
        of_id = {id_: i for i, id_ in enumerate(self.ids)}
        self.above, roots = [], []
        for id_ in self.ids:
            nodes = list(parents.get(id_, []))
            for node in nodes:
                nodes += [parent for parent in parents.get(node, []) if parent not in nodes]
            self.above.append({of_id[node] for node in nodes if node in of_id})
            roots.append({node for node in [id_, *nodes] if not parents.get(node)})
        self.alike = alike(model, roots)
        #: Whether two labels may be names of one sound.
        self.related = self.alike | np.eye(len(rows), dtype=bool)
        for i, above in enumerate(self.above):
            for j in above:
                self.related[i, j] = self.related[j, i] = True

    def is_above(self, one, other):
        """Whether one label is the other, or above it."""
        return one == other or one in self.above[other]


def alike(model, roots):
    """Which labels the model hears in the same sounds: their rows in the last layer, without the rows' mean, point the same way."""
    gain, shift, rows, biases = last_layer(model)
    biases = biases + rows @ shift
    rows = rows * gain
    rows = rows - rows.mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = rows @ rows.T > ALIKE_COSINE
    frequent = set(np.argsort(-biases)[:FREQUENT])
    for i, j in zip(*np.nonzero(found)):
        if i == j or (not roots[i] & roots[j] and (i in frequent or j in frequent)):
            found[i, j] = False
    return found


@dataclasses.dataclass
class Segments:
    """Segments of many recordings, one entry a segment in each column."""
    # The set of recordings, the recording, and which recordings resemble it.
    group: np.ndarray
    file: np.ndarray
    source: np.ndarray
    label: np.ndarray
    onset: np.ndarray
    offset: np.ndarray
    confirmed: np.ndarray
    causal: np.ndarray
    duration: np.ndarray
    snr: np.ndarray
    background: np.ndarray
    is_true: np.ndarray

    def __len__(self):
        return len(self.label)

    def those(self, chosen):
        return Segments(**{field.name: getattr(self, field.name)[chosen] for field in dataclasses.fields(self)})

    @staticmethod
    def joined(parts):
        names = [field.name for field in dataclasses.fields(Segments)]
        return Segments(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    @staticmethod
    def read(path, group, source, labels):
        """The table of one recording, as `mimid scan --segments` writes it; nothing is true yet."""
        rows = read_rows(path, csv.QUOTE_NONE)

        def column(name, missing=0.0):
            return np.array([float(row[name] or missing) for row in rows])
        return Segments(
            group=np.full(len(rows), group, object), file=np.full(len(rows), path.stem, object), source=np.full(len(rows), source, object),
            label=np.array([labels.index[row["label"]] for row in rows], int), onset=column("onset"), offset=column("offset"),
            confirmed=column("confirmed"), causal=column("causal"), duration=column("duration_s"), snr=column("snr_db", UNKNOWN_SNR_DB),
            background=column("background"), is_true=np.zeros(len(rows), bool))

    def parts(self):
        """The parts of the evidence that are weighed, in the order of the manifest, and 1 for the offset."""
        return np.stack([
            log_odds(self.confirmed), log_odds(self.causal), np.log(np.clip(self.duration, *DURATIONS_S)),
            np.clip(self.snr, 0.0, GREATEST_SNR_DB) / 10.0, self.background - QUIET, np.ones(len(self)),
        ], axis=1)

    def causal_parts(self):
        """The same of what is known when a sound is announced."""
        return np.stack([log_odds(self.causal), self.background - QUIET, np.ones(len(self))], axis=1)

    def recordings(self):
        """The indices of each recording's segments."""
        keys = {}
        for i, key in enumerate(zip(self.group, self.file)):
            keys.setdefault(key, []).append(i)
        return {key: np.array(indices) for key, indices in keys.items()}


def fit(parts, label, is_true, weight, n_labels, variance):
    """The weights of the parts and one offset a label: the most likely ones, if offsets scatter about 0 with this variance.

    A label without examples gets 0, and one with few an offset near 0. The two kinds of numbers are improved in turn.
    """
    weights, offsets = np.zeros(parts.shape[1]), np.zeros(n_labels)
    goal = is_true.astype(float)
    for _ in range(500):
        p = probability(parts @ weights + offsets[label])
        curvature = parts.T @ (parts * (weight * p * (1.0 - p) + 1e-9)[:, None]) + 1e-3 * np.eye(parts.shape[1])
        step = np.linalg.solve(curvature, parts.T @ (weight * (goal - p)))
        weights += np.clip(step, -1.0, 1.0)
        change = np.abs(step).max()
        for _ in range(2):
            p = probability(parts @ weights + offsets[label])
            slope = np.bincount(label, weight * (goal - p), n_labels) - offsets / variance
            step = np.clip(slope / (np.bincount(label, weight * p * (1.0 - p), n_labels) + 1.0 / variance), -2.0, 2.0)
            offsets += step
            change = max(change, np.abs(step).max())
        if change < 1e-6:
            break
    return weights, offsets


def events(segments, margin, labels):
    """The events that segments of one recording make, as the daemon's merger would: (label, indices of the parts).

    `margin` is by how much each segment exceeds its threshold; those below 0 make none. The surest part gives the name, or the most
    specific label below it.
    """
    found = []
    for i in sorted(np.nonzero(margin >= 0.0)[0], key=lambda i: -margin[i]):
        for first, parts in found:
            together = min(segments.offset[i], segments.offset[first]) - max(segments.onset[i], segments.onset[first])
            if labels.related[segments.label[i], segments.label[first]] and together > -APART_S:
                parts.append(i)
                break
        else:
            found.append((i, [i]))
    out = []
    for first, parts in found:
        own = segments.label[first]
        below = [segments.label[i] for i in parts if own in labels.above[segments.label[i]]]
        out.append((max(below, key=lambda label: len(labels.above[label])) if below else own, parts))
    return out
