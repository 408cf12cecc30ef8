//! The configuration file: read, checked, printed, compared and edited.

use std::path::PathBuf;

use mimid::config::edit::{Assignment, Key, assign};
use mimid::config::raw::{Named, RawGate};
use mimid::config::{Config, Raw, Validated, print};
use mimid::control::ThresholdChange;
use mimid::model::labels::Node;
use mimid::model::manifest::{Axis, AxisName, Detection, Input, InputKind, Output, OutputKind};
use mimid::model::{Labels, Model};

fn labels() -> Labels {
    let pairs = ["Dog", "Bark", "Smoke detector, smoke alarm", "Fire alarm"].iter().enumerate();
    let node = |id: &str, name: &str, parents: &[&str]| Node {
        id: id.to_owned(),
        name: name.to_owned(),
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
    };
    let ontology = vec![node("/m/0", "Dog", &["/m/9"]), node("/m/1", "Bark", &["/m/0"]), node("/m/9", "Animal", &[])];
    Labels::new(pairs.map(|(index, name)| (format!("/m/{index}"), (*name).to_owned())), ontology)
}

/// Reads the bytes as a configuration: its faults are sentences of one line, what is printed of it is the same again, and an edit changes
/// what it names and nothing else.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let labels = labels();
    let raw = Raw::parse(text, None);
    match raw.validate(&labels) {
        // Whether the numbers of [detection] suit the model is asked of the model, as every command does.
        Ok(Validated { config, .. }) if a_model().override_detection(&config.model.detection).is_err() => {}
        Ok(Validated { config, .. }) => {
            is_printed(&config, &labels);
            for change in standard(&labels).changes(&config) {
                assert!(!change.describe().is_empty());
            }
            is_set(&raw, &labels);
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            for sentence in faults.sentences() {
                assert!(!sentence.contains('\n'), "{sentence}");
            }
        }
    }
    is_edited(text, &raw, &labels);
}

/// A model that hears waveforms, without labels.
fn a_model() -> Model {
    let detection = Detection {
        windows_ms: vec![1_000],
        hop_ms: 100,
        strides: Vec::new(),
        steady_stride: None,
        noise_gate_dbfs: None,
        delta: 0.0,
        median: 1,
        extent: 0.1,
        valley: 0.3,
        evidence: None,
        alarms: None,
    };
    let shape = vec![Axis::Named(AxisName::Batch), Axis::Named(AxisName::Samples)];
    Model {
        name: String::new(),
        graph: PathBuf::new(),
        bank: None,
        sha256: String::new(),
        licence: String::new(),
        files: Vec::new(),
        labels: Labels::default(),
        input: Input { kind: InputKind::Waveform, name: String::new(), shape, sample_rate_hz: 16_000, log_mel: None },
        output: Output { name: String::new(), kind: OutputKind::Probabilities, embedding: None },
        detection,
        sounds: [].into(),
        corrections: [].into(),
        gives_embeddings: false,
    }
}

/// The configuration without a file.
fn standard(labels: &Labels) -> Config {
    Raw::default().validate(labels).expect("the defaults are without fault").config
}

fn is_printed(config: &Config, labels: &Labels) {
    let printed = print::effective(config, labels);
    let again = Raw::parse(&printed, None).validate(labels);
    let again = again.unwrap_or_else(|faults| panic!("{faults}\n{printed}")).config;
    assert!(config.changes(&again).is_empty() && *config == again, "{config:#?}\n{printed}\n{again:#?}");
}

/// A client's threshold is one of the configuration's, or a fault.
fn is_set(raw: &Raw, labels: &Labels) {
    let mut set = raw.clone();
    let thresholds = ThresholdChange { threshold: Some(0.5), start_threshold: None, release: Some(0.25) };
    set.set(&labels.subjects()[0], &thresholds, labels);
    if let Ok(Validated { config, .. }) = set.validate(labels) {
        let rule = config.rules.iter().find(|rule| rule.subject == labels.subjects()[0]);
        assert!(rule.is_none_or(|rule| (rule.gate.threshold, rule.gate.release) == (0.5, 0.25)), "{rule:?}");
    }
}

fn is_edited(text: &str, raw: &Raw, labels: &Labels) {
    let assignments = [
        Assignment::Label { label: "Dog".to_owned(), key: Key::Threshold, value: 0.5 },
        Assignment::Label { label: "Fire alarm".to_owned(), key: Key::Release, value: 0.25 },
        Assignment::Ignore { label: "Bark".to_owned() },
    ];
    let Ok(edited) = assign(text, &assignments, labels) else { return };
    let new = Raw::parse(&edited, None);
    if !raw.faults.is_empty() {
        return;
    }
    assert!(new.faults.is_empty(), "{}\n{edited}", new.faults);
    let gate = |index: usize| {
        let is_it = |entry: &&Named<RawGate>| labels.find(&entry.name) == Some(index);
        new.labels.iter().find(is_it).map(|entry| entry.body.clone()).unwrap_or_default()
    };
    assert_eq!((gate(0).threshold.value, gate(3).release.value), (Some(0.5), Some(0.25)), "{edited}");
    assert!(new.report.ignore.value.iter().any(|name| labels.find(name) == Some(1)), "{edited}");
    assert_eq!(
        (new.defaults.threshold.value, new.sources.len(), new.groups.len()),
        (raw.defaults.threshold.value, raw.sources.len(), raw.groups.len()),
        "{edited}"
    );
    // What is set already is set again without a change.
    assert_eq!(assign(&edited, &assignments, labels).expect("an edited text can be edited"), edited);
}
