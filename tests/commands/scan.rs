//! `mimid scan` on good recordings, bad ones, and long ones.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{RINGTONE, VOICE, failure, mimid, onnx, run, until, wav, wav_of_too_many_channels};

fn scan(arguments: &[&str], files: &[&Path]) -> (i32, String, String) {
    let output = run(mimid().arg("scan").args(arguments).args(files));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr).trim_end().to_owned())
}

#[test]
fn a_voice_and_a_telephone_are_heard() {
    let (code, out, _) = scan(&["--format", "tsv"], &[Path::new(VOICE), Path::new(RINGTONE)]);
    assert_eq!(code, 0);
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("filename\tonset\toffset\tevent_label\tscore"));
    let events: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    let find = |file: &str, label: &str| {
        events.iter().find(|event| event[0] == file && event[3] == label).unwrap_or_else(|| panic!("{out}"))
    };
    let speech = find(VOICE, "Speech");
    // The recording lasts 1.43 s, and the voice begins at once.
    assert!(speech[1].parse::<f64>().unwrap() < 0.3 && speech[2].parse::<f64>().unwrap() > 1.0, "{out}");
    assert!(speech[4].parse::<f64>().unwrap() > 0.6, "{out}");
    find(RINGTONE, "Ringtone");
}

#[test]
fn a_voice_with_pauses_of_four_seconds_is_an_event_each_time_wherever_windows_begin() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(VOICE).unwrap();
    let voice: Vec<i16> = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let (config, length_s) = (folder.path().join("c.toml"), voice.len() as f64 / 48_000.0);
    fs::write(&config, "[report]\nlabels = [\"Speech\"]\n").unwrap();
    for lead_ms in [0, 100, 230, 350] {
        let mut samples = vec![0; lead_ms * 48];
        for _ in 0..6 {
            samples.extend(&voice);
            samples.extend([0; 4 * 48_000]);
        }
        let path = folder.path().join("voices.wav");
        fs::write(&path, wav(&samples, 48_000, 1)).unwrap();
        let (code, out, _) = scan(&["--format", "tsv", "--config", config.to_str().unwrap()], &[&path]);
        assert_eq!(code, 0);
        let events: Vec<Vec<&str>> = out.lines().skip(1).map(|line| line.split('\t').collect()).collect();
        assert_eq!(events.len(), 6, "{lead_ms} ms: {out}");
        for (n, event) in events.iter().enumerate() {
            let (onset, offset) = (event[1].parse::<f64>().unwrap(), event[2].parse::<f64>().unwrap());
            let began = lead_ms as f64 / 1e3 + n as f64 * (length_s + 4.0);
            assert!((onset - began).abs() < 0.2 && (offset - began - length_s).abs() < 0.3, "{lead_ms} ms: {out}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_recording_is_one_sentence_and_the_others_are_scanned() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let voice = fs::read(VOICE).unwrap();
    let (beyond, too_many) = wav_of_too_many_channels();
    let bad: Vec<(PathBuf, &str)> = vec![
        (folder.path().join("missing.wav"), "there is no such file"),
        (folder.path().to_owned(), "this is a folder, not a recording"),
        (make("empty.wav", b""), "the file is empty"),
        (make("text.wav", b"this is not a recording at all, but some text"), "this is no recording in a format that is known"),
        (make("noise.mp3", &[0x5a; 5_000]), "this is no recording in a format that is known"),
        (make("header.wav", &wav(&[], 16_000, 1)), "there is no sound in the file"),
        (
            make("slow.wav", &wav(&[0; 4_000], 400, 1)),
            "a sample rate of 400 Hz is not supported; it must be from 1000 to 768000 Hz",
        ),
        (make("truncated.wav", &voice[..voice.len() / 2]), "is truncated; what it holds was scanned"),
        (make("channels.wav", &beyond), too_many),
    ];
    let mut files: Vec<&Path> = bad.iter().map(|(path, _)| path.as_path()).collect();
    files.push(Path::new(RINGTONE));
    // Half a word is less sure to be speech than a whole one.
    let config = make("c.toml", b"[labels.\"Speech\"]\nthreshold = 0.3");
    let (code, out, err) = scan(&["--format", "jsonl", "--config", config.to_str().unwrap()], &files);
    assert_eq!(code, 1);
    let sentences: Vec<&str> = err.lines().collect();
    assert_eq!(sentences.len(), bad.len() + 1, "{err}");
    for ((path, what), sentence) in bad.iter().zip(&sentences) {
        assert!(sentence.contains(path.to_str().unwrap()) && sentence.contains(what), "{sentence}\nexpected {what}");
    }
    assert_eq!(sentences[bad.len()], format!("mimid: {} of {} recordings could not be scanned whole", bad.len(), files.len()));
    // The truncated recording was heard as far as it goes, and the good one whole.
    let events: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        events.iter().any(|event| event["label"] == "Speech" && event["file"].as_str().unwrap().ends_with("truncated.wav")),
        "{out}"
    );
    assert!(events.iter().any(|event| event["label"] == "Ringtone"), "{out}");
}

#[test]
fn odd_recordings_are_scanned() {
    let folder = tempfile::tempdir().unwrap();
    let sine = |n: usize, rate: f64| (0..n).map(|i| ((i as f64 * 6_283.0 / rate).sin() * 8_000.0) as i16).collect::<Vec<_>>();
    let eight: Vec<i16> = sine(48_000, 48_000.0).iter().flat_map(|sample| [*sample; 8]).collect();
    let recordings = [
        ("one.wav", wav(&[1_000], 16_000, 1)),
        ("silent.wav", wav(&[0; 48_000], 16_000, 1)),
        ("1k.wav", wav(&sine(20_000, 10_000.0), 1_000, 1)),
        ("768k.wav", wav(&sine(768_000, 768_000.0), 768_000, 1)),
        ("8k.wav", wav(&sine(16_000, 8_000.0), 8_000, 1)),
        ("192k.wav", wav(&sine(192_000, 192_000.0), 192_000, 1)),
        ("8ch.wav", wav(&eight, 48_000, 8)),
    ];
    let paths: Vec<PathBuf> = recordings.iter().map(|(name, _)| folder.path().join(name)).collect();
    for ((_, bytes), path) in recordings.iter().zip(&paths) {
        fs::write(path, bytes).unwrap();
    }
    let files: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let (code, out, err) = scan(&["--format", "tsv"], &files);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(!out.contains("silent.wav") && !out.contains("one.wav"), "{out}");
}

/// Noise of a few LSB at 16 kHz, with tones of 1 kHz from second to second.
fn scene(seconds: usize, tones: &[(f64, f64)]) -> Vec<u8> {
    let mut state = 1u32;
    let samples: Vec<i16> = (0..seconds * 16_000)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = i as f64 / 16_000.0;
            let tone = if tones.iter().any(|(from, to)| (*from..*to).contains(&at)) { 6_000.0 } else { 0.0 };
            (f64::from((state >> 26) as u16) - 32.0 + tone * (at * 6_283.0).sin()) as i16
        })
        .collect();
    wav(&samples, 16_000, 1)
}

