//! Gates: each number from the label's or group's own table, else from `[defaults]`, else the model's, the preset's or the standard
//! one.

use super::Check;
use crate::config::raw::RawGate;
use crate::config::table::At;
use crate::detect::rule::{Announce, Gate, STANDARD_GATE};
use crate::model::labels::SuitedThresholds;

/// The highest n of `confirm`.
const MAX_CONFIRM: usize = 100;
/// The longest time that may be configured, in seconds: a year.
const LONGEST_S: f64 = 366.0 * 86_400.0;

/// The values that a label or a group has where the file sets no others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Suited {
    /// The model's thresholds; `None` where it has none.
    pub thresholds: Option<SuitedThresholds>,
    /// When the preset has it announced; `None` where the preset does not have it.
    pub announce: Option<Announce>,
}

impl Check<'_> {
    /// The gate of a table: each value is that of `own`, else that of `defaults`, else the one that suits the label (`suited`), else
    /// the standard one.
    pub(super) fn gate(&mut self, own: &RawGate, defaults: &RawGate, key: &str, suited: Suited) -> Gate {
        let announce = self.announce(own, defaults, key).or(suited.announce).unwrap_or(STANDARD_GATE.announce);
        let suited = suited.thresholds;
        let threshold = pick(&own.threshold, &defaults.threshold);
        let release = pick(&own.release, &defaults.release);
        let threshold_value = threshold.value.or(suited.map(|suited| suited.threshold.into())).unwrap_or(STANDARD_GATE.threshold);
        // A fault is reported for the table that sets the number. The defaults are checked once, as a table of their own.
        let threshold_ok = is_threshold(threshold_value);
        if !threshold_ok && own.threshold.value.is_some() {
            self.fault(
                own.threshold.line,
                &format!("{key}.threshold"),
                format!("{threshold_value} is out of range; it must be above 0 and at most 1"),
            );
        }
        let release_value = release.value.unwrap_or(threshold_value * STANDARD_GATE.release_ratio);
        let release_ok = (0.0..=1.0).contains(&release_value);
        if !release_ok && own.release.value.is_some() {
            self.fault(
                own.release.line,
                &format!("{key}.release"),
                format!("{release_value} is out of range; it must be from 0 to 1"),
            );
        } else if release_ok
            && threshold_ok
            && release_value > threshold_value
            && (own.release.value.is_some() || own.threshold.value.is_some())
        {
            let line = own.release.line.or(own.threshold.line);
            let message =
                format!("the release {release_value} is above the threshold {threshold_value}; it must be at most as high");
            self.fault(line, &format!("{key}.release"), message);
        }
        let is_own = own.release.value.is_some() || own.threshold.value.is_some();
        if release_ok && threshold_ok && release_value == threshold_value && is_own {
            let message = format!(
                "the release {release_value} is equal to the threshold, so that every dip ends the event; leave it out for a tenth \
                 of the threshold"
            );
            self.warn(own.release.line.or(own.threshold.line), &format!("{key}.release"), message);
        }
        let start = pick(&own.start_threshold, &defaults.start_threshold);
        // The model's start threshold belongs to the model's threshold. With another threshold the start threshold follows that.
        let suited_start = suited.filter(|_| threshold.value.is_none()).map(|suited| suited.start_threshold.into());
        let start_value = start.value.or(suited_start).unwrap_or(STANDARD_GATE.start_ratio * threshold_value);
        if !is_threshold(start_value) && own.start_threshold.value.is_some() {
            self.fault(
                own.start_threshold.line,
                &format!("{key}.start_threshold"),
                format!("{start_value} is out of range; it must be above 0 and at most 1"),
            );
        }
        let min_level = pick(&own.min_level_dbfs, &defaults.min_level_dbfs).value;
        if let Some(level) = own.min_level_dbfs.value.filter(|level| !(-150.0..=0.0).contains(level)) {
            self.fault(
                own.min_level_dbfs.line,
                &format!("{key}.min_level_dbfs"),
                format!("{level} is out of range; it must be from -150 to 0"),
            );
        }
        let min_snr = pick(&own.min_snr_db, &defaults.min_snr_db).value.unwrap_or(STANDARD_GATE.min_snr_db);
        if !(0.0..=40.0).contains(&min_snr) && own.min_snr_db.value.is_some() {
            self.fault(
                own.min_snr_db.line,
                &format!("{key}.min_snr_db"),
                format!("{min_snr} is out of range; it must be from 0 to 40"),
            );
        }
        let (confirm_k, confirm_n) = self.confirm(own, defaults, key);
        let min = self.time(
            &own.min_duration_ms,
            &defaults.min_duration_ms,
            STANDARD_GATE.min_duration_ms,
            1e-3,
            &format!("{key}.min_duration_ms"),
        );
        let max = self.time(
            &own.max_duration_s,
            &defaults.max_duration_s,
            STANDARD_GATE.max_duration_s,
            1.0,
            &format!("{key}.max_duration_s"),
        );
        if max > 0 && min > max && (own.min_duration_ms.value.is_some() || own.max_duration_s.value.is_some()) {
            let line = own.min_duration_ms.line.or(own.max_duration_s.line);
            self.fault(
                line,
                &format!("{key}.min_duration_ms"),
                format!("the least duration {min} ms is above the greatest, {max} ms"),
            );
        }
        Gate {
            announce,
            threshold: threshold_value as f32,
            release: release_value as f32,
            start_threshold: start_value as f32,
            confirm_k,
            confirm_n,
            min_duration_ms: min,
            max_duration_ms: (max > 0).then_some(max),
            hangover_ms: self.time(
                &own.hangover_ms,
                &defaults.hangover_ms,
                STANDARD_GATE.hangover_ms,
                1e-3,
                &format!("{key}.hangover_ms"),
            ),
            cooldown_ms: self.time(
                &own.cooldown_s,
                &defaults.cooldown_s,
                STANDARD_GATE.cooldown_s,
                1.0,
                &format!("{key}.cooldown_s"),
            ),
            min_level_dbfs: min_level.map(|level| level as f32),
            min_snr_db: min_snr as f32,
        }
    }

    /// When events are announced; `None` where neither table says it.
    fn announce(&mut self, own: &RawGate, defaults: &RawGate, key: &str) -> Option<Announce> {
        // A fault of the defaults is reported for their own table.
        if let Some(value) = own.announce.value.clone() {
            return self.choice(&format!("{key}.announce"), &At { value, line: own.announce.line }, &Announce::NAMES);
        }
        let text = defaults.announce.value.as_deref()?;
        Announce::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice)
    }

    fn confirm(&mut self, own: &RawGate, defaults: &RawGate, key: &str) -> (usize, usize) {
        let text = pick(&own.confirm, &defaults.confirm).value.clone().unwrap_or_else(|| STANDARD_GATE.confirm.to_owned());
        let parsed = text.split_once('/').and_then(|(k, n)| Some((k.trim().parse().ok()?, n.trim().parse().ok()?)));
        match parsed {
            Some((k, n)) if 1 <= k && k <= n && n <= MAX_CONFIRM => (k, n),
            _ => {
                if own.confirm.value.is_some() {
                    let message = format!("{text:?} is not \"k/n\" with 1 ≤ k ≤ n ≤ {MAX_CONFIRM}, such as \"2/3\"");
                    self.fault(own.confirm.line, &format!("{key}.confirm"), message);
                }
                (1, 1)
            }
        }
    }

    /// A duration in milliseconds; `unit_s` is the unit of the key in seconds.
    fn time(&mut self, own: &At<Option<f64>>, defaults: &At<Option<f64>>, standard: f64, unit_s: f64, key: &str) -> u64 {
        let value = pick(own, defaults).value.unwrap_or(standard);
        let seconds = value * unit_s;
        if !(0.0..=LONGEST_S).contains(&seconds) && own.value.is_some() {
            let what = if value < 0.0 { "must not be negative" } else { "must be a time of at most a year" };
            self.fault(own.line, key, format!("{value} is out of range; it {what}"));
        }
        (seconds * 1_000.0).round() as u64
    }
}

/// Whether a number is above 0 and at most 1 after it was rounded to `f32`, in which a very small number is 0.
fn is_threshold(value: f64) -> bool {
    value as f32 > 0.0 && value <= 1.0
}

/// The value of a table itself, else that of the defaults.
pub(super) fn pick<'a, T>(own: &'a At<Option<T>>, defaults: &'a At<Option<T>>) -> &'a At<Option<T>> {
    if own.value.is_some() { own } else { defaults }
}
