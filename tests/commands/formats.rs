//! The formats of recordings: that each is heard whole, at its own times, whatever its header says.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{VOICE, failure, mimid, run, wav};

/// A scan: the exit code, the seconds of sound that were heard, the events as onset and label, and the sentences.
struct Heard {
    code: i32,
    seconds: f64,
    events: Vec<(f64, String)>,
    told: String,
}

fn hear(path: &Path, arguments: &[&str]) -> Heard {
    let scores = tempfile::tempdir().unwrap();
    let mut command = mimid();
    command.args(["scan", "--format", "tsv", "--scores"]).arg(scores.path()).args(arguments).arg(path);
    let output = run(&mut command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let table = scores.path().join(path.file_stem().unwrap()).with_extension("tsv");
    let table = fs::read_to_string(table).unwrap_or_default();
    let seconds = table.lines().last().and_then(|row| row.split('\t').nth(1)?.parse().ok()).unwrap_or(0.0);
    let out = text(&output.stdout);
    let rows = out.lines().skip(1).map(|row| row.split('\t').collect::<Vec<_>>());
    let events = rows.map(|row| (row[1].parse().unwrap(), row[3].to_owned())).collect();
    Heard { code: output.status.code().unwrap(), seconds, events, told: text(&output.stderr) }
}

#[test]
fn a_wav_is_heard_to_its_end_whatever_its_lengths_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("voice.wav");
    let whole = fs::read(VOICE).unwrap();
    let plain = hear(Path::new(VOICE), &[]);
    assert!((plain.seconds - 1.428).abs() < 0.01 && plain.events.iter().any(|(_, label)| label == "Speech"));
    let lengths = [
        // A recorder that lost power, one that was killed, programs that write into a pipe.
        (0u32, 0u32, "its header gives the sound no length"),
        (8, 0, "its header gives the sound no length"),
        (u32::MAX, u32::MAX, ""),
        (0x7fff_f024, 0x7fff_f000, ""),
        (0x8000_0024, 0x8000_0000, ""),
        // 2 GiB less its header, and a length beyond 4 GiB that wrapped.
        (0x7fff_ffff, 0x7fff_ffdb, ""),
        (36 + 48_000, 48_000, "the sound goes on behind the length that its header states"),
        // Only the length of the whole is wrong.
        (0, (whole.len() - 44) as u32, ""),
    ];
    for (riff, data, told) in lengths {
        let mut bytes = whole.clone();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes[40..44].copy_from_slice(&data.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        let heard = hear(&path, &[]);
        assert_eq!((heard.code, &heard.events), (0, &plain.events), "{riff:x} {data:x}: {}", heard.told);
        assert_eq!(heard.seconds, plain.seconds, "{riff:x} {data:x}");
        assert!(heard.told.contains(told) && heard.told.is_empty() == told.is_empty(), "{data:x}: {}", heard.told);
    }
}

#[test]
fn a_mix_that_cancels_is_told_and_one_channel_of_it_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inverted.wav");
    let voice = fs::read(VOICE).unwrap();
    let samples = voice[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    let stereo: Vec<i16> = samples.flat_map(|sample| [sample, sample.saturating_neg()]).collect();
    fs::write(&path, wav(&stereo, 48_000, 2)).unwrap();
    let mixed = hear(&path, &[]);
    assert_eq!((mixed.code, mixed.events.len()), (0, 0));
    assert!(
        mixed.told.contains("mixing its 2 channels cancels the sound") && mixed.told.contains("--channel 1"),
        "{}",
        mixed.told
    );
    let plain = hear(Path::new(VOICE), &[]);
    let first = hear(&path, &["--channel", "1"]);
    assert_eq!((first.code, first.told.as_str(), &first.events), (0, "", &plain.events));
    // A gain of 6.02 dB and half the amplitude are the same sound.
    let half: Vec<i16> = stereo.iter().map(|sample| sample / 2).collect();
    fs::write(&path, wav(&half, 48_000, 2)).unwrap();
    assert_eq!(hear(&path, &["--channel", "1", "--gain", "6.02"]).events.len(), plain.events.len());
    let (code, told) = {
        let none = hear(&path, &["--channel", "3"]);
        (none.code, none.told)
    };
    assert!(code == 1 && told.contains("channel 3 was asked for") && told.contains("has 2"), "{told}");
    for wrong in [["--channel", "0"], ["--channel", "left"], ["--gain", "61"], ["--gain", "loud"]] {
        assert_eq!(hear(&path, &wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn bits_in_wider_samples_are_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("voice.wav");
    let voice = fs::read(VOICE).unwrap();
    let samples = voice[44..].chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]])));
    let data: Vec<u8> = samples.flat_map(|sample| (sample << 8).to_le_bytes()).collect();
    let mut bytes = wav(&[], 48_000, 1);
    bytes[32..36].copy_from_slice(&[4, 0, 24, 0]);
    bytes[40..44].copy_from_slice(&(data.len() as u32).to_le_bytes());
    fs::write(&path, [bytes, data].concat()).unwrap();
    let (heard, plain) = (hear(&path, &[]), hear(Path::new(VOICE), &[]));
    assert_eq!((heard.code, heard.seconds, &heard.events), (0, plain.seconds, &plain.events), "{}", heard.told);
}

