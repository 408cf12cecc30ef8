//! `[store]`: what was heard is kept in a file.

use schemars::JsonSchema;

use super::{At, Table};

section! {
    /// `[store]`
    RawStore {
        /// Whether events, with all that is known of them but without any sound, and reports of health are kept in a file. Without it:
        /// true where a service manager gives the daemon a state directory, or where `path` is set. Takes effect at the next start.
        enabled: Option<bool> = None,
        /// The file. Without it: `events.db` in the service's state directory, else `$XDG_STATE_HOME/mimid/events.db` (`~/.local/state`
        /// where the variable is not set). Takes effect at the next start.
        #[schemars(length(min = 1))]
        path: Option<String> = None,
        /// The days for which events are kept, from 1 to 36500; older ones go. Takes effect at the next start.
        #[schemars(range(min = 1, max = MAX_KEEP_DAYS))]
        keep_days: i64 = 400,
        /// The size of the file in MiB, from 8 to 1048576, beyond which the oldest events go. Takes effect at the next start.
        #[schemars(range(min = MIN_STORE_MB, max = MAX_STORE_MB))]
        max_mb: i64 = 512,
        /// Whether an event is kept with the embedding of its sound, 384 bytes with the shipped model, so that `mimid learn` can learn from it
        /// later. No sound can be played from an embedding, but kinds of sound can be told. Takes effect at the next start.
        embeddings: bool = true,
    }
}

/// The most days for which events are kept.
pub const MAX_KEEP_DAYS: i64 = 36_500;
/// The least size of the store's file, in MiB.
pub const MIN_STORE_MB: i64 = 8;
/// The greatest size of the store's file, in MiB.
pub const MAX_STORE_MB: i64 = 1_048_576;
