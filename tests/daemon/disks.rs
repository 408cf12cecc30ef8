//! A disk that is full, slow, read-only or gone, for the store and for the clips: all is heard and sent on as before, it is told, and
//! everything goes on by itself afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::mqtt::{Broker, Subscriber};
use crate::support::{Client, Daemon, looped, mimid, run, until, voice_and_seconds_of_silence};

/// How soon a failure must be told.
const TOLD: Duration = Duration::from_secs(5);
/// What a client waits for the answer to a request at most, however the disk is.
const ANSWERED: Duration = Duration::from_millis(900);

/// Makes the system calls of one part of the daemon, `clips` or `store`, fail or last a second while the file `spoilt-PART` has the first
/// letter of a way in it.
const SPOIL: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int spoilt(const char *path) {
    const char *by = strstr(path, "/clips/") ? "spoilt-clips" : strstr(path, "events.db") ? "spoilt-store" : 0;
    if (!by) return 0;
    char way = 0;
    int fd = syscall(SYS_openat, AT_FDCWD, by, O_RDONLY);
    if (fd < 0) return 0;
    syscall(SYS_read, fd, &way, 1);
    syscall(SYS_close, fd);
    if (way == 's') sleep(1);
    errno = way == 'f' ? ENOSPC : way == 'r' ? EROFS : 0;
    return errno;
}
static int spoilt_file(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    return n > 0 && (path[n] = 0, 1) ? spoilt(path) : 0;
}
#define NEXT(name, result, ...) static result (*next)(__VA_ARGS__); if (!next) next = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);
ssize_t write(int fd, const void *b, size_t n) { NEXT("write", ssize_t, int, const void *, size_t) return spoilt_file(fd) ? -1 : next(fd, b, n); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { NEXT("pwrite", ssize_t, int, const void *, size_t, off_t) return spoilt_file(fd) ? -1 : next(fd, b, n, o); }
ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { NEXT("pwrite64", ssize_t, int, const void *, size_t, off64_t) return spoilt_file(fd) ? -1 : next(fd, b, n, o); }
int fsync(int fd) { NEXT("fsync", int, int) return spoilt_file(fd) ? -1 : next(fd); }
int fdatasync(int fd) { NEXT("fdatasync", int, int) return spoilt_file(fd) ? -1 : next(fd); }
#define OPEN(name) int name(const char *path, int flags, ...) { \
    NEXT(#name, int, const char *, int, ...) va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
    return (flags & O_CREAT) && (flags & O_TRUNC) && spoilt(path) ? -1 : next(path, flags, mode); }
OPEN(open)
OPEN(open64)
"#;

/// A daemon with a broker, whose disk can be spoilt.
struct Spoilt {
    folder: tempfile::TempDir,
    daemon: Daemon,
    _broker: Broker,
    subscriber: Subscriber,
}

impl Spoilt {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("spoil.c"), folder.path().join("spoil.so"));
        std::fs::write(&source, SPOIL).unwrap();
        let mut compiler = Command::new("cc");
        assert!(compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status().unwrap().success());
        let broker = Broker::start();
        let subscriber = Subscriber::new(&broker, &["mimid/#"], &[]);
        let config = format!(
            "[store]\npath = {:?}\n[labels.Speech]\nclip = true\n[clips]\nenabled = true\npath = {:?}\nmin_free_mb = 0\nbefore_s = 1\nafter_s = 1\nmax_s = 10\n\
             [sinks.mqtt]\nurl = {:?}\nnode = \"pi\"\n",
            folder.path().join("state/events.db"),
            folder.path().join("clips"),
            broker.url()
        );
        let recording = voice_and_seconds_of_silence(folder.path(), 2);
        let daemon = Daemon::start_as(&config, &["--source", &looped(&recording)], |mut command| {
            command.env("LD_PRELOAD", &library).current_dir(folder.path());
            command
        });
        let spoilt = Self { folder, daemon, _broker: broker, subscriber };
        spoilt.subscriber.wait_for_payload("mimid/pi/availability", "online");
        spoilt
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spoil(&self, part: &str, way: &str) {
        std::fs::write(self.folder.path().join(format!("spoilt-{part}")), way).unwrap();
    }

    fn mend(&self, part: &str) {
        std::fs::remove_file(self.folder.path().join(format!("spoilt-{part}"))).unwrap();
    }

    /// All is as it should be for those who hear, ask and follow.
    fn assert_undisturbed(&self, client: &mut Client, way: &str) {
        for _ in 0..10 {
            let asked = Instant::now();
            client.send(r#"{"op":"test","label":"Sneeze"}"#);
            let event = client.wait_for_event("event.start", &["Sneeze"])["event"]["id"].clone();
            assert!(asked.elapsed() < ANSWERED, "{way}: {:?}", asked.elapsed());
            self.subscriber
                .wait_for("the event", |message| message.topic.ends_with("/event") && message.json()["event"]["id"] == event);
        }
        client.wait_for_event("event.start", &["Speech"]);
        let source = client.status()["sources"][0].clone();
        assert_eq!((&source["overrun_samples"], &source["losses"]), (&0.into(), &0.into()), "{way}: {source}");
    }
}

fn store(status: &Value) -> Value {
    status["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "store").cloned().unwrap_or_default()
}

/// The files of a folder with what is in them.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let listed = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    listed
        .filter(|path| path.extension().is_some_and(|end| end == "flac"))
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// Waits for the next clip in this state.
fn clip(client: &mut Client, state: &str) -> Value {
    loop {
        let line = client.wait_for("clip");
        if line["state"] == state {
            return line;
        }
    }
}

#[test]
fn a_store_whose_disk_is_full_slow_or_read_only_disturbs_nobody_and_keeps_all_afterwards() {
    let spoilt = Spoilt::start();
    let mut client = spoilt.daemon.connect();
    client.wait_for_event("event.end", &["Speech"]);
    for way in ["full", "read-only", "slow"] {
        spoilt.spoil("store", way);
        let begun = Instant::now();
        client.send(r#"{"op":"test","label":"Sneeze"}"#);
        client.status_when(way, |status| store(status)["state"] == "down");
        eprintln!("store, {way}: told after {:?}", begun.elapsed());
        assert!(begun.elapsed() < TOLD, "{way}: {:?}", begun.elapsed());
        spoilt.assert_undisturbed(&mut client, way);
        spoilt.mend("store");
        client.status_when("all to be kept", |status| store(status)["state"] == "up" && store(status)["queued"] == 0);
    }
    assert_eq!(store(&client.status())["dropped"], 0);
    let subscribed = client.ask(r#"{"op":"subscribe","since":0}"#, "subscribed");
    let last = subscribed["seq"].as_u64().unwrap();
    let numbers: Vec<u64> = (0..last).map(|_| client.next()["seq"].as_u64().unwrap_or_default()).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
}

#[test]
fn clips_whose_disk_is_full_slow_read_only_or_gone_disturb_nobody_and_are_kept_afterwards() {
    let spoilt = Spoilt::start();
    let clips = spoilt.path("clips");
    let mut client = spoilt.daemon.connect();
    clip(&mut client, "kept");
    for way in ["gone", "full", "read-only", "slow"] {
        let before = contents(&clips);
        assert!(!before.is_empty());
        let aside = spoilt.path("aside");
        if way == "gone" {
            std::fs::rename(&clips, &aside).unwrap();
            std::fs::write(&clips, "in the way").unwrap();
        } else {
            spoilt.spoil("clips", &way[..1]);
            // Nothing is written before there is something to write.
            client.wait_for_event("event.end", &["Speech"]);
        }
        let begun = Instant::now();
        let status = client.status_when(way, |status| status["clips"]["reason"].is_string());
        eprintln!("clips, {way}: told after {:?}: {}", begun.elapsed(), status["clips"]["reason"]);
        assert!(begun.elapsed() < TOLD, "{way}: {:?}", begun.elapsed());
        spoilt.assert_undisturbed(&mut client, way);
        // A slow disk takes what it has begun with, however long that takes.
        if way != "slow" {
            let lost = clip(&mut client, "dropped");
            assert!(lost["reason"].is_string() && lost["file"].is_null(), "{lost}");
        }
        assert!(client.status()["clips"]["reason"].is_string(), "it stays told while it lasts");
        if way == "gone" {
            std::fs::remove_file(&clips).unwrap();
            std::fs::rename(&aside, &clips).unwrap();
        } else {
            spoilt.mend("clips");
        }
        client.status_when("clips to be kept", |status| status["clips"]["reason"].is_null());
        let kept = clip(&mut client, "kept");
        assert!(clips.join(kept["file"].as_str().unwrap()).exists());
        // What was there is there as it was.
        let after = contents(&clips);
        assert!(before.iter().all(|file| after.contains(file)), "{way}");
        assert!(store(&client.status())["state"] == "up");
    }
    until("the unfinished files to be cleared", || {
        std::fs::read_dir(&clips).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with(".part"))
    });
    assert_eq!(client.status()["clips"]["missing"], 0);
}

#[test]
fn a_disk_that_leaves_an_empty_folder_is_told_and_all_is_kept_when_it_is_there_again() {
    let spoilt = Spoilt::start();
    let (clips, aside) = (spoilt.path("clips"), spoilt.path("aside"));
    let mut client = spoilt.daemon.connect();
    clip(&mut client, "kept");
    // A disk that is unmounted leaves the folder on which it was, whose place it takes again later.
    let unmount = |folder: &Path| {
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
    };
    let mount = |folder: &Path| {
        std::fs::rename(folder, spoilt.path(&uuid::Uuid::now_v7().to_string())).unwrap();
        std::fs::rename(&aside, folder).unwrap();
    };
    let kept = || {
        let mut list = mimid();
        list.args(["clips", "list", "--kept", "--json", "--limit", "1000", "--store"]).arg(spoilt.path("state/events.db"));
        String::from_utf8(run(list.arg("--folder").arg(&clips)).stdout).unwrap()
    };
    let are_kept = |files: &[(PathBuf, Vec<u8>)]| {
        let (there, told) = (contents(&clips), kept());
        files.iter().all(|file| there.contains(file) && told.contains(&*file.0.file_name().unwrap().to_string_lossy()))
    };
    let before = contents(&clips);
    assert!(!before.is_empty());
    until("the clips to be kept", || are_kept(&before));
    unmount(&clips);
    let begun = Instant::now();
    client.status_when("missing clips", |status| status["clips"]["missing"].as_u64() >= Some(1));
    eprintln!("clips, unmounted: told after {:?}", begun.elapsed());
    assert!(begun.elapsed() < TOLD, "{:?}", begun.elapsed());
    mount(&clips);
    until("the clips to be found", || are_kept(&before));
    // While the store's disk is gone, another store knows the clips, and afterwards the first one keeps them.
    unmount(&spoilt.path("state"));
    until("another store", || spoilt.path("state/events.db").exists());
    clip(&mut client, "kept");
    clip(&mut client, "kept");
    let meanwhile = contents(&clips);
    mount(&spoilt.path("state"));
    until("the first store to know them all", || are_kept(&meanwhile));
}
