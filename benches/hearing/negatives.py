#!/usr/bin/env python3
"""Makes recordings that hold no alarm, no animal and no baby: whatever starts as one of these is false.

usage: negatives.py OUT [--minutes 60] [--seed 1]

A third is speech by espeak-ng (which must be installed), a third synthesised music, a third noise. OUT gets mono 16-bit WAV
files of at most five minutes, at 16 and at 48 kHz, and a truth.tsv that says what they do hold, for models/tools/thresholds.py. The same
seed makes the same files, given the same versions of espeak-ng and of the packages. Levels are root mean squares in dBFS.
"""
import argparse
import math
import pathlib
import subprocess
import tempfile

import numpy as np
from scipy.signal import butter, lfilter, resample_poly, sosfilt

import common

MAX_MINUTES = 5.0
RATES = [16000, 48000]

# A voice speaks its own language only: that is what false starts will come from.
SENTENCES = {
    "en-gb": ["Could you pass me the blue folder from the top shelf?",
              "The train to Norwich leaves at twenty past nine.",
              "I have never understood why the kitchen light has two switches.",
              "Three hundred and forty-two, four hundred and six.", "Well, that depends on who is asking.",
              "Please read the second page before you sign it."],
    "en-us": ["We moved the meeting to Thursday, right after lunch.", "Did anybody see where I put my keys?",
              "The forecast says it will clear up by the weekend.", "No, no, that was not what I meant at all!",
              "Take the second left, then go straight for two miles.",
              "All right, let us begin with the numbers from last month."],
    "de": ["Kannst du bitte das Fenster zumachen, es zieht.", "Der Zug nach Kassel fährt heute von Gleis sieben.",
           "Ich habe gestern den ganzen Abend gelesen.", "Und wer bezahlt das am Ende?",
           "Wir treffen uns um Viertel nach acht vor dem Rathaus."],
    "fr-fr": ["Je voudrais deux baguettes et un pain de campagne.", "Il a plu toute la nuit sur la vallée.",
              "Où est-ce que tu as rangé les ciseaux ?", "Nous partons demain matin à six heures.",
              "Ce n'est pas grave, on recommence."],
    "es": ["¿A qué hora cierra la biblioteca los viernes?", "Mañana vamos a pintar la puerta de verde.",
           "No encuentro mis gafas en ninguna parte.", "La sopa necesita un poco más de sal.",
           "Primero se lee, y después se firma."],
    "it": ["Domani pomeriggio arriva mia sorella da Torino.", "Hai già spento il forno?",
           "La strada era chiusa per lavori.", "Prendiamo un caffè prima di cominciare.",
           "Quattro, cinque, sei, e poi basta."],
    "nl": ["De trein heeft weer een kwartier vertraging.", "Zullen we vanavond buiten eten?",
           "Ik heb het boek nog niet uit.", "De sleutel ligt onder de bloempot."],
    "sv": ["Kan du köpa mjölk på vägen hem?", "Vi ses utanför stationen klockan fem.",
           "Jag glömde mitt paraply på bussen."],
    "pl": ["Czy możesz otworzyć okno w kuchni?", "Jutro rano jedziemy nad morze.",
           "Proszę podpisać na drugiej stronie."],
    "pt-br": ["A reunião foi adiada para a próxima semana.", "Você viu onde deixei o casaco?",
              "O bolo fica pronto em meia hora."],
    "tr": ["Yarın sabah erkenden yola çıkacağız.", "Bu kitabı daha önce okumuş muydun?", "Çay hazır, hadi gelin."],
    "ru": ["Завтра утром мы едем за город.", "Ты не видел мои очки?", "Поезд отходит через десять минут."],
}
VARIANTS = ["", "+m1", "+m3", "+m5", "+m7", "+f1", "+f2", "+f3", "+f4", "+klatt2"]

# Semitones above the root; chords are built of every second note of these.
SCALES = {"major": [0, 2, 4, 5, 7, 9, 11], "minor": [0, 2, 3, 5, 7, 8, 10], "dorian": [0, 2, 3, 5, 7, 9, 10]}
PROGRESSIONS = [[0, 4, 5, 3], [0, 3, 4, 4], [0, 5, 3, 4], [1, 4, 0, 0], [0, 6, 5, 4]]


