"""How the cost grows with the distance of two windows."""
import pathlib
import tempfile
from statistics import median

import mimid
import sound
from table import Table

HOPS_MS = [50, 100, 200, 400]
MINUTES = 1
ROUNDS = 3


def measure(effort, _figures):
    table = Table("The distance of two windows, `[detection] hop_ms`, a minute of dense sound", "hop", "CPU", "wall", "most resident")
    with tempfile.TemporaryDirectory() as folder:
        seconds = 60 * MINUTES
        recording = sound.write(pathlib.Path(folder) / "dense.wav", sound.dense(seconds, 16_000), 16_000)
        done = {hop: [] for hop in HOPS_MS}
        for _ in range(effort.count(ROUNDS)):
            for hop, all_done in done.items():
                all_done.append(mimid.scan([recording], f"[detection]\nhop_ms = {hop}\n"))
    for hop, all_done in done.items():
        cpu_s, wall_s = (median(getattr(one, key) for one in all_done) / MINUTES for key in ["cpu_s", "wall_s"])
        table.row(f"{hop} ms", f"{cpu_s:.2f} s", f"{wall_s:.2f} s", f"{max(one.peak_mib for one in all_done):.0f} MiB")
    return [table]
