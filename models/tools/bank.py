#!/usr/bin/env python3
"""Makes the bank of a model's folder: embeddings of many kinds of sound, from which `mimid learn` tells a sound.

usage: bank.py FOLDER OUT.tsv

FOLDER holds one folder a Debian package with what is in it:

    for package in scratch widelands-data unknown-horizons tuxpaint-stamps-default lincity-ng-data searchandrescue-data simutrans-pak64 torcs-data
    do apt-get download $package && dpkg-deb --extract ${package}_*.deb FOLDER/$package; done

Of each package at most so many recordings are taken, chosen by the hash of their names; music and spoken words of translations are left out.  Of each
recording the table has one embedding a length of window: that of the loudest moment.  It needs onnxruntime beside the packages of sounds.py.
"""
import base64
import hashlib
import pathlib
import sys

import numpy as np
import onnxruntime

import sounds

MOST = 150
STEPS = 24
LEFT_OUT = ("/music", "_desc", "/locale", "Music Loops", "/voice/de", "/voice/fr")
HOP_FRAMES = 20
PAD_FRAMES = 50
#: The log-mel of digital silence.
SILENCE_DB = -100.0


def chosen(folder):
    """At most MOST recordings of each package, in the order of their names."""
    for package in sorted(p for p in folder.iterdir() if p.is_dir()):
        found = [p for p in sounds.recordings([package]) if not any(part in str(p) for part in LEFT_OUT)]
        found.sort(key=lambda p: hashlib.sha256(str(p.relative_to(folder)).encode()).hexdigest())
        yield from ((package.name, p) for p in sorted(found[:MOST]))


def embeddings(session, path):
    """For each length of window the embedding of the loudest one; None where the recording cannot be read or is silent."""
    try:
        mel = sounds.log_mel(path)
    except Exception as error:
        print(f"bank.py: {path} is left out: {error}", file=sys.stderr)
        return None
    if mel.shape[1] < 5 or mel.max() < -60:
        return None
    found = []
    for frames in sounds.WINDOW_FRAMES:
        padded = np.pad(mel, ((0, 0), (PAD_FRAMES, max(PAD_FRAMES, frames - mel.shape[1]))), constant_values=SILENCE_DB)
        power = np.concatenate([[0.0], np.cumsum((10 ** (padded / 10)).sum(axis=0))])
        starts = range(0, padded.shape[1] - frames + 1, HOP_FRAMES)
        loudest = max(starts, key=lambda start: power[start + frames] - power[start])
        window = padded[None, None, :, loudest:loudest + frames].astype(np.float32)
        found.append(session.run(["embedding"], {"logmel": window})[0][0])
    return np.stack(found)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, out = map(pathlib.Path, sys.argv[1:])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = pathlib.Path(__file__).parent.parent / "ced-tiny" / "model.onnx"
    session = onnxruntime.InferenceSession(str(model), options)
    lines = ["recording\tpackage\tembeddings"]
    for package, path in chosen(folder):
        found = embeddings(session, path)
        if found is not None:
            steps = np.clip(np.round(found * STEPS), -127, 127).astype(np.int8)
            lines.append(f"{path.name}\t{package}\t{base64.b64encode(steps.tobytes()).decode()}")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"bank.py: {len(lines) - 1} recordings", file=sys.stderr)


if __name__ == "__main__":
    main()
