//! The settings of the daily summary.

use jiff::civil::Time;

use super::Check;
use crate::publish::settings::SummaryConfig;

impl Check<'_> {
    pub(super) fn summary(&mut self) -> Option<SummaryConfig> {
        let raw = &self.raw.summary.at;
        let text = raw.value.as_ref()?;
        let Some(at) = time_of_day(text) else {
            self.fault(raw.line, "summary.at", format!("{text:?} is no time of day; write it as \"08:00\""));
            return None;
        };
        // The service has a store where its service manager gives it a folder, which this environment may not tell.
        if self.raw.store.enabled.value == Some(false) {
            self.fault(raw.line, "summary.at", "a summary needs the store, and [store] enabled is false".to_owned());
        }
        Some(SummaryConfig { at })
    }
}

/// The time of day of a text such as `08:00`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<i8>().ok()).flatten();
    if minute.len() != 2 {
        return None;
    }
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;
    use crate::model::Labels;

    fn summary(text: &str) -> Result<Option<SummaryConfig>, Vec<String>> {
        let labels = Labels::new([("/m/0".to_owned(), "Dog".to_owned())], Vec::new());
        let text = format!("[report]\nlabels = [\"Dog\"]\n{text}");
        Raw::parse(&text, None).validate(&labels).map(|loaded| loaded.config.sinks.summary).map_err(|faults| faults.sentences())
    }

    #[test]
    fn it_is_off_without_a_time_and_a_wrong_one_is_a_fault() {
        assert_eq!(summary("[summary]"), Ok(None));
        assert_eq!(summary("[summary]\nat = \"8:05\""), Ok(Some(SummaryConfig { at: Time::constant(8, 5, 0, 0) })));
        for wrong in ["24:00", "8", "8:5", "-1:00", "+8:00", "08:60", "8:00 pm", ""] {
            let faults = summary(&format!("[summary]\nat = {wrong:?}")).unwrap_err();
            assert!(faults[0].contains("is no time of day; write it as \"08:00\""), "{wrong}: {faults:?}");
        }
        let faults = summary("[store]\nenabled = false\n[summary]\nat = \"08:00\"").unwrap_err();
        assert!(faults[0].contains("a summary needs the store"), "{faults:?}");
    }
}
