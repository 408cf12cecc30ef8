//! Two things that the daemon notices by itself: a changed configuration file, and a microphone that delivers nothing but zeros.

use std::io::Write;
use std::path::Path;

use crate::support::{Client, Daemon, RINGTONE, VOICE, looped, mimid, run, until};
use serde_json::Value;

/// Replaces a configuration file in one step, as an editor does.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, file).unwrap();
}

/// Asserts that the daemon reports nothing about the configuration for some seconds. It looks at the file once a second.
fn nothing_is_loaded(other: &mut Client, client: &mut Client) {
    other.hear_on(3.5);
    client.send(r#"{"op":"status"}"#);
    loop {
        let line = client.next();
        assert!(!line["type"].as_str().unwrap().starts_with("config."), "{line}");
        if line["type"] == "status" {
            return;
        }
    }
}

#[test]
fn a_configuration_that_is_watched_is_loaded_when_it_changes_and_a_bad_one_is_told_once() {
    let source = format!("[[source]]\nname = \"hall\"\ninput = \"file:{RINGTONE}?loop\"\n");
    let daemon = Daemon::start(&format!("[reload]\nwatch = true\n{source}"), &[], &[]);
    let (mut client, mut other) = (daemon.connect(), daemon.connect());
    client.ask(r#"{"op":"subscribe","types":["config"]}"#, "subscribed");
    let file = daemon.folder.path().join("mimid.toml");
    let good = format!("[socket]\npath = {:?}\n[reload]\nwatch = true\n{source}", daemon.socket());
    nothing_is_loaded(&mut other, &mut client);
    std::fs::write(&file, format!("{good}[report]\npreset = \"all\"\n")).unwrap();
    assert_eq!(client.wait_for("config.reloaded")["changes"][0], "the labels, groups or thresholds changed");
    replace(&file, &format!("{good}[report]\npreset = \"al\"\n"));
    let rejected = client.wait_for("config.rejected");
    assert!(rejected["faults"][0].as_str().unwrap().contains("there is no preset \"al\""), "{rejected}");
    nothing_is_loaded(&mut other, &mut client);
    // One that is gone changes nothing, and is loaded when it is there again.
    std::fs::remove_file(&file).unwrap();
    nothing_is_loaded(&mut other, &mut client);
    replace(&file, &good);
    assert_eq!(client.wait_for("config.reloaded")["changes"][0], "the labels, groups or thresholds changed");
    // A file that a request has loaded is not loaded again.
    std::fs::write(&file, format!("{good}[defaults]\ncooldown_s = 1.0\n")).unwrap();
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    client.wait_for("config.reloaded");
    nothing_is_loaded(&mut other, &mut client);
    let unwatched = good.replace("watch = true", "watch = false");
    std::fs::write(&file, &unwatched).unwrap();
    let changes = client.wait_for("config.reloaded")["changes"].clone();
    assert!(changes.as_array().unwrap().contains(&"the configuration file is no longer watched".into()), "{changes}");
    std::fs::write(&file, &good).unwrap();
    nothing_is_loaded(&mut other, &mut client);
    daemon.signal("-HUP");
    client.wait_for("config.reloaded");
    std::fs::write(&file, unwatched).unwrap();
    client.wait_for("config.reloaded");
}

/// Waits until the first source has delivered this many seconds of sound, and returns its part of the status.
fn heard(client: &mut Client, seconds: u64) -> Value {
    let what = format!("{seconds} s of sound");
    client.status_when(&what, |status| status["sources"][0]["samples"] == seconds * 16_000)["sources"][0].clone()
}

#[test]
fn digital_silence_is_told_after_the_time_that_the_source_sets_and_stands_in_the_status_until_there_is_sound() {
    let config = |after_s: u32| format!("[[source]]\ninput = \"-\"\nrate_hz = 16000\nsilent_after_s = {after_s}\n");
    let mut daemon = Daemon::start(&config(120), &[], &[]);
    let mut input = daemon.child.stdin.take().unwrap();
    let mut feed = |sample: [u8; 2], seconds: usize| {
        input.write_all(&sample.repeat(16_000 * seconds)).unwrap();
    };
    let mut client = daemon.connect();
    feed([0, 0], 100);
    assert_eq!(heard(&mut client, 100)["reason"], Value::Null);
    // Other times count at once, and nothing is opened anew for them: standard input could not be.
    let file = daemon.folder.path().join("mimid.toml");
    let socket = format!("[socket]\npath = {:?}\n", daemon.socket());
    std::fs::write(&file, format!("{socket}{}", config(60))).unwrap();
    let reloaded = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(reloaded["changes"], serde_json::json!(["silent_after_s of the source \"default\" changed"]));
    feed([0, 0], 5);
    assert!(client.wait_for("source.silent")["seconds"].as_f64().unwrap() >= 100.0);
    let source = heard(&mut client, 105);
    let reason = source["reason"].as_str().unwrap();
    assert!(reason.starts_with("nothing but digital silence for 1 min 45 s: it is muted, "), "{reason}");
    assert_eq!(source["state"], "live");
    feed([17, 2], 1);
    assert_eq!(heard(&mut client, 106)["reason"], Value::Null);
    std::fs::write(&file, format!("{socket}{}", config(0))).unwrap();
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    feed([0, 0], 200);
    assert_eq!(heard(&mut client, 306)["reason"], Value::Null);
}

/// The warnings of `mimid check`, without their first word.
fn checked(file: &Path) -> Vec<String> {
    let checked = run(mimid().arg("check").arg("--config").arg(file).env("TZ", "Mars/Olympus"));
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success(), "{told}");
    told.lines().map(|line| line.strip_prefix("warning: ").expect(line).to_owned()).collect()
}

#[test]
fn start_up_and_reload_log_the_warnings_that_check_prints() {
    const REPORT: &str = "[report]\npreset = \"home\"\nignore = [\"Bark\", \"Silence\"]\n";
    const LABELS: &str =
        "[labels.Dog]\nrelease = 0.3\nthreshold = 0.3\n[labels.Bark]\nthreshold = 0.999\n[labels.Speech]\nthreshold = 1.0\n";
    const GROUPS: &str = "[groups.a]\nlabels = [\"Siren\"]\n[groups.b]\nlabels = [\"Siren\"]\n";
    const CONFIRM: &str = "[defaults]\nconfirm = \"9/10\"\nmin_duration_ms = 100\n";
    const QUIET: &str = "[privacy]\nquiet_hours = [\"Mon 22:00-22:01\"]\n";
    let source = format!("[[source]]\ninput = \"file:{RINGTONE}?loop\"\nrate_hz = 48000\n[log]\nformat = \"json\"\n");
    let all = [REPORT, LABELS, GROUPS, CONFIRM, QUIET].concat();
    let log = tempfile::NamedTempFile::new().unwrap();
    let daemon = Daemon::start_as(&format!("{source}{all}"), &[], |mut command| {
        command.env("TZ", "Mars/Olympus").stderr(log.reopen().unwrap());
        command
    });
    let file = daemon.folder.path().join("mimid.toml");
    // Every warning about the file that is in the log; each begins with the path.
    let logged = || {
        let lines = std::fs::read_to_string(log.path()).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str(line).expect(line));
        let warnings = records.filter(|record: &Value| record["level"] == "WARN");
        let messages = warnings.map(|record| record["message"].as_str().unwrap_or_default().to_owned());
        messages.filter(|message| message.starts_with(&file.display().to_string())).collect::<Vec<_>>()
    };
    let at_start = logged();
    assert_eq!(at_start, checked(&file));
    assert!(at_start.len() >= 8, "{at_start:?}");
    let mut client = daemon.connect();
    let mut before = at_start.len();
    for text in [&all, "", REPORT, LABELS, GROUPS, CONFIRM, QUIET, "[detection]\nhop_ms = 200\n[defaults]\nconfirm = \"6/6\"\n"] {
        std::fs::write(&file, format!("[socket]\npath = {:?}\n{source}{text}", daemon.socket())).unwrap();
        client.ask(r#"{"op":"reload"}"#, "config.reloaded");
        // The answer to the reload before this one has the same type, so the log is what to wait for.
        let expected = checked(&file);
        until("the warnings of the reload", || logged().len() >= before + expected.len());
        let all = logged();
        assert_eq!(all[before..], expected, "{text}");
        before = all.len();
    }
}

#[test]
fn a_background_outlives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let (environment, source) = ([("STATE_DIRECTORY", state.path())], looped(VOICE));
    let arguments = ["--source", source.as_str()];
    let background = |label: &Value| label["background"].as_f64().unwrap_or_default();
    let mut daemon = Daemon::start("", &arguments, &environment);
    // A voice without a pause becomes a part of the background.
    let learnt = background(&daemon.connect().look_until("Speech", |label| background(label) > 0.3));
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(), 0);
    daemon.start_again("", &arguments, &environment);
    let first = daemon.connect().look_until("Speech", Value::is_object);
    assert!(background(&first) > learnt / 2.0, "{learnt}: {first}");
    // A file that is damaged is told of, and stops nothing.
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(), 0);
    std::fs::write(state.path().join("backgrounds.json"), "{").unwrap();
    daemon.start_again("", &arguments, &environment);
    let first = daemon.connect().look_until("Speech", Value::is_object);
    assert!(background(&first) < learnt / 2.0, "{learnt}: {first}");
}
