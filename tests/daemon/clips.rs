//! Clips with the real daemon: the sound that is kept is the sound that was played, of chosen labels alone, and nothing without being asked.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mimid::capture::file::{Decoder, Status};
use mimid::capture::source::Channel;
use serde_json::Value;

use crate::support::{Daemon, free_port, looped, mimid, until, voice_and_seconds_of_silence};

/// A configuration with a store and clips of speech, and more keys of `[clips]`.
fn config(folder: &Path, keys: &str) -> String {
    let store = folder.join("state/events.db");
    format!("[store]\npath = {store:?}\n[labels.Speech]\nclip = true\n[clips]\nenabled = true\nmin_free_mb = 0\n{keys}\n")
}

fn clips(folder: &Path) -> PathBuf {
    folder.join("state/clips")
}

/// The names of the files in the folder of the clips.
fn files(folder: &Path) -> Vec<String> {
    let listed = std::fs::read_dir(clips(folder)).into_iter().flatten();
    listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The rate and the samples of a file.
fn decoded(path: &Path) -> (u32, Vec<i16>) {
    let (mut decoder, mut samples) = (Decoder::open_alone(path, Channel::Mix, 0.0).unwrap(), Vec::new());
    while decoder.read(&mut samples).unwrap() == Status::More {}
    (decoder.rate_hz(), samples.iter().map(|sample| (sample * 32_768.0).round() as i16).collect())
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn the_clip_of_an_event_is_the_sound_that_was_played_around_it() {
    for format in ["flac", "wav"] {
        let folder = tempfile::tempdir().unwrap();
        let recording = voice_and_seconds_of_silence(folder.path(), 8);
        let (rate_hz, played) = decoded(&recording);
        let config = config(folder.path(), &format!("format = {format:?}\nbefore_s = 2\nafter_s = 1"));
        let daemon = Daemon::start(&config, &["--source", &looped(&recording)], &[]);
        let mut client = daemon.connect();
        // The first voice may begin with the source.
        let mut clip = client.wait_for("clip");
        while clip["state"] != "kept" || time(&clip["to"]).duration_since(time(&clip["from"])).as_secs_f64() < 3.0 {
            clip = client.wait_for("clip");
        }
        let path = clips(folder.path()).join(clip["file"].as_str().unwrap());
        assert_eq!(path.extension().unwrap(), format);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), clip["bytes"].as_u64().unwrap());
        let (kept_rate_hz, kept) = decoded(&path);
        assert_eq!(kept_rate_hz, rate_hz);
        // Each sample of it is one of the loop, in the order of the loop.
        let heard = |samples: &[i16]| samples.iter().position(|sample| *sample != 0).unwrap();
        let start = (played.len() + heard(&played) - heard(&kept)) % played.len();
        assert!(kept.iter().enumerate().all(|(at, sample)| played[(start + at) % played.len()] == *sample));
        // The voice begins two seconds after the clip: the loop does so with silence before it.
        let event = daemon_event(&mut daemon.connect(), clip["event"].as_str().unwrap());
        let begins_s = time(&event["onset"]).duration_since(time(&clip["from"])).as_secs_f64();
        assert!((begins_s - 2.0).abs() < 0.01, "the event begins {begins_s} s after the clip");
        let voice = (played.len() - start) as f64 / f64::from(rate_hz);
        assert!((voice - begins_s).abs() < 0.35, "the voice begins {voice} s after the clip, and the event {begins_s} s");
        let (lasts_s, stated_s) =
            (kept.len() as f64 / f64::from(rate_hz), time(&clip["to"]).duration_since(time(&clip["from"])).as_secs_f64());
        assert!((lasts_s - stated_s).abs() < 0.01, "{lasts_s} s, not {stated_s} s");
        assert!((lasts_s - 3.0 - event["duration_ms"].as_f64().unwrap() / 1e3).abs() < 0.02, "{lasts_s} s of {event}");
        // Nobody else may read it.
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0);
    }
}

