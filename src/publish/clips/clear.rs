//! Which files are cleared, and why: plain decisions. Old ones go first; then, for room, the least interesting: of the labels with the most
//! files those with the lowest scores, and the oldest of those. The newest three of each label go last, and locked ones never.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::publish::settings::ClipKeep;

/// The newest files of a label that go last.
const NEWEST: usize = 3;
/// The bytes of a MiB.
const MIB: u64 = 1 << 20;

/// A file that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptFile {
    /// Its name.
    pub file: String,
    /// The label of its first event.
    pub label: String,
    /// The highest score of its events.
    pub score: f32,
    /// The beginning of its sound.
    pub from: Timestamp,
    /// Its size.
    pub bytes: u64,
    /// Whether it is never cleared.
    pub is_locked: bool,
}

/// Why a file is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is too old.
    Age,
    /// All files are too large.
    Size,
    /// There is too little room on the disk.
    Room,
}

/// Looks at all files. Returns those that are to go, by their indices, each with the reason.
pub fn choose(files: &[KeptFile], keep: ClipKeep, now: Timestamp, free_bytes: u64) -> Vec<(usize, Why)> {
    let oldest = now - SignedDuration::from_hours(24 * i64::from(keep.days));
    let mut gone: Vec<(usize, Why)> = Vec::new();
    let mut left: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, file) in files.iter().enumerate() {
        if !file.is_locked && file.from < oldest {
            gone.push((index, Why::Age));
        } else {
            left.entry(&file.label).or_default().push(index);
        }
    }
    let freed: u64 = gone.iter().map(|(index, _)| files[*index].bytes).sum();
    let mut total: u64 = files.iter().map(|file| file.bytes).sum::<u64>() - freed;
    let mut free = free_bytes + freed;
    let mut labels: Vec<Label> = left.into_iter().map(|(name, of)| Label::new(name, of, files)).collect();
    labels.sort_by_key(|label| label.name);
    loop {
        let why = match (total > keep.max_mb * MIB, free < keep.min_free_mb * MIB) {
            (true, _) => Why::Size,
            (_, true) => Why::Room,
            (false, false) => return gone,
        };
        let Some(index) = least(&mut labels) else { return gone };
        total -= files[index].bytes;
        free += files[index].bytes;
        gone.push((index, why));
    }
}

/// The files of a label that may go, the last ones first.
#[derive(Debug)]
struct Label<'a> {
    name: &'a str,
    /// All of them, locked ones too.
    n: usize,
    /// Without the newest.
    usual: Vec<usize>,
    newest: Vec<usize>,
}

impl<'a> Label<'a> {
    fn new(name: &'a str, mut of: Vec<usize>, files: &[KeptFile]) -> Self {
        of.sort_by_key(|index| std::cmp::Reverse((files[*index].from, *index)));
        let (n, is_free) = (of.len(), |index: &usize| !files[*index].is_locked);
        let mut usual = of.split_off(of.len().min(NEWEST));
        usual.retain(is_free);
        usual.sort_by(|a, b| files[*b].score.total_cmp(&files[*a].score).then(files[*b].from.cmp(&files[*a].from)));
        of.retain(is_free);
        Self { name, n, usual, newest: of }
    }
}

/// The least interesting file that is left.
fn least(labels: &mut [Label]) -> Option<usize> {
    let usual = labels.iter_mut().filter(|label| !label.usual.is_empty()).max_by_key(|label| label.n);
    if let Some(label) = usual {
        label.n -= 1;
        return label.usual.pop();
    }
    let label = labels.iter_mut().filter(|label| !label.newest.is_empty()).max_by_key(|label| label.newest.len())?;
    label.newest.pop()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR_S: i64 = 3_600;

    fn file(hours: i64, label: &str, score: f32, mb: u64, is_locked: bool) -> KeptFile {
        let from = Timestamp::from_second(hours * HOUR_S).unwrap();
        KeptFile { file: format!("{hours}"), label: label.to_owned(), score, from, bytes: mb * MIB, is_locked }
    }

    fn keep(days: u32, max_mb: u64, min_free_mb: u64) -> ClipKeep {
        ClipKeep { days, max_mb, min_free_mb }
    }

    fn gone(files: &[KeptFile], keep: ClipKeep, free_mb: u64) -> Vec<(usize, Why)> {
        choose(files, keep, Timestamp::from_second(100 * HOUR_S).unwrap(), free_mb * MIB)
    }

    #[test]
    fn what_is_too_old_goes_but_what_is_locked_stays() {
        let files = [file(10, "Dog", 0.9, 1, false), file(10, "Dog", 0.9, 1, true), file(90, "Dog", 0.9, 1, false)];
        assert_eq!(gone(&files, keep(2, 99, 0), 99), [(0, Why::Age)]);
    }

    #[test]
    fn the_least_interesting_go_first_and_the_newest_three_of_a_label_last() {
        let mut files: Vec<KeptFile> = (0..6).map(|at| file(50 + at, "Dog", 0.9 - 0.1 * at as f32, 1, false)).collect();
        files.push(file(40, "Glass", 0.1, 1, false));
        let indices = |gone: Vec<(usize, Why)>| gone.into_iter().map(|(index, _)| index).collect::<Vec<_>>();
        // The lowest score of the many, not the only one of its label, though that is older and lower.
        assert_eq!(gone(&files, keep(99, 6, 0), 99), [(2, Why::Size)]);
        assert_eq!(indices(gone(&files, keep(99, 2, 0), 99)), [2, 1, 0, 3, 4]);
        assert_eq!(gone(&files, keep(99, 99, 10), 9), [(2, Why::Room)]);
        files.iter_mut().for_each(|file| file.is_locked = true);
        assert!(gone(&files, keep(1, 1, 99), 0).is_empty());
    }

    proptest! {
        #[test]
        fn no_more_goes_than_has_to(
            all in prop::collection::vec((0_i64..100, 0_usize..4, 0.0_f32..1.0, 0_u64..5, any::<bool>()), 0..40),
            days in 1_u32..5, max_mb in 1_u64..60, min_free_mb in 0_u64..60, free_mb in 0_u64..60
        ) {
            let files: Vec<KeptFile> =
                all.iter().map(|(hours, label, score, mb, locked)| file(*hours, &label.to_string(), *score, *mb, *locked)).collect();
            let gone = gone(&files, keep(days, max_mb, min_free_mb), free_mb);
            let mut seen = std::collections::HashSet::new();
            prop_assert!(gone.iter().all(|(index, _)| !files[*index].is_locked && seen.insert(*index)));
            let total: u64 = files.iter().map(|file| file.bytes).sum();
            let freed: u64 = gone.iter().map(|(index, _)| files[*index].bytes).sum();
            let is_enough = total - freed <= max_mb * MIB && free_mb * MIB + freed >= min_free_mb * MIB;
            let all_locked = (0..files.len()).all(|index| files[index].is_locked || seen.contains(&index));
            prop_assert!(is_enough || all_locked);
            if let Some((last, why)) = gone.last().filter(|(_, why)| *why != Why::Age) {
                let freed = freed - files[*last].bytes;
                let was_enough = total - freed <= max_mb * MIB && free_mb * MIB + freed >= min_free_mb * MIB;
                prop_assert!(!was_enough, "{why:?}");
            }
        }
    }
}
