"""What stands around Home Assistant: a broker, a sound server with a microphone, and daemons of mimid. It judges nothing."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from home import free_port, until

QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Broker:
    def __init__(self, folder):
        self.port = free_port()
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        program = "/usr/sbin/mosquitto" if os.path.exists("/usr/sbin/mosquitto") else "mosquitto"
        self.process = subprocess.Popen([program, "-c", config], **QUIET)
        until("the broker", lambda: socket.create_connection(("127.0.0.1", self.port)).close() or True)

    def retained(self, topic="#"):
        """The retained messages, payloads by topic."""
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "--retained-only", "-v", "-W", "1"]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)


class Microphone:
    """A sound server whose microphone hears what is played."""

    def __init__(self, folder):
        self.folder = folder / "sound"
        self.folder.mkdir()
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder), "HOME": str(self.folder)}
        self.plug_in()

    def plug_in(self):
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", "module-native-protocol-unix"]
        command += ["-L", "module-null-sink sink_name=mic rate=48000 channels=2"]
        self.process = subprocess.Popen(command, env=self.environment, **QUIET)
        default = ["pactl", "set-default-source", "mic.monitor"]
        until("the sound server", lambda: subprocess.run(default, env=self.environment, **QUIET).returncode == 0)

    def unplug(self):
        self.process.kill()
        self.process.wait()

    def play(self, recording):
        subprocess.run(["paplay", "-d", "mic", "--latency-msec=500", recording], env=self.environment, check=True)


class Daemon:
    """mimid, with the lines of its socket and the times at which they came."""

    def __init__(self, program, folder, name, config, environment, machine_id=None):
        self.folder = folder / name
        self.folder.mkdir(exist_ok=True)
        self.program, self.machine_id = program, machine_id
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        self.environment = {**environment, "STATE_DIRECTORY": str(state)}
        self.start(config)

    def start(self, config):
        path, self.socket = self.folder / "mimid.toml", self.folder / "mimid.sock"
        path.write_text(f'{config}\n[socket]\npath = "{self.socket}"\n')
        command = [self.program, "run", "--config", path]
        if self.machine_id is not None:
            own = self.folder / "machine-id"
            own.write_text(self.machine_id + "\n")
            # Another machine with the same host name: its own machine-id lies over this one's, for it alone.
            mount = 'mount --bind "$1" /etc/machine-id && shift && exec "$@"'
            command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", mount, "machine", own, *command]
        self.log = open(self.folder / "log", "a")
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log)
        stream = until("mimid", self._connect)
        self.lines = []
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        until("mimid to hear", lambda: any(line["type"] == "source.live" for _, line in self.lines) or self._is_live())

    def _connect(self):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(self.socket))
        return stream

    def _is_live(self):
        stream = self._connect()
        stream.sendall(b'{"op":"status"}\n')
        for line in stream.makefile():
            if (status := json.loads(line))["type"] == "status":
                return all(source["state"] == "live" for source in status["sources"])

    def _read(self, stream):
        stream.sendall(b'{"op":"subscribe"}\n')
        for line in stream.makefile():
            self.lines.append((time.time(), json.loads(line)))

    def events(self, kind, labels):
        """The lines of this type of events that have one of these names, each with the time at which it came."""
        lines = [line for line in self.lines if line[1]["type"] == kind]
        return [(at, line) for at, line in lines if {line["event"]["label"], *line["event"]["also"]} & set(labels)]

    def open(self):
        """The ids of the events that have begun and not ended."""
        began = {line["event"]["id"] for _, line in self.lines if line["type"] == "event.start"}
        return began - {line["event"]["id"] for _, line in self.lines if line["type"] == "event.end"}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def alarm(path: pathlib.Path):
    """A smoke alarm of three pulses, four times, after a second of near silence."""
    import math
    import random
    import struct
    import wave

    rate, chance = 48_000, random.Random(1)
    samples = [chance.gauss(0, 0.0005) for _ in range(rate)]
    for at in range(int(4 * 4 * rate)):
        place = (at / rate) % 4
        sounds = place < 3 and place % 1 < 0.5
        tone = 0.3 * (math.sin(2 * math.pi * 3_150 * at / rate) + 0.3 * math.sin(2 * math.pi * 6_300 * at / rate)) if sounds else 0
        samples.append(tone + chance.gauss(0, 0.0005))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *(int(max(-1, min(1, sample)) * 32_767) for sample in samples)))
    return path
