//! The configuration as users meet it: the shipped file, faults with their lines, and what is printed back.

use std::path::Path;

use proptest::prelude::*;

use super::raw::{RawGate, RawReport, STANDARD_PRESET};
use super::*;
use crate::config::print::effective;
use crate::detect::rule::STANDARD_GATE;
use crate::model::Labels;

const SHIPPED: &str = include_str!("../../config/mimid.toml");

fn labels() -> Labels {
    let names = ["Dog", "Bark", "Smoke detector, smoke alarm", "Fire alarm", "Baby cry, infant cry", "Cat", "Zing"];
    Labels::new(names.iter().enumerate().map(|(i, n)| (format!("/m/{i}"), n.to_string())), Vec::new())
}

fn config(text: &str) -> Config {
    Raw::parse(text, None).validate(&labels()).unwrap_or_else(|faults| panic!("{faults}")).config
}

fn faults(text: &str) -> String {
    Raw::parse(text, Some(Path::new("mimid.toml"))).validate(&labels()).unwrap_err().to_string()
}

#[test]
fn the_shipped_file_says_what_an_empty_one_means() {
    assert_eq!(config(SHIPPED), config(""));
    assert_eq!(Raw::parse(SHIPPED, None).validate(&labels()).unwrap().warnings, []);
    // And it says it explicitly: each number of the defaults stands in it.
    let shipped = Raw::parse(SHIPPED, None);
    let RawGate { confirm, min_duration_ms, max_duration_s, hangover_ms, cooldown_s, min_snr_db, .. } = shipped.defaults;
    assert_eq!(min_snr_db.value, Some(STANDARD_GATE.min_snr_db));
    assert_eq!(confirm.value.as_deref(), Some(STANDARD_GATE.confirm));
    assert_eq!(min_duration_ms.value, Some(STANDARD_GATE.min_duration_ms));
    assert_eq!(max_duration_s.value, Some(STANDARD_GATE.max_duration_s));
    assert_eq!(hangover_ms.value, Some(STANDARD_GATE.hangover_ms));
    assert_eq!(cooldown_s.value, Some(STANDARD_GATE.cooldown_s));
    let RawReport { preset, .. } = shipped.report;
    assert_eq!(preset.value.as_deref(), Some(STANDARD_PRESET));
}

#[test]
fn each_commented_key_of_the_shipped_file_is_valid() {
    // A comment that holds TOML is a "# " before a table, or before a key with one word and an equals sign.
    let is_toml = |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let uncommented: Vec<&str> = SHIPPED
        .lines()
        // Labels and a preset exclude each other, so the example of the one replaces the other.
        .filter(|line| !line.starts_with("preset"))
        .map(|line| line.strip_prefix("# ").filter(|rest| is_toml(rest)).unwrap_or(line))
        .collect();
    let config = config(&uncommented.join("\n"));
    assert_eq!(config.socket.group.as_deref(), Some("audio"));
    let rule = |name: &str| config.rules.iter().find(|rule| rule.subject.name == name).unwrap();
    assert_eq!(rule("Dog").gate.threshold, 0.4);
    assert_eq!(rule("Dog").gate.cooldown_ms, 30_000);
    assert_eq!(rule("alarm").members, [2, 3]);
    assert_eq!((rule("alarm").gate.confirm_k, rule("alarm").gate.confirm_n), (3, 4));
}

