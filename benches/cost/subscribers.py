"""How the delay of a line grows with the subscribers, while others stall."""
import json
import pathlib
import tempfile

import probe
import sound
from mimid import Daemon, sources
from process import Usage, resident_mib
from table import Table

EVENTS_PER_S = 100
#: Healthy and stalled ones.
ROWS = [(1, 100), (10, 100), (100, 100), (1_000, 100), (1_000, 900)]
#: So long until the stalled ones' buffers and queues are full: it is from then on that they might cost something.
WARM_UP_S = 9
TARGET = (1_000, 100)


def measure(effort, figures):
    title = f"Subscribers, {EVENTS_PER_S} events a second of two lines each"
    table = Table(title, "healthy", "stalled", "lines a second", "median", "99th percentile", "the slowest client's", "of one core", "resident")
    with tempfile.TemporaryDirectory() as folder:
        silence = sound.write(pathlib.Path(folder) / "silence.wav", sound.quiet(20, 16_000, None), 16_000)
        for healthy, stalled in ROWS:
            # Nothing is to be heard, so that what the daemon takes is what its subscribers take.
            with Daemon(sources([silence])) as daemon:
                daemon.wait_until_live(daemon.connect())
                child = probe.start("subscribers", daemon.socket, healthy, stalled, EVENTS_PER_S, WARM_UP_S, effort.seconds(10))
                if not child.stdout.readline():
                    raise SystemExit("The bench program failed at its subscribers.")
                usage = Usage(daemon.pid)
                line = child.stdout.readline()
                core, resident = usage.core_percent(), resident_mib(daemon.pid)
                if child.wait():
                    raise SystemExit("The bench program failed at its subscribers.")
            said = json.loads(line)
            delays = [f"{said[key]:.2f} ms" for key in ["median_ms", "p99_ms", "slowest_p99_ms"]]
            table.row(healthy, stalled, f"{said['lines_per_s']:,.0f}", *delays, f"{core:.0f} %", f"{resident:.0f} MiB")
            if (healthy, stalled) == TARGET:
                what = "1,000 subscribers, 100 events a second, 100 more stalled: the slowest's 99th percentile"
                figures.at_most(what, said["slowest_p99_ms"], 20.0, " ms")
            if said["told_of_drops"]:
                figures.beside(f"drops told to {healthy} healthy clients", said["told_of_drops"])
    return [table]
