//! Atomic replacement of a file: an interruption at any moment leaves either the old file or the new one, whole.
//!
//! The new text is written to a file beside the old one, which is then renamed over it in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::EditError;

/// Replaces the text `old` of a file by `new`. A symbolic link is kept, and the file that it names is replaced. The new file has
/// the permissions of the old one, and its owner if this user may give a file away. If `old` is empty, a file that does not exist
/// is created with its folder.
///
/// # Errors
/// The file no longer holds `old`, is read-only, or cannot be written; it is then as it was.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> Result<(), EditError> {
    replace_by(path, old, |file| file.write_all(new.as_bytes()))
}

/// Does the work of [`replace`]; `write` writes the new text.
fn replace_by(path: &Path, old: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), EditError> {
    let unwritable = |error: io::Error| EditError::Unwritable { path: path.to_owned(), error };
    let held = match fs::read(path) {
        Ok(held) => Some(held),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unwritable(error)),
    };
    if held.as_deref().unwrap_or_default() != old.as_bytes() {
        return Err(EditError::Changed(path.to_owned()));
    }
    let target = followed(path);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if held.is_none() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    } else if fs::metadata(&target).map_err(unwritable)?.permissions().readonly() {
        // The owner of the folder could replace it all the same, but a file is made read-only so that nobody does.
        return Err(EditError::ReadOnly(path.to_owned()));
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}.new", std::process::id()));
    let put = || {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(if held.is_none() { 0o666 } else { 0o600 }).open(&beside)?;
        write(&mut file)?;
        if held.is_some() {
            give(&file, &fs::metadata(&target)?)?;
        }
        file.sync_all()?;
        fs::rename(&beside, &target)
    };
    put().map_err(|error| {
        // A half-written file is of no use.
        let _ = fs::remove_file(&beside);
        unwritable(error)
    })?;
    // The file is replaced. If the folder cannot be flushed, a power cut may bring the old file back, whole.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Gives the new file the owner and the permissions of the old one. The owner comes first, because a change of the owner may
/// remove permissions.
fn give(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let _ = fchown(file, Some(old.uid()), Some(old.gid()));
    file.set_permissions(old.permissions())
}

/// The file that a symbolic link names, whether it exists or not. The path was read before, so its links are not circular.
fn followed(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    while let Ok(link) = fs::read_link(&target) {
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    target
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The names of what is in a folder.
    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_new_file_has_the_old_ones_permissions_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.toml"), folder.path().join("mimid.toml"));
        fs::write(&file, "a = 1\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        replace(&link, "a = 1\n", "a = 2\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "a = 2\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_file_that_is_not_there_is_made_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mimid/config.toml");
        replace(&path, "", "a = 1\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink("mimid/other.toml", &link).unwrap();
        replace(&link, "", "b = 1\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("mimid/other.toml")).unwrap(), "b = 1\n");
    }

    #[test]
    fn what_somebody_else_wrote_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, "a = 3\n").unwrap();
        let told = replace(&path, "a = 1\n", "a = 2\n").unwrap_err().to_string();
        assert_eq!(told, format!("{} was changed by somebody else meanwhile; try again", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 3\n");
        assert!(matches!(replace(&folder.path().join("gone.toml"), "a = 1\n", ""), Err(EditError::Changed(_))));
        assert_eq!(names(folder.path()), ["c.toml"]);
    }

    #[test]
    fn a_write_that_breaks_off_leaves_the_old_file_whole_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, "a = 1\n").unwrap();
        let full = |file: &mut File| {
            file.write_all(b"a =")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let told = replace_by(&path, "a = 1\n", full).unwrap_err().to_string();
        assert_eq!(told, format!("{} cannot be written (no storage space); it is as it was", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
        assert_eq!(names(folder.path()), ["c.toml"]);
    }

    #[test]
    fn a_read_only_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, "a = 1\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        let told = replace(&path, "a = 1\n", "a = 2\n").unwrap_err().to_string();
        assert_eq!(told, format!("{} is read-only; make it writable, or edit another file with --config", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
        assert_eq!(names(folder.path()), ["c.toml"]);
    }

    #[test]
    fn a_folder_that_takes_no_files_brings_one_sentence() {
        // Nobody, not even root, may make a file or a folder in /proc.
        for path in ["/proc/mimid.toml", "/proc/mimid/config.toml"] {
            let told = replace(Path::new(path), "", "a = 1\n").unwrap_err().to_string();
            assert!(told.starts_with(&format!("{path} cannot be written (")), "{told}");
            assert!(told.ends_with("; it is as it was") && !told.contains('\n'), "{told}");
        }
        // A file where a folder is needed.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let told = replace(&folder.path().join("a/c.toml"), "", "a = 1\n").unwrap_err().to_string();
        assert!(told.contains(" cannot be written ("), "{told}");
    }

    #[test]
    fn a_folder_without_write_permission_leaves_the_file_whole() {
        // Root may write anywhere, so that only other users can try it.
        if nix::unistd::Uid::effective().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, "a = 1\n").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        let told = replace(&path, "a = 1\n", "a = 2\n").unwrap_err().to_string();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(told.contains(" cannot be written ("), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
        assert_eq!(names(folder.path()), ["c.toml"]);
    }
}
