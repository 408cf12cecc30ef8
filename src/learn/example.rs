//! The embeddings of a recording: the windows that hold its sound, and how alike the sounds of two recordings are.

/// A window that was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardWindow {
    /// The beginning in seconds from that of the recording; negative where the window begins before it.
    pub begin_s: f64,
    /// The end in seconds.
    pub end_s: f64,
    /// The level of the sound in the window in dBFS, −100 for silence.
    pub level_dbfs: f32,
    /// The embedding.
    pub embedding: Vec<f32>,
}

/// A recording that was heard.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeardRecording {
    /// The recording, as it was named.
    pub name: String,
    /// The length in seconds.
    pub lasts_s: f64,
    /// The windows of each length that the model has, the shortest first.
    pub windows: Vec<Vec<HeardWindow>>,
    /// The model's own label with the highest score, with that score; `None` where nothing was scored.
    pub sounds_like: Option<(usize, f32)>,
}

/// A stretch of a recording in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// The beginning.
    pub begin_s: f64,
    /// The end.
    pub end_s: f64,
}

/// The sound of a recording, as far as it is learnt from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sounding {
    /// The embeddings of the windows of every length, one after the other.
    pub embeddings: Vec<f32>,
    /// The stretches that the windows of the shortest length cover.
    pub stretches: Vec<Stretch>,
}

/// The level below which nothing sounds, in dBFS.
const SILENCE_DBFS: f32 = -70.0;
/// A window belongs to the sound if it is at most so much fainter than the loudest one, in dB.
const RANGE_DB: f32 = 15.0;
/// The most windows of a length and recording that are learnt from.
const MOST_WINDOWS: usize = 8;
/// The part of a window that a labelled stretch must cover, where a table says when the sound was.
const COVERED: f64 = 0.5;
/// The cosine of two recordings' mean embeddings, from which on they are the same sound played again.
const SAME: f64 = 0.999;

impl HeardRecording {
    /// The embeddings of all windows, of each length at most so many, evenly spread: for what must not ring anywhere in it.
    pub fn throughout(&self, most: usize) -> Vec<f32> {
        let windows = self.windows.iter().map(|windows| windows.iter().collect::<Vec<_>>());
        windows
            .flat_map(|windows| thinned(&windows, most).flat_map(|window| window.embedding.clone()).collect::<Vec<_>>())
            .collect()
    }

    /// The windows that hold the recording's sound: the loud ones, and only those in `labelled` where a table says when the sound
    /// was. `None` where nothing sounds.
    pub fn sounding(&self, labelled: Option<&[Stretch]>) -> Option<Sounding> {
        let is_labelled = |window: &&HeardWindow| labelled.is_none_or(|stretches| is_covered(window, stretches));
        let loudest = self.windows.iter().flatten().filter(is_labelled).map(|window| window.level_dbfs).fold(f32::MIN, f32::max);
        if loudest < SILENCE_DBFS {
            return None;
        }
        let mut sounding = Sounding::default();
        for (length, windows) in self.windows.iter().enumerate() {
            let is_loud = |window: &&HeardWindow| window.level_dbfs >= (loudest - RANGE_DB).max(SILENCE_DBFS);
            let used: Vec<&HeardWindow> = windows.iter().filter(is_labelled).filter(is_loud).collect();
            for window in thinned(&used, MOST_WINDOWS) {
                sounding.embeddings.extend_from_slice(&window.embedding);
            }
            if length == 0 {
                sounding.stretches = united(&used, self.lasts_s);
            }
        }
        (!sounding.embeddings.is_empty()).then_some(sounding)
    }
}

/// Whether the stretches cover enough of the window, or the window one of them.
fn is_covered(window: &HeardWindow, stretches: &[Stretch]) -> bool {
    let lasts_s = window.end_s - window.begin_s;
    stretches.iter().any(|stretch| {
        let common = window.end_s.min(stretch.end_s) - window.begin_s.max(stretch.begin_s);
        common >= COVERED * lasts_s.min(stretch.end_s - stretch.begin_s)
    })
}

