//! `mimid evaluate` on recordings, tables and data sets, with a model whose scores depend on loudness alone.

use std::fs;

use serde_json::Value;

use crate::tune::Place;

const HEADER: &str = "filename\tonset\toffset\tevent_label\n";
const CONFIG: &str = "[report]\nlabels = [\"Loud\"]\n";

/// Two recordings with five bursts each, and their truth; nothing of them has to be heard.
fn tables() -> Place {
    let place = Place::new(CONFIG);
    let truth = "a.wav\t1\t2\tDog\na.wav\t5\t6\tDog\na.wav\t7\t8\tCat\nb.wav\t2\t4\tCat\nb.wav\t6\t7.5\tDog\nc.wav\n";
    let heard = "a.wav\t1.1\t2.1\tDog\na.wav\t7\t8\tDog\nb\t2\t4\tcat\nsub/b.mp3\t6.3\t7.5\tDog\nc.wav\t1\t2\tCat\n";
    place.write("truth.tsv", format!("{HEADER}{truth}"));
    place.write("heard.tsv", format!("{HEADER}{heard}"));
    place
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let (code, out, err) = place.run("evaluate", &[arguments, &["--format", "json"]].concat());
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn value(row: &Value, key: &str) -> f64 {
    row[key]["value"].as_f64().unwrap_or_else(|| panic!("{key} of {row}"))
}

#[test]
fn what_is_heard_is_judged_with_every_measure() {
    let place = Place::new(CONFIG).with_scenes();
    let judged = json(&place, &["--truth", "truth.tsv", "a.wav", "b.wav", "c.wav"]);
    let loud = &judged["labels"]["Loud"];
    // Nine bursts are true, and six are not but loud enough to be told.
    assert_eq!((&judged["recordings"], &loud["true_events"]), (&Value::from(3), &Value::from(9)));
    assert_eq!(value(loud, "recall_500ms"), 1.0);
    let precision = value(loud, "precision_500ms");
    assert!((value(loud, "f1_500ms") - 2.0 * precision / (precision + 1.0)).abs() < 1e-5, "{loud}");
    // What is true is louder than what is not, so that a threshold parts them.
    assert!((value(loud, "psds1") - 1.0).abs() < 1e-6 && (value(loud, "psds2") - 1.0).abs() < 1e-6, "{loud}");
    assert!(
        loud["onset_error"]["median_absolute_s"].as_f64().unwrap() < 0.5 && loud["announcement_delay"]["events"] == 9,
        "{loud}"
    );
    assert_eq!(
        judged,
        json(&place, &["--truth", "truth.tsv", "c.wav", "a.wav", "b.wav"]),
        "the order of recordings does not matter"
    );
}

#[test]
fn the_events_of_scan_are_judged_like_what_is_heard() {
    let place = Place::new(CONFIG).with_scenes();
    let (_, table, _) = place.run("scan", &["--format", "tsv", "a.wav", "b.wav", "c.wav"]);
    place.write("heard.tsv", table);
    let files = ["--truth", "truth.tsv", "a.wav", "b.wav", "c.wav"];
    let (own, read) = (json(&place, &files), json(&place, &[&files[..], &["--events", "heard.tsv"]].concat()));
    for key in
        ["f1_500ms", "f1_200ms", "f1_onset_200ms", "f1_intersection", "f1_segment", "error_rate_500ms", "false_alarms_per_hour"]
    {
        assert_eq!(own["macro"][key], read["macro"][key], "{key}");
    }
    assert!(own["macro"]["psds1"].is_object() && read["macro"]["psds1"].is_null());
    let against = json(&place, &[&files[..], &["--against", "heard.tsv"]].concat());
    let lines = against["against"].as_array().unwrap();
    assert!(lines.len() > 10 && lines.iter().all(|line| line["p"] == 1.0 && line["more_than_chance"] == false), "{lines:?}");
}

#[test]
fn another_programs_events_are_judged_without_recordings() {
    let place = tables();
    let (code, out, err) = place.run("evaluate", &["--truth", "truth.tsv", "--events", "heard.tsv"]);
    assert_eq!((code, err.as_str()), (0, ""));
    insta::assert_snapshot!(out);
    let judged = json(&place, &["--truth", "truth.tsv", "--events", "heard.tsv"]);
    assert_eq!((value(&judged["labels"]["Dog"], "f1_500ms"), value(&judged["labels"]["Cat"], "f1_500ms")), (0.666667, 0.5));
    assert_eq!(judged["errors"]["event_500ms"]["substitutions"], 1);
    assert_eq!((&judged["confusions"][0]["true"], &judged["confusions"][0]["heard"]), (&Value::from("Cat"), &Value::from("Dog")));
}

#[test]
fn the_other_formats_hold_the_same_numbers() {
    let place = tables();
    let arguments = |format| ["--truth", "truth.tsv", "--events", "heard.tsv", "--against", "heard.tsv", "--format", format];
    let (_, table, _) = place.run("evaluate", &arguments("tsv"));
    assert!(table.starts_with("label\tmeasure\tvalue\tlow\thigh\nCat\tf1_500ms\t0.500000\t"), "{table}");
    assert!(
        table.contains("\nmacro\tp:f1_500ms\t1.000000\t\t\n")
            && table.contains("\nmicro\tsubstitution_rate_event_500ms\t0.200000\t\t\n")
    );
    let (_, markdown, _) = place.run("evaluate", &arguments("markdown"));
    insta::assert_snapshot!(markdown);
}

#[test]
fn a_difference_is_more_than_chance_where_it_is_large_and_everywhere() {
    let place = Place::new(CONFIG);
    let (mut truth, mut bad) = (HEADER.to_owned(), HEADER.to_owned());
    for recording in 0..20 {
        truth += &format!("{recording}.wav\t1\t2\tDog\n{recording}.wav\t5\t6\tDog\n");
        bad += &format!("{recording}.wav\t1\t2\tDog\n{recording}.wav\t8\t9\tDog\n");
    }
    let one_off = truth.replacen("0.wav\t1\t2", "0.wav\t3\t4", 1);
    [("truth.tsv", &truth), ("bad.tsv", &bad), ("near.tsv", &one_off)].iter().for_each(|(name, text)| place.write(name, text));
    let verdict = |other: &str| {
        let judged = json(&place, &["--truth", "truth.tsv", "--events", "truth.tsv", "--against", other]);
        let line = judged["against"].as_array().unwrap().iter().find(|line| line["measure"] == "f1_500ms").unwrap().clone();
        (line["more_than_chance"].as_bool().unwrap(), line["difference"]["value"].as_f64().unwrap())
    };
    assert_eq!((verdict("bad.tsv"), verdict("near.tsv")), ((true, 0.5), (false, 0.025)));
}

#[test]
fn a_data_set_is_read_as_it_was_published() {
    let place = Place::new("[report]\npreset = \"all\"\n");
    let table = "filename,fold,target,category\n1-a.wav,1,0,loud\n2-b.wav,2,0,loud\n2-c.wav,2,1,any\n2-d.wav,2,2,can_opening\n";
    place.write("ESC-50/meta/esc50.csv", table);
    place.record("ESC-50/audio/1-a.wav", [0.4; 5]);
    place.record("ESC-50/audio/2-b.wav", [0.4; 5]);
    place.record("ESC-50/audio/2-d.wav", [0.0; 5]);
    let (code, out, err) = place.run("evaluate", &["--dataset", "esc50", "ESC-50", "--folds", "2", "--format", "tsv"]);
    assert_eq!(code, 0, "{err}");
    insta::assert_snapshot!(err);
    assert!(out.contains("\nLoud\tf1_recording\t1.000000\t") && !out.contains("f1_500ms") && !out.contains("psds1"), "{out}");
    let (code, _, err) = place.run("evaluate", &["--dataset", "esc50", "ESC-50", "--folds", "5"]);
    assert_eq!((code, err.as_str()), (2, "mimid: ESC-50: there is no fold \"5\"; the data set has the folds 1, 2"));
}

#[test]
fn a_map_names_what_counts_for_a_label() {
    let place = Place::new(CONFIG).with_scenes();
    let truth = fs::read_to_string(place.path("truth.tsv")).unwrap().replace("\tLoud", "\tbang");
    place.write("truth.tsv", truth);
    let files = ["--truth", "truth.tsv", "a.wav", "b.wav", "c.wav"];
    let (code, _, err) = place.run("evaluate", &files);
    assert_eq!(code, 2);
    assert!(err.starts_with("mimid: truth.tsv:2: there is no label \"bang\"; or say with --map what counts for it"), "{err}");
    place.write("map.tsv", "bang\t/x/loud\n");
    let judged = json(&place, &[&files[..], &["--map", "map.tsv"]].concat());
    assert_eq!(value(&judged["labels"]["Loud"], "recall_500ms"), 1.0);
    place.write("map.tsv", "bang\tlout\n");
    let (code, _, err) = place.run("evaluate", &[&files[..], &["--map", "map.tsv"]].concat());
    assert_eq!((code, err.as_str()), (2, "mimid: map.tsv:1: there is no label \"lout\"; did you mean \"Loud\"?"));
}

#[test]
fn a_picture_has_the_curves_and_a_bar_for_each_label() {
    let place = Place::new(CONFIG).with_scenes();
    let files = ["--truth", "truth.tsv", "a.wav", "b.wav", "c.wav", "--format", "tsv"];
    let (code, _, err) = place.run("evaluate", &[&files[..], &["--plot", "p.svg"]].concat());
    assert_eq!(code, 0, "{err}");
    let svg = fs::read_to_string(place.path("p.svg")).unwrap();
    assert!(["PSDS 1  1.000", "PSDS 2", ">Loud<", ">macro<"].iter().all(|text| svg.contains(text)), "{svg}");
    let (code, _, err) = place.run("evaluate", &[&files[..], &["--plot", "p.gif"]].concat());
    assert_eq!((code, err.as_str()), (2, "mimid: p.gif names no picture format; give --plot a file that ends in .svg or .png"));
}

#[test]
fn what_is_wrong_is_one_sentence_with_its_place() {
    let place = tables();
    place.write("torn.tsv", format!("{HEADER}a.wav\t1\t2\tDog\na.wav\t3"));
    place.write("strange.tsv", format!("{HEADER}x.wav\t1\t2\tDog\n"));
    place.write("nothing.tsv", HEADER);
    place.write("silence.tsv", format!("{HEADER}a.wav\n"));
    place.write("text.wav", "no sound");
    let told = |arguments: &[&str]| {
        let (code, out, err) = place.run("evaluate", arguments);
        assert_eq!(out, "", "{arguments:?}");
        format!("{code} {err}")
    };
    let sentences = [
        told(&["--truth", "torn.tsv", "--events", "heard.tsv"]),
        told(&["--truth", "nothing.tsv", "--events", "heard.tsv"]),
        told(&["--truth", "silence.tsv", "--events", "heard.tsv"]),
        told(&["--truth", "none.tsv", "--events", "heard.tsv"]),
        told(&["--truth", "truth.tsv", "--events", "torn.tsv"]),
        told(&["--truth", "truth.tsv", "--events", "strange.tsv"]),
        told(&["--truth", "truth.tsv", "--events", "none.tsv"]),
        told(&["--truth", "truth.tsv", "a.wav"]),
        told(&["--truth", "truth.tsv", "--events", "heard.tsv", "text.wav"]),
        told(&["--dataset", "esc50", "nowhere"]),
    ];
    insta::assert_snapshot!(sentences.join("\n"));
    // A program may hear nothing at all.
    let judged = json(&place, &["--truth", "truth.tsv", "--events", "nothing.tsv"]);
    assert_eq!((value(&judged["macro"], "f1_500ms"), value(&judged["macro"], "error_rate_500ms")), (0.0, 1.0));
}
