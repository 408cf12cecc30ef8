"""From exec to the greeting on the socket; the files are in the system's cache."""
import pathlib
import tempfile
import time
from statistics import median

import sound
from mimid import Daemon, sources


def measure(effort, figures):
    took_ms = []
    with tempfile.TemporaryDirectory() as folder:
        recording = sound.write(pathlib.Path(folder) / "quiet.wav", sound.quiet(20, sound.VOICES_HZ, -75.0), sound.VOICES_HZ)
        for _ in range(effort.count(10)):
            with Daemon(sources([recording])) as daemon:
                daemon.connect()
                took_ms.append(1_000.0 * (time.monotonic() - daemon.began))
    figures.at_most("cold start, exec to hello", median(took_ms), 400.0, " ms")
    return []
