//! The folder of the clips and its table in the store: finds a file by its event, locks, deletes, and makes the two agree. The daemon, HTTP
//! and `mimid clips` all go through it. A path is only ever made of a name that stands in the table and is the name of a clip.
//!
//! The table knows of a file before the file has its name, and until it is gone. So a kill at any moment leaves nothing that the next look
//! does not set right.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::OFlag;
use uuid::Uuid;

use super::name::{ClipName, is_unfinished, unfinished};
use crate::event::ClipState;
use crate::publish::store::clips::{ClipRow, ClipTable};
use crate::publish::store::db::DbError;

/// The folder with its table.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    /// The table.
    pub table: ClipTable,
}

/// Why something cannot be done with a clip.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The event has no clip.
    #[error("this event has no clip{0}")]
    None(String),
    /// The store fails.
    #[error("the store cannot be used: {0}")]
    Store(DbError),
    /// The folder fails.
    #[error("{path}: {error}")]
    Folder {
        /// The file or the folder.
        path: String,
        /// The system's words.
        error: io::Error,
    },
}

impl From<DbError> for ShelfError {
    fn from(error: DbError) -> Self {
        Self::Store(error)
    }
}

/// What a look at the folder found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Files that the store says are not kept, or of a time to come, and that are cleared.
    pub orphans: usize,
    /// Files that were not written to their end, and that are cleared.
    pub unfinished: usize,
    /// Files that are gone.
    pub missing: usize,
    /// Files that the store did not know because it is younger or was away, and that are kept.
    pub adopted: usize,
    /// Files that are gone in all.
    pub missing_in_all: usize,
}

fn folder_error(path: &Path, error: io::Error) -> ShelfError {
    ShelfError::Folder { path: path.display().to_string(), error }
}

/// Removes a file, which may be gone already.
fn remove(path: &Path) -> Result<(), ShelfError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(folder_error(path, error)),
        _ => Ok(()),
    }
}

/// Opens the file of a clip. A link is not followed, and what is no file is refused: whoever can write into the folder could have the daemon
/// or root read other files for them.
///
/// # Errors
/// It cannot be opened, or is no file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no file")) }
}

impl Shelf {
    /// Opens the folder, which is made if there is none, and the table in the store's file.
    pub fn open(folder: &Path, store: &Path) -> Result<Self, ShelfError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| folder_error(folder, error))?;
        Ok(Self { folder: folder.to_owned(), table: ClipTable::open(store)? })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file that is a clip's by its name.
    pub fn path(&self, file: &str) -> Option<PathBuf> {
        ClipName::read(file).map(|_| self.folder.join(file))
    }

    /// The path of a file that is being written.
    pub fn unfinished(&self, file: &str) -> PathBuf {
        self.folder.join(unfinished(file))
    }

    /// The clip of an event that is kept, with its file's name and path.
    pub fn find(&self, event: Uuid) -> Result<(ClipRow, String, PathBuf), ShelfError> {
        let row = self.table.of(event)?.ok_or_else(|| ShelfError::None(String::new()))?;
        let path = row.file.clone().filter(|_| row.state == ClipState::Kept).and_then(|file| Some((self.path(&file)?, file)));
        match path {
            Some((path, file)) => Ok((row, file, path)),
            None => {
                let why = row.reason.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
                Err(ShelfError::None(format!(": it is {}{why}", row.state.word())))
            }
        }
    }

    /// Has the clip of an event never cleared by itself, or has it again. All events of the file share it.
    pub fn lock(&self, event: Uuid, is_locked: bool) -> Result<ClipRow, ShelfError> {
        let (row, file, _) = self.find(event)?;
        self.table.lock(&file, is_locked)?;
        Ok(ClipRow { is_locked, ..row })
    }

    /// Deletes the clip of an event by a request, with those of the events that share it.
    pub fn delete(&self, event: Uuid) -> Result<(), ShelfError> {
        let (_, file, _) = self.find(event)?;
        self.clear(&file, "deleted by a request")
    }

    /// Deletes a file for a reason.
    pub fn clear(&self, file: &str, why: &str) -> Result<(), ShelfError> {
        self.table.set(file, ClipState::Deleting, Some(why), 0)?;
        if let Some(path) = self.path(file) {
            remove(&path)?;
        }
        Ok(self.table.end(file, ClipState::Cleared, why)?)
    }

    /// Makes the folder and the table agree. Nothing is being written meanwhile.
    pub fn agree(&self) -> Result<Agreed, ShelfError> {
        let mut agreed = Agreed::default();
        let mut files: HashMap<String, u64> = HashMap::new();
        let listed = std::fs::read_dir(&self.folder).map_err(|error| folder_error(&self.folder, error))?;
        for entry in listed.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_unfinished(&name) {
                remove(&entry.path())?;
                agreed.unfinished += 1;
            } else if ClipName::read(&name).is_some()
                && let Ok(metadata) = entry.metadata()
                && metadata.is_file()
            {
                files.insert(name, metadata.len());
            }
        }
        let mut seen: HashSet<String> = HashSet::new();
        for row in self.table.with_files()? {
            let Some(file) = row.file else { continue };
            // Events that overlap share a file.
            if !seen.insert(file.clone()) {
                continue;
            }
            match (row.state, files.remove(&file)) {
                (ClipState::Deleting, _) => self.clear(&file, row.reason.as_deref().unwrap_or("deleted"))?,
                (ClipState::Writing | ClipState::Missing, Some(bytes)) => self.table.set(&file, ClipState::Kept, None, bytes)?,
                (ClipState::Writing, None) => {
                    self.table.end(&file, ClipState::Dropped, "the daemon ended before it was written")?;
                }
                (ClipState::Kept, None) => {
                    self.table.set(&file, ClipState::Missing, Some("its file is gone"), row.bytes)?;
                    agreed.missing += 1;
                    agreed.missing_in_all += 1;
                }
                (ClipState::Missing, None) => agreed.missing_in_all += 1,
                _ => {}
            }
        }
        let (began, now) = (self.table.began()?, Timestamp::now());
        for (file, bytes) in files {
            let Some(name) = ClipName::read(&file) else { continue };
            let is_of_the_past = name.from <= now || began.is_some_and(|began| name.from < began);
            if is_of_the_past && self.table.of(name.event)?.is_none() {
                // The store is younger, because an older one was lost, or its disk was away while the clip was kept.
                self.table.put(&[adopted(&name, file, bytes)])?;
                agreed.adopted += 1;
            } else {
                remove(&self.folder.join(&file))?;
                agreed.orphans += 1;
            }
        }
        Ok(agreed)
    }
}

/// The row of a file of which only the name is known.
fn adopted(name: &ClipName, file: String, bytes: u64) -> ClipRow {
    ClipRow {
        event: name.event,
        file: Some(file),
        state: ClipState::Kept,
        reason: None,
        bytes,
        from: name.from,
        to: name.from,
        is_locked: false,
        label: name.slug.clone(),
        source: String::new(),
        score: 0.0,
    }
}

#[cfg(test)]
pub mod tests;