#[test]
fn beeps_have_their_true_onsets_and_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("beeps.wav"), folder.path().join("c.toml"));
    let beeps = [(4.0, 4.6), (7.53, 8.4), (12.0, 13.5)];
    fs::write(&path, scene(16, &beeps)).unwrap();
    fs::write(&config, "[report]\nlabels = [\"Beep, bleep\"]").unwrap();
    let (code, out, err) = scan(&["--format", "jsonl", "--config", config.to_str().unwrap()], &[&path]);
    assert_eq!((code, err.as_str()), (0, ""));
    let events: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), beeps.len(), "{out}");
    for (event, (from, to)) in events.iter().zip(beeps) {
        let number = |key: &str| event[key].as_f64().unwrap();
        let (onset, offset) = (number("onset") - from, number("offset") - to);
        assert!(onset.abs() <= 0.06 && offset.abs() <= 0.12, "{from}–{to}: {event}");
        assert!(onset.abs() * 1_000.0 <= number("onset_uncertainty_ms") + 20.0, "{event}");
        let announced = number("announced") - from;
        // At once, or when the confirmed score is known.
        assert!((0.0..=3.0).contains(&announced), "{event}");
        assert_eq!((event["reason"].as_str(), event["also"].as_array().map(Vec::len)), (Some("decay"), Some(0)));
    }
}

