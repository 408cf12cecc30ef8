//! What the table of the clips is told of a clip, and which files it says are kept.

use std::collections::HashMap;

use super::clear::KeptFile;
use super::name::ClipName;
use crate::analysis::clips::{ClipEvent, ClipHead, NotKept};
use crate::event::ClipState;
use crate::publish::store::clips::ClipRow;

/// Why a clip is not kept, as a sentence, and what that counts as.
pub fn told(why: NotKept) -> (ClipState, String) {
    match why {
        NotKept::Voice(score) => {
            (ClipState::Withheld, format!("a human voice was found within 5 s of it, with the score {score:.2}"))
        }
        NotKept::VoiceUnknown => {
            (ClipState::Withheld, "the sound ended before it was known whether a human voice is within 5 s of it".to_owned())
        }
        NotKept::TooSlow => (ClipState::Dropped, "the disk did not take it in time".to_owned()),
        NotKept::TooMany => (ClipState::Dropped, "too many events waited for their clips".to_owned()),
        NotKept::Paused => (ClipState::Dropped, "the daemon was paused, or the source changed, before it was written".to_owned()),
    }
}

/// The rows of a clip, one for each of its events.
pub fn rows(head: &ClipHead, file: Option<&str>, state: ClipState, reason: Option<&str>, bytes: u64) -> Vec<ClipRow> {
    let row = |event: &ClipEvent| ClipRow {
        event: event.id,
        file: file.map(str::to_owned),
        state,
        reason: reason.map(str::to_owned),
        bytes,
        from: head.from,
        to: head.to,
        is_locked: false,
        label: event.subject.name.clone(),
        source: head.source.to_string(),
        score: event.score,
    };
    head.events.iter().map(row).collect()
}

/// The files that are kept, each once.
pub fn kept_files(rows: &[ClipRow]) -> Vec<KeptFile> {
    let mut files: Vec<KeptFile> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for row in rows.iter().filter(|row| row.state == ClipState::Kept) {
        let Some(name) = row.file.as_deref() else { continue };
        match places.get(name) {
            Some(place) => {
                let file = &mut files[*place];
                file.score = file.score.max(row.score);
                file.is_locked |= row.is_locked;
                if ClipName::read(name).is_some_and(|of| of.event == row.event) {
                    file.label.clone_from(&row.label);
                }
            }
            None => {
                places.insert(name, files.len());
                let (file, label) = (name.to_owned(), row.label.clone());
                files.push(KeptFile {
                    file,
                    label,
                    score: row.score,
                    from: row.from,
                    bytes: row.bytes,
                    is_locked: row.is_locked,
                });
            }
        }
    }
    files
}
