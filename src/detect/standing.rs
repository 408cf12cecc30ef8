//! Why a rule tells an event, or does not: how it stands just now, and what became of each box. Plain data; it decides nothing.

/// How a rule stands just now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// An event is open.
    Open {
        /// Its number.
        event: u64,
        /// Whether a box has confirmed it.
        is_confirmed: bool,
    },
    /// The causal score is below the start threshold.
    Below,
    /// It is quieter than the rule asks for.
    TooQuiet,
    /// The two-sided curve refused the sound that is heard now.
    Refused,
    /// No event begins before this sample index.
    CoolingDown {
        /// The end of the cool-down.
        until: u64,
    },
    /// So many of the last windows reached the start threshold, fewer than must.
    Confirming {
        /// How many did.
        hits: usize,
    },
    /// The sound has not lasted as long as an event must.
    TooShort,
}

/// What became of a box that ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// It is part of this event.
    Told {
        /// The event's number.
        event: u64,
    },
    /// Its peak is below the threshold.
    Below,
    /// It is quieter than the rule asks for.
    TooQuiet,
    /// It stands out of the noise by less than the rule asks for.
    TooFaint,
    /// It is shorter than the rule asks for.
    TooShort,
    /// It lies within the cool-down after an event, which ends at this sample index.
    CoolingDown {
        /// The end of the cool-down.
        until: u64,
    },
    /// It lies within an event that has been told already.
    Overlapping,
    /// As many events are open as there may be.
    Busy,
}
