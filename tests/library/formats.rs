//! Recordings of all formats, judged by other programs: the length and the level that ffmpeg and libsndfile find in the same files.
//! Where these programs are not installed, there is nothing to judge by.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mimid::capture::file::{Decoder, Findings, Status};
use mimid::capture::source::Channel;

const RATE_HZ: u32 = 16_000;

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("{program} is not installed; nothing was compared with it");
    }
    there
}

/// A WAV file of ten seconds: faint noise, and a tone from second 8 on.
fn scene(folder: &Path, channels: u16) -> PathBuf {
    let mut state = 1u32;
    let samples: Vec<i16> = (0..10 * RATE_HZ)
        .flat_map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = f64::from(n) / f64::from(RATE_HZ);
            let tone = if at >= 8.0 { 9_000.0 * (at * 2_764.6).sin() } else { 0.0 };
            let sample = (f64::from((state >> 22) as u16) - 512.0 + tone) as i16;
            std::iter::repeat_n(sample, channels.into())
        })
        .collect();
    let data = samples.len() as u32 * 2;
    let mut bytes = [b"RIFF", &(36 + data).to_le_bytes()[..], b"WAVEfmt ", &16u32.to_le_bytes(), &[1, 0]].concat();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(RATE_HZ.to_le_bytes());
    bytes.extend((RATE_HZ * u32::from(channels) * 2).to_le_bytes());
    bytes.extend([(channels * 2).to_le_bytes(), 16u16.to_le_bytes()].concat());
    bytes.extend([&b"data"[..], &data.to_le_bytes()].concat());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let path = folder.join(format!("scene{channels}.wav"));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// All samples of a recording, its rate, and what was found.
fn decode(path: &Path) -> (Vec<f32>, u32, Findings) {
    let mut decoder = Decoder::open(path, Channel::Mix, 0.0).unwrap_or_else(|error| panic!("{error}"));
    let mut samples = Vec::new();
    while decoder.read(&mut samples).unwrap_or_else(|error| panic!("{error}")) == Status::More {}
    (samples, decoder.rate_hz(), decoder.findings())
}

/// The samples that ffmpeg finds, the mean of the channels. Its own mix is louder.
fn by_ffmpeg(path: &Path, channels: u16) -> Vec<f32> {
    let arguments = ["-nostdin", "-v", "error", "-i", path.to_str().unwrap(), "-ac", &channels.to_string(), "-f", "f32le", "-"];
    let output = Command::new("ffmpeg").args(arguments).output().unwrap();
    let samples = output.stdout.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    let samples: Vec<f32> = samples.collect();
    samples.chunks_exact(channels.into()).map(|frame| frame.iter().sum::<f32>() / f32::from(channels)).collect()
}

fn encode(input: &Path, output: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(input).args(arguments).arg(output);
    // ffmpeg is built without some encoders here and there.
    command.status().unwrap().success()
}

fn level_db(samples: &[f32]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (sum / samples.len().max(1) as f64).log10()
}

/// The name of a file, and the arguments that make it.
const FORMATS: [(&str, &[&str]); 37] = [
    ("pcm16.wav", &[]),
    ("pcm8.wav", &["-c:a", "pcm_u8"]),
    ("pcm24.wav", &["-c:a", "pcm_s24le"]),
    ("pcm32.wav", &["-c:a", "pcm_s32le"]),
    ("float.wav", &["-c:a", "pcm_f32le"]),
    ("double.wav", &["-c:a", "pcm_f64le"]),
    ("alaw.wav", &["-c:a", "pcm_alaw"]),
    ("mulaw.wav", &["-c:a", "pcm_mulaw"]),
    ("ms.wav", &["-c:a", "adpcm_ms"]),
    ("ima.wav", &["-c:a", "adpcm_ima_wav"]),
    ("mp3-inside.wav", &["-c:a", "libmp3lame"]),
    ("rf64.wav", &["-rf64", "always"]),
    ("a.w64", &[]),
    ("constant.mp3", &["-b:a", "48k"]),
    ("variable.mp3", &["-q:a", "6"]),
    ("no-xing.mp3", &["-q:a", "6", "-write_xing", "0"]),
    ("a.mp2", &["-ar", "32000", "-b:a", "64k"]),
    ("a.m4a", &["-c:a", "aac"]),
    ("lossless.m4a", &["-c:a", "alac"]),
    ("fast.mp4", &["-c:a", "aac", "-movflags", "+faststart"]),
    ("a.aac", &["-c:a", "aac"]),
    ("vorbis.ogg", &["-c:a", "libvorbis"]),
    ("flac.ogg", &["-c:a", "flac"]),
    ("a.opus", &["-c:a", "libopus"]),
    ("voice.opus", &["-c:a", "libopus", "-application", "voip", "-b:a", "16k"]),
    ("opus.webm", &["-c:a", "libopus"]),
    ("vorbis.webm", &["-c:a", "libvorbis"]),
    ("aac.mkv", &["-c:a", "aac"]),
    ("pcm.mkv", &["-c:a", "pcm_s16le"]),
    ("a.flac", &[]),
    ("a.aiff", &[]),
    ("pcm.caf", &["-c:a", "pcm_s16le"]),
    ("alac.caf", &["-c:a", "alac"]),
    // These are read through ffmpeg itself.
    ("a.wma", &["-c:a", "wmav2"]),
    ("a.ac3", &["-ar", "32000"]),
    ("a.wv", &[]),
    ("a.au", &[]),
];

