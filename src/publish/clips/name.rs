//! The names of the files: `20261130T031207Z_glass_019a….flac`, made of the time, the slug and the id of the first event. A name that comes
//! from outside is read here or is none; it never becomes a path.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::publish::settings::ClipFormat;

/// The most signs of a slug in a name.
const MOST_SLUG: usize = 60;
/// The form of the time.
const TIME: &str = "%Y%m%dT%H%M%SZ";
/// The end of the name of a file that is being written.
const UNFINISHED: &str = ".part";

/// The parts of a name.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipName {
    /// The beginning of the sound, in whole seconds.
    pub from: Timestamp,
    /// The slug of the first event.
    pub slug: String,
    /// The id of the first event.
    pub event: Uuid,
    /// The format.
    pub format: ClipFormat,
}

fn end(format: ClipFormat) -> &'static str {
    ClipFormat::NAMES.iter().find(|(_, named)| *named == format).map_or("", |(end, _)| end)
}

impl ClipName {
    /// The name of the file.
    pub fn file(&self) -> String {
        let is_plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_';
        let slug: String = self.slug.chars().filter(is_plain).take(MOST_SLUG).collect();
        let time = TimeZone::UTC.to_datetime(self.from).strftime(TIME);
        format!("{time}_{slug}_{}.{}", self.event, end(self.format))
    }

    /// The parts of a file's name; `None` for any other name.
    pub fn read(file: &str) -> Option<Self> {
        let (stem, ending) = file.rsplit_once('.')?;
        let (rest, event) = stem.rsplit_once('_')?;
        let (time, slug) = rest.split_once('_')?;
        let from = TimeZone::UTC.to_timestamp(jiff::civil::DateTime::strptime(TIME, time).ok()?).ok()?;
        let (_, format) = ClipFormat::NAMES.iter().find(|(end, _)| *end == ending)?;
        let name = Self { from, slug: slug.to_owned(), event: event.parse().ok()?, format: *format };
        // Only one spelling is a name.
        (name.file() == file).then_some(name)
    }
}

/// The name of a file while it is written.
pub fn unfinished(file: &str) -> String {
    format!("{file}{UNFINISHED}")
}

/// Whether it is the name of a file that was not written to its end.
pub fn is_unfinished(file: &str) -> bool {
    file.strip_suffix(UNFINISHED).is_some_and(|file| ClipName::read(file).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_nothing_else_is() {
        let event = Uuid::from_u128(7);
        for slug in ["glass", "smoke_detector_smoke_alarm", ""] {
            let name = ClipName {
                from: "2026-11-30T03:12:07Z".parse().unwrap(),
                slug: slug.to_owned(),
                event,
                format: ClipFormat::Flac,
            };
            assert_eq!(ClipName::read(&name.file()), Some(name.clone()));
            assert!(is_unfinished(&unfinished(&name.file())) && !is_unfinished(&name.file()));
        }
        for other in
            ["holiday.flac", "../20261130T031207Z_glass_00000000-0000-0000-0000-000000000007.flac", "", ".part", "a_b_c.wav"]
        {
            assert!(ClipName::read(other).is_none() && !is_unfinished(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_folder(slug in ".*", id in any::<u128>()) {
            let event = Uuid::from_u128(id);
            let file = ClipName { from: Timestamp::UNIX_EPOCH, slug, event, format: ClipFormat::Wav }.file();
            prop_assert!(file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) && !file.starts_with('.'));
        }
    }
}
