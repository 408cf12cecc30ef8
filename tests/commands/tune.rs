//! `mimid tune --truth` on recordings, with a model whose scores depend on loudness alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::support::{VOICE, mimid, onnx, run, wav};
use serde_json::Value;

const HEADER: &str = "filename\tonset\toffset\tevent_label\n";

/// A folder with a model, a configuration for it, and recordings.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(config: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("model")).unwrap();
        onnx::folder(&place.path("model"), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
        place.write("c.toml", format!("[model]\ndir = {:?}\n{config}", place.path("model")));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn config(&self) -> String {
        fs::read_to_string(self.path("c.toml")).unwrap()
    }

    /// Writes thirty seconds with bursts at 3, 8, 13, 18 and 23 s. Each lasts 2 s and has its amplitude, 0…1.
    pub(crate) fn record(&self, name: &str, bursts: [f32; 5]) {
        let amplitude = |i: usize| {
            let second = i / 16_000;
            let is_burst = second >= 3 && second % 5 >= 3;
            if is_burst { bursts.get(second / 5).copied().unwrap_or(0.0) } else { 0.0 }
        };
        let sign = |i: usize| if (i / 32).is_multiple_of(2) { 1.0 } else { -1.0 };
        let samples: Vec<i16> = (0..30 * 16_000).map(|i| (amplitude(i) * sign(i) * 32_767.0) as i16).collect();
        self.write(name, wav(&samples, 16_000, 1));
    }

    /// Three recordings. The bursts of at least 0.4 are the true events, and those of 0.31 are false alarms at the usual
    /// threshold.
    pub(crate) fn with_scenes(self) -> Self {
        let mut truth = HEADER.to_owned();
        for (name, bursts) in [
            ("a.wav", [0.4, 0.31, 0.4, 0.31, 0.4]),
            ("b.wav", [0.31, 0.4, 0.4, 0.31, 0.4]),
            ("c.wav", [0.4, 0.4, 0.31, 0.31, 0.4]),
        ] {
            self.record(name, bursts);
            for (at, _) in bursts.iter().enumerate().filter(|(_, amplitude)| **amplitude >= 0.4) {
                truth += &format!("{name}\t{}\t{}\tLoud\n", at * 5 + 3, at * 5 + 5);
            }
        }
        self.write("truth.tsv", truth);
        self
    }

    fn tune(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run("tune", arguments)
    }

    /// Runs a command in the folder. The folder's path is replaced by F in its output.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> (i32, String, String) {
        let name = command;
        let mut command = mimid();
        command.current_dir(self.folder.path()).args([name, "--config", "c.toml"]).args(arguments);
        let output = run(&mut command);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(self.folder.path().to_str().unwrap(), "F");
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr).trim_end().to_owned())
    }
}

