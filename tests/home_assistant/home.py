"""A real Home Assistant in its root: its start, its user, its broker, and what it knows. It judges nothing."""

import base64
import json
import os
import pathlib
import queue
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
USER, PASSWORD = "tester", "a password of the tests"


def until(what, look, patience_s=120):
    """The first value that is true; an error after the patience."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            found = look()
        except (OSError, KeyError, ValueError):
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"test-home-assistant: waited {patience_s} s in vain for {what}")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class HomeAssistant:
    """Home Assistant with one user, and a connection of that user."""

    def __init__(self, root, configuration):
        self.port = free_port()
        self.root = root
        config = root / "config"
        shutil.rmtree(config, ignore_errors=True)
        config.mkdir()
        head = f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\n"
        (config / "configuration.yaml").write_text(head + configuration)
        self.log = config / "home-assistant.log"
        subprocess.run([HERE / "within", root, "hass", "--script", "auth", "-c", "/config", "add", USER, PASSWORD], check=True, stdout=subprocess.DEVNULL)
        with open(config / "console", "w") as console:
            command = [HERE / "within", root, "hass", "-c", "/config", "--log-no-color"]
            self.process = subprocess.Popen(command, stdout=console, stderr=console)
        self.token = until("Home Assistant to start", self._log_in, 300)
        self.socket = Socket(self.port, self.token)

    def _post(self, path, fields, form=False, token=None):
        body = urllib.parse.urlencode(fields) if form else json.dumps(fields)
        headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body.encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _log_in(self):
        client = f"http://127.0.0.1:{self.port}/"
        flow = self._post("/auth/login_flow", {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client})
        said = self._post(f"/auth/login_flow/{flow['flow_id']}", {"client_id": client, "username": USER, "password": PASSWORD})
        grant = {"grant_type": "authorization_code", "code": said["result"], "client_id": client}
        return self._post("/auth/token", grant, form=True)["access_token"]

    def use_broker(self, port):
        """Adds MQTT as a user does in its settings."""
        flows = "/api/config/config_entries/flow"
        flow = self._post(flows, {"handler": "mqtt", "show_advanced_options": False}, token=self.token)
        said = self._post(f"{flows}/{flow['flow_id']}", {"broker": "127.0.0.1", "port": port}, token=self.token)
        if said["type"] != "create_entry":
            raise SystemExit(f"test-home-assistant: Home Assistant did not take the broker: {said}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def warnings(self):
        """The lines of its log that warn of something."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if " WARNING " in line or " ERROR " in line or " CRITICAL " in line]


class Socket:
    """Home Assistant's WebSocket: requests with their answers, and its events with the times at which they came."""

    def __init__(self, port, token):
        self.stream = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /api/websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        self.stream.sendall(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.reader = self.stream.makefile("rb")
        while self.reader.readline().strip():
            pass
        self.answers, self.events, self.count = queue.Queue(), [], 0
        self._receive()
        self._send({"type": "auth", "access_token": token})
        if self._receive()["type"] != "auth_ok":
            raise SystemExit("test-home-assistant: Home Assistant refuses its own token")
        threading.Thread(target=self._run, daemon=True).start()

    def ask(self, kind, **fields):
        self.count += 1
        self._send({"id": self.count, "type": kind, **fields})
        answer = self.answers.get(timeout=30)
        if not answer["success"]:
            raise SystemExit(f"test-home-assistant: {kind}: {answer}")
        return answer["result"]

    def _run(self):
        while True:
            try:
                message = self._receive()
            except (OSError, struct.error):
                return
            if message["type"] == "event":
                self.events.append((time.time(), message["event"]))
            else:
                self.answers.put(message)

    def _send(self, message):
        text = json.dumps(message).encode()
        length = struct.pack("!B", 0x80 | len(text)) if len(text) < 126 else struct.pack("!BH", 0xFE, len(text))
        self.stream.sendall(b"\x81" + length + b"\0\0\0\0" + text)

    def _receive(self):
        text = b""
        while True:
            first, length = self.reader.read(2)
            if length == 126:
                (length,) = struct.unpack("!H", self.reader.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.reader.read(8))
            part = self.reader.read(length)
            if first & 0x0F in (0, 1):
                text += part
                if first & 0x80:
                    return json.loads(text)
            elif first & 0x0F == 9:
                self.stream.sendall(b"\x8a\x80\0\0\0\0")
            elif first & 0x0F == 8:
                raise OSError("closed")
