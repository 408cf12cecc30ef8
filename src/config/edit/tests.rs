//! Edits change their own numbers and leave the rest, for every way in which a table may be written.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 5] = ["Dog", "Smoke detector, smoke alarm", "Fire alarm", "Cat", "Zing"];

fn labels() -> Labels {
    Labels::new(NAMES.iter().enumerate().map(|(i, n)| (format!("/m/{i}"), n.to_string())), Vec::new())
}

fn label(label: &str, key: Key, value: f64) -> Assignment {
    Assignment::Label { label: label.to_owned(), key, value }
}

fn ignore(label: &str) -> Assignment {
    Assignment::Ignore { label: label.to_owned() }
}

fn assigned(text: &str, assignment: Assignment) -> String {
    assign(text, &[assignment], &labels()).unwrap()
}

/// The text after `Dog`'s threshold was set to 0.05 and its release to 0.01.
fn dog(text: &str) -> String {
    let both = [label("Dog", Key::Threshold, f64::from(0.05_f32)), label("Dog", Key::Release, 0.01)];
    assign(text, &both, &labels()).unwrap()
}

#[test]
fn a_text_is_set_in_any_spelling_of_its_table() {
    let model = |text: &str| assigned(text, Assignment::Text { table: "model", key: "dir", value: "mine".to_owned() });
    assert_eq!(model(""), "[model]\ndir = \"mine\"\n");
    assert_eq!(model("# mine\n[log]\nlevel = \"info\""), "# mine\n[log]\nlevel = \"info\"\n\n[model]\ndir = \"mine\"\n");
    assert_eq!(model("[model]\n# which\ndir = \"x\" # that\n"), "[model]\n# which\ndir = \"mine\" # that\n");
    assert_eq!(model("[model]\nthreads = 2\n[log]\n"), "[model]\nthreads = 2\ndir = \"mine\"\n[log]\n");
    assert_eq!(model("model.threads = 2\n"), "model.threads = 2\nmodel.dir = \"mine\"\n");
    assert_eq!(model("model = { threads = 2 }\n"), "model = { threads = 2, dir = \"mine\" }\n");
    let told = assign("model = 3\n", &[Assignment::Text { table: "model", key: "dir", value: "x".to_owned() }], &labels());
    assert!(told.unwrap_err().to_string().starts_with("line 1: model is not a table"));
}

