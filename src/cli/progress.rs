//! The progress bar of `scan`, `explain` and `tune`, on standard error. It never shows where standard error is no terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use crate::text::visible;

/// A progress bar over `n_frames` frames; hidden where their number is not known, or where standard error is no terminal.
pub(super) fn progress(message: String, n_frames: Option<u64>) -> ProgressBar {
    let Some(n_frames) = n_frames.filter(|_| io::stderr().is_terminal()) else { return ProgressBar::hidden() };
    let bar = ProgressBar::new(n_frames);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} % {eta}") {
        bar.set_style(style);
    }
    bar.set_message(visible(&message));
    bar
}
