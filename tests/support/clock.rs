//! A wall clock of the tests' own.

use std::path::{Path, PathBuf};

/// A wall clock for a daemon, set by the test. The monotonic clock is not changed.
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl WallClock {
    /// A clock that shows the right time.
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

    /// Sets the clock ahead of the right time by a number of seconds, written with its sign.
    pub fn set(&self, ahead_s: &str) {
        // Put in its place whole: whoever reads it meanwhile reads either.
        let new = self.file.with_extension("new");
        std::fs::write(&new, ahead_s).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// The environment variables by which a daemon sees the clock.
    pub fn environment(&self) -> [(&'static str, &Path); 4] {
        [
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_NO_CACHE", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
    }
}
