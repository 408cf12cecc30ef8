//! The runs that wait, in a file beside the store, so that they outlive a restart. One thread writes; nobody waits for it.
//!
//! A run is in the file before it is first tried, unless the disk is slow, and leaves it when it is over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use super::queue::Run;
use crate::publish::store::db::{Database, DbError, Kind};

/// The most changes that wait for the disk. Those beyond are not kept.
const QUEUE: usize = 16_384;
/// The changes that are committed together, at most.
const BATCH: usize = 256;
/// The commits after which the log is moved into the file.
const COMMITS: u32 = 64;
/// The longest time that the start waits for the file.
const OPENING: Duration = Duration::from_secs(2);
/// The longest time that the end waits for it.
const CLOSING: Duration = Duration::from_millis(400);

/// A change of what waits.
#[derive(Debug)]
enum Change {
    /// This run of a hook waits, with so many tries.
    Waits(String, Run),
    /// A run of a hook is over.
    Over(String, u64),
    /// Tells when all changes before it are in the file.
    Flush(Sender<()>),
}

/// The way to the file.
#[derive(Debug)]
pub struct WaitingFile {
    changes: Sender<Change>,
}

impl WaitingFile {
    /// Opens the file, and gives the runs that it has, each with its hook's name. A file that cannot be opened is told, and nothing is kept.
    pub async fn open(path: PathBuf) -> (Option<Self>, Vec<(String, Run)>) {
        let (changes, taken) = bounded(QUEUE);
        let (opened, is_opened) = oneshot::channel();
        let named = path.display().to_string();
        let spawned = std::thread::Builder::new().name("hooks-file".to_owned()).spawn(move || {
            let found = open(&path);
            match found {
                Ok((database, runs)) => {
                    if opened.send(Ok(runs)).is_ok() {
                        write(&database, &path, &taken);
                    }
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        });
        let found = match (spawned, tokio::time::timeout(OPENING, is_opened).await) {
            (Ok(_), Ok(Ok(Ok(runs)))) => return (Some(Self { changes }), runs),
            (Ok(_), Ok(Ok(Err(error)))) => error.to_string(),
            (Ok(_), _) => "the disk takes too long".to_owned(),
            (Err(error), _) => error.to_string(),
        };
        tracing::error!(file = named, reason = found, "the runs of hooks that wait would not outlive a restart");
        (None, Vec::new())
    }

    /// Keeps a run that waits.
    pub fn waits(&self, hook: &str, run: &Run) {
        self.send(Change::Waits(hook.to_owned(), run.clone()));
    }

    /// Forgets a run that is over.
    pub fn over(&self, hook: &str, number: u64) {
        self.send(Change::Over(hook.to_owned(), number));
    }

    /// Waits until all is in the file, for a moment at most.
    pub async fn finish(self) {
        let (done, is_done) = bounded(1);
        self.send(Change::Flush(done));
        drop(self.changes);
        let _ = tokio::task::spawn_blocking(move || is_done.recv_timeout(CLOSING)).await;
    }

    fn send(&self, change: Change) {
        if let Err(TrySendError::Full(_)) = self.changes.try_send(change) {
            tracing::warn!("the disk takes its time: a run of a hook is in memory only");
        }
    }
}

fn open(path: &Path) -> Result<(Database, Vec<(String, Run)>), DbError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let opened = prepare(path);
    match opened {
        Err(error) if error.kind == Kind::Damaged => {
            // It has only what was not told yet, and cannot be read.
            tracing::error!(file = %path.display(), "the file of the hooks is damaged, and a new one is begun");
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
            }
            prepare(path)
        }
        opened => opened,
    }
}

fn prepare(path: &Path) -> Result<(Database, Vec<(String, Run)>), DbError> {
    let database = Database::open(path)?;
    database.batch(
        "CREATE TABLE IF NOT EXISTS runs(hook TEXT NOT NULL, number INTEGER NOT NULL, tries INTEGER NOT NULL, line TEXT NOT NULL, \
         PRIMARY KEY(hook, number)) WITHOUT ROWID",
    )?;
    let runs = database.rows("SELECT hook, number, tries, line FROM runs ORDER BY hook, number", &[], |row| {
        let tries = u32::try_from(row.int(2)).unwrap_or(0);
        (row.text(0), Run { number: row.int(1).unsigned_abs(), tries, line: row.text(3) })
    })?;
    Ok((database, runs))
}

fn write(database: &Database, path: &Path, changes: &Receiver<Change>) {
    let (mut commits, mut is_told) = (0, false);
    while let Ok(first) = changes.recv() {
        let batch: Vec<Change> = std::iter::once(first).chain(changes.try_iter().take(BATCH)).collect();
        let written = database.whole(|| batch.iter().try_for_each(|change| keep(database, change)));
        match written {
            Ok(()) => is_told = false,
            Err(error) if !is_told => {
                is_told = true;
                tracing::error!(file = %path.display(), %error, "the runs of hooks that wait are in memory only");
            }
            Err(_) => {}
        }
        for change in batch {
            if let Change::Flush(done) = change {
                let _ = done.send(());
            }
        }
        commits += 1;
        if commits % COMMITS == 0 {
            // It is tried again.
            let _ = database.checkpoint();
        }
    }
}

fn keep(database: &Database, change: &Change) -> Result<(), DbError> {
    match change {
        Change::Waits(hook, run) => {
            let values = [hook.as_str().into(), run.number.into(), i64::from(run.tries).into(), run.line.as_str().into()];
            database.run("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", &values).map(drop)
        }
        Change::Over(hook, number) => {
            database.run("DELETE FROM runs WHERE hook=? AND number=?", &[hook.as_str().into(), (*number).into()]).map(drop)
        }
        Change::Flush(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_that_wait_are_there_after_a_restart_and_those_that_are_over_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/hooks.db");
        let run = |number, tries| Run { number, tries, line: format!("line {number}") };
        let (file, runs) = WaitingFile::open(path.clone()).await;
        assert_eq!(runs, []);
        let file = file.unwrap();
        (0..4).for_each(|number| file.waits("a", &run(number, 0)));
        file.waits("b", &run(0, 0));
        file.waits("a", &run(2, 3));
        file.over("a", 1);
        file.finish().await;
        let expected = [("a", run(0, 0)), ("a", run(2, 3)), ("a", run(3, 0)), ("b", run(0, 0))];
        let (file, runs) = WaitingFile::open(path.clone()).await;
        assert_eq!(runs, expected.map(|(hook, run)| (hook.to_owned(), run)));
        file.unwrap().finish().await;
        std::fs::write(&path, "no database\n".repeat(900)).unwrap();
        let (file, runs) = WaitingFile::open(path).await;
        assert!(file.is_some() && runs.is_empty());
    }
}
