//! `mimid tune --background` and `--background-live` from the outside: recordings, a running daemon, restarts, bad input.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Daemon, RINGTONE, VOICE, failure, looped, mimid, run, until, voice_and_silence};
use serde_json::Value;

/// The result of a run of `mimid tune`: its exit code, standard output and standard error.
fn tune(arguments: &[&str]) -> (i32, String, String) {
    let output = run(mimid().arg("tune").args(arguments));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn label<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["labels"].as_array().unwrap().iter().find(|label| label["label"] == name).unwrap()
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn make(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.text(name)
    }
}

#[test]
fn recordings_bring_a_fragment_a_report_and_an_edit_of_the_configuration() {
    let place = Place::new();
    let config = place.make("c.toml", "# mine\n[report]\nlabels = [\"Speech\", \"Ringtone\", \"Dog\"] # these\n");
    let state = place.text("s.json");
    let arguments = ["--background", "--config", &config, "--state", &state, VOICE, RINGTONE];
    let (code, out, err) = tune(&arguments);
    assert_eq!(code, 0, "{err}");
    // A voice in seconds of background is more than any budget of one a day.
    assert!(out.contains("[report]\nignore = [") && out.contains("\"Speech\""), "{out}");
    assert!(err.contains("2 s of background; the budget is 1 alarm a day"), "{err}");
    assert!(err.contains("Front_Center.wav at 0:0") && err.contains("95 % sure"), "{err}");
    let before = fs::read_to_string(&config).unwrap();

    // The state holds both recordings: nothing is heard again, and nothing changes.
    let (code, again, err) = tune(&arguments);
    assert_eq!((code, again), (0, out));
    assert_eq!(err.matches("has been heard already").count(), 2, "{err}");

    let (code, json, _) = tune(&["--background", "--json", "--config", &config, "--state", &state, VOICE]);
    assert_eq!(code, 0);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["labels"].as_array().unwrap().len(), 3);
    assert!((2.5..4.0).contains(&report["heard_s"].as_f64().unwrap()), "{report}");
    let speech = label(&report, "Speech");
    assert_eq!((&speech["ignore"], &speech["threshold"]["alarms_in_force"]), (&Value::Bool(true), &1.into()));
    assert!(speech["strongest"][0]["file"].as_str().unwrap().ends_with("Front_Center.wav"), "{speech}");
    assert_eq!(label(&report, "Dog")["ignore"], false);

    // A budget of an alarm a second is never exceeded.
    let lavish = ["--background", "--false-alarms-per-day", "86400", "--config", &config, "--state", &state, VOICE];
    let (code, out, err) = tune(&lavish);
    assert_eq!(code, 0);
    assert!(!out.contains("ignore"), "{out}{err}");

    assert_eq!(fs::read_to_string(&config).unwrap(), before, "nothing is written without --write");
    let (code, diff, _) = tune(&["--background", "--write", "--config", &config, "--state", &state, VOICE]);
    assert_eq!(code, 0);
    assert!(diff.contains("\n+ignore = "), "{diff}");
    let after = fs::read_to_string(&config).unwrap();
    assert!(after.starts_with("# mine\n[report]\n") && after.contains("# these") && after.contains("ignore = ["), "{after}");
    let check = run(mimid().args(["check", "--config", &config]));
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn what_is_wrong_is_a_sentence() {
    let place = Place::new();
    let torn = place.make("torn.json", "{\"version\":1,\"model\":\"ced");
    let other = place.make("other.json", "{\"version\":7}");
    let socket = place.text("none.sock");
    let state = place.text("s.json");
    for (arguments, code, sentence) in [
        (vec!["--background"], 2, "--background"),
        (vec!["--background-live", "soon"], 2, "\"soon\" is no length of time such as 24h, 90m, 1h30m or 30s"),
        (vec!["--background-live", "24"], 2, "is no length of time"),
        (vec!["--background-live", "0s"], 2, "is too short"),
        (vec!["--background-live", "1h", VOICE], 2, "cannot be used with"),
        (vec!["--background", "--false-alarms-per-day", "0", VOICE], 2, "must be a number above 0"),
        (vec!["--background", "--state", &torn, VOICE], 1, "is torn, or no state of `mimid tune`"),
        (vec!["--background", "--state", &other, VOICE], 1, "has version 7, not 1"),
        (vec!["--background", "/nonexistent/a.wav"], 1, "there is no such file"),
        (vec!["--background-live", "1h", "--socket", &socket, "--state", &state], 1, "no mimid listens on"),
        (vec!["--background-live", "1h", "--socket", &socket], 2, "name a file with --state"),
    ] {
        let mut command = mimid();
        command.arg("tune").args(&arguments).env_remove("HOME").env_remove("XDG_STATE_HOME");
        let (actual, message) = failure(&mut command);
        assert_eq!(actual, code, "{arguments:?}: {message}");
        assert!(message.contains(sentence), "{arguments:?}: {message}");
    }
    assert!(!Path::new(&state).exists());
    assert_eq!(fs::read_to_string(&other).unwrap(), "{\"version\":7}", "what is refused is left alone");
}

