"""Ten cameras over RTSP beside ten local microphones and beside one ffmpeg for each camera: the same sound in all three."""
import pathlib
import subprocess
import tempfile
import time

import sound
from mimid import PROJECT, Daemon, free_port
from process import TICKS_PER_S, cpu_s
from sound_server import SoundServer
from table import Table

COUNT = 10
RATE_HZ = sound.VOICES_HZ
#: Longer than a setup takes: a camera ends with its recording.
RECORDING_S = 150
#: Until every buffer is as large as it gets.
WARM_UP_S = 8.0


class Cameras:
    """GStreamer's RTSP server with so many tracks of AAC at 48 kHz; ended when the block is left."""

    def __init__(self, recording):
        self.port = free_port()
        script = PROJECT / "tests/support/rtsp_server.py"
        command = ["/usr/bin/python3", script, str(self.port), recording, *(f"{index}=aac48" for index in range(COUNT))]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE)
        if self.child.stdout.readline() != b"listening\n":
            raise SystemExit("GStreamer's RTSP server does not start; `make bench` installs what it needs.")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def url(self, index):
        return f"rtsp://127.0.0.1:{self.port}/{index}"


def measure(effort, figures):
    table = Table(f"{COUNT} sources of the same sound, 48 kHz stereo", "from", "of one core", "the programs beside", "each source, all together")
    cores = {}
    with tempfile.TemporaryDirectory() as folder, SoundServer() as server:
        period = sound.sparse(RECORDING_S, RATE_HZ, -80.0, 0.05, RECORDING_S)
        recording = sound.write(pathlib.Path(folder) / "sound.wav", period, RATE_HZ)
        for what, configure in SETUPS.items():
            with Cameras(recording) as cameras:
                player = server.play(recording)
                with Daemon(configure(cameras), sound_server=server) as daemon:
                    client = daemon.connect()
                    daemon.wait_until_live(client)
                    time.sleep(WARM_UP_S)
                    children = children_of(daemon.pid)
                    before, began = [cpu_s(pid) for pid in [daemon.pid, *children]], time.monotonic()
                    time.sleep(effort.seconds(20))
                    after, seconds = [cpu_s(pid) for pid in [daemon.pid, *children]], time.monotonic() - began
                    if any(source["losses"] for source in client.status()["sources"]):
                        raise SystemExit(f"A source of {what} was lost.")
                player.kill()
                player.wait()
            own, others = (100.0 * (sum(after[part]) - sum(before[part])) / seconds for part in [slice(1), slice(1, None)])
            cores[what] = (own + others) / COUNT
            table.row(what, f"{own:.1f} %", f"{others:.1f} %", f"{cores[what]:.2f} %")
    local, camera, program = cores.values()
    figures.at_most("a camera over RTSP (AAC 48 kHz) above a local microphone, of one core", camera - local, 1.0, " %")
    figures.beside("one ffmpeg for each camera above a local microphone", program - local, " %")
    figures.beside("the kernel's unit in these figures, of one core", 100.0 / TICKS_PER_S / effort.seconds(20), " %")
    return [table]


def source(index, lines):
    return f'[[source]]\nname = "s{index}"\n{lines}\n'


def microphones(_):
    return "".join(source(index, 'input = "default"') for index in range(COUNT))


def over_rtsp(cameras):
    return "".join(source(index, f'input = "{cameras.url(index)}"') for index in range(COUNT))


def through_ffmpeg(cameras):
    command = "ffmpeg -v error -rtsp_transport tcp -i {} -vn -f s16le -ac 2 -ar 48000 pipe:1"
    more = "rate_hz = 48000\nchannels = 2\nformat = \"s16le\""
    return "".join(source(index, f'input = "exec:{command.format(cameras.url(index))}"\n{more}') for index in range(COUNT))


SETUPS = {"local microphones": microphones, "cameras over RTSP": over_rtsp, "cameras, one ffmpeg each": through_ffmpeg}


def children_of(pid):
    """The processes that a process has started."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