/// Beeps of a square wave after two seconds of faint noise: `count` of them, `on` seconds each `period`, again after `cycle` seconds.
fn beeps(hz: f64, on: f64, period: f64, count: usize, cycle: f64) -> Vec<u8> {
    let mut state = 1u32;
    let samples: Vec<i16> = (0..18 * 16_000)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = i as f64 / 16_000.0 - 2.0;
            let is_on = (0.0..14.0).contains(&at) && at % cycle < count as f64 * period && at % cycle % period < on;
            let harmonics = [1.0, 3.0, 5.0, 7.0].into_iter().filter(|k| k * hz < 7_800.0);
            let tone: f64 = harmonics.map(|k| (std::f64::consts::TAU * k * hz * at).sin() / k).sum();
            (f64::from((state >> 26) as u16) - 32.0 + if is_on { 6_000.0 * tone } else { 0.0 }) as i16
        })
        .collect();
    wav(&samples, 16_000, 1)
}

#[test]
fn a_smoke_alarm_is_told_by_its_pattern_and_other_beeps_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    fs::write(&config, "[report]\nlabels = [\"Smoke detector, smoke alarm\", \"Fire alarm\"]").unwrap();
    let told = |name: &str, recording: Vec<u8>| {
        let path = folder.path().join(name);
        fs::write(&path, recording).unwrap();
        let (code, out, err) = scan(&["--format", "jsonl", "--config", config.to_str().unwrap()], &[&path]);
        assert_eq!((code, err.as_str()), (0, ""));
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let alarms = [("smoke.wav", beeps(3_100.0, 0.5, 1.0, 3, 4.0)), ("monoxide.wav", beeps(3_300.0, 0.1, 0.2, 4, 5.7))];
    for (name, recording) in alarms {
        let events = told(name, recording);
        let is_sure = |event: &serde_json::Value| {
            let number = |key: &str| event[key].as_f64().unwrap();
            // The pulse that would be the fourth of three, or the fifth of four, must not have come.
            number("announced") <= 5.3 && number("offset") > 10.0 && number("peak_score") > 0.5
        };
        assert!(events.iter().any(is_sure), "{name}: {events:?}");
    }
    let others = [
        ("telephone.wav", beeps(440.0, 2.0, 6.0, 1, 6.0)),
        ("clock.wav", beeps(2_048.0, 0.0625, 0.125, 4, 1.0)),
        ("lorry.wav", beeps(1_100.0, 0.5, 1.0, 99, 99.0)),
    ];
    for (name, recording) in others {
        let events = told(name, recording);
        assert!(events.is_empty(), "{name}: {events:?}");
    }
}

#[test]
fn a_steady_noise_does_not_flicker() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("noise.wav"), folder.path().join("c.toml"));
    let mut state = 1u32;
    let noise: Vec<i16> = (0..90 * 16_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 19) as i16) - 4_096
        })
        .collect();
    fs::write(&path, wav(&noise, 16_000, 1)).unwrap();
    // Low thresholds for what such a noise passes for.
    fs::write(&config, "[report]\nlabels = [\"White noise\", \"Noise\", \"Static\", \"Rain\"]\n[defaults]\nthreshold = 0.05")
        .unwrap();
    let (code, out, _) = scan(&["--format", "tsv", "--unconfirmed", "--config", config.to_str().unwrap()], &[&path]);
    assert_eq!(code, 0);
    let events: Vec<Vec<&str>> = out.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let longest = events.iter().map(|row| row[2].parse::<f64>().unwrap() - row[1].parse::<f64>().unwrap()).fold(0.0, f64::max);
    assert!(longest > 80.0 && events.len() <= 4, "{out}");
}

