//! Sources that are fed: standard input, FIFOs and programs, which stall, end and come back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Client, Daemon, VOICE, until, voice_and_silence};

/// The rate of the samples of [`VOICE`].
const RATE_HZ: usize = 48_000;

/// A voice is an event, however short it is and however busy the machine.
const EASILY: &str = "[report]\nlabels = [\"Speech\"]\n[defaults]\nthreshold = 0.2\nannounce = \"at once\"\n";

/// The samples of a voice, as a writer sends them.
fn voice() -> Vec<u8> {
    // They stand behind a header of 44 bytes.
    std::fs::read(VOICE).unwrap()[44..].to_vec()
}

/// Writes samples in real time. Returns when the first was written.
fn write_live(out: &mut impl Write, bytes: &[u8]) -> Timestamp {
    let (began, started) = (Timestamp::now(), Instant::now());
    let piece = RATE_HZ / 50 * 2;
    for (index, bytes) in bytes.chunks(piece).enumerate() {
        std::thread::sleep((started + Duration::from_millis(20) * index as u32).saturating_duration_since(Instant::now()));
        out.write_all(bytes).unwrap();
    }
    began
}

/// Seconds of a quiet room.
fn room(seconds: f64) -> Vec<u8> {
    let n = (seconds * RATE_HZ as f64) as u32;
    (0..n).flat_map(|at| (((at.wrapping_mul(2_654_435_761) >> 24) as i16 - 128) / 64).to_le_bytes()).collect()
}

/// Checks that the next voice is told at the time at which it was written.
fn check_onset(client: &mut Client, began: Timestamp) {
    let event = client.wait_for_event("event.start", &["Speech"]);
    let onset: Timestamp = event["event"]["onset"].as_str().unwrap().parse().unwrap();
    let late_s = onset.duration_since(began).as_secs_f64();
    assert!((-1.0..3.0).contains(&late_s), "{late_s} s: {event}");
}

/// The state and the reason of a source.
fn source<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["sources"].as_array().unwrap().iter().find(|source| source["name"] == name).unwrap()
}

#[test]
fn standard_input_that_stalls_is_lost_and_its_return_is_told_at_the_right_time() {
    let mut daemon = Daemon::start(EASILY, &["--source", "-", "--rate", "48000"], &[]);
    let mut client = daemon.connect();
    let mut input = daemon.child.stdin.take().unwrap();
    let began = write_live(&mut input, &[voice(), voice(), voice()].concat());
    let stalled = Instant::now();
    check_onset(&mut client, began);
    let end = client.wait_for("event.end");
    let lost = client.wait_for("source.lost");
    assert!(stalled.elapsed() < Duration::from_secs(4), "{:?}", stalled.elapsed());
    assert_eq!(lost["reason"], "it is open but has delivered nothing for 2 s");
    assert!(["decay", "source_lost"].contains(&end["event"]["reason"].as_str().unwrap()), "{end}");
    let status = client.status();
    assert_eq!((&status["sources"][0]["state"], &status["sources"][0]["reason"]), (&"lost".into(), &lost["reason"]));
    // It comes back long after, in the middle of nothing.
    std::thread::sleep(Duration::from_secs(4));
    write_live(&mut input, &room(1.0));
    let began = write_live(&mut input, &voice());
    assert_eq!(client.wait_for("source.restored")["source"], "stdin");
    check_onset(&mut client, began);
    drop(input);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn a_short_pause_of_a_live_writer_is_a_gap_and_later_times_are_right() {
    let mut daemon = Daemon::start(EASILY, &["--source", "-", "--rate", "48000"], &[]);
    let mut client = daemon.connect();
    let mut input = daemon.child.stdin.take().unwrap();
    write_live(&mut input, &room(2.0));
    std::thread::sleep(Duration::from_millis(1_500));
    write_live(&mut input, &room(2.5));
    let began = write_live(&mut input, &voice());
    let gap = client.wait_for("source.gap");
    assert!((1_300..1_800).contains(&gap["gap_ms"].as_u64().unwrap()), "{gap}");
    check_onset(&mut client, began);
}

#[test]
fn a_fifo_without_a_writer_keeps_nobody_waiting_and_is_heard_when_one_comes() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let recording = voice_and_silence(folder.path());
    let config = format!(
        "[[source]]\nname = \"fifo\"\ninput = \"file:{}?loop\"\n[[source]]\nname = \"porch\"\ninput = \"file:{}?loop\"\n{EASILY}",
        fifo.display(),
        recording.display()
    );
    let started = Instant::now();
    let daemon = Daemon::start(&config, &[], &[]);
    let mut client = daemon.connect();
    client.status_when("the other source to be heard", |status| source(status, "porch")["windows"].as_u64() > Some(0));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let status = client.status_when("the FIFO to be lost", |status| source(status, "fifo")["state"] == "lost");
    assert_eq!(source(&status, "fifo")["reason"], "nothing has come for 2 s");
    // A writer of something else is told, and waited after.
    File::options().write(true).open(&fifo).unwrap().write_all(&[0x5a; 5_000]).unwrap();
    client.status_when("the FIFO to be understood", |status| {
        let reason = source(status, "fifo")["reason"].as_str().unwrap_or_default();
        reason.contains("no recording in a format that is known")
    });
    client.send(r#"{"op":"subscribe","sources":["fifo"]}"#);
    // One writer after the other, which the FIFO holds back to real time.
    for _ in 0..2 {
        let began = Timestamp::now();
        File::options().write(true).open(&fifo).unwrap().write_all(&std::fs::read(&recording).unwrap()).unwrap();
        client.wait_for("source.restored");
        check_onset(&mut client, began);
        assert_eq!(client.wait_for("source.lost")["reason"], "its writer closed it");
    }
}

#[test]
fn a_fifo_that_ends_ends_the_daemon_and_one_that_stalls_goes_on_where_it_stalled() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut daemon = Daemon::start("", &["--source", &format!("file:{}", fifo.display())], &[]);
    let mut client = daemon.connect();
    let mut writer = OpenOptions::new().write(true).open(&fifo).unwrap();
    let recording = std::fs::read(VOICE).unwrap();
    // The second half has no header of its own.
    let (first, second) = recording.split_at(recording.len() / 2);
    writer.write_all(first).unwrap();
    client.wait_for("source.lost");
    writer.write_all(second).unwrap();
    client.wait_for("source.restored");
    drop(writer);
    assert_eq!(daemon.wait(), 0);
}