/// The end of an event.
fn daemon_event(client: &mut crate::support::Client, id: &str) -> Value {
    client.send(r#"{"op":"subscribe","since":0,"types":["event.end"]}"#);
    loop {
        let line = client.wait_for("event.end");
        if line["event"]["id"] == id {
            return line["event"].clone();
        }
    }
}

#[test]
fn the_status_tells_of_the_memory_and_without_clips_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let on = config(folder.path(), "max_s = 10");
    let off = on.replace("enabled = true", "enabled = false");
    let daemon = Daemon::start(&off, &["--source", &looped(&recording)], &[]);
    let threads = || -> Vec<String> {
        let listed = std::fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
        listed.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok()).collect()
    };
    let has_thread = || threads().iter().any(|name| name.trim() == "clips");
    let status = || daemon.connect().ask(r#"{"op":"status"}"#, "status")["clips"].clone();
    assert!(status().is_null() && !has_thread() && !clips(folder.path()).exists());
    daemon.reload(&on);
    let memory = until("the memory for clips", || status()["memory_bytes"].as_u64().filter(|bytes| *bytes > 3_000_000));
    assert!(memory < 8_000_000 && has_thread(), "{memory}");
    let mut client = daemon.connect();
    while client.wait_for("clip")["state"] != "kept" {}
    until("the counter", || status()["files"].as_u64().is_some_and(|files| files > 0));
    // A pause gives the memory of the source back, zeroed, and only the empty buffers are left.
    client.ask(r#"{"op":"pause"}"#, "done");
    until("the memory to be given back", || status()["memory_bytes"].as_u64().filter(|bytes| *bytes < 3_000_000));
    let kept = files(folder.path()).len();
    daemon.reload(&off);
    assert!(status().is_null());
    until("the thread to end", || !has_thread());
    assert_eq!(files(folder.path()).len(), kept);
}

#[test]
fn what_is_killed_leaves_a_folder_and_a_store_that_agree() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 2);
    let config = config(folder.path(), "before_s = 1\nafter_s = 1\nmax_s = 10");
    let mut daemon = Daemon::start(&config, &["--source", &looped(&recording)], &[]);
    let rounds = if std::env::var_os("MIMID_ENDURANCE").is_some() { 100 } else { 3 };
    let mut kept: Vec<String> = Vec::new();
    for round in 0..rounds {
        let mut client = daemon.connect();
        let mut took = |clip: Value| kept.extend(clip["file"].as_str().filter(|_| clip["state"] == "kept").map(str::to_owned));
        took(client.wait_for("clip"));
        // Every other kill comes at a moment that is left to chance, some of them while a clip is being written.
        if round % 2 == 1 {
            std::thread::sleep(std::time::Duration::from_millis(fastrand::u64(..3_000)));
        }
        daemon.signal("-KILL");
        while let Some(line) = client.try_next() {
            if line["type"] == "clip" {
                took(line);
            }
        }
        daemon.wait();
        std::fs::write(clips(folder.path()).join("20991231T235959Z_glass_01a20f57-9b70-767d-a625-5b09be1d5f7a.flac"), b"x")
            .unwrap();
        daemon.start_again(&config, &["--source", &looped(&recording)], &[]);
        until("the orphan to be cleared", || !files(folder.path()).iter().any(|file| file.starts_with("2099")));
        // After each kill the store has every clip that anybody was told of, and its file is there.
        let there = files(folder.path());
        assert!(kept.iter().all(|file| there.contains(file)), "round {round}: {kept:?} are not all in {there:?}");
        let status = daemon.connect().status_when("the clips to be well", |status| status["clips"]["reason"].is_null());
        assert_eq!(status["clips"]["missing"], 0, "round {round}");
    }
}

