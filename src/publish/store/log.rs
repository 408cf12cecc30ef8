//! The thread that moves SQLite's log into the file, which may take as long as the disk takes, and holds up nobody.

use std::path::PathBuf;

use crossbeam_channel::{Sender, bounded};

use super::db::Database;

/// Starts the thread, which moves the log whenever it is told to, until nobody can tell it any more. Without it the log only grows until the
/// next start.
pub fn mover(path: PathBuf) -> Sender<()> {
    let (mover, moves) = bounded(1);
    let run = move || {
        while moves.recv().is_ok() {
            if path.exists()
                && let Err(error) = Database::open(&path).and_then(|db| db.checkpoint())
            {
                tracing::debug!(%error, "the store's log stays for now");
            }
        }
    };
    let _ = std::thread::Builder::new().name("store-log".to_owned()).spawn(run);
    mover
}
