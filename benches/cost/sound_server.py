"""A PulseAudio server of our own, whose null sink is the microphone."""
import os
import pathlib
import subprocess
import tempfile
import threading
import time

RATE_HZ = 48_000


class SoundServer:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.environment = {"XDG_RUNTIME_DIR": self.folder.name, "HOME": self.folder.name}
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", "module-native-protocol-unix",
                   "-L", f"module-null-sink sink_name=mic rate={RATE_HZ} channels=2"]
        try:
            self.server = self.start(command)
        except FileNotFoundError:
            raise SystemExit("pulseaudio was not found; install pulseaudio and pulseaudio-utils.") from None
        deadline = time.monotonic() + 15.0
        while self.start(["pactl", "set-default-source", "mic.monitor"]).wait():
            if time.monotonic() > deadline:
                raise SystemExit("The sound server does not come up.")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()
        self.folder.cleanup()

    def start(self, command, **more):
        more = {"stdout": subprocess.DEVNULL} | more
        return subprocess.Popen(command, env=os.environ | self.environment, stderr=subprocess.DEVNULL, **more)

    def play(self, recording):
        """Plays a recording into the microphone; to be waited for, or killed."""
        if not pathlib.Path(recording).exists():
            raise SystemExit(f"{recording} is not there; install sound-theme-freedesktop and alsa-utils.")
        return self.start(["paplay", "-d", "mic", str(recording)])

    def listen(self):
        return Ear(self)


class Ear:
    """Hears the microphone beside mimid and says when a sound truly began."""

    #: A sound begins with the first sample above this; what a null sink gives before is digital silence.
    THRESHOLD = 300
    #: After so many seconds below it the next sound is another one.
    PAUSE_S = 1.0

    def __init__(self, server):
        command = ["parec", "-d", "mic.monitor", "--format=s16le", "--channels=1", f"--rate={RATE_HZ}", "--latency-msec=10"]
        self.recorder = server.start(command, stdout=subprocess.PIPE)
        # The sample at each onset, and the wall clock at sample 0.
        self.onset_samples, self.epoch = [], None
        self.thread = threading.Thread(target=self.hear, daemon=True)
        self.thread.start()

    def hear(self):
        heard, last_loud, rest = 0, None, b""
        while chunk := os.read(self.recorder.stdout.fileno(), 65536):
            now = time.time()
            chunk = rest + chunk
            whole = len(chunk) // 2 * 2
            samples, rest = memoryview(chunk[:whole]).cast("h"), chunk[whole:]
            loud = [at for at, sample in enumerate(samples) if abs(sample) > self.THRESHOLD]
            if loud:
                if last_loud is None or heard + loud[0] - last_loud > self.PAUSE_S * RATE_HZ:
                    self.onset_samples.append(heard + loud[0])
                last_loud = heard + loud[-1]
            heard += len(samples)
            # A chunk can come late and never early: the earliest says when the samples really were.
            epoch = now - heard / RATE_HZ
            self.epoch = epoch if self.epoch is None else min(self.epoch, epoch)

    def onsets(self):
        """The wall clock at each onset so far, in seconds."""
        return [self.epoch + sample / RATE_HZ for sample in self.onset_samples]

    def stop(self):
        self.recorder.kill()
        self.recorder.wait()
        self.thread.join()