#[test]
fn nothing_is_kept_in_which_there_is_a_voice_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let config = config(folder.path(), "without_voice = true");
    let daemon = Daemon::start(&config, &["--source", &looped(&recording)], &[]);
    let clip = daemon.connect().wait_for("clip");
    assert_eq!(clip["state"], "withheld");
    assert!(clip["reason"].as_str().unwrap().starts_with("a human voice was found within 5 s"), "{clip}");
    assert!(files(folder.path()).is_empty());
}

/// An answer over HTTP: its head in lower case, and its body.
fn asked(port: u16, method: &str, path: &str, headers: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len() - 4);
    (String::from_utf8_lossy(&bytes[..end]).to_lowercase(), bytes[end + 4..].to_vec())
}

#[test]
fn a_clip_is_served_locked_deleted_and_told_of_over_http_and_by_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let port = free_port();
    let config = format!("{}[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n", config(folder.path(), "before_s = 1\nafter_s = 1"));
    let daemon = Daemon::start(&config, &["--source", &looped(&recording)], &[]);
    let mut client = daemon.connect();
    let mut clip = client.wait_for("clip");
    while clip["state"] != "kept" {
        clip = client.wait_for("clip");
    }
    client.ask(r#"{"op":"pause"}"#, "done");
    let (id, file) = (clip["event"].as_str().unwrap(), clip["file"].as_str().unwrap());
    let bytes = std::fs::read(clips(folder.path()).join(file)).unwrap();
    let path = format!("/api/v1/clips/{id}");
    let (head, body) = asked(port, "GET", &path, "", "");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: audio/flac") && body == bytes, "{head}");
    assert!(head.contains(&format!("filename=\"{}\"", file.to_lowercase())), "{head}");
    let (head, body) = asked(port, "GET", &path, "Range: bytes=10-19\r\n", "");
    assert!(head.starts_with("http/1.1 206") && body == bytes[10..20], "{head}");
    let (head, _) = asked(port, "GET", &path, "Range: bytes=99999999-\r\n", "");
    assert!(head.starts_with("http/1.1 416"), "{head}");
    // Neither another event nor a path leads to a file.
    let tricks =
        ["..", "%00", "%2Fetc%2Fpasswd", "/etc/passwd", "..%2F..%2F..%2Fetc%2Fpasswd%00.flac", "%252e%252e%252fevents.db", "%ff"];
    let names = ["01a20f57-9b70-767d-a625-5b09be1d5f7a", "..%2Fevents.db", file, "%2e%2e%2fevents.db"];
    for other in names.into_iter().chain(tricks) {
        let (head, _) = asked(port, "GET", &format!("/api/v1/clips/{other}"), "", "");
        assert!(head.starts_with("http/1.1 404") || head.starts_with("http/1.1 400"), "{other}: {head}");
    }
    let json = |(_, body): (String, Vec<u8>)| -> Value { serde_json::from_slice(&body).unwrap() };
    let kept = json(asked(port, "GET", &format!("/api/v1/history/{id}"), "", ""));
    assert_eq!((&kept["clip"]["state"], &kept["clip"]["file"]), (&"kept".into(), &file.into()), "{kept}");
    let lock = asked(port, "PATCH", &path, "Content-Type: application/json\r\n", r#"{"locked":true}"#);
    assert_eq!(json(lock)["clip"]["locked"], true);
    let list = json(asked(port, "GET", "/api/v1/clips?limit=5", "", ""));
    assert!(
        list["clips"].as_array().unwrap().iter().any(|listed| listed["event"] == id && listed["clip"]["locked"] == true),
        "{list}"
    );
    // The command does the same to the files themselves.
    let command = |arguments: &[&str]| {
        let mut command = mimid();
        command.arg("clips").args(arguments).arg("--store").arg(folder.path().join("state/events.db"));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (well, said) = command(&["list", "--kept"]);
    assert!(well && said.contains(id) && said.contains("locked"), "{said}");
    let to = folder.path().display().to_string();
    assert!(command(&["export", id, "--to", &to]).0 && std::fs::read(folder.path().join(file)).unwrap() == bytes);
    assert!(!command(&["export", id, "--to", &to]).0, "an export replaces nothing");
    // Whoever can write into the folder has nobody read another file for them.
    let (there, aside, secret) = (clips(folder.path()).join(file), folder.path().join("aside"), folder.path().join("secret"));
    std::fs::write(&secret, "geheim").unwrap();
    std::fs::rename(&there, &aside).unwrap();
    std::os::unix::fs::symlink(&secret, &there).unwrap();
    let (head, body) = asked(port, "GET", &path, "", "");
    assert!(head.starts_with("http/1.1 404") && !String::from_utf8_lossy(&body).contains("geheim"), "{head}");
    std::fs::create_dir(folder.path().join("out")).unwrap();
    assert!(!command(&["export", id, "--to", &format!("{to}/out")]).0, "an export follows no link");
    std::fs::rename(&aside, &there).unwrap();
    assert!(command(&["unlock", id]).0 && command(&["delete", id]).0);
    let (well, said) = command(&["delete", id]);
    assert!(!well && said.contains("cleared, deleted by a request"), "{said}");
    assert!(!clips(folder.path()).join(file).exists());
    let (head, _) = asked(port, "GET", &path, "", "");
    assert!(head.starts_with("http/1.1 404"), "{head}");
}

#[test]
fn a_policy_that_changes_acts_at_once_and_tells_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 4);
    let config = config(folder.path(), "before_s = 1\nafter_s = 1\nmax_s = 10\nformat = \"wav\"\nmax_mb = 1");
    let daemon = Daemon::start(&config, &["--source", &looped(&recording)], &[]);
    let mut client = daemon.connect();
    let mut kept = 0;
    while kept < 2 {
        kept += u32::from(client.wait_for("clip")["state"] == "kept");
    }
    client.ask(r#"{"op":"pause"}"#, "done");
    assert!(files(folder.path()).len() >= 2);
    // More than the disk has.
    daemon.reload(&config.replace("min_free_mb = 0", "min_free_mb = 1048576"));
    until("all to be cleared", || files(folder.path()).is_empty());
    let status = until("the sentence", || {
        let status = daemon.connect().ask(r#"{"op":"status"}"#, "status")["clips"].clone();
        (!status["cleared"].is_null()).then_some(status)
    });
    let said = status["cleared"].as_str().unwrap();
    assert!(said.starts_with("looked at ") && said.contains("for room; 0 stay, 0 locked"), "{said}");
}

#[test]
fn a_hook_sends_the_clip_and_a_program_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let copy = folder.path().join("copy.flac");
    let hooks = format!(
        "[[hooks]]\nname = \"send\"\non = [\"Speech\"]\nwhen = \"clip\"\nmethod = \"PUT\"\nattach = true\nurl = \"http://127.0.0.1:{port}/{{slug}}\"\n\
         [[hooks]]\nname = \"copy\"\non = [\"Speech\"]\nwhen = \"clip\"\nexec = [\"bash\", \"-c\", \"cp \\\"$MIMID_CLIP\\\" {}\"]\n",
        copy.display()
    );
    let config = format!("{}{hooks}", config(folder.path(), "before_s = 1\nafter_s = 1"));
    let _daemon = Daemon::start(&config, &["--source", &looped(&recording)], &[]);
    let (mut stream, _) = listener.accept().unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 65_536]);
    let (head, body) = loop {
        let n = stream.read(&mut piece).unwrap();
        bytes.extend(&piece[..n]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length: usize = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        if bytes.len() >= end + 4 + length {
            break (head, bytes[end + 4..].to_vec());
        }
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert!(head.starts_with("put /speech http/1.1") && head.contains("content-type: audio/flac"), "{head}");
    let path = folder.path().join("sent.flac");
    std::fs::write(&path, &body).unwrap();
    assert!(decoded(&path).1.len() > 48_000);
    until("the copy", || std::fs::metadata(&copy).is_ok_and(|copied| copied.len() > 1_000));
}
