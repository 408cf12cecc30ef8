//! A hostile environment: full disks, closed streams, missing rights, low limits, odd variables. In each the program works
//! normally, or ends with one sentence and the right exit code. It never panics or fails silently.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Client, Daemon, RINGTONE, VOICE, after, failure, looped, mimid, run, under, until};

/// The command that runs another as a user who is not root and owns nothing here.
const STRANGER: [&str; 6] = ["setpriv", "--reuid=64321", "--regid=64321", "--clear-groups", "--bounding-set=-all", "--"];

/// The standard error of a command.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

/// Whether a command succeeds here.
fn works(command: &[&str]) -> bool {
    Command::new(command[0]).args(&command[1..]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The command that gives another its own mounts. If there is none, prints why the test is skipped.
fn own_mounts() -> Option<Vec<&'static str>> {
    let ways = [vec!["unshare", "--mount"], vec!["unshare", "--user", "--map-root-user", "--mount"]];
    let way = ways.into_iter().find(|way| works(&[way.as_slice(), &["true"]].concat()));
    if way.is_none() {
        eprintln!("skipped: neither root nor a user namespace may mount here");
    }
    way
}

/// Whether this test may run commands as another user. If not, prints why the test is skipped.
fn may_be_a_stranger() -> bool {
    let may = works(&[&STRANGER[..], &["test", "-x", env!("CARGO_BIN_EXE_mimid")]].concat());
    if !may {
        eprintln!("skipped: only root may run the binary as another user, who must be able to reach it");
    }
    may
}

/// `mimid run` over a recording that ends, with a socket in `folder`.
fn short_run(folder: &Path) -> Command {
    run_over(&format!("file:{VOICE}"), folder)
}

/// `mimid run` over this source, with a socket in `folder`.
fn run_over(source: &str, folder: &Path) -> Command {
    let config = folder.join("short.toml");
    std::fs::write(&config, format!("[socket]\npath = {:?}\n", folder.join("short"))).unwrap();
    let mut command = mimid();
    command.args(["run", "--print", "--source", source, "--config"]).arg(config);
    command
}

/// A folder that every user may use.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

#[test]
fn what_a_full_disk_does_not_take_is_told_and_what_was_there_stays() {
    let Some(way) = own_mounts() else { return };
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    std::fs::create_dir(&full).unwrap();
    // A state to go on from, made while there was room.
    let state = folder.path().join("old.json");
    assert!(run(mimid().args(["tune", "--background", "--state"]).arg(&state).arg(VOICE)).status.success());
    let script = format!(
        r#"cd {folder:?} && mount -t tmpfs -o size=64k none full && cp old.json full/b.json && echo '[labels.Speech]
threshold = 0.3' > full/c.toml && cp full/c.toml old.toml && cp {VOICE} voice.wav
dd if=/dev/zero of=full/filler bs=4k 2>/dev/null
exec 3>&1
try() {{ name=$1; shift; "$@" 2>said; echo "$name: $?: $(tail -n 1 said)" >&3; }}
try scan "$0" scan {VOICE} > full/out
try scores "$0" scan --scores full {VOICE} >out
try state "$0" tune --background --state full/b.json voice.wav >out
try write "$0" tune --background --state new.json --config full/c.toml --write voice.wav >out
try manual "$0" man full/man >out
cmp old.json full/b.json && cmp old.toml full/c.toml && echo "what was there is there""#,
        folder = folder.path(),
    );
    let output = run(&mut under(&[&way[..], &["bash", "-c", &script]].concat(), &mimid()));
    let text = String::from_utf8(output.stdout.clone()).unwrap().replace(folder.path().to_str().unwrap(), "F");
    insta::assert_snapshot!(format!("{text}{}", said(&output)), @"
    scan: 1: mimid: the output could not be written: No space left on device (os error 28)
    scores: 1: mimid: full/Front_Center.tsv cannot be written: No space left on device (os error 28)
    state: 1: mimid: the state file full/b.json cannot be written (No space left on device (os error 28)); name another with --state
    write: 1: mimid: full/c.toml cannot be written (No space left on device (os error 28)); it is as it was
    manual: 1: mimid: the manual pages could not be written into full/man: No space left on device (os error 28)
    what was there is there
    ");
}

#[test]
fn output_that_cannot_be_written_is_told() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["labels"],
        &["labels", "--json"],
        &["check"],
        &["completions", "bash"],
        &["schema", "protocol"],
        &["explain", VOICE],
    ] {
        let (code, message) = failure(&mut after("exec >/dev/full", mimid().args(arguments)));
        let expected = "mimid: the output could not be written: No space left on device (os error 28)";
        assert_eq!((code, message.as_str()), (1, expected), "{arguments:?}");
    }
}

