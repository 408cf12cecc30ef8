//! `[summary]`: what was heard in a day is told once a day.

use schemars::JsonSchema;

use super::{At, Table};

section! {
    /// `[summary]`
    RawSummary {
        /// The time of day, in the machine's own time zone, at which a summary of the last day is told, such as `08:00`. Off without
        /// it. It needs the store.
        #[schemars(regex(pattern = "^([01]?[0-9]|2[0-3]):[0-5][0-9]$"))]
        at: Option<String> = None,
    }
}
