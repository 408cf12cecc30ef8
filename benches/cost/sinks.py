"""CPU time of an event with 200 clients, as one sink after the other is turned on."""
import json
import pathlib
import selectors
import socket
import subprocess
import tempfile
import threading
import time

import probe
import sound
from mimid import BINARY, Daemon, free_port, sources
from process import threads_cpu_s
from table import Table

EVENTS_PER_S = 100
CLIENTS = 200
BROWSERS = 20
WARM_UP_S = 2
ROUNDS = 3
#: Each with the sinks of the one before.
SETUPS = ["the socket alone", "and MQTT", f"and HTTP with {BROWSERS} streams of Server-Sent Events"]


class Broker:
    """mosquitto for everybody on this machine; ended when the block is left."""

    def __enter__(self):
        self.port, self.folder = free_port(), tempfile.TemporaryDirectory()
        file = pathlib.Path(self.folder.name) / "mosquitto.conf"
        file.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n")
        self.child = subprocess.Popen(["/usr/sbin/mosquitto", "-c", file])
        connect(self.port).close()
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()
        self.folder.cleanup()


class Browsers:
    """Streams of Server-Sent Events that are read and thrown away by a thread; closed when the block is left."""

    def __init__(self, port, count):
        self.port, self.count, self.is_over = port, count, False

    def __enter__(self):
        self.selector, self.n_bytes = selectors.DefaultSelector(), 0
        for _ in range(self.count):
            stream = connect(self.port)
            stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            self.selector.register(stream, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()
        return self

    def read(self):
        while not self.is_over:
            for key, _ in self.selector.select(0.1):
                self.n_bytes += len(key.fileobj.recv(1 << 16))

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


def connect(port, patience_s=10.0):
    """A connection to a server of this machine, as soon as it listens."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"Nothing listens on port {port}.") from None
            time.sleep(0.05)


def measure(effort, figures):
    binaries = [("", BINARY)] + ([("before ", effort.against)] if effort.against else [])
    columns = [f"{name}{what}" for name, _ in binaries for what in ["CPU time of an event", "spread"]]
    title = f"{CLIENTS} clients, {EVENTS_PER_S} events a second of two lines each"
    table = Table(title, "sinks", *columns, *(["ratio"] if effort.against else []))
    with tempfile.TemporaryDirectory() as folder, Broker() as broker:
        silence = sound.write(pathlib.Path(folder) / "silence.wav", sound.quiet(20, 16_000, None), 16_000)
        for n_sinks, setup in enumerate(SETUPS):
            us = {name: [] for name, _ in binaries}
            # They take turns, so that whatever else the machine does falls on both.
            for _ in range(ROUNDS):
                for name, binary in binaries:
                    us[name].append(event_us(binary, n_sinks, broker.port, silence, effort.seconds(10)))
            # Other work on the machine only ever adds.
            least = [min(us[name]) for name, _ in binaries]
            cells = [cell for (name, _), value in zip(binaries, least) for cell in [f"{value:,.0f} µs", spread(us[name])]]
            table.row(setup, *cells, *([f"{least[0] / least[1]:.2f}"] if effort.against else []))
    return [table]


def spread(values):
    return f"{min(values):,.0f} to {max(values):,.0f}"


def event_us(binary, n_sinks, broker_port, silence, seconds):
    """CPU time of the daemon that an event takes, in microseconds, beyond what it takes where nothing happens."""
    port = free_port()
    configuration = sources([silence])
    if n_sinks >= 1:
        configuration += f'[sinks.mqtt]\nurl = "mqtt://127.0.0.1:{broker_port}"\nnode = "bench"\n'
    if n_sinks >= 2:
        configuration += f'[sinks.http]\nlisten = "127.0.0.1:{port}"\n'
    # Nothing is to be heard, so that what the daemon takes is what its subscribers take.
    with Daemon(configuration, binary=binary) as daemon, Browsers(port, BROWSERS if n_sinks >= 2 else 0) as browsers:
        daemon.wait_until_live(daemon.connect())
        idle_s, idle_wall_s = threads_cpu_s(daemon.pid), time.monotonic()
        time.sleep(seconds / 2)
        idle_share = (threads_cpu_s(daemon.pid) - idle_s) / (time.monotonic() - idle_wall_s)
        child = probe.start("subscribers", daemon.socket, CLIENTS, 0, EVENTS_PER_S, WARM_UP_S, seconds)
        if not child.stdout.readline():
            raise SystemExit("The bench program failed at its subscribers.")
        busy_s, busy_wall_s, n_bytes = threads_cpu_s(daemon.pid), time.monotonic(), browsers.n_bytes
        said = child.stdout.readline()
        # On a busy machine the events take longer than they should, so their number is what counts.
        busy_s = threads_cpu_s(daemon.pid) - busy_s - idle_share * (time.monotonic() - busy_wall_s)
        if child.wait() or json.loads(said)["told_of_drops"]:
            raise SystemExit("The subscribers did not get every line.")
        if browsers.count and browsers.n_bytes == n_bytes:
            raise SystemExit("The streams of Server-Sent Events brought nothing.")
    return 1e6 * busy_s / (EVENTS_PER_S * seconds)