/// Waits until the daemon hears a sound.
fn hear(daemon: &Daemon) {
    let mut client = daemon.connect();
    client.send(r#"{"op":"subscribe","since":0}"#);
    client.wait_for("event.start");
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody_from_hearing() {
    for (config, script) in [
        ("", "exec 2>/dev/full"),
        ("[log]\nformat = \"json\"\n", "exec 2>/dev/full"),
        ("", "exec 2> >(true); wait $!"),
        ("", "exec <&- >&- 2>&-"),
    ] {
        let mut daemon = Daemon::start_as(config, &["--print", "--source", &looped(RINGTONE)], |command| after(script, &command));
        hear(&daemon);
        // A bad configuration is worth a record, too.
        std::fs::write(daemon.folder.path().join("mimid.toml"), "x = 1").unwrap();
        daemon.connect().ask(r#"{"op":"reload"}"#, "config.rejected");
        hear(&daemon);
        daemon.signal("-TERM");
        assert_eq!(daemon.wait(), 0, "{script}");
    }
}

#[test]
fn a_full_disk_under_the_printed_events_is_told_once_and_ends_the_printing_only() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&mut after("exec >/dev/full", &short_run(folder.path())));
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let told = "events are not printed any more, but still published: the output could not be written: No space left on device";
    assert_eq!(said.matches(told).count(), 1, "{said}");
}

#[test]
fn what_is_no_configuration_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(works(&["mkfifo", at("fifo").to_str().unwrap()]));
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("long"), "#".repeat(100_000_000)).unwrap();
    let check = |path: &Path| {
        let (code, message) = failure(mimid().args(["check", "--config"]).arg(path));
        format!("{code} {}", message.replace(folder.path().to_str().unwrap(), "F"))
    };
    let all = [at("fifo"), at("folder"), at("long"), "/dev/zero".into()].map(|path| check(&path));
    insta::assert_snapshot!(all.join("\n"), @"
    2 mimid: F/fifo: this is a pipe or a socket, which cannot be read again; name a file
    2 mimid: F/folder: this is a folder; name the configuration file in it
    2 mimid: F/long: this is longer than 4194304 bytes and no configuration
    2 mimid: /dev/zero: this is longer than 4194304 bytes and no configuration
    ");
    assert!(run(mimid().args(["check", "--config", "/dev/null"])).status.success());
}

#[test]
fn a_configuration_that_this_user_may_not_see_is_not_passed_over() {
    if !may_be_a_stranger() {
        return;
    }
    let folder = open_folder();
    let closed = folder.path().join("mimid");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut check = under(&STRANGER, mimid().args(["check"]).env("XDG_CONFIG_HOME", folder.path()));
    let expected = format!("mimid: {}/config.toml: this user may not read the configuration file", closed.display());
    assert_eq!(failure(&mut check), (2, expected));
}

#[test]
fn a_socket_folder_that_this_user_may_not_write_to_is_told() {
    if !may_be_a_stranger() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, message) = failure(&mut under(&STRANGER, short_run(folder.path()).env("MIMID_LOG", "off")));
    let expected = format!(
        "mimid: this user may not make the socket {}/short; set another path under [socket], or run as a user who may",
        folder.path().display()
    );
    assert_eq!((code, message), (1, expected));
}

#[test]
fn a_read_only_root_without_shared_memory_is_enough() {
    let Some(way) = own_mounts() else { return };
    let folder = tempfile::tempdir().unwrap();
    let command = short_run(folder.path());
    // A /dev with nothing in it but what every program may count on, and one place to write: the socket's folder.
    let script = format!(
        r#"set -e; cd {:?}; mkdir dev; mount -t tmpfs none dev
for name in null zero full random urandom; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mount --rbind dev /dev; mkdir place; mount -t tmpfs none place
sed -i 's|/short|/place/s|' short.toml
mount -o remount,bind,ro /
test ! -e /dev/shm; exec "$0" "$@""#,
        folder.path()
    );
    let output = run(&mut under(&[&way[..], &["bash", "-c", &script]].concat(), &command));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success() && text.contains("Speech"), "{text}{}", said(&output));
}

