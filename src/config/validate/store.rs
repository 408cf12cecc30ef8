//! The settings of the store. Its file is opened at the start, not here.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::Check;
use crate::config::raw::{MAX_KEEP_DAYS, MAX_STORE_MB, MIN_STORE_MB};
use crate::config::table::At;
use crate::publish::settings::StoreConfig;
use crate::publish::store::place;

impl Check<'_> {
    pub(super) fn store(&mut self) -> Option<StoreConfig> {
        let raw = &self.raw.store;
        let keep_days = self.whole("store.keep_days", &raw.keep_days, 1..=MAX_KEEP_DAYS);
        let max_mb = self.whole("store.max_mb", &raw.max_mb, MIN_STORE_MB..=MAX_STORE_MB);
        if raw.path.value.as_ref().is_some_and(String::is_empty) {
            self.fault(raw.path.line, "store.path", "the path is empty; leave the key out for the default place".to_owned());
        }
        let of_service = place::of_service();
        let is_on = raw.enabled.value.unwrap_or(raw.path.value.is_some() || of_service.is_some());
        if !is_on {
            return None;
        }
        let path = raw.path.value.as_ref().map(PathBuf::from).or(of_service).or_else(place::of_user);
        if path.is_none() {
            let message = "this user has no folder for it; name the file with path";
            self.fault(raw.enabled.line, "store.enabled", message.to_owned());
        }
        Some(StoreConfig {
            path: path?,
            keep_days: u32::try_from(keep_days).unwrap_or(1),
            max_mb: max_mb.unsigned_abs(),
            embeddings: raw.embeddings.value,
        })
    }

    /// A whole number within a range.
    pub(super) fn whole(&mut self, key: &str, raw: &At<i64>, range: RangeInclusive<i64>) -> i64 {
        if !range.contains(&raw.value) {
            let (from, to) = range.into_inner();
            self.fault(raw.line, key, format!("{} is out of range; it must be from {from} to {to}", raw.value));
        }
        raw.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;
    use crate::model::Labels;

    fn store(text: &str) -> Result<Option<StoreConfig>, Vec<String>> {
        let labels = Labels::new([("/m/0".to_owned(), "Dog".to_owned())], Vec::new());
        let text = format!("[report]\nlabels = [\"Dog\"]\n{text}");
        Raw::parse(&text, None).validate(&labels).map(|loaded| loaded.config.store).map_err(|faults| faults.sentences())
    }

    #[test]
    fn a_store_that_is_named_is_on() {
        let named = StoreConfig { path: "/a/b.db".into(), keep_days: 400, max_mb: 512, embeddings: true };
        assert_eq!(store("[store]\npath = \"/a/b.db\""), Ok(Some(named)));
        assert_eq!(store("[store]\npath = \"/a/b.db\"\nenabled = false"), Ok(None));
        assert!(store("[store]\nenabled = true\nkeep_days = 7").unwrap().is_some_and(|store| store.keep_days == 7));
    }

    #[test]
    fn every_fault_is_told_with_its_key() {
        let faults = store("[store]\npath = \"\"\nkeep_days = 0\nmax_mb = 1\nkeepdays = 3").unwrap_err().join("\n");
        for said in [
            "store.path: the path is empty",
            "store.keep_days: 0 is out of range; it must be from 1 to 36500",
            "store.max_mb: 1 is out of range; it must be from 8 to 1048576",
            "store.keepdays: there is no such key; did you mean \"keep_days\"?",
        ] {
            assert!(faults.contains(said), "{said:?} is missing in:\n{faults}");
        }
    }
}
