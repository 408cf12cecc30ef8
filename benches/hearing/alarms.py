#!/usr/bin/env python3
"""Synthesises alarms and sounds that are like one into a labelled folder.

usage: alarms.py OUT [--background DIR] [--seed 7]

The alarms follow the patterns of the standards: three pulses (ISO 8201, smoke), four pulses (carbon monoxide), DIN 33404-3, the slow whoop
and BS 5839. The other sounds are telephones, clocks, ovens, lorries, sirens, whistles and music. Each lasts 16 s, from second 5 on, at -22
dBFS: alone, in noise 20 dB and (alarms) 10 dB below, in an echoing room, and (alarms) at -40 dBFS. With --background, a folder with a table of
its own name as for kinds.py, some alarms sound over each of its recordings as well, 10 and 3 dB above. `models/tools/thresholds.py --alarms`
fits the labels of alarms to the folder, and measure.py measures on it.
"""
import argparse
import pathlib

import numpy as np
from scipy.signal import fftconvolve, resample_poly

import common
import staged

RATE = 16_000
LASTS_S, BEFORE_S, AFTER_S = 16.0, 5.0, 6.0
LABEL = "Smoke detector, smoke alarm"
# The strengths of the partials by their number.
TIMBRES = {
    "sine": {1: 1.0},
    "harmonics": {k: 1.0 / k for k in (1, 2, 3, 4)},
    "square": {k: 1.0 / k for k in range(1, 16, 2)},
    "piezo": {1: 0.5, 2: 1.0, 3: 0.7, 4: 0.4},
}
# The alarms that sound over backgrounds.
OVER = ["t3 3100 sine", "t3 3100 square", "t3 520 square", "t3 sweep", "t4 3100 sine", "din harmonics", "din piezo", "whoop harmonics", "bs two"]


def seconds(n):
    return np.arange(n) / RATE


def tone(hertz, lasts_s, timbre):
    """A tone whose frequency is a number, or one a sample; partials above the half rate are left out."""
    hertz = np.broadcast_to(hertz, int(lasts_s * RATE))
    phase = 2.0 * np.pi * np.cumsum(hertz) / RATE
    return sum(part * np.sin(k * phase) * (k * hertz < 7_900) for k, part in TIMBRES[timbre].items())


def pulse(hertz, lasts_s, timbre):
    """The same with edges of 3 ms, so that it does not click."""
    out, n = tone(hertz, lasts_s, timbre), 48
    window = np.hanning(2 * n)
    out[:n] *= window[:n]
    out[-n:] *= window[n:]
    return out


def sweep(low, high, lasts_s, timbre):
    return pulse(np.linspace(low, high, int(lasts_s * RATE)), lasts_s, timbre)


def repeated(parts, period_s, times=10 ** 6):
    """Parts (second, samples) again and again with this period, for as long as a sound lasts."""
    out = np.zeros(int(LASTS_S * RATE))
    for turn in range(min(times, int(np.ceil(LASTS_S / period_s)))):
        for at, samples in parts:
            begin = round((turn * period_s + at) * RATE)
            n = min(len(samples), max(0, len(out) - begin))
            out[begin:begin + n] += samples[:n]
    return out


def train(samples, n, every_s, period_s, times=10 ** 6):
    """`n` times the same, `every_s` apart, with this period."""
    return repeated([(k * every_s, samples) for k in range(n)], period_s, times)


def looped(*pieces):
    one = np.concatenate(pieces)
    return np.resize(one, int(LASTS_S * RATE))


def siren(low, high, period_s):
    turn = seconds(int(LASTS_S * RATE)) / period_s % 1.0
    return tone(low + (high - low) * np.minimum(2.0 * turn, 2.0 - 2.0 * turn), LASTS_S, "harmonics")


def chord(one, other, lasts_s):
    return (pulse(one, lasts_s, "sine") + pulse(other, lasts_s, "sine")) / 2.0


def trill(one, other, rate_hz, lasts_s):
    is_other = (seconds(int(lasts_s * RATE)) * rate_hz * 2.0).astype(int) % 2
    return pulse(np.where(is_other, one, other), lasts_s, "harmonics")


