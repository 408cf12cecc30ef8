//! Why a rule reports an event or does not: its standing just now, and the fate of each segment. Plain data; it decides nothing.

/// The standing of a rule just now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Standing {
    /// An event is open.
    Open {
        /// Its number.
        event: u64,
        /// Whether the confirmed score has confirmed it.
        is_confirmed: bool,
    },
    /// The causal score is below the start threshold.
    Below,
    /// The sound is quieter than the rule asks for.
    TooQuiet,
    /// The confirmed score did not confirm the sound that goes on.
    Refused,
    /// A cool-down follows the last event.
    CoolingDown {
        /// The end of the cool-down, as a sample index.
        until: u64,
    },
    /// Fewer of the last windows reached the start threshold than the rule asks for.
    Confirming {
        /// The number of windows that reached it.
        hits: usize,
    },
    /// The sound has not lasted as long as an event must.
    TooShort,
}

/// The fate of a segment that ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fate {
    /// The segment is part of this event.
    PartOf {
        /// The event's number.
        event: u64,
    },
    /// Its peak is below the threshold.
    Below,
    /// The sound is quieter than the rule asks for.
    TooQuiet,
    /// The sound stands out of the noise by less than the rule asks for.
    TooFaint,
    /// The segment is shorter than the rule asks for.
    TooShort,
    /// The segment begins within the cool-down after an event.
    CoolingDown {
        /// The end of the cool-down, as a sample index.
        until: u64,
    },
    /// The segment lies within an event that was reported already.
    Overlapping,
    /// As many events are open as the tracker can hold.
    Busy,
}
