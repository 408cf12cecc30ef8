//! The store with the real daemon: what anybody saw is kept through kills, numbers go on, and a disk that fails holds nobody up.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::http::{Answer, Stream};
use crate::support::{Client, Daemon, PATIENCE, after, failure, free_port, looped, mimid, run, until, voice_and_silence};

/// How soon a failure of the disk must be told.
const TOLD: Duration = Duration::from_secs(5);

/// A configuration with a store in this file.
fn stored(path: &Path) -> String {
    format!("[store]\npath = {path:?}\n")
}

/// A source in which a voice speaks again and again.
fn voices(folder: &tempfile::TempDir) -> String {
    looped(voice_and_silence(folder.path()))
}

/// A folder with the file of a store.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/events.db");
    (folder, path)
}

/// The store's entry in the status.
fn sink(status: &Value) -> Value {
    status["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "store").cloned().unwrap_or_default()
}

fn seq(line: &Value) -> u64 {
    line["seq"].as_u64().unwrap_or_default()
}

/// The lines of reports up to this number, after a `subscribe`.
fn lines_until(client: &mut Client, last: u64) -> Vec<Value> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| seq(line) < last) {
        lines.push(client.next());
    }
    lines
}

/// Everything that a daemon has, and the answer to `subscribe`.
fn everything(client: &mut Client) -> (Value, Vec<Value>) {
    client.send(r#"{"op":"subscribe","since":0}"#);
    let subscribed = client.wait_for("subscribed");
    let last = seq(&subscribed);
    (subscribed, lines_until(client, last))
}

#[test]
fn numbers_go_on_over_a_restart_and_its_lines_are_replayed_as_they_were() {
    let (folder, path) = place();
    let config = stored(&path);
    let mut daemon = Daemon::start(&config, &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    client.wait_for("event.end");
    client.ask(r#"{"op":"set","label":"Dog","threshold":0.7}"#, "set");
    client.ask(r#"{"op":"pause","seconds":600}"#, "done");
    client.ask(r#"{"op":"resume"}"#, "done");
    client.wait_for("event.start");
    let (_, mut before) = everything(&mut client);
    let instance = client.hello["instance"].as_str().unwrap().to_owned();
    daemon.signal("-TERM");
    while let Some(line) = client.try_next() {
        before.push(line);
    }
    assert_eq!(daemon.wait(), 0);
    let last = seq(before.last().unwrap());
    assert_eq!(before.iter().map(seq).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    daemon.start_again(&config, &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    assert!(seq(&client.hello) >= last && client.hello["instance"] != *instance);
    client.wait_for("event.start");
    let (subscribed, after) = everything(&mut client);
    assert_eq!(subscribed["restarted"], false);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.iter().map(seq).collect::<Vec<_>>(), (1..=seq(&subscribed)).collect::<Vec<_>>());
    // A number of the daemon before goes on here, and one of a daemon that nobody knows does not.
    let mut subscribe = |instance: &str| {
        client.ask(
            &format!(r#"{{"op":"subscribe","since":{},"instance":{instance:?},"types":["event.end"]}}"#, last - 1),
            "subscribed",
        )
    };
    assert_eq!(subscribe(&instance)["restarted"], false);
    assert_eq!(subscribe("01a20f57-9b70-767d-a625-5b09be1d5f7a")["restarted"], true);
}

#[test]
fn whatever_anybody_saw_is_in_the_store_when_the_daemon_is_killed_again_and_again() {
    let (folder, path) = place();
    let config = stored(&path);
    let rounds = if std::env::var_os("MIMID_ENDURANCE").is_some() { 100 } else { 4 };
    let mut daemon = Daemon::start(&config, &["--source", &voices(&folder)], &[]);
    let (mut seen, mut instance): (Vec<Value>, String) = (Vec::new(), String::new());
    for round in 0..rounds {
        let mut client = daemon.connect();
        let since = seen.last().map_or(0, seq);
        let of = if instance.is_empty() { String::new() } else { format!(r#","instance":{instance:?}"#) };
        instance = client.hello["instance"].as_str().unwrap().to_owned();
        let mut subscribed = client.ask(&format!(r#"{{"op":"subscribe","since":{since}{of}}}"#), "subscribed");
        assert_eq!(subscribed["restarted"].take(), false);
        // Each request makes an event, whose end follows a second later, beside those that are heard.
        let mut asker = daemon.connect();
        asker.send(r#"{"op":"subscribe","labels":["Sneeze"],"types":["event.start"]}"#);
        for _ in 0..20 + 7 * (round % 10) {
            asker.send(r#"{"op":"test","label":"Sneeze"}"#);
        }
        let enough = seen.len() + 10 + 13 * (round % 5);
        while seen.len() < enough {
            seen.push(client.next());
        }
        daemon.signal("-KILL");
        while let Some(line) = client.try_next() {
            seen.push(line);
        }
        daemon.wait();
        daemon.start_again(&config, &["--source", &voices(&folder)], &[]);
    }
    let mut client = daemon.connect();
    let (_, kept) = everything(&mut client);
    let reports: Vec<&Value> = seen.iter().filter(|line| line["seq"].is_u64()).collect();
    assert_eq!(reports.len(), seen.len(), "nothing was dropped, and no answer came");
    assert!(kept.windows(2).all(|pair| seq(&pair[0]) < seq(&pair[1])), "in order");
    assert_eq!(kept.iter().filter(|line| seq(line) <= seq(reports[reports.len() - 1])).collect::<Vec<_>>(), reports);
    // Every event that began has one end, whatever was killed meanwhile, but for those that are open now.
    let count = |kind: &str| kept.iter().filter(|line| line["type"] == kind).count();
    let open = count("event.start") - count("event.end");
    assert!(open < 10, "{open} of {} events have no end", count("event.start"));
}

#[test]
fn a_damaged_file_is_put_aside_and_a_newer_one_is_left_as_it_is() {
    let (folder, path) = place();
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "no database at all, but something that somebody may miss\n".repeat(100)).unwrap();
    let config = stored(&path);
    let mut daemon = Daemon::start(&config, &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    client.status_when("the store to keep it", |status| sink(status)["sent"].as_u64() > Some(0));
    assert!(path.with_extension("db.damaged").exists());
    daemon.signal("-TERM");
    daemon.wait();
    // The number of the version stands in the header.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    daemon.start_again(&config, &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    let status = client.status();
    assert!(sink(&status)["reason"].as_str().unwrap_or_default().contains("a newer mimid has written it"), "{status}");
    assert!(std::fs::read(&path).unwrap() == bytes, "the file has changed");
}

#[test]
fn a_file_that_is_gone_is_told_and_begun_again() {
    let (folder, path) = place();
    let daemon = Daemon::start(&stored(&path), &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    client.status_when("the store to keep it", |status| sink(status)["state"] == "up");
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path.parent().unwrap(), "in the way").unwrap();
    let gone = Instant::now();
    client.status_when("it to be told", |status| sink(status)["state"] == "down");
    assert!(gone.elapsed() < TOLD, "{:?}", gone.elapsed());
    client.send(r#"{"op":"test","label":"Sneeze"}"#);
    client.wait_for_event("event.start", &["Sneeze"]);
    std::fs::remove_file(path.parent().unwrap()).unwrap();
    let kept = sink(&client.status_when("the store to be up again", |status| sink(status)["state"] == "up"));
    assert!(path.exists() && kept["dropped"] == 0, "{kept}");
    // The numbers go on, and what was lost with the file is counted as dropped.
    let (_, lines) = everything(&mut client);
    assert!(lines.iter().map(seq).filter(|seq| *seq > 0).is_sorted(), "{lines:?}");
}

/// The command that gives another its own mounts, or `None`, with a message, where nobody may.
fn own_mounts() -> Option<&'static str> {
    let ways = ["unshare --mount", "unshare --user --map-root-user --mount"];
    let may = |way: &&str| {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{way} mount -t tmpfs none /mnt")]);
        run(&mut command).status.success()
    };
    let found = ways.into_iter().find(may);
    if found.is_none() {
        eprintln!("skipped: neither root nor a user namespace may mount here");
    }
    found
}

#[test]
fn a_disk_that_is_full_or_read_only_is_told_and_what_waits_is_kept_afterwards() {
    let Some(way) = own_mounts() else { return };
    let (folder, path) = place();
    let disk = path.parent().unwrap();
    std::fs::create_dir(disk).unwrap();
    // Each word on standard input is a command for the disk, in the daemon's own mounts.
    let script = format!(
        "mount -t tmpfs -o ro,size=1m none {disk:?}
         while read -r word; do case $word in
             full) cat /dev/zero > {disk:?}/filler 2>/dev/null;;
             empty) rm {disk:?}/filler;;
             writable) mount -o remount,rw {disk:?};;
         esac; done <&0 & "
    );
    let daemon = Daemon::start_as(&stored(&path), &["--source", &voices(&folder)], |command| {
        let within = after(&format!("exec 3<&0; {}", script.replace("<&0", "<&3")), &command);
        let mut unshared = Command::new("bash");
        unshared.arg("-c").arg(format!("exec {way} \"$0\" \"$@\"")).arg(within.get_program()).args(within.get_args());
        for (name, value) in within.get_envs() {
            match value {
                Some(value) => unshared.env(name, value),
                None => unshared.env_remove(name),
            };
        }
        unshared.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        unshared
    });
    let mut daemon = daemon;
    let mut words = daemon.child.stdin.take().unwrap();
    let mut order = |word: &str| std::io::Write::write_all(&mut words, format!("{word}\n").as_bytes()).unwrap();
    let mut client = daemon.connect();
    // It cannot be written from the beginning.
    client.status_when("a disk that may not be written to be told", |status| sink(status)["state"] == "down");
    order("writable");
    client.status_when("the store to keep it", |status| sink(status)["state"] == "up");
    client.send(r#"{"op":"test","label":"Sneeze"}"#);
    client.wait_for_event("event.start", &["Sneeze"]);
    order("full");
    let full = Instant::now();
    let status = client.status_when("it to be told", |status| sink(status)["state"] == "down");
    assert!(full.elapsed() < TOLD, "{:?}", full.elapsed());
    assert!(sink(&status)["reason"].as_str().unwrap().contains("the disk is full"), "{status}");
    // Clients are told as before.
    let asked = Instant::now();
    client.send(r#"{"op":"test","label":"Sneeze"}"#);
    client.wait_for_event("event.start", &["Sneeze"]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    order("empty");
    client.status_when("all to be kept", |status| sink(status)["state"] == "up" && sink(status)["queued"] == 0);
    let (subscribed, lines) = everything(&mut client);
    assert_eq!(lines.iter().map(seq).collect::<Vec<_>>(), (1..=seq(&subscribed)).collect::<Vec<_>>());
    assert_eq!(sink(&client.status())["dropped"], 0);
}

#[test]
fn a_slow_disk_holds_nobody_up() {
    let (folder, path) = place();
    // A write or a sync of the store takes a second.
    let source = folder.path().join("slow.c");
    let library = folder.path().join("slow.so");
    std::fs::write(
        &source,
        r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void slow(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n > 0 && (path[n] = 0, strstr(path, "events.db-wal")) && !access("/proc/self/cwd/slow", F_OK)) sleep(1);
}
#define SLOW(name, result, ...) \
    static result (*next)(__VA_ARGS__); \
    if (!next) next = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name); \
    slow(fd);
ssize_t write(int fd, const void *b, size_t n) { SLOW("write", ssize_t, int, const void *, size_t) return next(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { SLOW("pwrite", ssize_t, int, const void *, size_t, off_t) return next(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off_t o) { SLOW("pwrite64", ssize_t, int, const void *, size_t, off_t) return next(fd, b, n, o); }
"#,
    )
    .unwrap();
    assert!(
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status().unwrap().success()
    );
    let daemon = Daemon::start_as(&stored(&path), &["--source", &voices(&folder)], |mut command| {
        command.env("LD_PRELOAD", &library).current_dir(folder.path());
        command
    });
    let mut client = daemon.connect();
    client.wait_for("event.start");
    client.status_when("the store to keep it", |status| sink(status)["state"] == "up");
    std::fs::write(folder.path().join("slow"), "").unwrap();
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        client.send(r#"{"op":"test","label":"Sneeze"}"#);
        client.wait_for_event("event.start", &["Sneeze"]);
        longest = longest.max(asked.elapsed());
    }
    assert!(longest < Duration::from_millis(900), "{longest:?}");
    let status = client.status_when("it to be told", |status| sink(status)["state"] == "down");
    assert!(sink(&status)["reason"].as_str().unwrap().contains("the disk takes its time"), "{status}");
    std::fs::remove_file(folder.path().join("slow")).unwrap();
    let kept = client.status_when("all to be kept", |status| sink(status)["state"] == "up" && sink(status)["queued"] == 0);
    assert_eq!(sink(&kept)["dropped"], 0);
}

#[test]
fn without_the_section_nothing_is_kept_in_the_foreground_and_a_service_keeps_it_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let daemon = Daemon::start("", &["--source", &voices(&folder)], &[("HOME", &home)]);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    assert_eq!(sink(&client.status()), Value::Null);
    assert!(!home.exists());
    drop(daemon);
    let daemon = Daemon::start("", &["--source", &voices(&folder)], &[("STATE_DIRECTORY", folder.path())]);
    daemon.connect().wait_for("event.start");
    until("a file for its owner alone", || {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(folder.path().join("events.db")).is_ok_and(|file| file.permissions().mode() & 0o777 == 0o600)
    });
    drop(daemon);
    // What the environment says, the configuration may forbid.
    let check = run(mimid().env("STATE_DIRECTORY", folder.path()).args(["check", "--print"]));
    assert!(String::from_utf8(check.stdout).unwrap().contains("[store]\nenabled = true\n"));
}

/// The answer to a request over HTTP.
fn get(port: u16, path: &str) -> (u16, Value) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let answer = Answer::read(stream);
    (answer.status, answer.json())
}

/// The output of `mimid history` with these arguments.
fn history(path: &Path, arguments: &[&str]) -> String {
    let output = run(mimid().arg("history").arg("--store").arg(path).args(arguments).env("TZ", "UTC"));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_was_heard_is_told_over_http_and_by_the_command_also_after_a_restart() {
    let (folder, path) = place();
    let port = free_port();
    let config = format!("{}[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n", stored(&path));
    let mut daemon = Daemon::start(&config, &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    let first = client.wait_for_event("event.start", &["Speech"]);
    let end = client.wait_for_end_of(&first["event"]);
    client.ask(r#"{"op":"test","label":"Sneeze"}"#, "done");
    client.wait_for_event("event.end", &["Sneeze"]);
    daemon.signal("-TERM");
    daemon.wait();
    daemon.start_again(&config, &["--source", &voices(&folder)], &[]);
    until("the sink to serve", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    // The event of the daemon before, as its last line told it.
    let (status, page) = get(port, "/api/v1/history?label=speech&limit=1000");
    assert_eq!(status, 200);
    let events = page["events"].as_array().unwrap();
    let kept = events.iter().find(|event| event["id"] == end["event"]["id"]).unwrap();
    for field in ["label", "onset", "offset", "duration_ms", "score", "peak_score", "level_dbfs", "also", "confirmed", "reason"] {
        assert_eq!(kept[field], end["event"][field], "{field}");
    }
    assert_eq!((&kept["first_seq"], &kept["last_seq"], &kept["model"]), (&first["seq"], &end["seq"], &"ced-tiny".into()));
    // Page by page it is the same, and events that were made up are asked for by name.
    let (mut one_by_one, mut next) = (Vec::new(), String::new());
    loop {
        let (_, page) = get(port, &format!("/api/v1/history?until={}&limit=1{next}", end["ts"].as_str().unwrap()));
        one_by_one.extend(page["events"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&before={cursor}");
    }
    assert!(one_by_one.iter().all(|event| event["source"] != "test"));
    let (_, all) = get(port, &format!("/api/v1/history?until={}", end["ts"].as_str().unwrap()));
    assert_eq!(all["events"].as_array().unwrap(), &one_by_one);
    let (_, made_up) = get(port, "/api/v1/history?source=test");
    assert_eq!(made_up["events"][0]["label"], "Sneeze");
    let (_, counts) = get(port, "/api/v1/history?by=label&by=weekday");
    assert!(
        counts["counts"].as_array().unwrap().iter().any(|count| count["label"] == "Speech" && count["events"].as_u64() > Some(0))
    );
    let (_, counts) = get(port, "/api/v1/counts");
    let of_day = counts["counts"].as_array().unwrap().iter().find(|count| count["label"] == "Speech").unwrap();
    assert!(of_day["events"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>() > 0);
    // A label of the model that nobody heard is no fault, and one that does not exist is.
    assert_eq!(get(port, "/api/v1/history?label=Yodeling").1["events"], serde_json::json!([]));
    assert_eq!(get(port, "/api/v1/history?label=Yodelingg").0, 404);
    assert_eq!(get(port, "/api/v1/history?since=soon").0, 400);

    let jsonl = history(&path, &["--since", "1h", "--format", "jsonl", "--label", "Speech"]);
    let lines: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["id"] == end["event"]["id"]), "{jsonl}");
    let csv = history(&path, &["--format", "csv", "--confirmed"]);
    assert!(csv.starts_with("onset,offset,duration_ms,label,") && csv.contains(",Speech,"), "{csv}");
    let pretty = history(&path, &[]);
    assert!(pretty.contains(" 24h  ") && pretty.contains("Speech"), "{pretty}");
    let by = history(&path, &["--by", "day", "--by", "label", "--format", "tsv"]);
    assert!(by.starts_with("day\tlabel\tevents\tconfirmed\tunconfirmed\n") && by.contains("\tSpeech\t"), "{by}");
    let copy = folder.path().join("copy.db");
    history(&path, &["--backup", copy.to_str().unwrap()]);
    assert!(history(&copy, &["--format", "jsonl"]).lines().count() >= lines.len());
    // Events are followed until they end.
    let mut command = mimid();
    command.args(["history", "--follow", "--since", "0s", "--format", "jsonl", "--store"]).arg(&path);
    let mut follower = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut followed = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(follower.stdout.take().unwrap()), &mut followed).unwrap();
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert!(serde_json::from_str::<Value>(&followed).unwrap()["reason"].is_string(), "{followed}");
    // Every fault is a sentence.
    for (arguments, said) in [
        (&["--label", "Speehc"][..], "mimid: no event of \"Speehc\" is kept; did you mean \"Speech\"?"),
        (&["--since", "soon"], "mimid: --since: \"soon\" is no time; write "),
        (&["--backup", copy.to_str().unwrap()], "cannot be copied to"),
    ] {
        let (code, stderr) = failure(mimid().arg("history").arg("--store").arg(&path).args(arguments));
        assert!(code > 0 && stderr.contains(said), "{arguments:?}: {stderr}");
    }
    let (code, stderr) = failure(mimid().args(["history", "--store", "/nonexistent/events.db"]));
    assert!(code == 1 && stderr.starts_with("mimid: there is no store at /nonexistent/events.db; "), "{stderr}");
}

#[test]
fn a_browser_that_comes_back_after_a_restart_gets_what_it_missed() {
    let (folder, path) = place();
    let port = free_port();
    let config = format!("{}[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n", stored(&path));
    let mut daemon = Daemon::start(&config, &["--source", &voices(&folder)], &[]);
    let mut client = daemon.connect();
    let start = client.wait_for("event.start");
    let id = format!("{}@{}", start["seq"], client.hello["instance"].as_str().unwrap());
    client.wait_for("event.end");
    daemon.signal("-KILL");
    daemon.wait();
    daemon.start_again(&config, &["--source", &voices(&folder)], &[]);
    until("the sink to serve", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {id}\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = Stream(std::io::BufReader::new(stream));
    let subscribed = stream.wait_for("subscribed");
    assert_eq!(subscribed.data["restarted"], false);
    assert_eq!(stream.next().data["seq"].as_u64().unwrap(), seq(&start) + 1);
    stream.wait_for("event.end");
}