#[test]
fn a_recording_that_cannot_be_heard_does_not_count_and_the_others_do() {
    let place = Place::new();
    let (text, state) = (place.make("text.wav", "this is not a recording at all, but some text"), place.text("s.json"));
    let (code, out, err) = tune(&["--background", "--json", "--state", &state, &text, VOICE]);
    assert_eq!(code, 1);
    assert!(err.contains("text.wav") && err.contains("1 of 2 recordings could not be heard whole and do not count"), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!((1.0..2.0).contains(&report["heard_s"].as_f64().unwrap()), "{report}");
    let saved: Value = serde_json::from_str(&fs::read_to_string(&state).unwrap()).unwrap();
    assert_eq!(saved["recordings"].as_array().unwrap().len(), 1);
}

/// A source on which a voice is heard every few seconds.
fn voice(place: &Place) -> String {
    looped(voice_and_silence(place.folder.path()))
}

fn voices(place: &Place) -> Daemon {
    Daemon::start("", &["--source", &voice(place)], &[])
}

fn live(duration: &str, socket: &Path, state: &str) -> Command {
    let mut command = mimid();
    command.args(["tune", "--background-live", duration, "--json", "--state", state, "--socket"]).arg(socket);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn heard_ms(state: &str) -> u64 {
    let text = fs::read_to_string(state).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["heard_ms"].as_u64().unwrap()
}

/// Waits for the end of a run that must succeed, and returns its report and its standard error.
fn report(child: Child) -> (Value, String) {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !err.contains("panicked"), "{err}");
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {err}")), err)
}

#[test]
fn the_running_daemon_is_heard_and_a_second_run_goes_on_from_the_first() {
    let place = Place::new();
    let daemon = voices(&place);
    let state = place.text("state/background.json");
    let (first, _) = report(live("12s", &daemon.socket(), &state).spawn().unwrap());
    let heard = first["heard_s"].as_f64().unwrap();
    assert!((12.0..30.0).contains(&heard), "{heard}");
    let speech = label(&first, "Speech");
    assert!(speech["threshold"]["alarms_in_force"].as_u64().unwrap() >= 1, "{speech}");
    let strongest = &speech["strongest"][0];
    assert!(strongest["score"].as_f64().unwrap() > 0.6 && strongest["source"].is_string(), "{strongest}");
    let age = jiff::Timestamp::now().duration_since(strongest["at"].as_str().unwrap().parse().unwrap()).as_secs_f64();
    assert!((0.0..120.0).contains(&age), "{age}");

    // It has been interrupted, say, and goes on; then the user has had enough.
    let mut child = live("24h", &daemon.socket(), &state).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut sentence = String::new();
    said.read_line(&mut sentence).unwrap();
    assert!(sentence.starts_with("mimid: counting what the daemon hears, 1"), "{sentence}");
    daemon.connect().hear_on(5.0);
    assert!(Command::new("bash").arg("-c").arg(format!("kill -INT {}", child.id())).status().unwrap().success());
    let (second, _) = report(child);
    let more = second["heard_s"].as_f64().unwrap() - heard;
    // How much more hangs on how fast this machine is; not less, and nothing like a day.
    assert!((0.0..60.0).contains(&more), "{more}");
    drop(said);
    assert_eq!(heard_ms(&state) as f64 / 1_000.0, second["heard_s"].as_f64().unwrap());
    // The statistics that were asked for are there already.
    let (third, _) = report(live("10s", &daemon.socket(), &state).spawn().unwrap());
    assert!(third["heard_s"].as_f64().unwrap() >= second["heard_s"].as_f64().unwrap());
}

#[test]
fn a_daemon_that_is_started_again_is_waited_for() {
    let place = Place::new();
    let mut daemon = voices(&place);
    let (socket, state) = (daemon.socket(), place.text("s.json"));
    let child = live("25s", &socket, &state).spawn().unwrap();
    // Until it is there beside this one, and something has been heard meanwhile.
    let mut client = daemon.connect();
    client.status_when("the run to be there beside this client", |status| status["clients"] == 2);
    client.hear_on(6.0);
    drop(client);
    daemon.signal("-TERM");
    daemon.wait();
    // The statistics are saved when the daemon stops.
    until("the state to be saved", || Path::new(&state).exists());
    daemon.start_again("", &["--source", &voice(&place)], &[]);
    let (report, err) = report(child);
    assert!(report["heard_s"].as_f64().unwrap() >= 25.0, "{report}");
    assert!(err.contains("waiting for it") && err.contains("the daemon is there again"), "{err}");
}

#[test]
fn peaks_are_kept_from_the_first_request_on_and_told_in_order() {
    let place = Place::new();
    let daemon = voices(&place);
    let mut client = daemon.connect();
    client.ask(r#"{"op":"subscribe","types":["config.reloaded"]}"#, "subscribed");
    let first = client.ask(r#"{"op":"peaks"}"#, "peaks");
    assert_eq!((first["peaks"].as_array().unwrap().len(), &first["lost"]), (0, &0.into()));
    let (mut next, mut scores, mut kinds) = (first["next"].clone(), Vec::new(), Vec::new());
    until("peaks of both kinds", || {
        let answer = client.ask(&format!(r#"{{"op":"peaks","since":{next},"floor":0.05}}"#), "peaks");
        assert!(answer.to_string().len() < 256 * 1024);
        assert!(answer["next"].as_u64() >= next.as_u64() && answer["lost"] == 0, "{answer}");
        for peak in answer["peaks"].as_array().unwrap() {
            scores.push(peak["score"].as_f64().unwrap());
            kinds.push(peak["kind"].as_str().unwrap().to_owned());
            // The first answer can come before the source is open, and then it names none.
            assert!(peak["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok() && peak["source"] == answer["sources"][0]);
        }
        next = answer["next"].clone();
        scores.len() >= 20 && ["two_sided", "causal"].iter().all(|kind| kinds.iter().any(|seen| seen == kind))
    });
    assert!(scores.iter().all(|score| *score >= 0.05));
    let refused = client.ask(r#"{"op":"peaks","since":-1}"#, "error");
    assert_eq!(refused["message"], "since must be a whole number, but it is -1");
}

#[test]
fn a_daemon_that_is_too_old_is_told_apart() {
    let place = Place::new();
    let listener = UnixListener::bind(place.path("s")).unwrap();
    let model = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny/manifest.toml")).unwrap();
    let sha256 = model.lines().find_map(|line| line.strip_prefix("sha256 = \"")).unwrap().trim_end_matches('"').to_owned();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut out = stream.try_clone().unwrap();
        let hello = format!(
            r#"{{"v":1,"seq":0,"type":"hello","version":"0.1.0","model":{{"name":"ced-tiny","sha256":"{sha256}","labels":527}},"sources":[]}}"#
        );
        writeln!(out, "{hello}").unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let answer = match line.contains("subscribe") {
                true => r#"{"v":1,"seq":0,"type":"subscribed","labels":[],"sources":[],"types":[],"min_score":0.0}"#,
                false => {
                    r#"{"v":1,"type":"error","code":"bad_request","message":"there is no op \"peaks\"; there are subscribe, status"}"#
                }
            };
            writeln!(out, "{answer}").unwrap();
        }
    });
    let (code, message) = failure(&mut live("1h", &place.path("s"), &place.text("state.json")));
    assert_eq!(code, 1);
    assert!(message.starts_with("mimid: the daemon is older than this mimid"), "{message}");
    server.join().unwrap();
    assert!(!place.path("state.json").exists());
}
