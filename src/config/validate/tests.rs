//! Every warning's sentence, and the origin of every label's threshold.

use std::path::Path;

use crate::config::origin::Reported;
use crate::config::{Raw, Validated};
use crate::model::Labels;
use crate::model::manifest::Detection;

const NAMES: [&str; 6] = ["Dog", "Bark", "Fire alarm", "Siren", "Cat", "Zing"];

/// Labels of which the first three have thresholds of their own; what follows is the last column, by its name wherever it stands.
fn labels() -> Labels {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let rows: String = NAMES.iter().enumerate().map(|(at, name)| format!("/m/{at}\t{name}\n")).collect();
    let labels = write("labels.tsv", format!("id\tname\n{rows}"));
    let thresholds = "/m/0\tDog\t0.3\t0.2\t9\t0.8\n/m/1\tBark\t0.25\t0.2\t9\t\n/m/2\tFire alarm\t0.1\t0.1\t9\t0.6\n/m/3\tSiren\t0.2\t0.1\t9\t0.7\n";
    let thresholds = write("thresholds.tsv", format!("id\tname\tthreshold\tstart_threshold\tn\thighest\n{thresholds}"));
    Labels::read(&labels, None, Some(&thresholds)).unwrap()
}

fn validated(text: &str) -> Validated {
    Raw::parse(text, Some(Path::new("mimid.toml"))).validate(&labels()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn warnings(text: &str) -> String {
    validated(text).warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

#[test]
fn a_label_is_configured_and_not_reported() {
    insta::assert_snapshot!(warnings("[labels.Cat]\nthreshold = 0.5\n[report]\npreset = \"all\"\nignore = [\"cat\"]"), @r#"mimid.toml:1: labels."Cat": this label is configured, but [report] ignores it in line 5; take it out of one of them"#);
    insta::assert_snapshot!(warnings("[labels.Zing]\nthreshold = 0.5"), @r#"mimid.toml:1: labels."Zing": this label is configured, but [report] leaves it out"#);
    insta::assert_snapshot!(warnings("[labels.Dog]\nthreshold = 0.5\n[groups.pets]\nlabels = [\"Dog\", \"Cat\"]"), @r#"mimid.toml:1: labels."Dog": this label is configured, but it is reported as part of the group "pets", which has numbers of its own"#);
}

#[test]
fn a_label_is_ignored_to_no_purpose() {
    insta::assert_snapshot!(warnings("[report]\nlabels = [\"Dog\"]\nignore = [\"cat\"]"), @r#"mimid.toml:3: report.ignore: "Cat" is not reported anyway; it need not be ignored"#);
    insta::assert_snapshot!(warnings("[groups.alarm]\nlabels = [\"Siren\"]\n[report]\nignore = [\"Siren\"]"), @r#"mimid.toml:4: report.ignore: "Siren" is reported all the same, because it is in the group "alarm"; take it out of the group"#);
    assert_eq!(warnings("[report]\npreset = \"all\"\nignore = [\"Siren\"]"), "");
}

#[test]
fn a_rate_is_set_where_the_source_has_its_own() {
    let source = |input: &str, rate: u32| warnings(&format!("[[source]]\ninput = {input:?}\nrate_hz = {rate}"));
    insta::assert_snapshot!(source("default", 48_000), @r#"mimid.toml:3: source[1].rate_hz: rate_hz is used with raw PCM only: "-", "exec:…", "tcp://…" and "udp://…""#);
    assert_eq!(
        (source("-", 48_000) + &source("exec:arecord -t raw", 48_000), source("default", 16_000)),
        (String::new(), String::new())
    );
}

#[test]
fn a_release_equals_its_threshold() {
    let text = "[defaults]\nthreshold = 0.5\nrelease = 0.5\n[labels.Dog]\nrelease = 0.5\n[labels.Cat]\nthreshold = 0.6";
    insta::assert_snapshot!(warnings(text), @r#"
    mimid.toml:3: defaults.release: the release 0.5 is equal to the threshold, so that every dip ends the event; leave it out for a tenth of the threshold
    mimid.toml:5: labels."Dog".release: the release 0.5 is equal to the threshold, so that every dip ends the event; leave it out for a tenth of the threshold
    "#);
}

#[test]
fn a_label_stands_in_two_groups() {
    let text = "[groups.a]\nlabels = [\"Siren\"]\n[groups.b]\nlabels = [\"Cat\", \"/m/3\"]";
    insta::assert_snapshot!(warnings(text), @r#"mimid.toml:4: groups.b.labels: "Siren" is in the group "a" as well, so that each group reports an event of its own"#);
}

#[test]
fn a_threshold_is_above_the_highest_score() {
    let text = "[labels.Dog]\nthreshold = 0.9\nstart_threshold = 0.85\n[labels.Bark]\nthreshold = 0.9\n\
                [groups.alarm]\nlabels = [\"Fire alarm\", \"Siren\"]\nthreshold = 0.71";
    insta::assert_snapshot!(warnings(text), @r#"
    mimid.toml:2: labels."Dog".threshold: 0.9 is above 0.8, the highest score that "Dog" is likely to reach: it would never be reported
    mimid.toml:3: labels."Dog".start_threshold: 0.85 is above 0.8, the highest score that "Dog" is likely to reach: it would never be announced at once
    mimid.toml:8: groups.alarm.threshold: 0.71 is above 0.7, the highest score that "alarm" is likely to reach: it would never be reported
    "#);
    assert_eq!(warnings(&text.replace("0.9", "0.8").replace("0.85", "0.8").replace("0.71", "0.7")), "");
    let defaults = |labels: &str| warnings(&format!("[defaults]\nthreshold = 0.75\n[report]\nlabels = [{labels}]"));
    insta::assert_snapshot!(defaults("\"Dog\", \"Siren\", \"Cat\""), @r#"mimid.toml:2: defaults.threshold: 0.75 is above 0.7, the highest score that "Siren" is likely to reach: it would never be reported"#);
    insta::assert_snapshot!(defaults("\"Siren\", \"Fire alarm\", \"Dog\""), @r#"mimid.toml:2: defaults.threshold: 0.75 is above the highest score that 2 of the reported are likely to reach, such as "Siren" with 0.7: they would never be reported"#);
}

#[test]
fn a_confirmation_takes_longer_than_the_shortest_event() {
    let detection = Detection { windows_ms: vec![2_880, 960], delta: 0.1, median: 3, ..Detection::of_tests() };
    let told = |text: &str| {
        let warnings = Raw::parse(text, Some(Path::new("mimid.toml"))).confirm_warnings(&detection);
        warnings.iter().map(|warning| format!("{warning}\n")).collect::<String>()
    };
    let text = "[defaults]\nmin_duration_ms = 250\n[labels.Dog]\nconfirm = \"3/4\"\n[labels.Cat]\nconfirm = \"3/4\"\nmin_duration_ms = 300\n\
                [groups.alarm]\nconfirm = \"10/12\"\nmin_duration_ms = 0";
    insta::assert_snapshot!(told(text), @r#"
    mimid.toml:4: labels."Dog".confirm: confirm = "3/4" takes 300 ms, longer than the shortest event, min_duration_ms = 250 ms, so that a short sound is announced only after its end; ask for fewer windows
    mimid.toml:9: groups.alarm.confirm: confirm = "10/12" takes 1000 ms, longer than the shortest window, 960 ms, so that a short sound is announced only after its end; ask for fewer windows
    "#);
    insta::assert_snapshot!(told("[defaults]\nconfirm = \"2/2\"\n[labels.Dog]\nmin_duration_ms = 50\n[labels.Cat]\ncooldown_s = 1"), @r#"mimid.toml:4: labels."Dog".min_duration_ms: confirm = "2/2" takes 200 ms, longer than the shortest event, min_duration_ms = 50 ms, so that a short sound is announced only after its end; ask for fewer windows"#);
    assert_eq!(told("[defaults]\nmin_duration_ms = 50"), "");
}

/// Each label's threshold, where it comes from, and whether it is reported, as one line.
fn origins(text: &str) -> String {
    let line = |line: Option<usize>| line.map(|line| format!(":{line}")).unwrap_or_default();
    let tell = |(name, origin): (&&str, &crate::config::Origin)| {
        let group = match &origin.reported {
            Reported::Group(name) => format!(" {name}"),
            _ => String::new(),
        };
        format!(
            "{name}: {} {} {} {}{}, {}{group}{}\n",
            origin.default_threshold,
            origin.threshold,
            origin.start_threshold,
            origin.threshold_from.word(),
            line(origin.threshold_line),
            origin.reported.word(),
            line(origin.reported_line),
        )
    };
    NAMES.iter().zip(&validated(text).origins).map(tell).collect()
}

#[test]
fn every_label_knows_where_its_threshold_comes_from() {
    insta::assert_snapshot!(origins(""), @r#"
    Dog: 0.3 0.3 0.2 manifest, yes
    Bark: 0.25 0.25 0.2 manifest, yes
    Fire alarm: 0.1 0.1 0.1 manifest, yes
    Siren: 0.2 0.2 0.1 manifest, yes
    Cat: 0.2 0.2 0.14 default, yes
    Zing: 0.2 0.2 0.14 default, left_out
    "#);
    let text = "[labels.dog]\ncooldown_s = 1\nthreshold = 0.5\n[labels.Bark]\ncooldown_s = 1\n\
                [groups.alarm]\nlabels = [\"Fire alarm\"]\nthreshold = 0.4\n[groups.other]\nlabels = [\"Siren\"]\n\
                [report]\npreset = \"all\"\nignore = [\"Cat\"]\n";
    insta::assert_snapshot!(origins(text), @r#"
    Dog: 0.3 0.5 0.35 label:3, yes
    Bark: 0.25 0.25 0.2 manifest, yes
    Fire alarm: 0.1 0.4 0.28 group:8, group alarm:6
    Siren: 0.2 0.2 0.1 manifest, group other:9
    Cat: 0.2 0.2 0.14 default, ignored:13
    Zing: 0.2 0.2 0.14 default, yes
    "#);
    insta::assert_snapshot!(origins(&format!("{text}[defaults]\nthreshold = 0.35\n")), @r#"
    Dog: 0.3 0.5 0.35 label:3, yes
    Bark: 0.25 0.35 0.245 defaults:15, yes
    Fire alarm: 0.1 0.4 0.28 group:8, group alarm:6
    Siren: 0.2 0.35 0.245 defaults:15, group other:9
    Cat: 0.2 0.35 0.245 defaults:15, ignored:13
    Zing: 0.2 0.35 0.245 defaults:15, yes
    "#);
    insta::assert_snapshot!(origins("[report]\nlabels = [\"Siren\", \"Cat\"]\n[groups.both]\nlabels = [\"Siren\", \"Fire alarm\"]"), @r#"
    Dog: 0.3 0.3 0.2 manifest, left_out:2
    Bark: 0.25 0.25 0.2 manifest, left_out:2
    Fire alarm: 0.1 0.1 0.1 manifest, group both:3
    Siren: 0.2 0.2 0.1 manifest, yes
    Cat: 0.2 0.2 0.14 default, yes
    Zing: 0.2 0.2 0.14 default, left_out:2
    "#);
}