#[test]
fn the_score_curve_abuts_from_start_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let curves = folder.path().join("curves");
    let (code, _, err) = scan(&["--scores", curves.to_str().unwrap()], &[Path::new(VOICE)]);
    assert_eq!((code, err.as_str()), (0, ""));
    let text = fs::read_to_string(curves.join("Front_Center.tsv")).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split('\t').collect();
    assert_eq!((head[0], head[1], head[2], head.len()), ("onset", "offset", "Speech", 529));
    let mut until = 0.0;
    let mut best: f64 = 0.0;
    for line in lines {
        let row: Vec<f64> = line.split('\t').map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(row.len(), 529);
        assert!(row[0] == until && row[1] > row[0], "{line}");
        until = row[1];
        best = best.max(row[2]);
    }
    assert!((until - 1.428).abs() < 0.01 && best > 0.6, "{until} {best}");
}

#[test]
fn two_recordings_of_one_name_do_not_share_a_table_of_scores() {
    let folder = tempfile::tempdir().unwrap();
    let curves = folder.path().join("curves");
    let (code, out, err) = scan(&["--scores", curves.to_str().unwrap()], &[Path::new("a/dog.wav"), Path::new("b/dog.flac")]);
    let told = "a/dog.wav and b/dog.flac would both write the table of \"dog\"; scan them into folders of their own";
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains(told) && !curves.exists(), "{err}");
}

