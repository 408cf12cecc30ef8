//! Files that are written whole or not at all. A configuration that a user wrote has more to keep than that and is replaced by
//! `config::edit`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Puts a file of these bytes at `path`. The old file stays until the new one is whole.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = File::create(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // The unfinished file is of no use. A failure to remove it does no harm.
        let _ = std::fs::remove_file(&new);
    }
    written
}
