use proptest::prelude::*;

use super::*;

fn faults(text: &str) -> String {
    parse(text.as_bytes()).faults.iter().map(|(line, sentence)| format!("{line}: {sentence}")).collect::<Vec<_>>().join("\n")
}

fn event(onset_s: f64, offset_s: f64, label: &str) -> Option<Event> {
    Some(Event { onset_s, offset_s, label: label.to_owned() })
}

#[test]
fn a_table_has_its_columns_in_any_order_and_further_ones_are_passed_over() {
    let text = "\u{feff}Onset\tevent_label\tscore\toffset\tfilename\r\n1.5\tDog\t0.9\t2\ta b.wav\r\n\r\n\t\t\t\tc.wav\r\n";
    let truth = parse(text.as_bytes());
    let row = |line, name: &str, event| TruthRow { line, filename: Some(name.to_owned()), event };
    assert_eq!(truth.rows, [row(2, "a b.wav", event(1.5, 2.0, "Dog")), row(4, "c.wav", None)]);
    assert_eq!(truth.faults, []);
}

#[test]
fn a_row_may_end_after_the_filename() {
    let truth = parse(b"filename\tonset\toffset\tevent_label\na.wav\n");
    assert_eq!(truth, Truth { rows: vec![TruthRow { line: 2, filename: Some("a.wav".into()), event: None }], faults: vec![] });
}

#[test]
fn a_label_track_has_no_header_and_its_frequencies_are_passed_over() {
    let truth = parse(b"0.500000\t1.25\tDog\n\\\t100.0\t2000.0\n3\t4\tBaby cry, infant cry\n");
    let row = |line, event| TruthRow { line, filename: None, event };
    assert_eq!(truth.rows, [row(1, event(0.5, 1.25, "Dog")), row(3, event(3.0, 4.0, "Baby cry, infant cry"))]);
    assert_eq!(truth.faults, []);
}

#[test]
fn every_fault_is_told_with_its_line() {
    let head = "filename\tonset\toffset\tevent_label\n";
    let rows = "a.wav\t-1\t2\tDog\na.wav\t3\t2\tDog\na.wav\t3\t3\tDog\na.wav\tNaN\tinf\tDog\na.wav\t1,5\t2\tDog\na.wav\t\t2\tDog\n\
                \t1\t2\tDog\na.wav\t1\t2\t\na.wav\t1\t2\tDog\na.wav\t1.0\t2.0\tDog\n";
    insta::assert_snapshot!(faults(&format!("{head}{rows}")), @r#"
    2: the onset -1 is negative
    3: the offset 2 is not after the onset 3
    4: the offset 3 is not after the onset 3
    5: the onset "NaN" is not a number of seconds, such as 12.5
    5: the offset "inf" is not a number of seconds, such as 12.5
    6: the onset "1,5" is not a number of seconds, such as 12.5
    7: the onset is missing
    8: the filename is missing
    9: the label is missing; leave the times out as well to say that nothing is heard in the recording
    11: this row is the same as line 10
    "#);
    insta::assert_snapshot!(faults("1.0\t2.0\n5\t4\tDog\n"), @r"
    1: the label is missing
    2: the offset 4 is not after the onset 5
    ");
}

#[test]
fn what_is_no_table_is_one_sentence() {
    insta::assert_snapshot!(faults(""), @"1: the file is empty");
    insta::assert_snapshot!(faults("filename,onset,offset,event_label\na.wav,1,2,Dog\n"), @"1: the columns are separated by commas; separate them by tabs");
    insta::assert_snapshot!(faults("\"filename\";\"onset\";\"offset\";\"event_label\"\n"), @"1: the columns are separated by semicolons; separate them by tabs");
    insta::assert_snapshot!(faults("a.wav\t1.0\t2.0\tDog\n"), @"1: there is no header; the first line must name the columns filename, onset, offset, event_label, separated by tabs (or be the first of an Audacity label track: onset, offset, label)");
    insta::assert_snapshot!(faults("filename\tonset\toffset\tlabel\na.wav\t1\t2\tDog\n"), @"1: the column event_label is missing");
    insta::assert_snapshot!(faults("filename\tonset\toffset\tevent_label\n\n"), @"1: nothing stands below the header; name each recording, and what is heard in it");
    let bytes = b"filename\tonset\toffset\tevent_label\na.wav\t1\t2\tD\xf6g\n";
    insta::assert_snapshot!(format!("{:?}", parse(bytes).faults), @r#"[(2, "this line holds bytes that are not UTF-8; save the file as UTF-8")]"#);
}

/// A text that a field may hold.
fn word() -> impl Strategy<Value = String> {
    "[A-Za-z]([A-Za-z0-9ä,.;()' -]{0,10}[A-Za-z])?"
}

fn rows(named: bool) -> impl Strategy<Value = Vec<TruthRow>> {
    let event = (0.0..1e5f64, 1e-3..1e4f64, word()).prop_map(|(onset_s, lasts, label)| Event {
        onset_s,
        offset_s: onset_s + lasts,
        label,
    });
    let event = if named { prop::option::of(event).boxed() } else { event.prop_map(Some).boxed() };
    let row = (word(), event).prop_map(move |(name, event)| (named.then_some(name), event));
    prop::collection::vec(row, 1..12).prop_map(|mut rows| {
        let mut seen = Vec::new();
        rows.retain(|row| {
            !seen.contains(row) && {
                seen.push(row.clone());
                true
            }
        });
        rows.into_iter().enumerate().map(|(at, (filename, event))| TruthRow { line: at + 2, filename, event }).collect()
    })
}

fn print(row: &TruthRow) -> String {
    let times = match &row.event {
        Some(event) => format!("{}\t{}\t{}", event.onset_s, event.offset_s, event.label),
        None => "\t\t".to_owned(),
    };
    row.filename.iter().map(|name| format!("{name}\t")).chain([times, "\n".to_owned()]).collect()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_what_is_read_is_sound(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let truth = parse(&bytes);
        prop_assert!(!(truth.rows.is_empty() && truth.faults.is_empty()));
    }

    #[test]
    fn no_fields_make_it_panic_and_what_is_read_is_sound(
        head in prop::sample::select(vec!["", "filename\tonset\toffset\tevent_label\n", "0\t1\tDog\n"]),
        cells in prop::collection::vec("(-?[0-9]{1,3}(\\.[0-9])?|nan|inf|1e400|[\\t\\n]|Dog|a\\.wav|\\\\|\u{feff})", 0..60),
    ) {
        for TruthRow { line, event, .. } in parse(format!("{head}{}", cells.join("\t")).as_bytes()).rows {
            prop_assert!(line >= 1);
            if let Some(Event { onset_s, offset_s, label }) = event {
                prop_assert!(onset_s >= 0.0 && offset_s > onset_s && offset_s.is_finite() && !label.is_empty());
            }
        }
    }

    #[test]
    fn a_table_that_is_printed_is_read_again(rows in rows(true)) {
        let text: String = std::iter::once("filename\tonset\toffset\tevent_label\n".to_owned()).chain(rows.iter().map(print)).collect();
        prop_assert_eq!(parse(text.as_bytes()), Truth { rows, faults: vec![] });
    }

    #[test]
    fn a_label_track_that_is_printed_is_read_again(rows in rows(false)) {
        let text: String = std::iter::once("\\\t1.0\t2.0\n".to_owned()).chain(rows.iter().map(print)).collect();
        prop_assert_eq!(parse(text.as_bytes()), Truth { rows, faults: vec![] });
    }
}
