"""mimid as a child process with nothing of the user's: scans, a daemon, its clients."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

from process import Finished

PROJECT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", PROJECT / "target")).resolve()
BINARY = TARGET / "release" / "mimid"


def environment(sound_server=None):
    """The project's own model and library; no configuration, no microphone and no sound server but the one that is given."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PULSE_", "MIMID_"))}
    keep |= {
        "MIMID_MODELS": str(PROJECT / "models"),
        "MIMID_ONNXRUNTIME": str(PROJECT / "models/runtime/libonnxruntime.so"),
        "ALSA_CONFIG_PATH": "/dev/null",
        "HOME": "/nonexistent",
        "MIMID_LOG": "error",
    }
    return keep | (sound_server.environment if sound_server else {})


def scan(recordings, configuration=""):
    """`mimid scan` over recordings; what it took."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(configuration)
        file.flush()
        command = [BINARY, "scan", "--format", "jsonl", "--config", file.name, "--", *recordings]
        return Finished(command, environment())


def free_port():
    """A port that nobody has just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Daemon:
    """`mimid run` with a socket of its own; ended when the block is left."""

    def __init__(self, configuration="", sound_server=None, binary=BINARY):
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        self.socket = folder / "s"
        file = folder / "mimid.toml"
        file.write_text(f'[socket]\npath = "{self.socket}"\n{configuration}')
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [binary, "run", "--config", file], env=environment(sound_server), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.folder.cleanup()

    def connect(self, patience_s=30.0):
        """A client as soon as there can be one."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return Client(self.socket)
            except OSError:
                if self.child.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("mimid run does not listen; what it said stands above.") from None
                time.sleep(0.001)

    def wait_until_live(self, client, patience_s=30.0):
        """Until every source delivers."""
        deadline = time.monotonic() + patience_s
        while any(source["state"] != "live" for source in client.status()["sources"]):
            if time.monotonic() > deadline:
                raise SystemExit("A source of mimid run does not become live.")
            time.sleep(0.05)


class Client:
    """A subscriber that wants nothing but the answers to its requests, unless it subscribes to more."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(path))
        self.lines = self.connection.makefile("r", encoding="utf-8")
        self.hello = self.wait_for("hello")
        self.ask({"op": "subscribe", "types": ["config"]}, "subscribed")

    def wait_for(self, *types):
        for line in self.lines:
            said = json.loads(line)
            if said["type"] in types:
                return said
        raise SystemExit("The daemon closed the connection.")

    def ask(self, request, answer):
        self.connection.sendall(json.dumps(request).encode() + b"\n")
        return self.wait_for(answer)

    def status(self):
        return self.ask({"op": "status"}, "status")


def sources(recordings):
    """The configuration of a source for each recording, played in real time and again and again."""
    return "".join(f'[[source]]\nname = "s{index}"\ninput = "file:{path}?loop"\n' for index, path in enumerate(recordings))
