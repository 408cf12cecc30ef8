"""Recordings made on the fly from the voices of alsa-utils and noise; the same ones every time.

Samples are `array("h")`, 16-bit mono.
"""
import array
import pathlib
import random
import sys
import wave

VOICES = pathlib.Path("/usr/share/sounds/alsa")
THEME = pathlib.Path("/usr/share/sounds/freedesktop/stereo")
#: The rate of the voices.
VOICES_HZ = 48_000
#: The kinds of quiet: digital silence, and what a microphone gives in a quiet room.
QUIET_DBFS = {"digital silence": None, "faint noise": -75.0}


def voices(rate_hz=VOICES_HZ):
    """Eight spoken words or so, about 1.4 s each."""
    found = [read(path, rate_hz) for path in sorted(VOICES.glob("*.wav")) if path.stem != "Noise"]
    if not found:
        sys.exit(f"There are no voices in {VOICES}; install alsa-utils.")
    return found


def read(path, rate_hz):
    with wave.open(str(path)) as file:
        samples = array.array("h", file.readframes(file.getnframes()))
    factor, rest = divmod(VOICES_HZ, rate_hz)
    if rest:
        raise ValueError(f"{rate_hz} Hz is no whole part of {VOICES_HZ}.")
    # The mean of neighbours is filter enough for a voice that only has to cost what a voice costs.
    return array.array("h", (sum(samples[at:at + factor]) // factor for at in range(0, len(samples) - factor + 1, factor)))


def quiet(seconds, rate_hz, dbfs):
    """Digital silence for None, or white noise of this level. A few seconds of noise are repeated."""
    n = round(seconds * rate_hz)
    if dbfs is None:
        return array.array("h", bytes(2 * n))
    generator = random.Random(1)
    rms = 32768.0 * 10.0 ** (dbfs / 20.0)
    some = array.array("h", (round(generator.gauss(0.0, rms)) for _ in range(7 * rate_hz)))
    return repeated(some, n)


def repeated(samples, n):
    return (samples * (n // len(samples) + 1))[:n]


def dense(seconds, rate_hz, seed=0):
    """One voice after the other, in an order of the seed's."""
    order, generator = voices(rate_hz), random.Random(seed)
    out = array.array("h")
    while len(out) < seconds * rate_hz:
        generator.shuffle(order)
        for voice in order:
            out += voice
    return out[:round(seconds * rate_hz)]


def sparse(seconds, rate_hz, dbfs, part=0.1, period_s=60.0):
    """Voices in this part of each period, quiet for the rest."""
    loud = dense(part * period_s, rate_hz)
    return repeated(loud + quiet((1.0 - part) * period_s, rate_hz, dbfs), round(seconds * rate_hz))


def rotated(samples, by):
    return samples[by:] + samples[:by]


def write(path, samples, rate_hz):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return path
