//! The socket under attack: floods, garbage, strangers, planted files, and names with control characters for a terminal or a log.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Client, Daemon, Over, RINGTONE, VOICE, after, failure, looped, mimid, onnx, run, until};
use serde_json::Value;

/// Sends requests in a tight loop until the test is over. A client that `reads` takes the answers, too.
fn flood(socket: &Path, request: &str, reads: bool, over: &Over) {
    let requests = format!("{request}\n").repeat(50);
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut taken = vec![0; 1 << 16];
    while !over.is() {
        let is_full = stream.write(requests.as_bytes()).is_err();
        let is_empty = !reads || stream.read(&mut taken).is_err();
        if is_full && is_empty {
            // Nobody waits for this: it only leaves the processor to others while there is nothing to do.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn floods_of_requests_cost_neither_the_analysis_nor_a_healthy_subscriber_anything() {
    let model = tempfile::tempdir().unwrap();
    let daemon = Daemon::looped(&onnx::cheap(model.path()), RINGTONE);
    let socket = daemon.socket();
    let (mut control, mut healthy) = (daemon.connect(), daemon.connect());
    let calm = control.status_when("20 windows", |status| status["sources"][0]["windows"].as_u64() >= Some(20));
    let before = daemon.resident_mib();
    let over = Over::default();
    let requests = [
        r#"{"op":"status"}"#,
        r#"{"op":"top","k":527}"#,
        r#"{"op":"peaks","since":0}"#,
        r#"{"op":"subscribe","since":0}"#,
        r#"{"op":"subscribe","labels":["Dgo"]}"#,
    ];
    std::thread::scope(|scope| {
        let _over = over.at_the_end();
        for at in 0..20 {
            let (socket, over) = (&socket, &over);
            scope.spawn(move || flood(socket, requests[at % 5], at >= 10, over));
        }
        // The healthy one has every report, once and in order, while the flood goes on.
        let mut last = None;
        for _ in 0..10 {
            control.send(r#"{"op":"test","label":"Dog"}"#);
            control.wait_for("done");
            loop {
                let line = healthy.next();
                assert_ne!(line["type"], "dropped");
                let Some(seq) = line["seq"].as_u64() else { continue };
                assert!(last.is_none_or(|last| seq == last + 1), "{seq} after {last:?}");
                last = Some(seq);
                if line["type"] == "event.end" && line["event"]["source"] == "test" {
                    break;
                }
            }
            control.hear_on(0.1);
        }
        // Ten windows are scored of each second.
        let windows_per_s = control.windows_per_s_since(&calm);
        let status = control.status();
        assert!(windows_per_s > 9.0 && status["sources"][0]["overrun_samples"] == 0, "{windows_per_s}: {status}");
    });
    let after = daemon.resident_mib();
    assert!(after < before + 40.0, "{before} MiB became {after} MiB");
}

#[test]
fn lines_that_never_end_hold_bounded_memory_and_nobody_up() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut client = daemon.connect();
    let before = daemon.resident_mib();
    // Each sends all but the end of a line that is as long as a line may be, and then a byte now and then.
    let mut slow: Vec<UnixStream> = (0..100).map(|_| UnixStream::connect(daemon.socket()).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(&vec![b' '; 60_000]).unwrap();
    }
    for _ in 0..10 {
        slow.iter_mut().for_each(|stream| stream.write_all(b" ").unwrap());
        client.status();
    }
    // Twice 64 KiB for each, as a buffer grows.
    let after = daemon.resident_mib();
    assert!(after < before + 16.0, "{before} MiB became {after} MiB");
    // Such a line can still be ended, and is a request like any other.
    let mut last = slow.pop().unwrap();
    last.write_all(b"{\"op\":\"status\"}\n").unwrap();
    let mut client = Client::of(last);
    assert_eq!(client.hello["type"], "hello");
    client.wait_for("status");
}

#[test]
fn garbage_of_every_kind_is_answered_in_few_words() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut client = daemon.connect();
    client.send(r#"{"op":"subscribe","types":["config"]}"#);
    client.wait_for("subscribed");
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let lines: Vec<Vec<u8>> = vec![
        b"\xff\xfe\x00".to_vec(),
        b"\0\0\0".to_vec(),
        b"{\"op\":\"status\0\"}".to_vec(),
        b"{\"op\":\"\\u0000\\ud800\"}".to_vec(),
        "[".repeat(60_000).into(),
        format!("{{\"op\":\"top\",\"k\":{deep}}}").into(),
        "[".repeat(100_000).into(),
        r#"{"op":"top","k":1e999}"#.into(),
        r#"{"op":"top","k":-1}"#.into(),
        r#"{"op":"top","k":18446744073709551616}"#.into(),
        r#"{"op":"subscribe","since":-1}"#.into(),
        r#"{"op":"subscribe","since":1.5}"#.into(),
        r#"{"op":"subscribe","min_score":NaN}"#.into(),
        r#"{"op":"subscribe","min_score":-0.1}"#.into(),
        r#"{"op":"subscribe","min_score":1e308}"#.into(),
        r#"{"op":"subscribe","instance":7}"#.into(),
        r#"{"op":"set","label":"Dog","threshold":-1e-300}"#.into(),
        r#"{"op":"set","label":"Dog","threshold":1e300}"#.into(),
        r#"{"op":"pause","seconds":-5}"#.into(),
        r#"{"op":"pause","seconds":1e300}"#.into(),
        r#"{"op":"test","label":"\u001b[2J\n"}"#.into(),
        format!(r#"{{"op":"test","label":"{}"}}"#, "é".repeat(30_000)).into(),
        r#"{"op":"status","op":"reboot"}"#.into(),
        "\u{feff}{\"op\":\"status\"}".into(),
    ];
    for line in lines {
        client.send_bytes(&[&line[..], b"\n"].concat());
        let answer = client.next();
        let shown = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        assert_eq!(answer["type"], "error", "{shown}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(!message.is_empty() && message.len() < 400, "{shown}: {message}");
        assert!(!message.chars().any(char::is_control), "{shown}: {message:?}");
    }
    // The greatest numbers that are numbers are taken.
    client.ask(r#"{"op":"top","k":18446744073709551615}"#, "top");
    client.ask(r#"{"op":"peaks","since":18446744073709551615,"floor":1}"#, "peaks");
    client.ask(r#"{"op":"subscribe","since":18446744073709551615}"#, "subscribed");
    client.status();
}

#[test]
fn a_half_closed_connection_is_still_answered_and_told() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.write_all(b"{\"op\":\"status\"}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut client = Client::of(stream);
    client.wait_for("status");
    client.wait_for("event.start");
    // One that has closed the other half has nothing more to be told, and must not be written to for ever.
    let stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.shutdown(std::net::Shutdown::Read).unwrap();
    let mut control = daemon.connect();
    until("an end of the service to one who reads nothing any more", || {
        control.ask(r#"{"op":"test","label":"Dog"}"#, "done");
        control.status()["clients"].as_u64() <= Some(2)
    });
}

/// Raises this process's limit of open files, and returns whether it may open `n`.
fn may_open(n: u64) -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, n.min(hard), hard).unwrap();
    hard >= n
}

#[test]
fn more_clients_than_there_is_room_for_are_told_so() {
    if !may_open(4_096) {
        eprintln!("skipped: this user may not open so many files");
        return;
    }
    let daemon = Daemon::looped("", RINGTONE);
    let clients: Vec<Client> = (0..2_048).map(|_| daemon.connect()).collect();
    assert!(clients.iter().all(|client| client.hello["type"] == "hello"));
    let refused = daemon.connect().hello;
    assert_eq!(refused["message"], "2048 clients are connected already");
    drop(clients);
    until("room where others have gone", || daemon.connect().hello["type"] == "hello");
}

/// The daemon's answers to these requests of another user, who has no name and is in this group.
fn as_a_stranger(socket: &Path, gid: u32, requests: &[&str]) -> Vec<Value> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=64321", &format!("--regid={gid}"), "--clear-groups", "socat", "-"]);
    command.arg(format!("UNIX-CONNECT:{}", socket.display())).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let asked = format!("{{\"op\":\"subscribe\",\"types\":[\"source.clipping\"]}}\n{}\n", requests.join("\n"));
    child.stdin.as_mut().unwrap().write_all(asked.as_bytes()).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let answers = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap()).skip_while(|line| line["type"] != "subscribed");
    let answers = answers.skip(1).take(requests.len()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    answers
}

#[test]
fn another_user_may_hear_and_change_nothing_unless_of_the_group() {
    let may = Command::new("setpriv").args(["--reuid=64321", "--clear-groups", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: only root may take another user's place");
        return;
    }
    const GID: u32 = 64_999;
    let daemon = Daemon::start(&format!("mode = \"0666\"\ngroup = \"{GID}\"\n"), &["--source", &looped(RINGTONE)], &[]);
    std::fs::set_permissions(daemon.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let metadata = std::fs::metadata(daemon.socket()).unwrap();
    assert_eq!((metadata.gid(), metadata.permissions().mode() & 0o777), (GID, 0o666));
    let hearing = [r#"{"op":"status"}"#, r#"{"op":"top"}"#];
    let changing = [
        r#"{"op":"reload"}"#,
        r#"{"op":"pause"}"#,
        r#"{"op":"resume"}"#,
        r#"{"op":"test","label":"Dog"}"#,
        r#"{"op":"set","label":"Dog","threshold":0.5}"#,
    ];
    let requests = [&hearing[..], &changing].concat();
    let answers = |gid| {
        let answers = as_a_stranger(&daemon.socket(), gid, &requests);
        answers.iter().map(|answer| answer["code"].as_str().or(answer["type"].as_str()).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(answers(64_321), [&["status", "top"][..], &["forbidden"; 5]].concat());
    assert_eq!(answers(GID), ["status", "top", "config.reloaded", "done", "done", "done", "set"]);
    // And where the mode does not let them in, they are not let in.
    let closed = Daemon::start(&format!("group = \"{GID}\"\n"), &["--source", &looped(RINGTONE)], &[]);
    std::fs::set_permissions(closed.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let stranger = Command::new("setpriv")
        .args(["--reuid=64321", "--regid=64321", "--clear-groups", "socat", "-u", "/dev/null"])
        .arg(format!("UNIX-CONNECT:{}", closed.socket().display()))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!stranger.success());
}

#[test]
fn the_socket_is_never_looser_than_it_is_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (config, socket) = (folder.path().join("c.toml"), folder.path().join("s"));
    std::fs::write(&config, format!("[socket]\npath = {socket:?}\nmode = \"0600\"\n")).unwrap();
    let over = Over::default();
    std::thread::scope(|scope| {
        let at_the_end = over.at_the_end();
        let watch = scope.spawn(|| {
            let mut seen = 0;
            while !over.is() {
                if let Ok(metadata) = std::fs::symlink_metadata(&socket) {
                    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
                    seen += 1;
                }
            }
            seen
        });
        // With a mask that takes nothing away. It ends by itself.
        let mut command = mimid();
        command.args(["run", "--source", &format!("file:{VOICE}"), "--config"]).arg(&config).env("MIMID_LOG", "off");
        assert!(run(&mut after("umask 000", &command)).status.success());
        drop(at_the_end);
        assert!(watch.join().unwrap() > 0);
    });
}

#[test]
fn what_somebody_planted_in_the_socket_s_folder_is_neither_followed_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (precious, socket) = (folder.path().join("precious"), folder.path().join("s"));
    let start = || {
        let mut command = mimid();
        command.args(["run", "--source", &format!("file:{VOICE}"), "--config"]).arg(folder.path().join("c.toml"));
        let (code, message) = failure(command.env("MIMID_LOG", "off"));
        format!("{code} {}", message.replace(folder.path().to_str().unwrap(), "F"))
    };
    std::fs::write(folder.path().join("c.toml"), format!("[socket]\npath = {socket:?}\n")).unwrap();
    std::fs::write(&precious, "precious").unwrap();
    let lock = folder.path().join("s.lock");
    let plant_fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let remove = |path: &PathBuf| std::fs::remove_file(path).unwrap();
    symlink(&precious, &socket).unwrap();
    let mut said = vec![start()];
    remove(&socket);
    symlink("/nonexistent", &socket).unwrap();
    said.push(start());
    remove(&socket);
    symlink(&precious, &lock).unwrap();
    said.push(start());
    remove(&lock);
    plant_fifo(&lock);
    said.push(start());
    insta::assert_snapshot!(said.join("\n"), @"
    1 mimid: F/s is there already and is not a socket; move it away, or set another path under [socket]
    1 mimid: F/s is there already and is not a socket; move it away, or set another path under [socket]
    1 mimid: F/s.lock is there already and is not the socket's lock; move it away, or set another path under [socket]
    1 mimid: F/s.lock is there already and is not the socket's lock; move it away, or set another path under [socket]
    ");
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn names_rule_neither_a_terminal_nor_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let evil = "\u{1b}[2J\u{7}\r\n2026-01-01T00:00:00.000000Z ERROR forged\u{9b}31m";
    let recording = folder.path().join(format!("x{evil}.wav"));
    std::fs::copy(VOICE, &recording).unwrap();
    let missing = folder.path().join(format!("y{evil}.wav"));
    let is_clean = |text: &[u8], what: &str| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{what}: {text:?}");
        text
    };
    // A line's end forges neither the files that last nor the lines that programs read.
    let is_one_s_own = |text: &[u8], what: &str| {
        let text = is_clean(text, what);
        assert!(!text.lines().any(|line| line.starts_with("2026-01-01")), "{what}: {text:?}");
        text
    };
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let sources = [format!("file:{}?loop", recording.display()), format!("file:{}", missing.display())];
    let daemon = Daemon::start_as("", &["--print", "--source", &sources[0], "--source", &sources[1]], |mut command| {
        command.stderr(log);
        command
    });
    let socket = daemon.socket();
    let mut client = daemon.connect();
    client.wait_for("event.start");
    let ask = |arguments: &[&str]| {
        let output = run(mimid().args(arguments).arg("--socket").arg(&socket));
        assert!(output.status.success(), "{arguments:?}");
        is_one_s_own(&output.stdout, arguments[0]) + &is_one_s_own(&output.stderr, arguments[0])
    };
    assert!(ask(&["status"]).contains("forged"));
    assert!(ask(&["top", "--once"]).contains("forged"));
    assert!(ask(&["listen", "--since", "0", "--count", "2", "--format", "pretty"]).contains("forged"));
    // A configuration's faults are named with what is in them, in the log and to every client.
    std::fs::write(
        daemon.folder.path().join("mimid.toml"),
        "[labels.\"\\u001b[2J\\n2026-01-01 forged\"]\n[report]\nignore = [\"\\u001b[31m\"]\n",
    )
    .unwrap();
    client.ask(r#"{"op":"reload"}"#, "config.rejected");
    is_one_s_own(&std::fs::read(folder.path().join("log")).unwrap(), "log");
    drop(daemon);
    let scan = run(mimid().arg("scan").arg(&recording).arg(&missing));
    assert!(is_clean(&scan.stdout, "scan").contains("Speech") && is_clean(&scan.stderr, "scan").contains("forged"));
    let explain = run(mimid().arg("explain").arg(&recording));
    assert!(is_clean(&explain.stdout, "explain").contains("forged"));
    let (_, message) = failure(mimid().args(["listen", "--socket"]).arg(&missing));
    assert!(is_clean(message.as_bytes(), "listen").contains("forged"));
}
