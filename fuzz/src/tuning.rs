//! What `mimid tune` reads: truth files, and its own state.

use mimid::config::Raw;
use mimid::dataset::truth::{self, TruthRow};
use mimid::model::Labels;
use mimid::tune::background::choice::advise;
use mimid::tune::background::report;
use mimid::tune::background::state::{self, Identity};

use super::file;

/// Reads the bytes as a truth file and as a state: times are in order, each fault has its line, and a state that is taken is written back
/// the same and brings advice.
pub fn tuning(bytes: &[u8]) {
    let truth = truth::parse(bytes);
    assert!(!(truth.rows.is_empty() && truth.faults.is_empty()));
    for TruthRow { line, event, .. } in &truth.rows {
        let in_order =
            |event: &truth::Event| event.onset_s >= 0.0 && event.onset_s < event.offset_s && event.offset_s.is_finite();
        assert!(*line > 0 && event.as_ref().is_none_or(in_order), "{event:?}");
    }
    for (line, sentence) in &truth.faults {
        assert!(*line > 0 && !sentence.contains('\n'), "{line}: {sentence}");
    }
    let labels = Labels::new([("/m/0", "Dog"), ("/m/1", "Bark")].map(|(id, name)| (id.to_owned(), name.to_owned())), Vec::new());
    let identity = Identity { name: "ced-tiny", sha256: "0123", labels: &labels };
    let (old, new) = (file(bytes), file(b""));
    let Ok(Some(statistics)) = state::read(old.path(), identity) else { return };
    state::write(new.path(), &statistics, identity).expect("room for temporary files");
    let again = state::read(new.path(), identity).expect("what was written can be read");
    assert_eq!(again.as_ref(), Some(&statistics));
    let rules = Raw::default().reporting_all().validate(&labels).expect("the defaults are without fault").config.rules;
    let advice = advise(&statistics, &rules, &labels, 1.0);
    let _ = report::text(&advice, &statistics, &rules, &jiff::tz::TimeZone::UTC);
    let _ = report::json(&advice, &statistics, &rules).to_string();
}