/// A configuration whose source `program` hears a shell's script.
fn exec(script: &Path, more: &str) -> String {
    format!("[[source]]\nname = \"program\"\ninput = \"exec:bash {}\"\n{more}{EASILY}", script.display())
}

#[test]
fn a_program_is_heard_and_started_again_when_it_ends_and_nothing_of_it_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (script, starts) = (folder.path().join("script"), folder.path().join("starts"));
    std::fs::write(&script, format!("echo $$ >>{starts:?}\nsleep 86400 &\ncat {VOICE}\nexit 7\n")).unwrap();
    let mut daemon = Daemon::start(&exec(&script, ""), &[], &[]);
    let mut client = daemon.connect();
    client.wait_for_event("event.start", &["Speech"]);
    let lost = client.wait_for("source.lost");
    assert_eq!(lost["reason"], "\"bash\" ended with the exit code 7");
    client.wait_for("source.restored");
    client.wait_for_event("event.start", &["Speech"]);
    let pids = || std::fs::read_to_string(&starts).unwrap().lines().map(|pid| pid.parse::<i32>().unwrap()).collect::<Vec<_>>();
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(), 0);
    assert!(pids().len() >= 2);
    for pid in pids() {
        // A process group that nobody is in any more.
        until("the programs to be gone", || {
            !Command::new("bash").args(["-c", &format!("kill -0 -- -{pid}")]).status().unwrap().success()
        });
    }
}

#[test]
fn a_program_that_stalls_is_killed_and_started_anew_in_its_own_format() {
    let folder = tempfile::tempdir().unwrap();
    let (script, starts) = (folder.path().join("script"), folder.path().join("starts"));
    // Two channels of big-endian samples, the left one silent.
    let samples: Vec<u8> = voice().chunks_exact(2).flat_map(|sample| [0, 0, sample[1], sample[0]]).collect();
    let raw = folder.path().join("voice.raw");
    std::fs::write(&raw, samples).unwrap();
    std::fs::write(&script, format!("echo $$ >>{starts:?}\ncat {raw:?}\nexec sleep 86400\n")).unwrap();
    let config = exec(&script, "rate_hz = 48000\nformat = \"s16be\"\nchannels = 2\nchannel = 2\n");
    let daemon = Daemon::start(&config, &[], &[]);
    let mut client = daemon.connect();
    client.wait_for_event("event.start", &["Speech"]);
    assert_eq!(client.wait_for("source.lost")["reason"], "it is open but has delivered nothing for 2 s");
    client.wait_for("source.restored");
    client.wait_for_event("event.start", &["Speech"]);
    let first = std::fs::read_to_string(&starts).unwrap().lines().next().unwrap().to_owned();
    assert!(!Path::new("/proc").join(first).exists());
}
