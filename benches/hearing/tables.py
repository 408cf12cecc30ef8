#!/usr/bin/env python3
"""Makes the table by which versions of mimid are compared, as Markdown, with the shipped thresholds.

usage: tables.py EVAL DATA [--work DIR] [--mimid PATH] [--quick] [--part scenes,kinds,background,alarms,degraded] [--harmless DIR …]

EVAL is a folder with soundscapes.py, which makes scenes, and evaluate.py, which scores them. DATA has the recordings: esc10 for the scenes,
and kinds and background as kinds.py takes them. --work keeps what is made of them for the next run. --harmless are more folders of
recordings without a smoke or fire alarm, such as a desktop's sounds. --quick hears a part of it: the scenes of one seed, a minute of each
background, and ten minutes without events instead of an hour.

  kinds       the figures of kinds.py. The delay is that of the preset home in noise, in all, and for the labels that are announced at
              once or when confirmed alone
  background  the figures of kinds.py, over ten minutes of each background
  alarms      the alarms of alarms.py, told where an event of a smoke or fire alarm is announced and stands; and false alarms in kinds, in
              background, in an hour of negatives.py, and in --harmless
  scenes      those of four seeds, by evaluate.py: events with the presets home and all, and curves
  degraded    six scenes of seed 2 by degrade.py, preset all, F1 at half overlap by evaluate.py
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import common
import kinds
import staged

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ["kinds", "background", "alarms", "scenes", "degraded"]
# The scenes of one of them are at 16 kHz.
SEEDS, SEED_AT_16_KHZ, SCENES = [1, 2, 7, 9], 7, 24
DEGRADED, DEGRADED_SEED, DEGRADED_SCENES = ["reverb", "quiet"], 2, 6
NEGATIVES_SEED = 2
# An alarm is to be told so long after its beginning at the latest, and its first pattern is known a little later.
SOON_S = 3.0, 3.2


def python(script, *args):
    done = subprocess.run([sys.executable, script, *map(str, args)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"tables.py: {pathlib.Path(script).name} failed; its own words are above.")
    return done.stdout


def made(folder, script, *args):
    """The folder that a script makes of these arguments; one that is there is taken as it is."""
    if not (folder / "truth.tsv").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        python(script, *args)
    return folder


class Tables:
    def __init__(self, options, work):
        self.eval, self.data, self.work, self.quick, self.harmless = options.eval, options.data, work, options.quick, options.harmless
        self.mimids = {name: common.Mimid(options.mimid, None, f'[report]\npreset = "{name}"\n') for name in kinds.PRESETS}
        self.false_alarms = {}

    def scenes_of(self, seed, count=SCENES):
        out = self.work / f"scenes-{seed}-{count}"
        rate = ["--rate", 16_000] if seed == SEED_AT_16_KHZ else []
        return made(out, self.eval / "soundscapes.py", self.data / "esc10", out, "--folds", "1,2,3", "--count", count, "--seed", seed, *rate)

    def evaluated(self, preset, folder, curves=False):
        """The figures of evaluate.py."""
        with tempfile.TemporaryDirectory(dir=self.work) as scores:
            heard = self.mimids[preset].scan(common.recordings(folder).values(), scores if curves else None)
            table = pathlib.Path(scores) / "events"
            rows = [f"{event.file}\t{event.onset}\t{event.offset}\t{event.label}\n" for event in heard if event.confirmed]
            table.write_text("filename\tonset\toffset\tevent_label\n" + "".join(rows), encoding="utf-8")
            args = ["--events", table, *(["--scores", scores] if curves else []), "--json"]
            return json.loads(python(self.eval / "evaluate.py", folder / "truth.tsv", *args))

    def kinds(self):
        out = kinds.measure_kinds(self.mimids, self.data / "kinds")
        everything, home = out["preset all, in noise"], out["preset home, in noise"]
        for where, figures in out.items():
            self.note_alarms(f"kinds, {where}", figures["false_alarms"])
        yield "recognised in noise, preset all", kinds.share(everything["recognised"], everything["recordings"])
        yield "exact", kinds.share(everything["exact"], everything["recordings"])
        yield "other labels", f"{everything['other_labels']}"
        yield "recognised in noise, preset home", kinds.share(home["recognised"], home["recordings"])
        yield "announcements that stand, preset home", kinds.share(home["stand"], home["stand"] + home["taken_back"])
        yield "recordings missed though rightly announced", f"{len(home['lost'])}"
        listed = json.loads(self.mimids["home"].run("labels", "--json", "--config", self.mimids["home"].config))
        late = {label["label"] for label in listed if label["announce"] != "at once"}
        delays = home["delays"].values()
        for head, chosen in [
            ("in all", [delay for delay, _ in delays]),
            ("announced at once", [delay for delay, label in delays if label not in late]),
            ("announced when confirmed", [delay for delay, label in delays if label in late]),
        ]:
            yield f"delay of those that stand, preset home, {head}", f"{kinds.timed(kinds.spread(chosen))} ({len(chosen)})"
        yield "the same, preset all", kinds.timed(everything["delay_s"])

    def background(self):
        seconds = 60.0 if self.quick else 600.0
        out = kinds.measure_backgrounds(self.mimids["home"], self.data / "background", seconds)
        self.note_alarms("background", out["false_alarms"])
        yield "backgrounds an hour: events", f"{out['per_hour']:.1f}"
        yield "of them wrong", f"{out['wrong_per_hour']:.1f}"
        yield "announced and taken back", f"{out['taken_back_per_hour']:.1f}"
        yield "steady sound: events an hour of its right labels", f"{out['pieces_per_hour']:.1f} in {out['rightly_told']} backgrounds"
        each = sorted(((row["pieces_per_hour"], name) for name, row in out["each"].items() if row["right"]), reverse=True)
        yield "the most of them", ", ".join(f"{name} {n:.0f}" for n, name in each[:4])

    def alarms(self):
        folder = self.work / "alarms"
        made(folder, HERE / "alarms.py", folder)
        begins = {name: (onset, offset) for name, onset, offset, _ in common.read_truth(folder)}
        soon, later = set(), set()
        false = {}
        for event in self.mimids["home"].scan(common.recordings(folder).values()):
            if not kinds.ALARMS & event.names:
                continue
            if event.file not in begins:
                false.setdefault(pathlib.Path(event.file).stem, []).append(event.label)
            elif event.confirmed:
                onset, _ = begins[event.file]
                (soon if event.announced - onset <= SOON_S[1] else later).add(event.file)
        yield f"synthesised alarms told within {SOON_S[0]:g} s of their pattern's first round", kinds.share(len(soon), len(begins))
        yield "later; not at all", f"{len(later - soon)}; {len(set(begins) - soon - later)}"
        yield "synthesised sounds like an alarm that are told as one", f"{len(false)}"
        minutes = 10 if self.quick else 60
        negatives = self.work / f"negatives-{minutes}"
        made(negatives, HERE / "negatives.py", negatives, "--minutes", minutes, "--seed", NEGATIVES_SEED)
        for silent in [negatives, *self.harmless]:
            paths = list(common.recordings(silent).values())
            recordings = [staged.Recording(path, ["nothing"], path.name) for path in paths]
            self.note_alarms(silent.name, kinds.false_alarms(recordings, kinds.scan(self.mimids["home"], paths)))

    def note_alarms(self, where, found):
        self.false_alarms[where] = [f"{name}: {'; '.join(told)}" for name, told in found.items()]

    def scenes(self):
        rows = []
        for seed in SEEDS[:1] if self.quick else SEEDS:
            folder = self.scenes_of(seed)
            home, everything = self.evaluated("home", folder), self.evaluated("all", folder, curves=True)
            curves = {key: everything[key] for key in ("best_f1_500ms", "best_f1_int", "psds1", "psds2")}
            rows.append([*(home[key] for key in EVENTS), *(everything[key] for key in EVENTS), *curves.values()])
            yield f"scenes of seed {seed}", shown_scenes(rows[-1])
        yield "scenes, mean", shown_scenes(np.mean(rows, axis=0))

    def degraded(self):
        folder = self.scenes_of(DEGRADED_SEED, DEGRADED_SCENES)
        for how in DEGRADED[:1] if self.quick else DEGRADED:
            spoilt = self.work / f"scenes-{how}"
            made(spoilt, HERE / "degrade.py", folder, spoilt, "--how", how)
            yield f"{how}, F1 at half overlap", f"{self.evaluated('all', spoilt)['f1_int']:.3f}"


EVENTS = ["f1_500ms", "f1_int", "fa_hour"]


def shown_scenes(row):
    home, everything, curves = row[:3], row[3:6], row[6:]
    events = [f"preset {name} {f1:.3f}, {half:.3f}, {false:.1f}" for name, (f1, half, false) in [("home", home), ("all", everything)]]
    return "; ".join([*events, "best " + ", ".join(f"{value:.3f}" for value in curves)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("eval", type=pathlib.Path, metavar="EVAL")
    parser.add_argument("data", type=pathlib.Path, metavar="DATA")
    parser.add_argument("--work", type=pathlib.Path, metavar="DIR", help="where what is made is kept [default: nowhere]")
    parser.add_argument("--mimid", metavar="PATH", help="the binary [default: target/release/mimid here, then the PATH's]")
    parser.add_argument("--quick", action="store_true", help="hear a part of it")
    parser.add_argument("--part", default=",".join(PARTS), help="what is measured, joined by commas [%(default)s]")
    parser.add_argument("--harmless", type=pathlib.Path, nargs="+", default=[], metavar="DIR", help="more recordings without an alarm")
    options = parser.parse_args()
    parts = options.part.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--part has {min(unknown)!r}; it takes {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as nowhere:
        work = options.work or pathlib.Path(nowhere)
        work.mkdir(parents=True, exist_ok=True)
        tables = Tables(options, work)
        print("| measure | figure |\n| --- | --- |", flush=True)
        for part in parts:
            for head, figure in getattr(tables, part)():
                print(f"| {head} | {figure} |", flush=True)
        for where, told in tables.false_alarms.items():
            print(f"| smoke or fire alarms that are none, {where} | {', '.join(told) or 'none'} |")
        if "scenes" in parts:
            print("\nScenes: F1 500 ms, F1 at half overlap and false alarms an hour; then best F1 500 ms, best F1 half, PSDS 1 and PSDS 2.")


if __name__ == "__main__":
    main()