#[test]
fn an_hour_is_scanned_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hour.wav");
    // Quiet noise at 8 kHz: an hour of it is 58 MB, which must not all be held. A model that costs little keeps this quick.
    let mut state = 1u32;
    let noise: Vec<i16> = (0..3_600 * 8_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as i16
        })
        .collect();
    fs::write(&path, wav(&noise, 8_000, 1)).unwrap();
    onnx::folder(folder.path(), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
    fs::write(folder.path().join("c.toml"), format!("[model]\ndir = {:?}\n[report]\npreset = \"all\"", folder.path())).unwrap();
    // A ceiling on the address space fails whoever reads it all; libonnxruntime and its threads need about 300 MB of it.
    let command = format!(
        "ulimit -v 700000; exec {} scan --config {}/c.toml {}",
        env!("CARGO_BIN_EXE_mimid"),
        folder.path().display(),
        path.display()
    );
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/runtime/libonnxruntime.so");
    let output = std::process::Command::new("bash").arg("-c").arg(&command).env("MIMID_ONNXRUNTIME", library).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let command = format!("exec {} scan --format tsv {VOICE} >/dev/full", env!("CARGO_BIN_EXE_mimid"));
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shell = std::process::Command::new("bash");
    shell.arg("-c").arg(command).env("MIMID_MODELS", project.join("models"));
    shell.env("MIMID_ONNXRUNTIME", project.join("models/runtime/libonnxruntime.so"));
    let (code, message) = failure(&mut shell);
    assert_eq!(code, 1);
    assert_eq!(message, "mimid: the output could not be written: No space left on device (os error 28)");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let command = format!("{} labels | head -1", env!("CARGO_BIN_EXE_mimid"));
    let mut shell = std::process::Command::new("bash");
    shell.args(["-o", "pipefail", "-c", &command]).env("MIMID_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    let output = run(&mut shell);
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

/// A configuration with this number of threads, in this folder.
fn threads(folder: &Path, n: usize) -> String {
    let config = folder.join(format!("{n}.toml"));
    fs::write(&config, format!("[model]\nthreads = {n}\n[report]\npreset = \"all\"\n")).unwrap();
    config.to_str().unwrap().to_owned()
}

#[test]
fn any_number_of_threads_prints_the_same_in_the_order_of_the_recordings() {
    let folder = tempfile::tempdir().unwrap();
    // The longest comes first, so that the lanes are done with others before it.
    let (long, text, short) = (folder.path().join("long.wav"), folder.path().join("text.wav"), folder.path().join("short.wav"));
    fs::write(&long, scene(14, &[(2.0, 2.6), (5.53, 6.4), (11.0, 12.5)])).unwrap();
    fs::write(&text, "this is not a recording at all, but some text").unwrap();
    fs::write(&short, scene(3, &[(1.0, 1.5)])).unwrap();
    let files = [long.as_path(), Path::new(VOICE), &text, &short, Path::new(RINGTONE), Path::new(VOICE)];
    let scan =
        |n: usize, files: &[&Path]| scan(&["--format", "jsonl", "--unconfirmed", "--config", &threads(folder.path(), n)], files);
    let (code, out, err) = scan(4, &files);
    assert_eq!(code, 1);
    let sentences: Vec<&str> = err.lines().collect();
    assert_eq!(sentences.len(), 2, "{err}");
    assert!(sentences[0].contains(text.to_str().unwrap()) && sentences[0].contains("no recording in a format that is known"));
    assert_eq!(sentences[1], "mimid: 1 of 6 recordings could not be scanned whole");
    let events: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut named: Vec<&str> = events.iter().map(|event| event["file"].as_str().unwrap()).collect();
    named.dedup();
    assert_eq!(named, [files[0].to_str().unwrap(), VOICE, files[3].to_str().unwrap(), RINGTONE, VOICE]);
    assert_eq!(scan(1, &files), (code, out.clone(), err));
    // A thread that is left over helps, and changes nothing either.
    let (code, own, _) = scan(2, &[&long]);
    assert!(code == 0 && out.starts_with(&own) && own.lines().count() > 2, "{own}\n\n{out}");
}

#[test]
fn a_reader_that_goes_away_ends_every_lane() {
    let folder = tempfile::tempdir().unwrap();
    // More is found in each recording than may wait for its printing: a square wave of 0.5 s in every 2 s, loud enough for the model
    // that costs nothing, in a recording whose name is long.
    let long = folder.path().join([["long"; 60].concat().as_str(); 12].join("/"));
    fs::create_dir_all(&long).unwrap();
    let samples: Vec<i16> = (0..100 * 8_000)
        .map(|i| {
            if i / 4_000 % 4 > 0 {
                0
            } else if i / 16 % 2 == 0 {
                20_000
            } else {
                -20_000
            }
        })
        .collect();
    let paths: Vec<PathBuf> = (0..3).map(|n| long.join(format!("{n}.wav"))).collect();
    for path in &paths {
        fs::write(path, wav(&samples, 8_000, 1)).unwrap();
    }
    onnx::folder(folder.path(), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
    let config = folder.path().join("c.toml");
    fs::write(&config, format!("[model]\ndir = {:?}\nthreads = 3\n[report]\npreset = \"all\"", folder.path())).unwrap();
    let mut command = mimid();
    command.args(["scan", "--format", "jsonl", "--config"]).arg(&config).args(&paths);
    let whole = run(&mut command);
    assert!(whole.status.success() && whole.stdout.len() > 3 * 200_000, "{} bytes", whole.stdout.len());
    // One reader takes nothing at all, one a line, and one nearly all of the first recording, when the other lanes wait for the printing.
    let n_of_one = whole.stdout.iter().filter(|byte| **byte == b'\n').count() / 3;
    for n_lines in [0, 1, n_of_one - 5] {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..n_lines {
            reader.read_line(&mut String::new()).unwrap();
        }
        drop(reader);
        until("every lane to end", || child.try_wait().unwrap());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
    }
}

#[test]
fn audacity_labels_are_for_one_recording() {
    let (code, out, _) = scan(&["--format", "audacity"], &[Path::new(VOICE)]);
    assert_eq!(code, 0);
    assert!(out.lines().any(|line| line.ends_with("\tSpeech") && line.split('\t').count() == 3), "{out}");
    let (code, _, err) = scan(&["--format", "audacity"], &[Path::new(VOICE), Path::new(RINGTONE)]);
    assert_eq!(code, 2);
    assert!(err.contains("one at a time"), "{err}");
}
