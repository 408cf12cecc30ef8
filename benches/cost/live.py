"""The daemon at its defaults, hearing a null sink: CPU and memory by what there is to hear."""
import pathlib
import tempfile
import threading
import time

import sound
from mimid import Daemon
from process import Usage, resident_mib
from sound_server import SoundServer
from table import Table

#: After a sound there is something to do for so long, which belongs to what came before.
SETTLING_S = 6.0
SOUNDS = [
    sound.VOICES / "Front_Center.wav",
    *(sound.THEME / name for name in ["phone-incoming-call.oga", "complete.oga", "camera-shutter.oga", "bell.oga"]),
]


def measure(effort, figures):
    table = Table("One source at the defaults", "hearing", "of one core", "resident", "windows a second")
    with tempfile.TemporaryDirectory() as folder, SoundServer() as server, Daemon(sound_server=server) as daemon:
        folder = pathlib.Path(folder)
        noise = sound.write(folder / "noise.wav", sound.quiet(90, sound.VOICES_HZ, -75.0), sound.VOICES_HZ)
        voices = sound.write(folder / "voices.wav", sound.dense(90, sound.VOICES_HZ), sound.VOICES_HZ)
        client = daemon.connect()
        daemon.wait_until_live(client)
        time.sleep(SETTLING_S)

        def during(what, seconds, play):
            stop = threading.Event()
            player = threading.Thread(target=play, args=(server, stop))
            player.start()
            time.sleep(2.0)
            usage, before, began = Usage(daemon.pid), client.status(), time.monotonic()
            time.sleep(seconds)
            core, windows = usage.core_percent(), windows_of(client.status()) - windows_of(before)
            rate = windows / (time.monotonic() - began)
            stop.set()
            player.join()
            table.row(what, f"{core:.2f} %", f"{resident_mib(daemon.pid):.1f} MiB", f"{rate:.1f}")
            time.sleep(SETTLING_S)
            return core

        silent = during("digital silence", effort.seconds(20), nothing)
        live = during("a sound every 4 s", effort.seconds(60), every_4_s)
        during("one voice after the other", effort.seconds(20), repeat(voices))
        during("faint noise, -75 dBFS", effort.seconds(20), repeat(noise))
        figures.at_most("the daemon, defaults, a sound every 4 s on the null sink, of one core", live, 4.0, " %")
        figures.at_most("the same in silence", silent, 0.5, " %")
        figures.at_most("resident memory, one source", resident_mib(daemon.pid), 70.0, " MiB")
        figures.beside("the most it ever was", resident_mib(daemon.pid, "VmHWM"), " MiB")
    return [table]


def windows_of(status):
    return sum(source["windows"] for source in status["sources"])


def nothing(_server, stop):
    stop.wait()


def every_4_s(server, stop):
    index = 0
    while not stop.is_set():
        began = time.monotonic()
        server.play(SOUNDS[index % len(SOUNDS)]).wait()
        index += 1
        stop.wait(max(0.0, began + 4.0 - time.monotonic()))


def repeat(recording):
    def play(server, stop):
        while not stop.is_set():
            player = server.play(recording)
            while player.poll() is None and not stop.wait(0.05):
                pass
            player.kill()
            player.wait()

    return play
