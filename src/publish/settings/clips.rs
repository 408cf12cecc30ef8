//! The settings of the clips.

use std::path::PathBuf;

use crate::analysis::clips::ClipPolicy;

/// The clips.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipsConfig {
    /// The folder.
    pub folder: PathBuf,
    /// Whose sound is kept, and how much of it.
    pub policy: ClipPolicy,
    /// The score from which on a label is a voice, whether voices are kept or not.
    pub voice_threshold: f64,
    /// The format of the files.
    pub format: ClipFormat,
    /// How long they are kept.
    pub keep: ClipKeep,
}

/// The format of a clip's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClipFormat {
    /// FLAC.
    Flac,
    /// WAV.
    Wav,
}

impl ClipFormat {
    /// Every format with its name in the configuration, which is the end of the files' names as well.
    pub const NAMES: [(&str, Self); 2] = [("flac", Self::Flac), ("wav", Self::Wav)];
}

/// How long clips are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipKeep {
    /// The most days.
    pub days: u32,
    /// The most MiB of all.
    pub max_mb: u64,
    /// The MiB that they leave free on the disk.
    pub min_free_mb: u64,
}
