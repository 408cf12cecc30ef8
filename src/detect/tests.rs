//! The detector as a whole, on scores made by hand.

use super::*;
use crate::config::Raw;
use crate::model::Labels;
use crate::model::manifest;

const RATE_HZ: u32 = 1_000;
const HOP: u64 = 100;

fn labels() -> Labels {
    Labels::new([("/a", "Alarm"), ("/b", "Bell")].map(|(id, name)| (id.to_owned(), name.to_owned())), Vec::new())
}

fn rules(names: &str) -> Vec<Rule> {
    let raw = Raw::parse(&format!("[report]\nlabels = [{names}]\n[defaults]\nthreshold = 0.5"), None);
    raw.validate(&labels()).unwrap().config.rules
}

#[test]
fn a_rule_that_comes_later_has_its_events_where_they_are_and_the_others_keep_theirs() {
    let detection = manifest::Detection::of_tests();
    let scoring = Arc::new(Scoring::new(&detection, RATE_HZ));
    let mut detector = Detector::new(rules("\"Alarm\""), scoring, Arc::new(LabelHierarchy::new(&labels())), RATE_HZ);
    let mut meter = LevelMeter::new(RATE_HZ);
    let mut found = Vec::new();
    for hop in 1..=400u64 {
        meter.push(&[0.1; HOP as usize]);
        // Both sound from hop 200 to 203, and a window of ten hops holds that until hop 212.
        let score = if (200..=212).contains(&hop) { 0.9 } else { 0.001 };
        detector.push(hop * HOP, &[score, score], &[true], SoundMeasures { meter: &meter, refiner: None }, &mut found);
        if hop == 150 {
            detector.replace_rules(
                rules("\"Bell\", \"Alarm\""),
                hop * HOP,
                SoundMeasures { meter: &meter, refiner: None },
                &mut found,
            );
        }
    }
    let ends: Vec<(&str, u64, u64)> = found
        .iter()
        .filter_map(|told| match told.step {
            Step::End { so_far, offset, .. } => Some((&*detector.rules()[told.rule].subject.name, so_far.onset.at, offset.at)),
            _ => None,
        })
        .collect();
    let [(first, onset, offset), second] = ends[..] else { panic!("{found:?}") };
    assert_ne!(first, second.0);
    assert_eq!((onset, offset), (second.1, second.2));
    assert!(onset.abs_diff(199 * HOP) <= HOP && offset.abs_diff(203 * HOP) <= HOP, "{ends:?}");
}