#[test]
fn odd_variables_change_nothing() {
    let variables: [&[(&str, Option<&str>)]; 4] = [
        &[("HOME", None), ("PATH", None), ("LC_ALL", Some("C")), ("TZ", Some(":bogus"))],
        &[("HOME", Some("")), ("LC_ALL", Some("POSIX")), ("TZ", Some("Asia/Kathmandu"))],
        &[("HOME", Some("/dev/null")), ("LANG", Some("xx_YY.bogus")), ("TZ", Some("")), ("XDG_CONFIG_HOME", Some(""))],
        &[("XDG_RUNTIME_DIR", Some("not/absolute")), ("TZ", Some("../../etc/passwd")), ("TERM", Some("\u{1b}[2J"))],
    ];
    std::thread::scope(|scope| {
        for variables in variables {
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let mut command = short_run(folder.path());
                for (name, value) in variables {
                    match value {
                        Some(value) => command.env(name, value),
                        None => command.env_remove(name),
                    };
                }
                let output = run(&mut command);
                let text = String::from_utf8(output.stdout.clone()).unwrap();
                assert!(output.status.success() && text.contains("Speech"), "{variables:?}: {text}{}", said(&output));
            });
        }
    });
}

#[test]
fn too_few_descriptors_threads_or_memory_are_one_sentence() {
    let folder = open_folder();
    let command = |script: &str| {
        let mut command = after(script, short_run(folder.path()).env("MIMID_LOG", "off").env("RUST_BACKTRACE", "0"));
        command.stdin(Stdio::null());
        command
    };
    for n in [8, 79] {
        let expected = format!(
            "mimid: this process may open {n} files at a time, but needs 80 at least; raise the limit (ulimit -n, or LimitNOFILE= of the unit)"
        );
        assert_eq!(failure(&mut command(&format!("ulimit -n {n}"))), (1, expected));
    }
    // So little that ONNX Runtime cannot even be loaded. With a little more, whichever thread asks first fails.
    let (code, message) = failure(&mut command("ulimit -v 75000"));
    let last = message.lines().last().unwrap_or_default();
    assert!([1, 4].contains(&code) && last.starts_with("mimid: "), "{code} {message}");
    if !may_be_a_stranger() {
        return;
    }
    for n in [2, 5, 6] {
        let mut command = under(&STRANGER, &command(&format!("ulimit -u {n}")));
        let (code, message) = failure(&mut command);
        assert_eq!(code, 1, "{n} threads: {message}");
        assert!(
            message.starts_with("mimid: ") && message.ends_with("raise the limit (ulimit -u, or TasksMax= of the unit)"),
            "{message}"
        );
    }
}

#[test]
fn a_mask_changes_neither_the_socket_nor_who_may_use_it() {
    if !may_be_a_stranger() {
        return;
    }
    for mask in ["777", "000"] {
        let folder = open_folder();
        let mut command = after(&format!("umask {mask}"), &run_over(&looped(VOICE), folder.path()));
        command = under(&STRANGER, &command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let socket = folder.path().join("short");
        let metadata = until("a socket", || std::fs::symlink_metadata(&socket));
        assert_eq!(metadata.permissions().mode() & 0o777, 0o660, "umask {mask}");
        // A daemon that greets also catches signals.
        drop(Client::connect(&socket));
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        assert!(child.wait().unwrap().success());
        // Nothing is left but the configuration.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn clients_that_use_up_what_may_be_open_are_refused_politely_until_some_leave() {
    let daemon = Daemon::start_as("", &["--source", &looped(RINGTONE)], |command| after("ulimit -n 100", &command));
    // The processor time of a second of sound.
    let cost_s = |client: &mut Client| {
        let before = daemon.cpu_s();
        client.hear_on(1.0);
        daemon.cpu_s() - before
    };
    let mut all = vec![daemon.connect()];
    let usual_s = cost_s(&mut all[0]);
    all.extend((1..36).map(|_| daemon.connect()));
    assert!(all.iter().all(|client| client.hello["type"] == "hello"));
    for _ in 0..50 {
        let refused = daemon.connect().hello;
        assert_eq!(
            (refused["code"].as_str(), refused["message"].as_str()),
            (Some("busy"), Some("36 clients are connected already"))
        );
    }
    // The daemon keeps the descriptors that it needs itself: it hears, and reads its configuration again.
    all[0].ask(r#"{"op":"reload"}"#, "config.reloaded");
    let now_s = cost_s(&mut all[1]);
    assert!(now_s < usual_s + 0.3, "it spins: {usual_s} s became {now_s} s");
    all.truncate(30);
    until("a place for others", || daemon.connect().hello["type"] == "hello");
}

#[test]
fn a_reader_that_goes_is_nobody_s_fault() {
    for arguments in [&["labels"][..], &["scan", VOICE], &["--help"]] {
        let output = run(&mut after("exec > >(true); wait $!", mimid().args(arguments)));
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn the_daemon_leaves_no_core_dump_unless_somebody_asks_for_it() {
    let daemon = Daemon::start_as("", &["--source", &looped(RINGTONE)], |command| after("ulimit -S -c unlimited", &command));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}