def note(semitone, lasts_s):
    fading = np.exp(-3.0 * seconds(int(lasts_s * RATE)))
    return pulse(440.0 * 2.0 ** (semitone / 12.0), lasts_s, "harmonics") * fading


def alarms():
    out = {}
    for hertz, timbre in [(3100, "sine"), (3100, "square"), (3100, "harmonics"), (2850, "sine"), (3400, "harmonics"), (520, "square"),
                          (520, "harmonics")]:
        out[f"t3 {hertz} {timbre}"] = train(pulse(hertz, 0.5, timbre), 3, 1.0, 4.0)
    out["t3 sweep"] = train(sweep(500, 1200, 0.5, "harmonics"), 3, 1.0, 4.0)
    out["t3 high sweep"] = train(sweep(2400, 3400, 0.5, "square"), 3, 1.0, 4.0)
    for hertz, timbre in [(3100, "sine"), (3300, "square"), (520, "square")]:
        out[f"t4 {hertz} {timbre}"] = train(pulse(hertz, 0.1, timbre), 4, 0.2, 5.7)
    for timbre in TIMBRES:
        out[f"din {timbre}"] = repeated([(0.0, sweep(1200, 500, 1.0, timbre))], 1.0)
    for timbre in ["sine", "harmonics", "square"]:
        out[f"whoop {timbre}"] = repeated([(0.0, sweep(500, 1200, 3.5, timbre))], 4.0)
    out["bs two"] = looped(pulse(800, 0.25, "square"), pulse(970, 0.25, "square"))
    out["bs two slow"] = looped(pulse(800, 0.5, "harmonics"), pulse(970, 0.5, "harmonics"))
    out["bs sweep"] = looped(sweep(800, 970, 1.0, "harmonics"))
    out["bs fast sweep"] = looped(sweep(800, 970, 1.0 / 7.0, "square"))
    return out


def others():
    whistle = np.sin(2.0 * np.pi * 6.0 * seconds(int(0.7 * RATE)))
    pea = np.sign(np.sin(2.0 * np.pi * 35.0 * seconds(int(0.5 * RATE))))
    return {
        "telephone us": repeated([(0.0, chord(440, 480, 2.0))], 6.0),
        "telephone uk": train(chord(400, 450, 0.4), 2, 0.6, 3.0),
        "telephone eu": repeated([(0.0, pulse(425, 1.0, "sine"))], 5.0),
        "telephone trill": repeated([(0.0, trill(1300, 1600, 11.0, 2.0))], 6.0),
        "telephone busy": repeated([(0.0, chord(480, 620, 0.5))], 1.0),
        "clock": train(pulse(2048, 0.0625, "square"), 4, 0.125, 1.0),
        "clock slow": train(pulse(2048, 0.1, "square"), 4, 0.2, 1.2),
        "clock even": repeated([(0.0, pulse(2700, 0.5, "square"))], 1.0),
        "watch": train(pulse(4096, 0.06, "square"), 2, 0.12, 1.0),
        "oven three": train(pulse(2000, 1.0, "sine"), 3, 2.0, 99.0),
        "oven four": train(pulse(2000, 0.5, "square"), 4, 1.0, 99.0),
        "oven five": train(pulse(2700, 0.5, "sine"), 5, 1.0, 99.0),
        "timer": train(pulse(3000, 0.12, "square"), 3, 0.25, 1.25),
        "lorry": repeated([(0.0, pulse(1100, 0.5, "square"))], 1.0),
        "lorry fast": repeated([(0.0, pulse(1400, 0.3, "square"))], 0.6),
        "whistle": repeated([(0.0, pulse(2600 + 60 * whistle, 0.7, "sine"))], 2.3),
        "pea whistle": repeated([(0.0, pulse(3000 + 150 * pea, 0.5, "harmonics"))], 1.7),
        "siren wail": siren(600, 1500, 5.0),
        "siren slow wail": siren(500, 1300, 7.0),
        "siren yelp": siren(600, 1500, 0.35),
        "siren two tones": looped(pulse(435, 0.55, "harmonics"), pulse(580, 0.55, "harmonics")),
        "beeps five": train(pulse(2400, 0.5, "square"), 5, 1.0, 7.0),
        "beeps four": train(pulse(2400, 0.5, "square"), 4, 1.0, 6.0),
        "beeps two": train(pulse(2400, 0.5, "square"), 2, 1.0, 4.0),
        "beeps short": train(pulse(2400, 0.1, "square"), 5, 0.2, 5.0),
        "chirp": repeated([(0.0, pulse(3100, 0.08, "sine"))], 8.0),
        "monitor": repeated([(0.0, pulse(1000, 0.12, "sine"))], 0.85),
        "melody": looped(*(note(semitone, 0.3) for semitone in [0, 4, 7, 12, 7, 4, 5, 9])),
        "piano": train(note(24, 0.9), 3, 1.0, 4.5),
        "cuckoo": repeated([(0.0, pulse(990, 0.3, "sine")), (0.45, pulse(790, 0.4, "sine"))], 1.5),
        "falling saw": looped(sweep(1200, 500, 0.5, "harmonics")),
        "rising saw": looped(sweep(500, 1200, 1.0, "harmonics")),
    }


