"""The log-mel of kaldi-native-fbank with mimid's parameters, for a comparison; prints the CPU seconds that it took.

usage: kaldi.py SECONDS. Needs the packages of requirements.txt.

Its C++ is called from Python, which turns every sample of a list into a float first. The cost of that is measured by the same
call of a class that only cuts the samples into frames, and is printed as well, so that it can be taken off.
"""
import json
import random
import sys
import time

import kaldi_native_fbank as kaldi


def parameters():
    """A 32 ms window every 10 ms, 64 bands of the HTK scale, the logarithm of the power; nothing done to the samples before."""
    options = kaldi.FbankOptions()
    frame = options.frame_opts
    frame.samp_freq, frame.frame_length_ms, frame.frame_shift_ms = 16_000, 32, 10
    frame.dither, frame.preemph_coeff, frame.remove_dc_offset = 0.0, 0.0, False
    frame.window_type, frame.snip_edges = "hann", False
    mel = options.mel_opts
    mel.num_bins, mel.low_freq, mel.high_freq, mel.htk_mode = 64, 0.0, 8_000.0, True
    options.use_energy, options.use_power, options.use_log_fbank = False, True, True
    return options


def cutting():
    options = kaldi.RawAudioSamplesOptions()
    frame = options.frame_opts
    frame.samp_freq, frame.frame_length_ms, frame.frame_shift_ms, frame.snip_edges = 16_000, 32, 10, False
    return options


def cpu_s(make, samples, minutes):
    began = time.process_time()
    for _ in range(minutes):
        make().accept_waveform(16_000, samples)
    return time.process_time() - began


def main():
    minutes = int(sys.argv[1]) // 60
    generator = random.Random(1)
    samples = [generator.uniform(-0.05, 0.05) for _ in range(16_000 * 60)]
    whole = cpu_s(lambda: kaldi.OnlineFbank(parameters()), samples, minutes)
    call = cpu_s(lambda: kaldi.OnlineRawAudioSamples(cutting()), samples, minutes)
    print(json.dumps({"cpu_s": whole, "call_cpu_s": call}))


main()
