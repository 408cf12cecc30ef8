use std::fs;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::statistics::Gatherer;
use super::*;

fn labels() -> Labels {
    Labels::new((0..4).map(|n| (format!("/m/{n}"), format!("Label {n}"))), Vec::new())
}

fn heard() -> Statistics {
    let mut gatherer = Gatherer::default();
    for n in 0..50u8 {
        let kind = if n % 3 == 0 { CurveKind::Causal } else { CurveKind::Confirmed };
        let place = match n % 2 {
            0 => Place::Recording(Arc::from("/home/a b/yard.flac")),
            _ => Place::Source(Arc::from("kitchen")),
        };
        let score = 0.01 + f32::from(n) / 60.0;
        gatherer.peak((usize::from(n % 4), kind), score, Moment { place, at_ms: 1_700_000_000_000 + i64::from(n) * 60_000 });
    }
    gatherer.heard(7_200_000);
    Statistics { recordings: ["/home/a b/yard.flac".to_owned()].into(), ..gatherer.finish() }
}

/// Writes a text as a state file, and returns the reason why it is not read.
fn refused(text: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.json");
    fs::write(&path, text).unwrap();
    let labels = labels();
    let error = read(&path, Identity { name: "ear", sha256: "00112233445566", labels: &labels }).unwrap_err();
    error.to_string().replace(&path.display().to_string(), "s.json")
}

fn written() -> String {
    let labels = labels();
    let identity = Identity { name: "ear", sha256: "00112233445566", labels: &labels };
    serde_json::to_string(&Saved::new(&heard(), identity)).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let (folder, labels) = (tempfile::tempdir().unwrap(), labels());
    let identity = Identity { name: "ear", sha256: "00112233445566", labels: &labels };
    let path = folder.path().join("deep/er/state.json");
    assert_eq!(read(&path, identity).unwrap(), None);
    write(&path, &heard(), identity).unwrap();
    assert_eq!(read(&path, identity).unwrap(), Some(heard()));
    write(&path, &Statistics::default(), identity).unwrap();
    assert_eq!(read(&path, identity).unwrap(), Some(Statistics::default()));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let (folder, labels) = (tempfile::tempdir().unwrap(), labels());
    let identity = Identity { name: "ear", sha256: "00112233445566", labels: &labels };
    let file = folder.path().join("file");
    fs::write(&file, "something of the user's").unwrap();
    let error = write(&file.join("state.json"), &heard(), identity).unwrap_err().to_string();
    assert!(error.contains("cannot be written") && error.contains("--state"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "something of the user's");
}

#[test]
fn what_is_no_state_of_this_model_is_refused_in_a_sentence() {
    let other = |from: &str, to: &str| refused(written().replacen(from, to, 1).as_bytes());
    insta::assert_snapshot!(
        [
            other("\"version\":1", "\"version\":2"),
            other("00112233445566", "ff112233445566"),
            other("/m/2", "/m/9"),
            other("\"heard_ms\"", "\"heard_s\""),
            refused(b"{}"),
        ]
        .join("\n"),
        @r#"
    the state file s.json has version 2, not 1; remove it, or name another with --state
    the state file s.json is of the model ear (ff112233), not ear (00112233); remove it, or name another with --state
    s.json is torn, or no state of `mimid tune` (/m/9 is no label); remove it, or name another with --state
    s.json is torn, or no state of `mimid tune` (unknown field `heard_s`, expected one of `version`, `model`, `model_sha256`, `heard_ms`, `recordings`, `places`, `labels`); remove it, or name another with --state
    s.json is torn, or no state of `mimid tune` (it has no version); remove it, or name another with --state
    "#
    );
}

#[test]
fn a_file_that_was_torn_anywhere_is_refused() {
    let whole = written();
    for end in (0..whole.len()).step_by(97) {
        let sentence = refused(&whole.as_bytes()[..end]);
        assert!(sentence.contains("is torn"), "{end}: {sentence}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_are_refused_or_read_and_never_panic(at in 0usize..4_000, byte in any::<u8>(), text in ".{0,200}") {
        let (folder, labels) = (tempfile::tempdir().unwrap(), labels());
        let identity = Identity { name: "ear", sha256: "00112233445566", labels: &labels };
        let path = folder.path().join("s.json");
        let mut bytes = written().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        for bytes in [bytes, text.into_bytes()] {
            fs::write(&path, bytes).unwrap();
            if let Ok(Some(statistics)) = read(&path, identity) {
                // A file that is accepted can be used.
                for record in statistics.records.values() {
                    prop_assert!(record.strongest.len() as u64 <= record.n_alarms());
                }
            }
        }
    }
}
