//! Both ends of the socket: what a client may send, and what a daemon may answer.

use std::mem::discriminant;

use jiff::tz::TimeZone;
use mimid::cli::pretty::{Style, pretty};
use mimid::model::Labels;
use mimid::publish::filter::Filter;
use mimid::publish::wire::{Line, Request};

/// No refusal is longer than this, in bytes: an error is shorter than what caused it.
const LONGEST_REFUSAL: usize = 2_048;

/// Reads the bytes as a request and as a line of the daemon: a refusal is short, and what is read is written back the same.
pub fn request(bytes: &[u8]) {
    match Request::parse(bytes) {
        Ok(request) => {
            let json = serde_json::to_string(&request).expect("a request can be written");
            let again = Request::parse(json.as_bytes()).expect("what was written can be read");
            // A number with very many digits may come back a little different.
            assert_eq!(discriminant(&again), discriminant(&request), "{json}");
            let labels = Labels::new(
                [("/m/0", "Dog"), ("/m/1", "Smoke detector, smoke alarm")].map(|(id, name)| (id.into(), name.into())),
                Vec::new(),
            );
            let _ = Filter::new(&request, &labels, &["pets".to_owned()]);
        }
        Err(refusal) => assert!(refusal.to_string().len() <= LONGEST_REFUSAL, "{refusal}"),
    }
    if let Ok(line) = serde_json::from_slice::<Line>(bytes) {
        for style in [Style::Plain, Style::Colour] {
            let _ = pretty(&line, style, &TimeZone::UTC);
        }
        let json = line.to_json();
        let again: Line = serde_json::from_str(&json).expect("what was written can be read");
        assert_eq!(discriminant(&again.body), discriminant(&line.body), "{json}");
    }
}