#[test]
fn a_label_is_found_however_its_table_is_spelt() {
    insta::assert_snapshot!(dog("[labels.\"Dog\"] # mine\nthreshold = 0.4  # as loud as that\n\n[log]\n"), @r#"
    [labels."Dog"] # mine
    threshold = 0.05  # as loud as that
    release = 0.01

    [log]
    "#);
    insta::assert_snapshot!(dog("[labels.\"/M/0\"]\n# nothing yet\n"), @r#"
    [labels."/M/0"]
    threshold = 0.05
    release = 0.01
    # nothing yet
    "#);
    insta::assert_snapshot!(dog("labels.DOG = { threshold = 0.4, cooldown_s = 3 } # a\n[log]\n"), @"
    labels.DOG = { threshold = 0.05, cooldown_s = 3, release = 0.01 } # a
    [log]
    ");
    insta::assert_snapshot!(dog("[labels]\n  dog.threshold = 0.4 # a\n  Cat = { release = 0.1 }\n"), @"
    [labels]
      dog.threshold = 0.05 # a
      dog.release = 0.01
      Cat = { release = 0.1 }
    ");
    insta::assert_snapshot!(dog("labels.Cat.release = 0.1\nlabels . \"dog\".threshold = 0.4\n[log]\n"), @r#"
    labels.Cat.release = 0.1
    labels . "dog".threshold = 0.05
    labels."dog".release = 0.01
    [log]
    "#);
    insta::assert_snapshot!(dog("labels = { dog = {}, Cat.release = 0.1 }\n"), @"labels = { dog = { threshold = 0.05, release = 0.01 }, Cat.release = 0.1 }");
    insta::assert_snapshot!(dog("labels = { dog.confirm = \"1/1\", Cat.release = 0.1 }\n"), @r#"labels = { dog.confirm = "1/1", dog.threshold = 0.05, dog.release = 0.01, Cat.release = 0.1 }"#);
}

#[test]
fn a_label_without_a_table_gets_one_after_the_last() {
    insta::assert_snapshot!(dog(""), @r#"
    [labels."Dog"]
    threshold = 0.05
    release = 0.01
    "#);
    insta::assert_snapshot!(dog("[labels.Cat]\nrelease = 0.1\n# confirm = \"2/3\"\n\n# What is logged.\n[log]\n"), @r#"
    [labels.Cat]
    release = 0.1
    # confirm = "2/3"

    [labels."Dog"]
    threshold = 0.05
    release = 0.01

    # What is logged.
    [log]
    "#);
    insta::assert_snapshot!(dog("[labels.Cat]\nrelease = 0.1\n# What is logged.\n[log]\nlevel = \"info\""), @r#"
    [labels.Cat]
    release = 0.1

    [labels."Dog"]
    threshold = 0.05
    release = 0.01

    # What is logged.
    [log]
    level = "info"
    "#);
    insta::assert_snapshot!(dog("labels.Cat.release = 0.1\n[log]\nlevel = \"info\""), @r#"
    labels.Cat.release = 0.1
    [log]
    level = "info"

    [labels."Dog"]
    threshold = 0.05
    release = 0.01
    "#);
    insta::assert_snapshot!(dog("labels = { Cat = { release = 0.1 } }"), @r#"labels = { Cat = { release = 0.1 }, "Dog" = { threshold = 0.05, release = 0.01 } }"#);
    insta::assert_snapshot!(dog("labels = {}\n"), @r#"labels = { "Dog" = { threshold = 0.05, release = 0.01 } }"#);
}

#[test]
fn a_label_is_reported_or_left_out_by_the_list_that_decides() {
    let report = |label: &str| Assignment::Report { label: label.to_owned() };
    let leave = |label: &str| Assignment::LeaveOut { label: label.to_owned() };
    // The preset `home` has Dog, and not Zing.
    assert_eq!(assigned("", leave("Dog")), "[report]\nignore = [\"Dog\"]\n");
    assert_eq!(assigned("[report]\nignore = [\"dog\", \"Cat\"]\n", report("Dog")), "[report]\nignore = [\"Cat\"]\n");
    assert_eq!(assigned("", report("Dog")), "");
    assert_eq!(assigned("", report("Zing")), "[report]\ninclude = [\"Zing\"]\n");
    assert_eq!(assigned("[report]\ninclude = [\"Zing\"]\n", leave("Zing")), "[report]\ninclude = []\n");
    assert_eq!(assigned("", leave("Zing")), "");
    // A list of labels decides alone.
    let list = "[report]\nlabels = [\"Dog\", \"Cat\"]\n";
    assert_eq!(assigned(list, report("Zing")), "[report]\nlabels = [\"Dog\", \"Cat\", \"Zing\"]\n");
    assert_eq!(assigned(list, leave("Cat")), "[report]\nlabels = [\"Dog\"]\n");
    assert_eq!(assigned(list, leave("Zing")), list);
    assert_eq!(assigned("[report]\npreset = \"all\"\n", leave("Zing")), "[report]\npreset = \"all\"\nignore = [\"Zing\"]\n");
}

#[test]
fn an_entry_goes_with_its_comma_and_its_line() {
    let taken = |text: &str| {
        let text = assigned(&format!("[report]\nignore = {text}\n"), Assignment::Report { label: "Cat".to_owned() });
        assert!(Raw::parse(&text, None).validate(&labels()).is_ok(), "{text}");
        text.trim_start_matches("[report]\nignore = ").trim_end().to_owned()
    };
    assert_eq!(taken("[\"cat\"]"), "[]");
    assert_eq!(taken("[\"Cat\", \"/m/3\", \"Dog\"] # mine"), "[\"Dog\"] # mine");
    assert_eq!(taken("[\"Dog\", \"Cat\",]"), "[\"Dog\",]");
    assert_eq!(taken("[\n  \"Dog\", # all day\n  \"Cat\" # too\n]"), "[\n  \"Dog\", # all day\n]");
    assert_eq!(taken("[\n  \"Dog\", # all day\n  \"Cat\", # too\n  # end\n]"), "[\n  \"Dog\", # all day\n  # end\n]");
    assert_eq!(taken("[\n  \"Cat\", # too\n  \"Dog\"\n]"), "[\n  \"Dog\"\n]");
    assert_eq!(taken("[\n  \"Dog\"\n  , \"Cat\"\n]"), "[\n  \"Dog\"\n]");
    assert_eq!(taken("[\n  \"Dog\",\n  \"Cat\"\n  , # odd\n]"), "[\n  \"Dog\"\n  , # odd\n]");
}

#[test]
fn a_group_is_set_where_it_is_and_nowhere_else() {
    let start = Assignment::Group { group: "alarm".into(), key: Key::StartThreshold, value: 1.0 };
    insta::assert_snapshot!(assigned("[groups.alarm]\nlabels = [\n  \"Fire alarm\", # loud\n]\n[log]\n", start.clone()), @r#"
    [groups.alarm]
    labels = [
      "Fire alarm", # loud
    ]
    start_threshold = 1.0
    [log]
    "#);
    let told = assign("[groups.alarms]\n", &[start], &labels()).unwrap_err().to_string();
    assert_eq!(told, "the configuration has no group \"alarm\"; did you mean \"alarms\"?");
}

#[test]
fn what_is_left_out_stands_in_the_list_once() {
    insta::assert_snapshot!(assigned("", ignore("Zing")), @r#"
    [report]
    ignore = ["Zing"]
    "#);
    insta::assert_snapshot!(assigned("[report]\npreset = \"all\"\n", ignore("Zing")), @r#"
    [report]
    preset = "all"
    ignore = ["Zing"]
    "#);
    insta::assert_snapshot!(assigned("report.preset = \"all\"\n", ignore("Zing")), @r#"
    report.preset = "all"
    report.ignore = ["Zing"]
    "#);
    insta::assert_snapshot!(assigned("[report]\nignore = [] # none\n", ignore("Zing")), @r#"
    [report]
    ignore = ["Zing"] # none
    "#);
    insta::assert_snapshot!(assigned("[report]\nignore = [\"Dog\"]\n", ignore("Zing")), @r#"
    [report]
    ignore = ["Dog", "Zing"]
    "#);
    insta::assert_snapshot!(assigned("[report]\nignore = [\n    \"Dog\", # all day\n    \"cat\" # too\n    # no more\n]\n", ignore("Zing")), @r#"
    [report]
    ignore = [
        "Dog", # all day
        "cat", # too
        "Zing"
        # no more
    ]
    "#);
    insta::assert_snapshot!(assigned("[report]\nignore = [\n    \"Dog\"\n    , # odd\n]\n", ignore("Zing")), @r#"
    [report]
    ignore = [
        "Dog", "Zing"
        , # odd
    ]
    "#);
    assert_eq!(assigned("[report]\nignore = [\"ZING\"]", ignore("Zing")), "[report]\nignore = [\"ZING\"]");
}

#[test]
fn lines_that_end_as_on_windows_stay_so() {
    let new = dog("[labels.Cat]\r\nrelease = 0.1\r\n\r\n[report]\r\nignore = [\r\n  \"Cat\",\r\n]");
    let new = assigned(&new, ignore("Zing"));
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count(), "{new:?}");
    assert_eq!(new.lines().count(), 12);
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    let new = dog("\u{feff}[labels.Dog]\nthreshold = 0.4 # é\n");
    assert_eq!(new, "\u{feff}[labels.Dog]\nthreshold = 0.05 # é\nrelease = 0.01\n");
}

#[test]
fn what_cannot_be_edited_is_told_with_its_line() {
    let told = |text: &str, assignment: Assignment| assign(text, &[assignment], &labels()).unwrap_err().to_string();
    let threshold = |value| label("Dog", Key::Threshold, value);
    let sentences = [
        told("\nthreshold =", threshold(0.5)),
        told("\nlabels = 3", threshold(0.5)),
        told("[labels]\nDog = 0.5", threshold(0.5)),
        told("[report]\n\nignore = \"Dog\"", ignore("Dog")),
        told("[labels.Dog.threshold]", threshold(0.5)),
        told("", label("Dgo", Key::Threshold, 0.5)),
        told("", ignore("Smoke alarm")),
        told("", threshold(f64::NAN)),
        told("", threshold(1.5)),
    ];
    insta::assert_snapshot!(sentences.join("\n"), @r#"
    line 2: this is not TOML: string values must be quoted, expected literal string; `mimid check` names all faults
    line 2: labels is not a table, so nothing can be set in it; `mimid check` names all faults
    line 2: Dog is not a table, so nothing can be set in it; `mimid check` names all faults
    line 3: report.ignore is not a list of labels, so nothing can be set in it; `mimid check` names all faults
    line 1: threshold is not a number, so nothing can be set in it; `mimid check` names all faults
    there is no label "Dgo"; did you mean "Dog"?
    there is no label "Smoke alarm"; did you mean "Smoke detector, smoke alarm"?
    NaN is out of range; it must be from 0 to 1
    1.5 is out of range; it must be from 0 to 1
    "#);
}

#[test]
fn a_fragment_says_each_table_once() {
    let group = Assignment::Group { group: "my alarm".into(), key: Key::Threshold, value: 0.3 };
    let all = [label("Dog", Key::Threshold, 0.123_456), ignore("Cat"), group, label("Dog", Key::Release, 0.0), ignore("Zing")];
    insta::assert_snapshot!(fragment(&all), @r#"
    [labels."Dog"]
    threshold = 0.1235
    release = 0.0

    [groups."my alarm"]
    threshold = 0.3

    [report]
    ignore = ["Cat", "Zing"]
    "#);
    assert_eq!(fragment(&[]), "");
}

#[test]
fn a_number_has_four_decimals_at_most_and_never_becomes_nothing() {
    let written = [0.05_f32.into(), 1.0, 0.0, 0.000_01, 0.123_45, 0.4].map(decimal);
    assert_eq!(written, ["0.05", "1.0", "0.0", "0.0001", "0.1235", "0.4"]);
}

/// One piece of a configuration; pieces in any order make a valid file, for each speaks of something else.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let dog = prop::sample::select(vec![
        "",
        "[labels.\"Dog\"] # own\n# it barks\nthreshold = 0.4 # loud\n",
        "[labels.dog]\n\n# none yet\n",
        "[labels.\"/m/0\"]\nrelease = 0.001\n  threshold   = 0.4\n# after\n",
    ]);
    let smoke = prop::sample::select(vec![
        "",
        "[labels.smoke_detector_smoke_alarm]\nconfirm = '2/3' # twice\n",
        "[labels.\"Smoke detector, smoke alarm\"]\nstart_threshold = 0.3\n",
    ]);
    let group = prop::sample::select(vec![
        "[groups.alarm]\n# two\nlabels = [\n  \"Fire alarm\", # one\n]\n",
        "[groups]\nalarm = { labels = [\"Fire alarm\"] } # inline\n",
        "[groups]\n# dotted\nalarm.labels = [\"Fire alarm\"]\nalarm.threshold = 0.2\n",
    ]);
    let report = prop::sample::select(vec![
        "[report]\npreset = \"all\"\n",
        "[report]\n# what is left out\nignore = [] # none\npreset = 'all'\n",
        "[report]\npreset = \"all\"\nignore = [\n\t\"cat\" # it sleeps\n\t# and\n]\n",
    ]);
    let log = prop::sample::select(vec!["", "# the log\n[log]\nlevel = \"info\" # as ever\n", "\n\n# the end\n"]);
    (dog, smoke, group, report, log).prop_map(|(a, b, c, d, e)| [a, b, c, d, e].map(str::to_owned).to_vec()).prop_shuffle()
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.find('#').map(|at| &line[at..])).collect()
}

proptest! {
    #[test]
    fn an_edit_sets_its_numbers_and_keeps_all_else(
        pieces in pieces(), gap in prop::sample::select(vec!["", "\n", "\n# between\n\n"]), end in any::<bool>(),
        threshold in 0.0001f64..1.0, release in 0.0f64..1.0, start in 0.0001f64..1.0, which in 0usize..4,
    ) {
        let mut old = pieces.join(gap);
        if !end {
            old.truncate(old.trim_end().len());
        }
        let name = [NAMES[0], NAMES[1], NAMES[4], "alarm"][which];
        let make = |key, value| match name {
            "alarm" => Assignment::Group { group: name.to_owned(), key, value },
            _ => label(name, key, value),
        };
        let release = threshold * release;
        let mut all = vec![make(Key::Threshold, threshold), make(Key::Release, release), make(Key::StartThreshold, start)];
        all.push(ignore("Cat"));
        let new = assign(&old, &all, &labels()).unwrap();

        // The numbers are those that were asked for, and nothing else became others.
        let before = Raw::parse(&old, None).validate(&labels()).unwrap().config;
        let after = Raw::parse(&new, None).validate(&labels()).unwrap_or_else(|faults| panic!("{faults}\n{new}")).config;
        let rule = after.rules.iter().find(|rule| rule.subject.name == name).unwrap();
        for (is, wanted) in [(rule.gate.threshold, threshold), (rule.gate.release, release), (rule.gate.start_threshold, start)] {
            prop_assert!((f64::from(is) - wanted).abs() <= 1.001e-4, "{is} for {wanted}");
        }
        prop_assert!(!after.rules.iter().any(|rule| rule.subject.name == "Cat"));
        for rule in before.rules.iter().filter(|rule| ![name, "Cat"].contains(&rule.subject.name.as_str())) {
            prop_assert!(after.rules.contains(rule), "{:?} changed", rule.subject.name);
        }

        // Every comment stays, in its order; so does every line that says nothing of what was set, byte for byte.
        prop_assert_eq!(comments(&new), comments(&old));
        let ours = |line: &&str| ["threshold", "release", "start_threshold", "ignore"].iter().any(|key| line.contains(key)) || line.contains("inline") || line.contains("\"cat\"");
        let mut rest = new.lines();
        for line in old.lines().filter(|line| !ours(line)) {
            prop_assert!(rest.any(|new| new == line), "{line:?} is gone from\n{new}");
        }

        // Once made, an edit changes nothing.
        prop_assert_eq!(assign(&new, &all, &labels()).unwrap(), new);
    }

    #[test]
    fn no_text_makes_an_edit_panic(
        lines in prop::collection::vec("(\\[\\[?(labels|labels\\.Dog|groups\\.x|report)\\]?\\])|((Dog|threshold|labels|ignore|labels\\.Dog|report) = (nan|\\[\\]|\\{\\}|\\[\"é\",\\]|\\{ Dog = \\{ \\} \\}|\"\"\"))|# é|é", 0..8)
    ) {
        let text = lines.join("\n");
        for assignment in [label("Dog", Key::Threshold, 0.5), ignore("Cat"), Assignment::Group { group: "x".into(), key: Key::Release, value: 0.5 }] {
            if let Ok(new) = assign(&text, &[assignment], &labels()) {
                prop_assert!(toml_edit::Document::parse(new.as_str()).is_ok(), "{new}");
            }
        }
    }
}
