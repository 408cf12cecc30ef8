//! Marks of events: over HTTP, on the socket and by `mimid review`, with the daemon and without it; and thresholds from them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::{Daemon, failure, free_port, looped, mimid, run, under, until, voice_and_silence};

/// A folder with a recording, and the file of a store that a daemon has kept its events in.
struct Place {
    folder: tempfile::TempDir,
    daemon: Daemon,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = folder.path().join("events.db");
        let config = format!("[store]\npath = {path:?}\n[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n");
        let daemon = Daemon::start(&config, &["--source", &looped(voice_and_silence(folder.path()))], &[]);
        until("the sink to serve", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { folder, daemon, port }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("events.db")
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n");
        stream.write_all((head + body).as_bytes()).unwrap();
        let answer = Answer::read(stream);
        (answer.status, answer.json())
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = mimid();
        command.args(arguments).arg("--store").arg(self.store()).env("TZ", "UTC");
        command
    }

    /// The output of a command that succeeds.
    fn output(&self, arguments: &[&str]) -> String {
        let output = run(&mut self.command(arguments));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn socket(&self) -> String {
        self.daemon.socket().display().to_string()
    }
}

/// An event that has ended.
fn ended(daemon: &Daemon) -> Value {
    let mut client = daemon.connect();
    let start = client.wait_for_event("event.start", &["Speech"]);
    client.wait_for_end_of(&start["event"])["event"].clone()
}

#[test]
fn an_event_is_marked_over_http_on_the_socket_and_by_the_command() {
    let mut place = Place::new();
    let event = ended(&place.daemon);
    let id = event["id"].as_str().unwrap();
    let path = format!("/api/v1/history/{id}/mark");
    let (status, kept) = place.ask("POST", &path, r#"{"mark":"other","label":"/m/07pp8cl"}"#);
    assert_eq!((status, &kept["mark"]["mark"], &kept["mark"]["label"]), (200, &json!("other"), &json!("Telephone bell ringing")));
    let mut client = place.daemon.connect();
    assert_eq!(client.ask(&format!(r#"{{"op":"mark","id":"{id}","mark":"wrong"}}"#), "done")["op"], "mark");
    let (_, one) = place.ask("GET", &format!("/api/v1/history/{id}"), "");
    assert_eq!((&one["mark"]["mark"], &one["earlier_marks"][0]["label"]), (&json!("wrong"), &json!("Telephone bell ringing")));
    // The command has the running daemon do so.
    place.output(&["review", id, "right", "--socket", &place.socket()]);
    let of = |marked: &str| place.ask("GET", &format!("/api/v1/history?marked={marked}"), "").1["events"].clone();
    assert_eq!((&of("right")[0]["id"], of("wrong"), of("other")), (&json!(id), json!([]), json!([])));
    assert!(of("none").as_array().unwrap().iter().all(|event| event["id"] != id && event["mark"].is_null()));
    let (_, counts) = place.ask("GET", "/api/v1/history?marked=any&by=label", "");
    assert_eq!(
        counts["counts"],
        json!([{"label": event["label"], "events": 1, "confirmed": u8::from(event["confirmed"] == true), "unconfirmed": u8::from(event["confirmed"] != true)}])
    );
    let csv = place.output(&["history", "--marked", "any", "--format", "csv"]);
    assert!(csv.lines().next().unwrap().ends_with(",id,mark,mark_label") && csv.contains(&format!("{id},right,")), "{csv}");
    let jsonl: Value = serde_json::from_str(place.output(&["history", "--marked", "right", "--format", "jsonl"]).trim()).unwrap();
    assert_eq!(jsonl["mark"]["mark"], "right");
    // Refusals are sentences, with codes.
    for (body, status, code) in [
        (r#"{"mark":"good"}"#, 400, "bad_request"),
        (r#"{"mark":"none"}"#, 400, "bad_request"),
        (r#"{"mark":"other"}"#, 400, "bad_request"),
        (r#"{"mark":"other","label":"Telefone"}"#, 404, "unknown_label"),
        (&format!(r#"{{"mark":"other","label":{}}}"#, event["label"]), 409, "conflict"),
    ] {
        let (actual, problem) = place.ask("POST", &path, body);
        assert_eq!((actual, &problem["code"]), (status, &json!(code)), "{body}: {problem}");
    }
    let unknown = "/api/v1/history/019f0000-0000-7000-8000-000000000000/mark";
    assert_eq!(place.ask("POST", unknown, r#"{"mark":"right"}"#).0, 404);
    assert_eq!(place.ask("DELETE", unknown, "").0, 404);
    client.send(r#"{"op":"test","label":"Sneeze"}"#);
    let made_up = client.wait_for_event("event.end", &["Sneeze"])["event"]["id"].as_str().unwrap().to_owned();
    assert_eq!(place.ask("POST", &format!("/api/v1/history/{made_up}/mark"), r#"{"mark":"right"}"#).0, 409);
    let (status, kept) = place.ask("DELETE", &path, "");
    assert_eq!((status, &kept["mark"]), (200, &Value::Null));
    // The marks outlive the daemon, and without one the command writes the file.
    place.output(&["review", id, "Telephone", "--socket", &place.socket()]);
    place.daemon.signal("-TERM");
    place.daemon.wait();
    let none = place.folder.path().join("none");
    let without = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        let output = run(command.env("XDG_RUNTIME_DIR", &none));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(without(&["review", id]).contains("was Telephone"));
    without(&["review", id, "wrong"]);
    let shown = without(&["review", id]);
    assert!(shown.contains("wrong") && shown.contains("before: other (Telephone), marked"), "{shown}");
    for (arguments, said) in [
        (&["review", id, "Telefone"][..], "there is no label \"Telefone\"; did you mean \"Telephone\"?"),
        (&["review", "019f0000-0000-7000-8000-000000000000", "right"], "has no event"),
        (&["review", "nonsense"], "has no event \"nonsense\""),
        (&["tune", "--reviews"], "which says too little: a label needs at least 8 marks, and 3 of them right; make some"),
    ] {
        let (code, stderr) = failure(place.command(arguments).env("XDG_RUNTIME_DIR", &none));
        assert!(code > 0 && stderr.contains(said) && stderr.lines().count() == 1, "{arguments:?}: {stderr}");
    }
}

/// Adds events of the model's label `Speech` to a store that no daemon has open: minutes ago, score, and mark, if any. Returns their ids.
fn add(store: &Path, events: &[(i64, f64, Option<i64>)]) -> Vec<String> {
    let db = Connection::open(store).unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let speech: i64 = db.query_row("SELECT id FROM subjects WHERE name='Speech'", [], |row| row.get(0)).unwrap();
    let (source, session): (i64, i64) = db
        .query_row("SELECT source, session FROM events WHERE source<>(SELECT coalesce((SELECT id FROM sources WHERE name='test'), 0)) LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let insert = |(minutes, score, mark): &(i64, f64, Option<i64>)| {
        let (id, onset) = (uuid::Uuid::now_v7(), now - minutes * 60_000);
        db.execute(
            "INSERT INTO events(id, subject, source, session, onset, duration, announced, confirmed, score, peak, threshold, level, \
             onset_uncertainty, offset_uncertainty, reason, first_seq, updates, last_seq) \
             VALUES (?, ?, ?, ?, ?, 1500, 300, 900, ?, ?, 1000, -300, 60, 60, 0, 0, 0, 0)",
            params![id.as_bytes(), speech, source, session, onset, (score * 1e4) as i64, (score * 1e4) as i64],
        )
        .unwrap();
        let key = db.last_insert_rowid();
        db.execute("INSERT INTO named VALUES (?, ?, ?, ?, 1)", params![speech, onset, key, source]).unwrap();
        if let Some(mark) = mark {
            db.execute(
                "INSERT INTO marks(event, onset, at, mark, other) VALUES (?, ?, ?, ?, ?)",
                params![key, onset, now, mark, (*mark == 2).then_some(speech)],
            )
            .unwrap();
        }
        id.to_string()
    };
    events.iter().map(insert).collect()
}

#[test]
fn marks_are_walked_exported_and_tuned_by() {
    let mut place = Place::new();
    ended(&place.daemon);
    place.daemon.signal("-TERM");
    place.daemon.wait();
    let none = place.folder.path().join("none");
    // What the daemon heard is of no interest here.
    Connection::open(place.store())
        .unwrap()
        .execute_batch("DELETE FROM events WHERE key > 1; UPDATE events SET onset=onset-1000000000")
        .unwrap();
    let began = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(20 * 60 + 1);
    let few = add(&place.store(), &[(50, 0.5, None), (40, 0.5, None), (30, 0.5, None), (20, 0.5, None)]);
    let list = run(place.command(&["review"]).env("XDG_RUNTIME_DIR", &none));
    let listed = String::from_utf8(list.stdout).unwrap();
    assert_eq!(listed.lines().map(|line| &line[..36]).collect::<Vec<_>>(), few, "{listed}");
    // On a terminal each is asked for: a label by its beginning, a mistake that is undone, a word that is none, one that is skipped.
    let mut script = std::process::Command::new("script");
    let walk = place.command(&["review"]);
    let command: Vec<String> =
        std::iter::once(walk.get_program()).chain(walk.get_args()).map(|part| format!("'{}'", part.display())).collect();
    script.args(["-qec", &command.join(" "), "/dev/null"]);
    let mut script = under(&["env"], &script);
    script
        .envs(walk.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("XDG_RUNTIME_DIR", &none)
        .env("TERM", "xterm");
    let mut walking = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    walking.stdin.take().unwrap().write_all(b"r\nu\nw\nTelephone bell\nyodelx\n\nr\n").unwrap();
    let output = walking.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("no label begins with \"yodelx\"") && said.contains("was Telephone bell ringing"), "{said}");
    assert!(said.contains("marked 3: 1 right, 1 wrong, 1 another sound"), "{said}");
    let marks = |id: &str| {
        let output = run(place.command(&["history", "--marked", "any", "--format", "jsonl"]).env("XDG_RUNTIME_DIR", &none));
        let lines = String::from_utf8(output.stdout).unwrap();
        let found = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|event| event["id"] == id);
        found.map_or(Value::Null, |event| event["mark"]["mark"].clone())
    };
    assert_eq!(few.iter().map(|id| marks(id)).collect::<Vec<_>>(), [json!("wrong"), json!("other"), Value::Null, json!("right")]);

    // The truth file is one that tuning by truth takes: here of the recording that the daemon heard, which began long ago.
    let recording = place.folder.path().join("voice.wav");
    let recording = if recording.exists() { recording } else { voice_and_silence(place.folder.path()) };
    let truth = place.folder.path().join("truth.tsv");
    let export = [
        "review",
        "--export",
        truth.to_str().unwrap(),
        "--recording",
        recording.to_str().unwrap(),
        "--recorded-at",
        &began.to_string(),
    ];
    place.output(&export);
    let text = std::fs::read_to_string(&truth).unwrap();
    assert!(
        text.starts_with("filename\tonset\toffset\tevent_label\n") && text.lines().count() == 2 && text.ends_with("\tSpeech\n"),
        "{text}"
    );
    let tuned = run(mimid().args(["tune", "--json", "--truth"]).arg(&truth).arg(&recording));
    assert!(tuned.status.success(), "{}", String::from_utf8_lossy(&tuned.stderr));
    // Without a recording each day is one, and what has no mark is told.
    let output = run(&mut place.command(&["review", "--export", "-"]));
    let (table, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(table.contains("\tTelephone bell ringing\n") && told.contains("1 event has no mark"), "{table}{told}");

    // High ones are right and low ones are wrong.
    let part = |at: i64| at as f64 / 40.0;
    let many: Vec<_> = (0..40)
        .map(|at| (100 + 61 * at, 0.6 + 0.3 * part(at), Some(0)))
        .chain((0..40).map(|at| (130 + 61 * at, 0.1 + 0.25 * part(at), Some(1))))
        .collect();
    add(&place.store(), &many);
    let config = place.folder.path().join("c.toml");
    std::fs::write(&config, "# mine\n[labels.Speech]\nthreshold = 0.1\n").unwrap();
    let tune = |arguments: &[&str]| {
        let mut all = vec!["tune", "--reviews", "--config", config.to_str().unwrap()];
        all.extend(arguments);
        place.output(&all)
    };
    let report: Value = serde_json::from_str(&tune(&["--json"])).unwrap();
    let speech = &report["labels"].as_array().unwrap().iter().find(|label| label["label"] == "Speech").unwrap();
    assert_eq!(
        (&speech["right"], &speech["wrong"], &speech["other"], &speech["advice"]),
        (&json!(41), &json!(41), &json!(1), &json!("set")),
        "{report}"
    );
    let threshold = speech["after"]["threshold"].as_f64().unwrap();
    assert!(threshold > 0.34 && threshold < 0.61, "{report}");
    let fragment = tune(&["--since", "30d"]);
    assert!(
        fragment.starts_with("# mimid tune: the best F1, by 83 marks")
            && fragment.contains("# Speech: 41 right, 41 wrong, 1 another sound; threshold 0.100 →"),
        "{fragment}"
    );
    let written = tune(&["--write"]);
    let after = std::fs::read_to_string(&config).unwrap();
    assert!(
        after.starts_with("# mine\n[labels.Speech]\nthreshold = 0.")
            && !after.contains("threshold = 0.1\n")
            && written.contains("is written"),
        "{written}{after}"
    );
    let budget: Value = serde_json::from_str(&tune(&["--json", "--false-alarms-per-day", "0.01"])).unwrap();
    let speech = &budget["labels"].as_array().unwrap().iter().find(|label| label["label"] == "Speech").unwrap()["after"];
    assert!(speech["false_alarms"].as_u64() <= Some(1), "{budget}");
}
