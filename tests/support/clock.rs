//! A wall clock of the tests' own.

use std::path::{Path, PathBuf};

/// A wall clock that is set by hand and that a daemon believes; the clock that no one can set goes on beside it.
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl WallClock {
    /// A clock that goes right.
    pub fn new() -> Self {
        // Where Debian puts the library that shows it to a process.
        let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|folder| Some(folder.ok()?.path()));
        let library = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
        let library = library.expect("faketime is needed; `make test` installs it");
        let folder = tempfile::tempdir().unwrap();
        let clock = Self { library, file: folder.path().join("clock"), _folder: folder };
        clock.set("+0");
        clock
    }

    /// Sets it so many seconds ahead of the right time, written with its sign.
    pub fn set(&self, ahead_s: &str) {
        // Put in its place whole: whoever reads it meanwhile reads either.
        let new = self.file.with_extension("new");
        std::fs::write(&new, ahead_s).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// What a daemon needs to see it.
    pub fn environment(&self) -> [(&'static str, &Path); 4] {
        [
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_NO_CACHE", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
    }
}
