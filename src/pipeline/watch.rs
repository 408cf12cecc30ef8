//! The watch: whether the configuration file has changed since it was read, by its stamps.
//!
//! The watch touches no file and reads no clock; the caller takes the stamps. A file that is being written has another stamp each
//! time, so a change counts once it was seen twice. A file that is missing for a moment, because an editor replaces it, has not
//! changed.

use crate::config::stamp::Stamp;

/// The stamps of the file.
#[derive(Debug, Default)]
pub struct Watch {
    /// The stamp when the file was last read.
    read: Option<Stamp>,
    /// The stamp at the last check, if it was another.
    seen: Option<Stamp>,
}

impl Watch {
    /// A watch over a file that was read with this stamp.
    pub fn new(read: Option<Stamp>) -> Self {
        Self { read, seen: None }
    }

    /// Records that the file is about to be read.
    pub fn read(&mut self, now: Option<Stamp>) {
        (self.read, self.seen) = (now, None);
    }

    /// Whether the file has changed and is no longer being written; it then counts as read.
    pub fn is_changed(&mut self, now: Option<Stamp>) -> bool {
        let changed = now.filter(|now| Some(*now) != self.read);
        let is_at_rest = changed.is_some() && changed == self.seen;
        self.seen = changed;
        if is_at_rest {
            self.read(now);
        }
        is_at_rest
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    /// How many of so many looks say that the file has changed.
    fn changes(watch: &mut Watch, path: &Path, looks: usize) -> usize {
        (0..looks).filter(|_| watch.is_changed(Stamp::of(path))).count()
    }

    /// Writes until the file system's clock, which ticks a hundred times a second or so, has moved on.
    fn tick() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = || {
            std::fs::write(file.path(), "tick").unwrap();
            std::fs::metadata(file.path()).unwrap().modified().unwrap()
        };
        let before = written();
        while written() == before {}
    }

    #[test]
    fn whatever_way_a_file_is_changed_it_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link, other) = (folder.path().join("a.toml"), folder.path().join("link"), folder.path().join("b.toml"));
        std::fs::write(&path, "one").unwrap();
        std::fs::write(&other, "one").unwrap();
        symlink(&path, &link).unwrap();
        let mut watch = Watch::new(Stamp::of(&link));
        assert_eq!(changes(&mut watch, &link, 5), 0);
        let ways: [(&str, &dyn Fn()); 6] = [
            ("written over with as many bytes", &|| std::fs::write(&path, "two").unwrap()),
            ("replaced by another file", &|| {
                let new = folder.path().join("new");
                std::fs::write(&new, "two").unwrap();
                std::fs::rename(&new, &path).unwrap();
            }),
            ("taken away and made anew", &|| {
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, "two").unwrap();
            }),
            ("made readable", &|| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap()),
            ("written with its old time", &|| {
                let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
                std::fs::write(&path, "six").unwrap();
                std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            }),
            ("linked to another file", &|| {
                std::fs::remove_file(&link).unwrap();
                symlink(&other, &link).unwrap();
            }),
        ];
        for (way, change) in ways {
            tick();
            change();
            assert_eq!(changes(&mut watch, &link, 5), 1, "{way}");
        }
    }

    #[test]
    fn a_file_that_is_being_written_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "").unwrap();
        let mut watch = Watch::new(Stamp::of(&path));
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        for _ in 0..5 {
            file.write_all(b"x = 1\n").unwrap();
            assert_eq!(changes(&mut watch, &path, 1), 0);
        }
        assert_eq!(changes(&mut watch, &path, 5), 1);
    }

    #[test]
    fn a_file_that_is_gone_for_a_while_and_comes_back_as_it_was_has_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "x = 1").unwrap();
        let stamp = Stamp::of(&path);
        let mut watch = Watch::new(stamp);
        assert!((0..5).all(|_| !watch.is_changed(None)));
        assert!((0..5).all(|_| !watch.is_changed(stamp)));
        // Nor does a look at nothing between two looks at a change make the two one.
        tick();
        std::fs::write(&path, "x = 2").unwrap();
        let changed = Stamp::of(&path);
        assert_eq!(
            [changed, None, changed, changed, changed].map(|now| watch.is_changed(now)),
            [false, false, false, true, false]
        );
    }

    #[test]
    fn what_was_read_for_another_reason_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        let mut watch = Watch::new(None);
        std::fs::write(&path, "x = 1").unwrap();
        assert_eq!(changes(&mut watch, &path, 1), 0);
        watch.read(Stamp::of(&path));
        assert_eq!(changes(&mut watch, &path, 5), 0);
    }
}