#[test]
fn folders_lists_and_standard_input_name_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &[u8]| {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(VOICE, &path).unwrap();
        path
    };
    let odd = make(b"yard/b\tc\n\x1b[2J\xff.wav");
    make(b"yard/a.wav");
    make(b"yard/.hidden/d.wav");
    fs::write(folder.path().join("yard/notes.txt"), "no sound").unwrap();
    let names = |command: &mut Command| {
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let out = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<String> = out.lines().skip(1).map(|row| row.split('\t').next().unwrap().to_owned()).collect();
        names.dedup();
        names
    };
    let scan = || {
        let mut command = mimid();
        command.args(["scan", "--format", "tsv"]);
        command
    };
    let both = ["yard/a.wav", "yard/b\\tc\\n\\x1b[2J\\xff.wav"];
    assert_eq!(names(scan().args(["--recursive", "yard"])), both);
    let list = folder.path().join("list");
    let odd = odd.strip_prefix(folder.path()).unwrap().as_os_str().as_bytes();
    fs::write(&list, [b"yard/a.wav\0", odd, b"\0"].concat()).unwrap();
    assert_eq!(names(scan().arg("--files-from").arg(&list)), both);
    fs::write(&list, "yard/a.wav\n").unwrap();
    assert_eq!(names(scan().arg("--files-from").arg("-").stdin(fs::File::open(&list).unwrap())), both[..1]);
    assert_eq!(names(scan().arg("-").stdin(fs::File::open(VOICE).unwrap())), ["-"]);
    let mut pipe = Command::new("cat").arg(VOICE).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(names(scan().arg("-").stdin(pipe.stdout.take().unwrap())), ["-"]);
    pipe.wait().unwrap();
    for (arguments, told) in [
        (&["--recursive", "yard/.hidden/none"][..], "there is no such file"),
        (&["yard"], "scan --recursive takes those in it"),
        (&["-", "-"], "standard input can be read once only"),
        (&["--files-from", "missing"], "the list missing cannot be read"),
    ] {
        let (code, message) = failure(scan().args(arguments).current_dir(folder.path()));
        assert!(code != 0 && message.contains(told), "{message}");
    }
}

#[test]
fn a_recording_that_says_when_it_began_is_told_at_that_time() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("yard_20260314_021500.WAV");
    fs::copy(VOICE, &named).unwrap();
    // The comment of a recorder counts more than the name, and has a time zone.
    let commented = folder.path().join("20200101_000000.wav");
    let comment = b"Recorded at 05:06:07 14/03/2026 (UTC+2) by AudioMoth 24F31901603710";
    let list = [b"INFOICMT", &(comment.len() as u32).to_le_bytes()[..], comment, b"\0"].concat();
    let voice = fs::read(VOICE).unwrap();
    let list = [b"LIST", &(list.len() as u32).to_le_bytes()[..], &list].concat();
    fs::write(&commented, [&voice[..36], &list, &voice[36..]].concat()).unwrap();
    let unnamed = folder.path().join("yard.wav");
    fs::copy(VOICE, &unnamed).unwrap();
    let output =
        run(mimid().args(["scan", "--clock", "--format", "tsv"]).args([&named, &commented, &unnamed]).env("TZ", "Asia/Tokyo"));
    assert!(output.status.success());
    let out = String::from_utf8(output.stdout).unwrap();
    let time = |name: &str| out.lines().find(|row| row.contains(name)).and_then(|row| row.split('\t').nth(5)).unwrap().to_owned();
    assert!(time("yard_2026").starts_with("2026-03-14T02:15:0") && time("yard_2026").ends_with("+09:00"), "{out}");
    assert!(time("20200101").starts_with("2026-03-14T05:06:0") && time("20200101").ends_with("+02:00"), "{out}");
    assert_eq!(time("/yard.wav"), "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("yard.wav: neither it nor its name says when it began"));
}

#[test]
fn a_format_that_nothing_here_reads_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it's a call.amr");
    fs::write(&path, b"#!AMR\n\x3c\x48").unwrap();
    // Without a path there is no ffmpeg.
    let (code, message) = failure(mimid().arg("scan").arg(&path).env("PATH", ""));
    assert_eq!(code, 1);
    assert!(
        message.contains("its sound is AMR, which needs the program ffmpeg: install that program, or convert the file"),
        "{message}"
    );
    assert!(message.contains("ffmpeg -i '") && message.contains("it'\\''s a call.flac'"), "{message}");
}
