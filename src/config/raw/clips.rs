//! `[clips]`: the sound of chosen events is kept.

use schemars::JsonSchema;

use super::store::MAX_KEEP_DAYS;
use super::{At, Table};
use crate::publish::settings::ClipFormat;

section! {
    /// `[clips]`
    RawClips {
        /// Whether the sound of events is kept, of the labels and groups with `clip = true` alone. The store must be on.
        enabled: bool = false,
        /// The folder of the clips. Without it: `clips` beside the store's file.
        #[schemars(length(min = 1))]
        path: Option<String> = None,
        /// The seconds before an event that its clip has, from 0 to 30.
        #[schemars(range(min = 0, max = MAX_AROUND_S))]
        before_s: f64 = 3.0,
        /// The seconds after an event that its clip has, from 0 to 30.
        #[schemars(range(min = 0, max = MAX_AROUND_S))]
        after_s: f64 = 3.0,
        /// The longest clip in seconds, from 10 to 600, with what is before and after the event. So many seconds, and some more, are
        /// remembered of each source.
        #[schemars(range(min = MIN_CLIP_S, max = MAX_CLIP_S))]
        max_s: f64 = 60.0,
        /// The format of the files: `flac` or `wav`, with 16 bits a sample at the source's own rate.
        #[schemars(extend("enum" = ClipFormat::NAMES.map(|(name, _)| name)))]
        format: String = "flac".to_owned(),
        /// Whether nothing is kept in which a human voice is found, within 5 s before and after it as well. It is found in the scores of
        /// all labels that are voices, whether they are reported or not.
        without_voice: bool = false,
        /// The score of such a label from which on it is a voice, above 0 and at most 1. A lower one withholds more.
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        voice_threshold: f64 = 0.3,
        /// The days for which clips are kept, from 1 to 36500; older ones go, but for locked ones.
        #[schemars(range(min = 1, max = MAX_KEEP_DAYS))]
        keep_days: i64 = 30,
        /// The size of all clips in MiB, from 1 to 1048576, beyond which the least interesting go: those of the labels with the most clips
        /// first, of them those with the lowest scores. The newest three of each label go last, and locked ones never.
        #[schemars(range(min = 1, max = MAX_CLIPS_MB))]
        max_mb: i64 = 1_024,
        /// The room in MiB, from 0 to 1048576, that clips leave on the disk: where less is free, they go in the same order, and no new one is
        /// kept.
        #[schemars(range(min = 0, max = MAX_CLIPS_MB))]
        min_free_mb: i64 = 512,
    }
}

/// The most seconds before and after an event.
pub const MAX_AROUND_S: f64 = 30.0;
/// The shortest limit of a clip's length in seconds.
pub const MIN_CLIP_S: f64 = 10.0;
/// The longest clip in seconds.
pub const MAX_CLIP_S: f64 = 600.0;
/// The greatest sizes, in MiB.
pub const MAX_CLIPS_MB: i64 = 1_048_576;