#[test]
fn all_faults_come_at_once_with_their_lines() {
    let text = r#"
[defaults]
treshold = 0.5
hangover_ms = -5
min_duration_ms = "long"
threshold = nan

[labels."Dgo"]
threshold = 0.2

[labels."Cat"]
threshold = 0.2
release = 0.4
confirm = "3/2"

[[source]]
name = "a"
channel = 0

[[source]]
name = "a"
input = "file:"
gain_db = inf
silent_after_s = -1

[report]
preset = "hom"

[mqqt]

[privacy]
store_audio = 1
quiet_hours = ["22:00-06:30", "22-6"]

[reload]
watch = "yes"

[log]
level = "loud"
"#;
    insta::assert_snapshot!(faults(text), @r#"
    mimid.toml:3: defaults.treshold: there is no such key; did you mean "threshold"?
    mimid.toml:4: defaults.hangover_ms: -5 is out of range; it must not be negative
    mimid.toml:5: defaults.min_duration_ms: this is a string, but it must be a number
    mimid.toml:6: defaults.threshold: NaN is out of range; it must be above 0 and at most 1
    mimid.toml:8: labels."Dgo": there is no such label; did you mean "Dog"?
    mimid.toml:13: labels."Cat".release: the release 0.4 is above the threshold 0.2; it must be at most as high
    mimid.toml:14: labels."Cat".confirm: "3/2" is not "k/n" with 1 ≤ k ≤ n ≤ 100, such as "2/3"
    mimid.toml:18: source[1].channel: channels are counted from 1 to 1024, not 0
    mimid.toml:21: source[2].name: two sources have the name "a"
    mimid.toml:22: source[2].input: file: is not followed by a path
    mimid.toml:23: source[2].gain_db: inf is out of range; it must be from -60 to 60
    mimid.toml:24: source[2].silent_after_s: -1 is out of range; it must be from 0 (never) to 86400
    mimid.toml:27: report.preset: there is no preset "hom", only home and all; did you mean "home"?
    mimid.toml:29: mqqt: there is no such section
    mimid.toml:32: privacy.store_audio: this is an integer, but it must be true or false
    mimid.toml:33: privacy.quiet_hours: "22-6" is no time of day; write it as "22:00-06:30" or "Mon-Fri 09:00-17:00"
    mimid.toml:36: reload.watch: this is a string, but it must be true or false
    mimid.toml:39: log.level: "loud" is not one of error, warn, info, debug, trace
    the configuration has 18 faults
    "#);
}

#[test]
fn text_that_is_not_toml_is_told_with_its_line() {
    insta::assert_snapshot!(faults("[defaults]\nthreshold = \n"), @"mimid.toml:2: this is not TOML: string values must be quoted, expected literal string");
    assert!(faults("threshold = 0.5").contains("mimid.toml:1: threshold: there is no such section"));
}

#[test]
fn a_group_takes_its_labels_out_of_the_report() {
    let config = config(
        "[groups.alarm]\nlabels = [\"Fire alarm\", \"/m/2\"]\nthreshold = 0.1\n[report]\npreset = \"all\"\nignore = [\"zing\"]",
    );
    let names: Vec<&str> = config.rules.iter().map(|rule| rule.subject.name.as_str()).collect();
    assert_eq!(names, ["Dog", "Bark", "Baby cry, infant cry", "Cat", "alarm"]);
    assert_eq!(config.rules[4].members, [3, 2]);
}

#[test]
fn the_release_follows_the_threshold_in_force() {
    let config = config("[labels.Dog]\nthreshold = 0.1\n[report]\nlabels = [\"Dog\", \"Cat\"]");
    assert_eq!((config.rules[0].gate.release, config.rules[0].gate.start_threshold), (0.01, 0.07));
    assert_eq!(config.rules[1].gate.release, 0.02);
}

#[test]
fn every_name_that_can_be_wrong_brings_the_nearest() {
    let text = "[sources]\n[log]\nlevel = \"inf\"\nformat = \"jsn\"\n[[source]]\nchannel = \"mixx\"\n[report]\npreset = \"hoem\"\n[modl]";
    insta::assert_snapshot!(faults(text), @r#"
    mimid.toml:1: sources: there is no such section; did you mean "source"?
    mimid.toml:3: log.level: "inf" is not one of error, warn, info, debug, trace; did you mean "info"?
    mimid.toml:4: log.format: "jsn" is not one of text, json; did you mean "json"?
    mimid.toml:6: source[1].channel: "mixx" is not "mix" or a channel's number; did you mean "mix"?
    mimid.toml:8: report.preset: there is no preset "hoem", only home and all; did you mean "home"?
    mimid.toml:9: modl: there is no such section; did you mean "model"?
    the configuration has 6 faults
    "#);
}

#[test]
fn a_reload_names_what_it_changes() {
    let old = config("[[source]]\nname = \"a\"\n[[source]]\nname = \"b\"\n");
    let new = config(
        "[[source]]\nname = \"a\"\ngain_db = 3\nsilent_after_s = 5\n[[source]]\nname = \"c\"\n[defaults]\nthreshold = 0.5\n\
         [privacy]\nquiet_hours = [\"22:00-06:30\"]\n[reload]\nwatch = true",
    );
    let sentences: Vec<String> = old.changes(&new).iter().map(diff::Change::describe).collect();
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    the labels, groups or thresholds changed
    quiet_hours changed
    the configuration file is watched from now on
    the source "a" changed
    the source "b" is gone
    the source "c" is new
    "#);
    assert!(old.changes(&old).is_empty());
    // A source that is only called silent at another time is not opened anew.
    let patient = config("[[source]]\nname = \"a\"\nsilent_after_s = 0\n[[source]]\nname = \"b\"\n");
    assert_eq!(old.changes(&patient), [diff::Change::SilentAfter("a".into())]);
}

#[test]
fn a_program_and_the_form_of_its_samples_are_printed_as_they_were_read_but_for_passwords() {
    let text =
        "[[source]]\ninput = \"exec:ssh cellar 'arecord -t raw' $HOME;\"\nrate_hz = 48000\nformat = \"S24LE\"\nchannels = 2";
    let first = config(text);
    assert_eq!(config(&effective(&first, &labels())), first);
    for input in [
        "input = \"udp://0.0.0.0:5000\"\nallow = [\"192.168.1.0/24\", \"fd00::7\"]\nformat = \"s16le\"",
        "input = \"https://radio.example/live\"\npassword_file = \"/etc/mimid/radio\"",
        "input = \"rtsp://anna:$CAMERA@cam/1\"",
        "input = \"rtsps://cam/1\"\nca_file = \"/etc/mimid/cam.pem\"",
    ] {
        let first = config(&format!("[[source]]\n{input}"));
        assert_eq!(config(&effective(&first, &labels())), first);
    }
    for format in ["auto", "container", "mulaw"] {
        let first = config(&format!("[[source]]\ninput = \"-\"\nformat = \"{format}\""));
        assert_eq!(config(&effective(&first, &labels())), first);
    }
    let printed = effective(&config("[[source]]\ninput = \"exec:ffmpeg -i rtsp://anna:geheim@cam/1 -\""), &labels());
    assert!(printed.contains("rtsp://anna:***@cam/1") && !printed.contains("geheim"), "{printed}");
}

#[test]
fn a_source_without_a_command_or_with_an_unknown_format_is_refused() {
    let faults = |text: &str| {
        let faults = Raw::parse(&format!("[[source]]\n{text}"), None).validate(&labels()).unwrap_err();
        faults.to_string()
    };
    for command in ["exec:", "exec:say 'it"] {
        assert!(faults(&format!("input = \"{command}\"")).contains("source[1].input: exec: is not followed by a command"));
    }
    assert!(faults("input = \"tcp://0.0.0.0:5000\"").contains("satellites need allow"));
    assert!(faults("input = \"tcp://0.0.0.0:5000\"\nallow = [\"me\"]").contains("is no address"));
    let told = faults("input = \"rtsp://anna:geh/eim@cam/1\"");
    assert!(told.contains("%XX") && !told.contains("eim"), "{told}");
    let told = faults("input = \"-\"\nformat = \"s16\"\nchannels = 0");
    assert!(
        told.contains("\"s16\" is no format; write one of auto, container, u8, s16le,") && told.contains("0 is out of range"),
        "{told}"
    );
}

#[test]
fn a_level_that_most_labels_have_is_not_printed_for_those_that_have_none() {
    let quiet = "[labels.Dog]\nmin_level_dbfs = -60\n[labels.\"Fire alarm\"]\nmin_level_dbfs = -60\n[report]\nlabels = [\"Dog\", \"Fire alarm\"";
    for labels_in_force in ["]\n", ", \"Bark\"]\n"] {
        let first = config(&format!("{quiet}{labels_in_force}"));
        assert_eq!(config(&effective(&first, &labels())), first, "{labels_in_force}");
    }
}

#[test]
fn a_name_with_every_kind_of_quotation_mark_is_printed_as_a_key_and_as_a_value() {
    let odd = "a.b\\\"'c";
    let text = format!("[[source]]\nname = {odd:?}\ninput = \"\\u007f\\u0000x\"\n[groups.{odd:?}]\nlabels = [\"Dog\"]\n");
    let first = config(&text);
    assert_eq!((&*first.sources[0].name, first.rules.last().unwrap().subject.name.as_str()), (odd, odd));
    assert_eq!(config(&effective(&first, &labels())), first);
}

#[test]
fn a_name_that_breaks_lines_breaks_no_sentence() {
    let told = faults("[groups.\"a\\n\\u001b[31mb\"]\nlabels = [\"Dog\"]\n");
    assert_eq!(told, r"mimid.toml:1: groups.a\n\u{1b}[31mb: a group's name must not be empty or hold control characters");
}

#[test]
fn a_threshold_that_would_be_nothing_when_in_force_is_a_fault() {
    for key in ["threshold", "start_threshold"] {
        let told = faults(&format!("[labels.Dog]\n{key} = 1e-50\n"));
        assert!(
            told.starts_with(&format!("mimid.toml:2: labels.\"Dog\".{key}: ")) && told.ends_with("above 0 and at most 1"),
            "{told}"
        );
    }
    assert_eq!(config("[labels.Dog]\nthreshold = 1e-44\n").rules.len(), config("").rules.len());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*") {
        let _ = Raw::parse(&text, None).validate(&labels());
    }

    #[test]
    fn no_file_like_text_makes_the_parser_panic(
        lines in prop::collection::vec("(\\[\\[?(source|labels\\.Dog|groups\\.x|defaults|report)\\]?\\])|((threshold|labels|channel|confirm|input|x) = (nan|-1|1e999|\"2/3\"|\\[\\]|\\{\\}|true|99999999999999999999))", 0..12)
    ) {
        let _ = Raw::parse(&lines.join("\n"), None).validate(&labels());
    }

    #[test]
    fn what_is_printed_means_the_same(
        threshold in 0.01f32..1.0, release in 0.0f32..1.0, hangover in 0u32..5_000, max in 0u32..5_000, k in 1usize..5, extra in 0usize..5,
        gain in -60.0f32..60.0, picked in 0u16..9, preset in prop::sample::select(vec!["home", "all"]), grouped in any::<bool>(),
        silent in 0u32..86_400_000, watch in any::<bool>(), announce in prop::sample::select(vec!["at once", "confirmed"]), quiet in prop::sample::select(vec!["", "\"Mon-Fri 9:00 - 17:00\", \"22:00-06:30\""]),
    ) {
        let channel = if picked == 0 { "\"mix\"".to_owned() } else { picked.to_string() };
        let group = if grouped { format!("[groups.\"my alarm\"]\nlabels = [\"Fire alarm\"]\ncooldown_s = 2.5\nannounce = {announce:?}\n") } else { String::new() };
        let text = format!(
            "[[source]]\nname = \"kitchen \\\" 1\"\ninput = \"-\"\nchannel = {channel}\ngain_db = {gain:?}\nsilent_after_s = {:?}\n[labels.dog]\nthreshold = {threshold:?}\n\
             release = {:?}\nconfirm = \"{k}/{}\"\n[defaults]\nhangover_ms = {hangover}\nmax_duration_s = {max}\n{group}[report]\npreset = \"{preset}\"\n\
             [privacy]\nquiet_hours = [{quiet}]\n[reload]\nwatch = {watch}",
            f64::from(silent) / 1e3, threshold * release, k + extra
        );
        let first = config(&text);
        prop_assert_eq!(config(&effective(&first, &labels())), first);
    }
}

#[test]
fn the_nearest_table_says_when_a_label_is_announced() {
    use crate::detect::rule::Announce::{self, AtOnce, Confirmed};
    let announced = |text: &str, name: &str| -> Announce {
        config(text).rules.iter().find(|rule| rule.subject.name == name).unwrap().gate.announce
    };
    // Of a label outside of the preset home nothing is said.
    let zing = "[report]\nlabels = [\"Zing\", \"Dog\"]\n";
    assert_eq!(announced(zing, "Zing"), AtOnce);
    assert_eq!(announced(&format!("{zing}[defaults]\nannounce = \"confirmed\""), "Zing"), Confirmed);
    let both = format!("{zing}[defaults]\nannounce = \"Confirmed\"\n[labels.Zing]\nannounce = \"at once\"");
    assert_eq!((announced(&both, "Zing"), announced(&both, "Dog")), (AtOnce, Confirmed));
    // A group waits only if each of its labels does.
    let group = |labels: &str| announced(&format!("[groups.g]\nlabels = [{labels}]"), "g");
    assert_eq!(group("\"Dog\", \"Zing\""), AtOnce);
    for label in labels().subjects() {
        assert_eq!(group(&format!("{:?}", label.name)), announced("[report]\npreset = \"all\"", &label.name), "{}", label.name);
    }
    assert_eq!(announced("[groups.g]\nlabels = [\"Zing\"]\nannounce = \"confirmed\"", "g"), Confirmed);
    let wrong = "[defaults]\nannounce = \"late\"\n[labels.Dog]\nannounce = \"confirmd\"";
    insta::assert_snapshot!(faults(wrong), @r#"
    mimid.toml:2: defaults.announce: "late" is not one of at once, confirmed
    mimid.toml:4: labels."Dog".announce: "confirmd" is not one of at once, confirmed; did you mean "confirmed"?
    the configuration has 2 faults
    "#);
}