const SCENES: [&str; 5] = ["--truth", "truth.tsv", "a.wav", "b.wav", "c.wav"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_threshold_is_found_that_parts_what_is_meant_from_what_is_not() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let before = place.config();
    let (code, out, err) = place.tune(&[&SCENES[..], &["--json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&out).unwrap();
    let loud = &report["labels"][0];
    assert_eq!((loud["label"].as_str(), loud["examples"].as_u64()), (Some("Loud"), Some(9)));
    assert_eq!(number(&loud["before"]["false_alarms"]), 6.0, "{loud}");
    assert_eq!((number(&loud["after"]["f1"]), number(&loud["after"]["false_alarms"])), (1.0, 0.0), "{loud}");
    let threshold = number(&loud["after"]["threshold"]);
    assert!(number(&loud["before"]["threshold"]) == 0.2 && threshold > 0.4, "{loud}");
    let between = [number(&loud["best_between"][0]), number(&loud["best_between"][1])];
    assert!(0.4 < between[0] && between[0] <= between[1] && between[1] < 1.0, "{loud}");

    // The fragment says the same, as a part of a configuration that is valid and does what was promised.
    let (code, fragment, _) = place.tune(&SCENES);
    assert_eq!(code, 0);
    assert!(fragment.contains(&format!("[labels.\"Loud\"]\nthreshold = {threshold}\n")), "{fragment}");
    assert_eq!(place.config(), before, "nothing is written unless it is asked for");
    place.write("tuned.toml", format!("{before}{fragment}"));
    let mut scan = mimid();
    scan.args(["scan", "--format", "tsv", "--config"]).arg(place.path("tuned.toml")).arg(place.path("a.wav"));
    let heard = String::from_utf8(run(&mut scan).stdout).unwrap();
    assert_eq!(heard.lines().count(), 1 + 3, "{heard}");
}

#[test]
fn the_same_recordings_bring_the_same_words_each_time() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let (_, first, _) = place.tune(&SCENES);
    assert!(!first.is_empty());
    assert_eq!(place.tune(&SCENES).1, first);
}

#[test]
fn writing_shows_the_difference_and_keeps_comments_and_order() {
    let settings = "[report] # what is told\nlabels = [\"Loud\", \"Any\"]\n\n[labels.loud]   # by its slug\nconfirm = \"1/1\" # at once\n\
                    threshold = 0.3 # a guess\nrelease = 0.3\n\n[log]\nlevel = \"warn\"\n";
    let place = Place::new(settings).with_scenes();
    let before = place.config();
    let (code, out, err) = place.tune(&[&SCENES[..], &["--write"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let after = place.config();
    assert!(out.contains("\n-threshold = 0.3 # a guess\n") && out.contains("\n+threshold = "), "{out}");
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    for line in &old {
        assert!(new.contains(line) || line.starts_with("threshold") || line.starts_with("release"), "{line} is gone:\n{after}");
    }
    assert!(new.iter().any(|line| line.starts_with("threshold = 0.") && line.ends_with(" # a guess")), "{after}");
    // Settings that follow from the threshold are not written; those that were written already are corrected.
    assert!(!after.contains("start_threshold") && after.contains("\nrelease = 0.0"), "{after}");
    assert!(run(mimid().args(["check", "--config"]).arg(place.path("c.toml"))).status.success());
    // The thresholds in force are the best already.
    let (code, out, _) = place.tune(&[&SCENES[..], &["--write"]].concat());
    assert_eq!((code, place.config()), (0, after), "{out}");
    assert!(out.contains("says all that already"), "{out}");
}

#[test]
fn an_interrupted_write_leaves_a_whole_file() {
    let place = Place::new("[report]\nlabels = [\"Loud\"] # mine\n").with_scenes();
    let old = place.config();
    let (_, fragment, _) = place.tune(&SCENES);
    let set: Vec<&str> = fragment.lines().filter(|line| line.starts_with("threshold")).collect();
    for wait_ms in (0..600).step_by(40) {
        place.write("c.toml", &old);
        let mut command = mimid();
        command.current_dir(place.folder.path()).args(["tune", "--config", "c.toml", "--write"]).args(SCENES);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment at which it dies is what is tested.
        std::thread::sleep(Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = place.config();
        let is_new = now.starts_with(&old) && now.contains("[labels.\"Loud\"]") && now.ends_with(&format!("{}\n", set[0]));
        assert!(now == old || is_new, "after {wait_ms} ms:\n{now}");
    }
}

#[test]
fn a_file_that_cannot_be_written_stays_as_it_is() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let mut permissions = fs::metadata(place.path("c.toml")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(place.path("c.toml"), permissions).unwrap();
    let old = place.config();
    let (code, _, err) = place.tune(&[&SCENES[..], &["--write"]].concat());
    let expected = "mimid: c.toml is read-only; make it writable, or edit another file with --config";
    assert_eq!((code, err.as_str(), place.config()), (1, expected, old));
}

#[test]
fn what_is_not_reported_is_said_and_not_set() {
    let place = Place::new("[report]\nlabels = [\"Any\"]\n").with_scenes();
    let (code, out, _) = place.tune(&SCENES);
    assert_eq!(code, 0);
    assert!(out.contains("# Loud: 9 examples; ") && out.contains("[report] leaves it out, so nothing is set for it"), "{out}");
    assert!(out.lines().all(|line| line.is_empty() || line.starts_with('#')), "{out}");
}

#[test]
fn a_group_is_tuned_by_its_members() {
    let place =
        Place::new("[report]\nlabels = [\"Any\"]\n[groups.\"Much noise\"]\nlabels = [\"Loud\", \"Deafening\"]\n").with_scenes();
    let (code, out, _) = place.tune(&[&SCENES[..], &["--write"]].concat());
    assert_eq!(code, 0);
    assert!(out.contains("Much noise: 9 examples of Loud; threshold 0.200 → "), "{out}");
    assert!(
        place.config().contains("[groups.\"Much noise\"]\nlabels = [\"Loud\", \"Deafening\"]\nthreshold = 0."),
        "{}",
        place.config()
    );
}

#[test]
fn a_budget_of_false_alarms_is_kept() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let after = |per_day: &str| {
        let (code, out, err) = place.tune(&[&SCENES[..], &["--json", "--false-alarms-per-day", per_day]].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        serde_json::from_str::<Value>(&out).unwrap()["labels"][0]["after"].clone()
    };
    let strict = after("1");
    assert_eq!((number(&strict["false_alarms"]), number(&strict["recall"])), (0.0, 1.0), "{strict}");
    // Six in a minute and a half are some 5760 a day.
    let loose = after("6000");
    assert!(number(&loose["threshold"]) == 0.2 && number(&loose["false_alarms"]) == 6.0, "{loose}");
}

#[test]
fn label_tracks_and_tables_in_several_folders_are_joined_with_their_recordings() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n");
    for (folder, bursts) in [("x", [0.4, 0.31, 0.31, 0.4, 0.0]), ("y", [0.31, 0.4, 0.4, 0.0, 0.0])] {
        place.record(&format!("{folder}/same.wav"), bursts);
    }
    place.record("z.wav", [0.4, 0.31, 0.0, 0.0, 0.0]);
    place.record("quiet.wav", [0.31, 0.0, 0.0, 0.0, 0.0]);
    place.write("x/truth.tsv", format!("{HEADER}same.wav\t3\t5\tLoud\nsame.wav\t18\t20\tLoud\n"));
    place.write("y/truth.tsv", format!("{HEADER}same.wav\t8\t10\tloud\nsame.wav\t13\t15\t/x/loud\n"));
    place.write("z.txt", "3.000\t5.000\tLoud\n\\\t100.0\t900.0\n");
    place.write("rest.tsv", format!("{HEADER}quiet.wav\n"));
    let truth = ["--truth", "x/truth.tsv", "--truth", "y/truth.tsv", "--truth", "z.txt", "--truth", "rest.tsv"];
    let (code, out, err) = place.tune(&[&truth[..], &["x/same.wav", "y/same.wav", "z.wav", "quiet.wav", "--json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let loud = &serde_json::from_str::<Value>(&out).unwrap()["labels"][0];
    assert_eq!((loud["examples"].as_u64(), number(&loud["after"]["f1"])), (Some(5), 1.0), "{loud}");
}

#[test]
fn everything_wrong_with_the_truth_is_told_at_once() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let before = place.config();
    let rows = "a.wav\t3\t5\tLoud\na.wav\t5\t3\tLoud\na.wav\t-1\t2\tLoud\na.wav\tNaN\t2\tLuod\na.wav\t8\t10\tLuod\na.wav\t29\t31\tLoud\n\
                a.wav\t3\t5\tLoud\nmissing.wav\t3\t5\tLoud\nmissing.wav\t8\t10\tLoud\nb.wav\t3\t5\tLoud\na.wav\t\t5\tLoud\n";
    place.write("truth.tsv", format!("\u{feff}{HEADER}{rows}").replace('\n', "\r\n"));
    place.write("commas.csv", "filename,onset,offset,event_label\na.wav,3,5,Loud\n");
    place.write("bytes.tsv", b"filename\tonset\toffset\tevent_label\na.wav\t1\t2\tL\xf6ud\n");
    let truth = ["truth.tsv", "commas.csv", "bytes.tsv", "model", "none.tsv"].map(|name| ["--truth", name]).concat();
    let (code, out, err) = place.tune(&[&truth[..], &["a.wav", "--write"]].concat());
    assert_eq!((code, out.as_str(), place.config()), (2, "", before));
    insta::assert_snapshot!(err, @r#"
    mimid: truth.tsv:3: the offset 3 is not after the onset 5
    truth.tsv:4: the onset -1 is negative
    truth.tsv:5: the onset "NaN" is not a number of seconds, such as 12.5
    truth.tsv:6: there is no label "Luod"; did you mean "Loud"?
    truth.tsv:7: the event ends at 31 s, but a.wav lasts 30.000 s
    truth.tsv:8: this row is the same as line 2
    truth.tsv:9: there is no recording "missing.wav" beside this file or among the recordings given
    truth.tsv:11: b.wav is there, but not among the recordings given
    truth.tsv:12: the onset is missing
    commas.csv:1: the columns are separated by commas; separate them by tabs
    bytes.tsv:2: this line holds bytes that are not UTF-8; save the file as UTF-8
    model: this is a folder; name the truth file in it
    none.tsv: there is no such truth file
    "#);
}

#[test]
fn one_thing_wrong_is_one_sentence() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let with = |truth: &str, files: &[&str]| {
        place.write("truth.tsv", truth);
        let (code, out, err) = place.tune(&[&["--truth", "truth.tsv"], files].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        err
    };
    insta::assert_snapshot!(with("", &["a.wav"]), @"mimid: truth.tsv:1: the file is empty");
    insta::assert_snapshot!(with("a.wav\t3\t5\tLoud\n", &["a.wav"]), @"mimid: truth.tsv:1: there is no header; the first line must name the columns filename, onset, offset, event_label, separated by tabs (or be the first of an Audacity label track: onset, offset, label)");
    insta::assert_snapshot!(with("filename;onset;offset;event_label\na.wav;3;5;Loud\n", &["a.wav"]), @"mimid: truth.tsv:1: the columns are separated by semicolons; separate them by tabs");
    insta::assert_snapshot!(with(&format!("{HEADER}a.wav\t3\t5\tLoud\n"), &["a.wav", "c.wav"]), @"mimid: c.wav: no truth names this recording; a row with its filename alone says that nothing is heard in it");
    insta::assert_snapshot!(with(&format!("{HEADER}a.wav\n"), &["a.wav"]), @"mimid: truth.tsv: the truth names no event, so there is nothing to tune by");
    insta::assert_snapshot!(with("3\t5\tLoud\n", &["a.wav", "b.wav"]), @r"
    mimid: truth.tsv:1: no recording given is named like this label track (truth.wav, for example)
    a.wav: no truth names this recording; a row with its filename alone says that nothing is heard in it
    b.wav: no truth names this recording; a row with its filename alone says that nothing is heard in it
    ");
    insta::assert_snapshot!(with(&format!("{HEADER}a.wav\t3\t5\tLoud\n"), &["a.wav", "./a.wav"]), @"mimid: ./a.wav: this recording is given twice");
    place.record("x/a.wav", [0.0; 5]);
    place.record("y/z/a.wav", [0.0; 5]);
    place.write("t/truth.tsv", format!("{HEADER}a.wav\t3\t5\tLoud\n"));
    let (code, _, err) = place.tune(&["--truth", "t/truth.tsv", "x/a.wav", "y/z/a.wav"]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(err, @r#"
    mimid: t/truth.tsv:2: "a.wav" is the name of 2 of the recordings given; write more of its path
    x/a.wav: no truth names this recording; a row with its filename alone says that nothing is heard in it
    y/z/a.wav: no truth names this recording; a row with its filename alone says that nothing is heard in it
    "#);
}

#[test]
fn a_recording_that_cannot_be_heard_is_told_and_nothing_is_written() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n").with_scenes();
    let before = place.config();
    place.write("text.wav", "this is not a recording at all, but some text");
    place.write("more.tsv", format!("{HEADER}text.wav\ncut.wav\n"));
    let whole = fs::read(place.path("a.wav")).unwrap();
    place.write("cut.wav", &whole[..whole.len() / 2]);
    let more = |file| [&SCENES[..], &["--write", "--truth", "more.tsv", "text.wav", file]].concat();
    let (code, out, err) = place.tune(&more("cut.wav"));
    assert_eq!((code, out.as_str(), place.config()), (1, "", before.clone()));
    assert_eq!(
        err,
        "mimid: text.wav: this is no recording in a format that is known (WAV, FLAC, MP3, AAC, M4A, Ogg, Opus, WebM, AIFF, CAF)"
    );
    place.write("more.tsv", format!("{HEADER}cut.wav\n"));
    let (code, out, err) = place.tune(&[&SCENES[..], &["--write", "--truth", "more.tsv", "cut.wav"]].concat());
    assert_eq!((code, out.as_str(), place.config()), (1, "", before));
    assert_eq!(err, "mimid: cut.wav is truncated; what it holds was scanned");
}

#[test]
fn wrong_usage() {
    let place = Place::new("");
    for (arguments, what) in [
        (&["a.wav"][..], "--truth"),
        (&["--truth", "t.tsv"], "RECORDING"),
        (&["--truth", "t.tsv", "a.wav", "--collar-ms", "0"], "collar"),
        (&["--truth", "t.tsv", "a.wav", "--collar-ms", "NaN"], "collar"),
        (&["--truth", "t.tsv", "a.wav", "--false-alarms-per-day=-1"], "false-alarms"),
        (&["--truth", "t.tsv", "a.wav", "--false-alarms-per-day", "many"], "false-alarms"),
    ] {
        let (code, out, err) = place.tune(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.contains(what), "{arguments:?}: {err}");
    }
}

#[test]
fn a_voice_is_tuned_with_the_shipped_model() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.tsv");
    fs::write(&truth, format!("{HEADER}{}\t0.0\t1.4\tSpeech\n", Path::new(VOICE).file_name().unwrap().display())).unwrap();
    let output = run(mimid().args(["tune", "--json", "--truth"]).arg(&truth).arg(VOICE));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let labels = report["labels"].as_array().unwrap();
    let speech = labels.iter().find(|label| label["label"] == "Speech").unwrap();
    assert_eq!((speech["examples"].as_u64(), number(&speech["before"]["f1"])), (Some(1), 1.0), "{speech}");
    // One example moves nothing that is right already.
    assert_eq!((speech["changed"].as_bool(), &speech["before"]["threshold"]), (Some(false), &speech["after"]["threshold"]));
    let child = labels.iter().find(|label| label["label"] == "Child speech, kid speaking").unwrap();
    assert_eq!(child["kind_of"].as_str(), Some("Speech"));
}

#[test]
fn a_name_that_a_table_writes_with_escapes_is_found_again() {
    let place = Place::new("[report]\nlabels = [\"Loud\"]\n");
    place.record("odd\tname\n\u{1b}[2J.wav", [0.4; 5]);
    place.record("a\\b.wav", [0.0; 5]);
    let rows = ["odd\\tname\\n\\x1b[2J.wav\t3\t5\tLoud", "a\\b.wav"].join("\n");
    place.write("truth.tsv", format!("{HEADER}{rows}\n"));
    let (code, out, err) = place.tune(&["--truth", "truth.tsv", "odd\tname\n\u{1b}[2J.wav", "a\\b.wav", "--json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["labels"][0]["examples"], 1, "{out}");
}
