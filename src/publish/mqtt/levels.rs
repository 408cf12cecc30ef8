//! The level of each source as a sensor shows it: the mean of the last seconds, told when it moves and once a minute, because every
//! message becomes a row in Home Assistant's database. It reads no clock: it is asked once a second.

use std::collections::HashMap;

/// The least time between two messages, in seconds.
const LEAST_S: u64 = 10;
/// The longest time between two messages, in seconds.
const LONGEST_S: u64 = 60;
/// The least move that is told, in dB.
const MOVE_DB: f64 = 1.0;

/// The levels of all sources.
#[derive(Debug, Default)]
pub struct Levels(HashMap<String, Meter>);

#[derive(Debug, Default)]
struct Meter {
    /// The sum of the powers since the last message, and their number.
    power: f64,
    n: u32,
    told_db: Option<f64>,
    /// The seconds since the last message.
    since_s: u64,
}

impl Levels {
    /// Takes the level of this second, and returns the mean level in dBFS where it is to be told.
    pub fn take(&mut self, source: &str, level_dbfs: f64) -> Option<f64> {
        if !self.0.contains_key(source) {
            self.0.insert(source.to_owned(), Meter::default());
        }
        let meter = self.0.get_mut(source)?;
        meter.power += 10f64.powf(level_dbfs / 10.0);
        meter.n += 1;
        meter.since_s += 1;
        let mean_db = (100.0 * (meter.power / f64::from(meter.n)).log10()).round() / 10.0;
        let is_due = match meter.told_db {
            None => true,
            Some(told_db) => meter.since_s >= LONGEST_S || (meter.since_s >= LEAST_S && (mean_db - told_db).abs() >= MOVE_DB),
        };
        if !is_due {
            return None;
        }
        *meter = Meter { told_db: Some(mean_db), ..Meter::default() };
        Some(mean_db)
    }

    /// Has every level told again.
    pub fn repeat(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a level is told.
    fn told(level: impl Fn(u64) -> f64, seconds: u64) -> Vec<u64> {
        let mut levels = Levels::default();
        (0..seconds).filter(|second| levels.take("kitchen", level(*second)).is_some()).collect()
    }

    #[test]
    fn a_steady_level_is_told_once_a_minute() {
        assert_eq!(told(|second| -50.0 + 0.4 * (second % 2) as f64, 200), [0, 60, 120, 180]);
    }

    #[test]
    fn a_level_that_moves_is_told_soon_but_not_each_second() {
        assert_eq!(told(|second| if second < 30 { -50.0 } else { -40.0 }, 100), [0, 30, 40, 100][..3].to_vec());
        assert!(told(|second| -60.0 + 7.0 * (second % 5) as f64, 3_600).len() <= 360);
    }

    #[test]
    fn what_is_told_is_the_mean_power_and_sources_are_apart() {
        let mut levels = Levels::default();
        assert_eq!((levels.take("a", -50.0), levels.take("b", -150.0)), (Some(-50.0), Some(-150.0)));
        let mean = (0..10).find_map(|second| levels.take("a", if second % 2 == 0 { -20.0 } else { -150.0 }));
        assert_eq!(mean, Some(-23.0));
        levels.repeat();
        assert_eq!(levels.take("b", -150.0), Some(-150.0));
    }
}