def at_level(samples, dbfs):
    """At this level while it sounds: pauses do not count."""
    sounding = samples[np.abs(samples) > 0.02 * np.abs(samples).max()]
    return samples * common.from_db(dbfs) / common.rms(sounding)


def pink(rng, n):
    spectrum = np.fft.rfft(rng.standard_normal(n)) / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1.0 / RATE), 30.0))
    noise = np.fft.irfft(spectrum, n)
    return noise / common.rms(noise)


def in_room(rng, samples):
    """With an echo of 0.6 s, as strong as the direct sound, which comes at once."""
    n = int(0.72 * RATE)
    response = rng.standard_normal(n) * common.from_db(-60.0 * seconds(n) / 0.6)
    response[:int(0.004 * RATE)] = 0.0
    response /= np.sqrt(np.sum(response ** 2))
    response[0] = 1.0
    return fftconvolve(np.concatenate([samples, np.zeros(n)]), response)[:len(samples) + n]


def placed(samples):
    return np.concatenate([np.zeros(int(BEFORE_S * RATE)), samples, np.zeros(int(AFTER_S * RATE))])


def conditions(rng, samples, is_alarm):
    """The recordings of a sound by the name of the condition."""
    for name, dbfs, noise_dbfs in [("alone", -22, -90), ("20 dB", -22, -42), ("10 dB", -22, -32), ("room", -22, -65), ("quiet", -40, -72)]:
        if is_alarm or name in ("alone", "20 dB", "room"):
            out = placed(at_level(in_room(rng, samples) if name == "room" else samples, dbfs))
            yield name, out + pink(rng, len(out)) * common.from_db(noise_dbfs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--background", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(options.seed), []

    def write(name, samples, is_alarm):
        name = name.replace(" ", "_") + ".wav"
        common.write_sound(options.out / name, samples, RATE)
        rows.append((name, BEFORE_S if is_alarm else 0.0, BEFORE_S + LASTS_S if is_alarm else 0.0, LABEL if is_alarm else ""))

    all_alarms = alarms()
    for is_alarm, sounds in [(True, all_alarms), (False, others())]:
        for name, samples in sounds.items():
            for condition, recording in conditions(rng, samples, is_alarm):
                write(f"{'alarm' if is_alarm else 'other'} {name} {condition}", recording, is_alarm)
    for one in staged.read_table(options.background) if options.background else []:
        sound, rate = common.read_sound(one.path)
        background = resample_poly(sound, RATE, rate)
        for name in OVER:
            alarm = placed(at_level(all_alarms[name], -22))
            beside = np.resize(background, len(alarm))
            for below_db in (10, 3):
                level = common.from_db(-22 - below_db) / common.rms(beside)
                write(f"alarm {name} {one.name} {below_db} dB", alarm + beside * level, True)
    common.write_truth(options.out, rows)
    print(f"{len(rows)} recordings, {sum(1 for row in rows if row[3])} of them alarms")


if __name__ == "__main__":
    main()