/// At most so many of the windows, evenly spread.
fn thinned<'a>(windows: &'a [&'a HeardWindow], most: usize) -> impl Iterator<Item = &'a HeardWindow> {
    let n = windows.len().min(most);
    (0..n).map(move |at| windows[at * windows.len() / n])
}

/// The stretches that windows cover, in their order.
fn united(windows: &[&HeardWindow], lasts_s: f64) -> Vec<Stretch> {
    let mut united: Vec<Stretch> = Vec::new();
    for window in windows {
        let (begin_s, end_s) = (window.begin_s.max(0.0), window.end_s.min(lasts_s));
        match united.last_mut() {
            Some(last) if begin_s <= last.end_s => last.end_s = last.end_s.max(end_s),
            _ => united.push(Stretch { begin_s, end_s }),
        }
    }
    united
}

/// Whether two recordings are the same sound played again: one file twice, or in two formats.
pub fn is_same(one: &[f32], other: &[f32], size: usize) -> bool {
    let (one, other) = (mean(one, size), mean(other, size));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (product(&one, &one) * product(&other, &other)).sqrt();
    lengths > 0.0 && product(&one, &other) >= SAME * lengths
}

/// The mean of embeddings, `[size]`.
pub(super) fn mean(embeddings: &[f32], size: usize) -> Vec<f64> {
    let mut mean = vec![0.0; size];
    for embedding in embeddings.chunks_exact(size.max(1)) {
        mean.iter_mut().zip(embedding).for_each(|(mean, value)| *mean += f64::from(*value));
    }
    let n = (embeddings.len() / size.max(1)).max(1) as f64;
    mean.iter_mut().for_each(|mean| *mean /= n);
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(levels: &[f32]) -> HeardRecording {
        let windows = levels.iter().enumerate().map(|(at, level)| HeardWindow {
            begin_s: at as f64 - 0.5,
            end_s: at as f64 + 0.5,
            level_dbfs: *level,
            embedding: vec![at as f32, 1.0],
        });
        HeardRecording {
            name: "a".to_owned(),
            lasts_s: levels.len() as f64 - 0.5,
            windows: vec![windows.collect()],
            sounds_like: None,
        }
    }

    #[test]
    fn the_loud_windows_hold_the_sound_and_their_stretches_are_told() {
        let sounding = heard(&[-80.0, -30.0, -20.0, -60.0, -34.0]).sounding(None).unwrap();
        assert_eq!(sounding.embeddings, [1.0, 1.0, 2.0, 1.0, 4.0, 1.0]);
        let stretches = [Stretch { begin_s: 0.5, end_s: 2.5 }, Stretch { begin_s: 3.5, end_s: 4.5 }];
        assert_eq!(sounding.stretches, stretches);
        assert_eq!(heard(&[-80.0, -100.0]).sounding(None), None);
        assert_eq!(heard(&[]).sounding(None), None);
    }

    #[test]
    fn a_table_narrows_the_windows_down() {
        let labelled = [Stretch { begin_s: 0.6, end_s: 0.9 }];
        let sounding = heard(&[-20.0, -30.0, -20.0]).sounding(Some(&labelled)).unwrap();
        assert_eq!(sounding.embeddings, [1.0, 1.0]);
        assert_eq!(heard(&[-20.0, -30.0]).sounding(Some(&[])), None);
    }

    #[test]
    fn many_windows_are_thinned_evenly() {
        let sounding = heard(&[-20.0; 80]).sounding(None).unwrap();
        let places: Vec<f32> = sounding.embeddings.chunks(2).map(|embedding| embedding[0]).collect();
        assert_eq!(places, (0..8).map(|at| at as f32 * 10.0).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_sound_is_known_again() {
        assert!(is_same(&[1.0, 2.0, 1.0, 2.0], &[1.01, 2.0], 2));
        assert!(!is_same(&[1.0, 2.0], &[2.0, 1.0], 2));
        assert!(!is_same(&[], &[0.0, 0.0], 2));
    }
}