#[test]
fn the_length_and_the_level_are_those_that_ffmpeg_finds() {
    let folder = tempfile::tempdir().unwrap();
    if !is_there("ffmpeg") {
        return;
    }
    let mut n_compared = 0;
    for channels in [1, 2] {
        let scene = scene(folder.path(), channels);
        for (name, arguments) in FORMATS {
            let path = folder.path().join(name);
            if !encode(&scene, &path, arguments) {
                println!("{name} could not be made here");
                continue;
            }
            let (heard, rate_hz, findings) = decode(&path);
            let theirs = by_ffmpeg(&path, channels);
            let difference = heard.len().abs_diff(theirs.len());
            // A packet of the longest is 2,048 frames at this rate.
            assert!(difference <= 2_048 * rate_hz as usize / RATE_HZ as usize, "{name}: {} {}", heard.len(), theirs.len());
            let levels = (level_db(&heard), level_db(&theirs));
            assert!((levels.0 - levels.1).abs() < 0.1, "{name}: {levels:?}");
            assert_eq!(findings, Findings::default(), "{name}");
            n_compared += 1;
        }
    }
    assert!(n_compared > 40, "{n_compared}");
}

#[test]
fn the_length_is_that_which_libsndfile_finds() {
    let folder = tempfile::tempdir().unwrap();
    if !is_there("ffmpeg") || !is_there("sndfile-info") {
        return;
    }
    let scene = scene(folder.path(), 1);
    let by_libsndfile =
        ["pcm16.wav", "pcm24.wav", "ms.wav", "ima.wav", "rf64.wav", "a.w64", "a.flac", "a.aiff", "pcm.caf", "vorbis.ogg"];
    for (name, arguments) in FORMATS.iter().filter(|(name, _)| by_libsndfile.contains(name)) {
        let path = folder.path().join(name);
        assert!(encode(&scene, &path, arguments), "{name}");
        let output = Command::new("sndfile-info").arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = told.lines().find(|line| line.starts_with("Frames")).unwrap_or_else(|| panic!("{name}: {told}"));
        let theirs: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(decode(&path).0.len().abs_diff(theirs) <= 1_024, "{name}: {theirs}");
    }
}

#[test]
fn what_follows_damage_keeps_its_time() {
    let folder = tempfile::tempdir().unwrap();
    if !is_there("ffmpeg") {
        return;
    }
    let scene = scene(folder.path(), 1);
    let onset_s = |samples: &[f32], rate_hz: u32| {
        let from = samples.len() / 2;
        let loud = samples[from..].iter().position(|sample| sample.abs() > 0.15);
        loud.map_or(0.0, |at| (from + at) as f64 / f64::from(rate_hz))
    };
    for name in ["constant.mp3", "no-xing.mp3", "vorbis.ogg", "flac.ogg", "a.opus", "a.flac", "pcm16.wav", "ms.wav"] {
        let arguments = FORMATS.iter().find(|(other, _)| *other == name).unwrap().1;
        let path = folder.path().join(name);
        if !encode(&scene, &path, arguments) {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() * 2 / 5;
        bytes[middle..middle + 2_000].iter_mut().enumerate().for_each(|(n, byte)| *byte ^= (n * 37 + 91) as u8);
        std::fs::write(&path, bytes).unwrap();
        let (heard, rate_hz, findings) = decode(&path);
        let (onset_s, lasts_s) = (onset_s(&heard, rate_hz), heard.len() as f64 / f64::from(rate_hz));
        assert!((onset_s - 8.0).abs() < 0.08 && (lasts_s - 10.0).abs() < 0.15, "{name}: {onset_s} {lasts_s} {findings:?}");
        // Samples that stand for themselves hide their damage.
        let is_told = findings.incomplete.as_ref().is_some_and(|told| told.contains("at ") && told.contains("is damaged"));
        assert!(is_told || ["pcm16.wav", "ms.wav"].contains(&name), "{name}: {findings:?}");
    }
}

#[test]
fn flac_with_a_smallest_block_of_nothing_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    if !is_there("ffmpeg") {
        return;
    }
    let path = folder.path().join("a.flac");
    assert!(encode(&scene(folder.path(), 1), &path, &[]));
    let whole = decode(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8..10].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert!(decode(&path) == whole);
}

#[test]
fn joined_files_are_heard_whole() {
    let folder = tempfile::tempdir().unwrap();
    if !is_there("ffmpeg") {
        return;
    }
    let scene = scene(folder.path(), 1);
    for (name, other) in [("constant.mp3", "variable.mp3"), ("vorbis.ogg", "vorbis.ogg"), ("a.opus", "vorbis.ogg")] {
        let make = |name: &str| {
            let path = folder.path().join(name);
            let arguments = FORMATS.iter().find(|(other, _)| *other == name).unwrap().1;
            assert!(encode(&scene, &path, arguments), "{name}");
            std::fs::read(path).unwrap()
        };
        let path = folder.path().join(format!("joined-{name}"));
        std::fs::write(&path, [make(name), make(other)].concat()).unwrap();
        let (heard, rate_hz, findings) = decode(&path);
        let lasts_s = heard.len() as f64 / f64::from(rate_hz);
        assert!((lasts_s - 20.0).abs() < 0.2 && findings == Findings::default(), "{name}: {lasts_s} {findings:?}");
    }
}
