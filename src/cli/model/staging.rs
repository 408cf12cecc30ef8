//! A folder that is put in place in one step: it is written beside its place and renamed, or it leaves nothing behind.

use std::path::{Path, PathBuf};

use crate::cli::{Failure, exit};

/// A folder that is being written.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    place: PathBuf,
}

impl Staging {
    /// A folder that will be at `place`, where there is none yet.
    pub fn new(place: &Path) -> Result<Self, Failure> {
        let place = std::path::absolute(place).map_err(|error| unwritable(place, &error))?;
        refuse_occupied(&place)?;
        let (Some(home), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(Failure::new(format!("{} is no name for a model's folder", place.display()), exit::USAGE));
        };
        std::fs::create_dir_all(home).map_err(|error| unwritable(home, &error))?;
        let folder = home.join(format!(".{}.{}.new", name.to_string_lossy(), std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| unwritable(&folder, &error))?;
        Ok(Self { folder, place })
    }

    /// The folder as it is now.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file of the folder.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let written = std::fs::File::create(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, bytes)?;
            file.sync_all()
        });
        written.map_err(|error| unwritable(&path, &error))
    }

    /// Puts the folder in its place.
    pub fn put(self) -> Result<PathBuf, Failure> {
        refuse_occupied(&self.place)?;
        std::fs::rename(&self.folder, &self.place).map_err(|error| unwritable(&self.place, &error))?;
        Ok(self.place.clone())
    }
}

impl Drop for Staging {
    /// Removes what was not put in place. A failure does no harm: nobody looks for a model under this name.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An empty folder is as good as none.
fn refuse_occupied(place: &Path) -> Result<(), Failure> {
    let is_empty = || place.is_dir() && place.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    if place.symlink_metadata().is_err() || is_empty() {
        return Ok(());
    }
    let what = if place.join("manifest.toml").exists() { "a model there already" } else { "something else there already" };
    let message = format!("{} cannot be written: there is {what}; choose another --name or --to", place.display());
    Err(Failure::new(message, exit::USAGE))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written ({error})", path.display()), exit::FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("models/one");
        let staging = Staging::new(&place).unwrap();
        staging.write("a", b"x").unwrap();
        assert!(!place.exists());
        drop(staging);
        assert_eq!(home.path().join("models").read_dir().unwrap().count(), 0);
        let staging = Staging::new(&place).unwrap();
        staging.write("a", b"x").unwrap();
        assert_eq!(staging.put().unwrap(), place);
        assert_eq!(std::fs::read(place.join("a")).unwrap(), b"x");
        assert_eq!(home.path().join("models").read_dir().unwrap().count(), 1);
        let told = Staging::new(&place).unwrap_err();
        assert!(told.message.contains("something else there already") && told.exit_code == exit::USAGE, "{told:?}");
        std::fs::create_dir(home.path().join("empty")).unwrap();
        assert!(Staging::new(&home.path().join("empty")).unwrap().put().is_ok());
    }
}