def at_level(samples, db):
    """At that root mean square level, but never beyond full scale."""
    return common.below_full_scale(samples * (common.from_db(db) / common.rms(samples)))


def add(out, at, samples):
    """Lays samples onto `out` from the index `at`; what goes beyond the end is left out."""
    kept = max(0, min(len(samples), len(out) - at))
    out[at:at + kept] += samples[:kept]


def faded(samples, rate, seconds=0.02):
    """Without a click at either end."""
    n = min(len(samples) // 2, int(seconds * rate))
    ramp = np.linspace(0.0, 1.0, n)
    samples = samples.copy()
    samples[:n] *= ramp
    samples[len(samples) - n:] *= ramp[::-1]
    return samples


# Speech ------------------------------------------------------------------------------------------------------------------------


def utterance(rng, rate):
    language = str(rng.choice(list(SENTENCES)))
    voice = language + str(rng.choice(VARIANTS))
    sentences = rng.choice(SENTENCES[language], size=rng.integers(1, 4), replace=False)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(rng.integers(110, 240)), "-p", str(rng.integers(10, 90)),
                        "-w", file.name, " ".join(sentences)], check=True)
        samples, spoken_rate = common.read_sound(file.name)
    shared = math.gcd(rate, spoken_rate)
    return resample_poly(samples, rate // shared, spoken_rate // shared)


def speech(rng, n, rate):
    out = np.zeros(n)
    # One file in two has a noise behind it, as a room has.
    if rng.random() < 0.5:
        out += at_level(coloured(rng, n, rng.uniform(0.5, 1.0)), rng.uniform(-65, -45))
    at = int(rng.uniform(0.2, 2.0) * rate)
    while at < n:
        said = at_level(utterance(rng, rate), rng.uniform(-45, -16))
        add(out, at, said)
        # Now and then two speak at once.
        pause = rng.uniform(0.2, 5.0) if rng.random() < 0.85 else -0.5 * len(said) / rate
        at += len(said) + int(pause * rate)
    return out


# Music -------------------------------------------------------------------------------------------------------------------------


def hertz(note):
    """The frequency of a MIDI note number."""
    return 440.0 * 2.0 ** ((note - 69) / 12.0)


def plucked(rng, note, seconds, rate):
    """Karplus and Strong's string: a burst of noise goes round in a delay that softens it."""
    # The mean of two neighbours delays by half a sample more.
    delay = max(2, round(rate / hertz(note) - 0.5))
    burst = np.zeros(int(seconds * rate))
    burst[:delay] = rng.uniform(-1.0, 1.0, delay)[:len(burst)]
    loop = np.zeros(delay + 2)
    loop[0], loop[delay], loop[delay + 1] = 1.0, -0.498, -0.498
    return lfilter([1.0], loop, burst)


def organ(rng, note, seconds, rate):
    """Harmonics that begin together and hold."""
    t = np.arange(int(seconds * rate)) / rate
    harmonics = [(k, gain) for k, gain in [(1, 1.0), (2, 0.6), (3, 0.35), (4, 0.25), (6, 0.12), (8, 0.08)]
                 if k * hertz(note) < 0.45 * rate]
    tone = sum(gain * np.sin(2.0 * np.pi * k * hertz(note) * t + rng.uniform(0.0, 6.28)) for k, gain in harmonics)
    return faded(tone * 0.4, rate, 0.03)


def bells(rng, note, seconds, rate):
    """An electric piano: one sine shakes the phase of another, the less the longer it sounds."""
    t = np.arange(int(seconds * rate)) / rate
    shake = 1.5 * np.exp(-3.0 * t) * np.sin(2.0 * np.pi * 2.0 * hertz(note) * t)
    return faded(0.7 * np.exp(-1.8 * t) * np.sin(2.0 * np.pi * hertz(note) * t + shake), rate, 0.004)


def bass(rng, note, seconds, rate):
    t = np.arange(int(seconds * rate)) / rate
    phase = 2.0 * np.pi * hertz(note) * t
    return faded(0.9 * np.exp(-1.2 * t) * (np.sin(phase) + 0.3 * np.sin(2.0 * phase) + 0.15 * np.sin(3.0 * phase)), rate, 0.008)


def kick(rng, rate):
    t = np.arange(int(0.25 * rate)) / rate
    # From 130 Hz down to 45 Hz; the phase is the integral of that.
    return 1.2 * np.exp(-14.0 * t) * np.sin(2.0 * np.pi * (45.0 * t + 85.0 / 30.0 * (1.0 - np.exp(-30.0 * t))))


def snare(rng, rate):
    t = np.arange(int(0.2 * rate)) / rate
    return np.exp(-20.0 * t) * (0.5 * rng.standard_normal(len(t)) + 0.5 * np.sin(2.0 * np.pi * 185.0 * t))


def hat(rng, rate):
    t = np.arange(int(0.08 * rate)) / rate
    return 0.3 * np.exp(-60.0 * t) * np.diff(rng.standard_normal(len(t) + 1))


def piece(rng, seconds, rate):
    """Four chords round and round: an accompaniment, maybe a melody, a bass and drums."""
    scale = SCALES[str(rng.choice(list(SCALES)))]
    root, beat = int(rng.integers(43, 55)), 60.0 / rng.uniform(60.0, 170.0)
    chords = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    comping, lead = rng.choice([plucked, organ, bells], 2)
    arpeggio, has_lead, has_bass, has_drums = rng.random(4) < [0.6, 0.7, 0.7, 0.6]
    beats_a_bar = int(rng.choice([3, 4, 4]))
    tone = lambda degree: root + 12 * (degree // 7) + scale[degree % 7]

    out, made = np.zeros(int(seconds * rate)), {}

    def play(instrument, note, at_beat, beats, gain):
        # A note of the same length sounds the same again: making it once is what makes this quick.
        key = (instrument, note, beats)
        if key not in made:
            made[key] = instrument(rng, note, beats * beat, rate)
        add(out, int((at_beat * beat + 0.006 * rng.random()) * rate), gain * rng.uniform(0.7, 1.0) * made[key])

    drums = {name: drum(rng, rate) for name, drum in (("kick", kick), ("snare", snare), ("hat", hat))}
    degree = 7
    for bar in range(int(seconds / beat / beats_a_bar) + 1):
        chord, start = chords[bar % len(chords)], bar * beats_a_bar
        for k in range(2 * beats_a_bar if arpeggio else 3):
            triad = chord + 2 * (k % 3)
            play(comping, tone(triad), *((start + k / 2, 1.5) if arpeggio else (start, beats_a_bar)), 0.35)
        if has_bass:
            for k in (0, beats_a_bar // 2):
                play(bass, tone(chord) - 12, start + k, 1, 0.6)
        for k in range(beats_a_bar):
            if has_lead and rng.random() < 0.75:
                degree = int(np.clip(degree + rng.integers(-2, 3), 5, 16))
                play(lead, tone(degree), start + k, float(rng.choice([0.5, 1.0, 2.0])), 0.45)
            if has_drums:
                for name, offset in [("kick" if k % 2 == 0 else "snare", 0.0), ("hat", 0.0), ("hat", 0.5)]:
                    add(out, int((start + k + offset) * beat * rate), rng.uniform(0.6, 1.0) * drums[name])
    return faded(out, rate, 0.5)


def music(rng, n, rate):
    out, at = np.zeros(n), 0
    while at < n:
        played = at_level(piece(rng, rng.uniform(25.0, 60.0), rate), rng.uniform(-40, -15))
        add(out, at, played)
        at += len(played) + int(rng.uniform(0.5, 3.0) * rate)
    return out


# Noise -------------------------------------------------------------------------------------------------------------------------


def coloured(rng, n, slope):
    """Noise whose amplitude falls with the frequency to the power of `slope`: 0 white, 0.5 pink, 1 brown."""
    frequencies = np.fft.rfftfreq(n)
    # Nothing below a 2000th of the rate, or brown noise would be all drift.
    weights = np.maximum(frequencies, 1.0 / 2000.0) ** -slope
    weights[0] = 0.0
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * weights, n)


def swell(rng, n, rate, every_s, db):
    """A gain that wanders by up to `db` decibels, a new aim every so many seconds."""
    aims = rng.uniform(-db, 0.0, int(n / rate / every_s) + 3)
    return common.from_db(np.interp(np.arange(n) / (every_s * rate), np.arange(len(aims)), aims))


def band(rng, n, rate):
    low = rng.uniform(60.0, 2500.0)
    return sosfilt(butter(2, [low, min(low * rng.uniform(1.5, 5.0), 0.45 * rate)], "bandpass", fs=rate, output="sos"),
                   rng.standard_normal(n))


def wind(rng, n, rate):
    gusts = swell(rng, n, rate, rng.uniform(0.8, 2.5), 20.0)
    return gusts * sosfilt(butter(1, rng.uniform(150.0, 600.0), fs=rate, output="sos"), coloured(rng, n, 0.7))


def traffic(rng, n, rate):
    """A far road, and cars that come and go: the nearer, the brighter."""
    out, t = 0.15 * at_level(coloured(rng, n, 0.9), -20), np.arange(n) / rate
    for _ in range(max(1, int(n / rate / 9.0))):
        passing = np.exp(-0.5 * ((t - rng.uniform(0.0, n / rate)) / rng.uniform(0.8, 2.5)) ** 2)
        out += rng.uniform(0.2, 1.0) * passing * at_level(sosfilt(butter(1, [80.0, rng.uniform(600.0, 1500.0)], "bandpass", fs=rate,
                                                                         output="sos"), rng.standard_normal(n)), -20)
    return out


def hum(rng, n, rate):
    t, mains = np.arange(n) / rate, float(rng.choice([50.0, 60.0]))
    tones = sum(rng.uniform(0.2, 1.0) / k * np.sin(2.0 * np.pi * k * mains * t + rng.uniform(0.0, 6.28)) for k in range(1, 13))
    return tones + 0.05 * coloured(rng, n, 0.5)


def fan(rng, n, rate):
    """Air, and the blades that pass: some tens of times a second."""
    blades = rng.uniform(20.0, 120.0) * np.arange(n) / rate
    air = at_level(sosfilt(butter(1, rng.uniform(400.0, 2000.0), fs=rate, output="sos"), coloured(rng, n, 0.5)), -20)
    return air * (1.0 + 0.3 * np.sin(2.0 * np.pi * blades)) + 0.02 * np.sin(2.0 * np.pi * blades + 1.0)


def crackle(rng, n, rate):
    """An old record: clicks at random, of all sizes, over a hiss."""
    clicks = np.zeros(n)
    at = rng.integers(0, n, int(n / rate * rng.uniform(3.0, 25.0)))
    clicks[at] = rng.standard_normal(len(at)) * rng.exponential(1.0, len(at))
    return lfilter([1.0], [1.0, -0.6], clicks) + 0.01 * rng.standard_normal(n)


NOISES = [lambda rng, n, rate: rng.standard_normal(n), lambda rng, n, rate: coloured(rng, n, 0.5),
          lambda rng, n, rate: coloured(rng, n, 1.0), band, wind, traffic, hum, fan, crackle]


def noise(rng, n, rate):
    out, at = np.zeros(n), 0
    while at < n:
        # Each kind comes once before any comes twice.
        for kind in rng.permutation(len(NOISES)):
            length = int(rng.uniform(12.0, 40.0) * rate)
            made = at_level(NOISES[kind](rng, length, rate), rng.uniform(-60, -20))
            add(out, min(at, n), faded(made, rate, rng.uniform(0.05, 1.0)))
            # Every other one runs into the next.
            at += length + int(rng.choice([-0.5, 1.5]) * rate)
    return out


KINDS = [speech, music, noise]
# What a file of each kind is or passes for, by the names of the ontology.
HOLDS = {
    "speech": ["Human voice"],
    "music": ["Music"],
    "noise": [
        "Noise", "Wind", "Vehicle", "Engine", "Mechanical fan", "Hum", "Mains hum", "Static", "Environmental noise", "White noise",
        "Pink noise", "Rain", "Waves, surf", "Waterfall", "Crackle", "Fire",
    ],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    truth = []
    of_each = math.ceil(args.minutes / len(KINDS) / MAX_MINUTES)
    for k, kind in enumerate(KINDS):
        for i in range(of_each):
            rate = RATES[i % len(RATES)]
            # A generator for each file, so that no file hangs on how many come before it.
            samples = kind(np.random.default_rng([args.seed, k, i]), round(args.minutes * 60.0 / len(KINDS) / of_each * rate), rate)
            name = f"{kind.__name__}{i:02}.wav"
            common.write_sound(args.out / name, samples, rate)
            truth.extend((name, 0.0, len(samples) / rate, label) for label in HOLDS[kind.__name__])
    common.write_truth(args.out, truth)


if __name__ == "__main__":
    main()
