"""`mimid scan` over recordings: how many times faster than real time, and how that and memory grow with their length."""
import pathlib
import tempfile

import mimid
import sound
from table import Table

RATE_HZ = 16_000
LENGTHS_S = {"1 min": 60, "10 min": 600, "1 h": 3_600, "3 h": 10_800}


def measure(effort, figures):
    kinds = {"dense sound": lambda seconds: sound.dense(seconds, RATE_HZ)} | {
        f"nine tenths {name}": lambda seconds, dbfs=dbfs: sound.sparse(seconds, RATE_HZ, dbfs) for name, dbfs in sound.QUIET_DBFS.items()
    }
    tables = []
    for kind, make in kinds.items():
        table = Table(f"Scanning, {kind}, {RATE_HZ // 1000} kHz mono", "length", "times real time", "wall", "CPU", "most resident")
        longest = None
        for name, seconds in LENGTHS_S.items():
            expected_s = longest and longest[1].wall_s * seconds / longest[0]
            if expected_s and expected_s > effort.seconds(60):
                table.row(name, "not measured", f"{expected_s:.0f} s expected", "", "")
                continue
            with tempfile.TemporaryDirectory() as folder:
                done = mimid.scan([sound.write(pathlib.Path(folder) / "recording.wav", make(seconds), RATE_HZ)])
            longest = (seconds, done)
            times = f"{seconds / done.wall_s:,.0f}"
            table.row(name, times, f"{done.wall_s:.1f} s", f"{done.cpu_s:.1f} s", f"{done.peak_mib:.0f} MiB")
            if seconds <= LENGTHS_S["1 h"]:
                figure = (name, seconds / done.wall_s)
        name, times = figure
        figures.at_least(f"scan of {name} of {kind}, times real time", times, 80.0 if kind == "dense sound" else 400.0)
        tables.append(table)
    return tables
