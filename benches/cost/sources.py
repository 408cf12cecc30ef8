"""How the daemon's cost grows with its sources, each a recording in real time; until it cannot keep up."""
import pathlib
import tempfile
import time

import sound
from mimid import Daemon, sources
from process import Usage, resident_mib
from table import Table

RATE_HZ = sound.VOICES_HZ
#: So many recordings that differ in when their sound comes; sources take them in turn.
STAGGERED = 10
PERIOD_S = 60
#: Until the first events have run their course and every buffer is as large as it gets.
WARM_UP_S = 6.0


#: The model's hop.
HOP_MS = 100
#: What is behind by more than this part of the measured time does not keep up, even where its ring still has room.
BEHIND = 0.05


def one_in_ten(effort, figures):
    period = sound.sparse(PERIOD_S, RATE_HZ, -80.0, 1.0 / STAGGERED, PERIOD_S)
    return grow(effort, figures, "sound on one in ten at a time", period, [1, 2, 4, 8, 16, 32, 64, 100, 128], 100)


def all_at_once(effort, figures):
    period = sound.dense(PERIOD_S, RATE_HZ)
    return grow(effort, figures, "sound on all", period, [1, 2, 4, 8, 16, 30, 64, 128], 30)


def grow(effort, figures, what, period, counts, target):
    table = Table(f"Sources, {what}", "sources", "of one core", "resident", "hops a second a source", "hop", "lost or behind")
    kept_up, memory = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        step = len(period) // STAGGERED
        recordings = [
            sound.write(pathlib.Path(folder) / f"{index}.wav", sound.rotated(period, index * step), RATE_HZ) for index in range(STAGGERED)
        ]
        for count in counts:
            with Daemon(sources([recordings[index % STAGGERED] for index in range(count)])) as daemon:
                client = daemon.connect()
                daemon.wait_until_live(client)
                time.sleep(WARM_UP_S)
                usage, before, began = Usage(daemon.pid), total(client), time.monotonic()
                time.sleep(effort.seconds(8))
                core, after, seconds = usage.core_percent(), total(client), time.monotonic() - began
                hop_ms = client.status()["hop_ms"]
                memory[count] = resident_mib(daemon.pid)
            windows = (after["windows"] - before["windows"]) / seconds / count
            lost = after["overrun_samples"] / RATE_HZ
            behind = seconds - (after["samples"] - before["samples"]) / RATE_HZ / count
            # A daemon that scores farther apart than its model asks for does not keep up either, though it loses nothing.
            keeps_up = not lost and behind < BEHIND * seconds and hop_ms == HOP_MS
            late = "none" if not lost and behind < BEHIND * seconds else f"{lost:.1f} s lost" if lost else f"{behind:.1f} s behind after {seconds:.0f} s"
            table.row(count, f"{core:.1f} %", f"{memory[count]:.1f} MiB", f"{windows:.2f}", f"{hop_ms} ms", late)
            if not keeps_up:
                break
            kept_up = count
    figures.at_least(f"live sources on 2 cores without an overrun, {what}", kept_up, target)
    most = max(memory)
    if most > 1:
        figures.at_most(f"resident memory, each further source, {what}", (memory[most] - memory[1]) / (most - 1), 1.5, " MiB")
    return [table]


def total(client):
    """The counters of all sources together."""
    all_sources = client.status()["sources"]
    return {key: sum(source[key] for source in all_sources) for key in ["windows", "samples", "overrun_samples"]}
