//! A plan to edit the configuration file: made of assignments, validated, shown as a diff, then written in one step.

use std::io;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::replace::replace;
use super::{AssignError, Assignment, assign};
use crate::config::load::{self, Unreadable, find, user_file};
use crate::config::{Config, Faults, Raw};
use crate::model::Labels;

/// Why the configuration file was not edited. The file is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read.
    #[error("{}: {message}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason, as a sentence.
        message: String,
        /// Whether there is no such file.
        is_missing: bool,
    },
    /// The assignments do not fit the text of the file.
    #[error("{}: {error}", path.display())]
    Assign {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: AssignError,
    },
    /// The file would not be a valid configuration with the assignments.
    #[error("the configuration would not be valid: {}", .0.sentences().join("; "))]
    Invalid(Faults),
    /// The file is not what it was when the plan was made.
    #[error("{} was changed by somebody else meanwhile; try again", .0.display())]
    Changed(PathBuf),
    /// The file may not be written.
    #[error("{} is read-only; make it writable, or edit another file with --config", .0.display())]
    ReadOnly(PathBuf),
    /// The new text could not be put in place.
    #[error("{} cannot be written ({error}); it is as it was", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// There is no configuration file, and no folder where one would belong.
    #[error("there is no configuration file and no home folder to make one in; name one with --config")]
    NoHome,
}

/// A configuration file as it is before an edit. The default is an empty text that belongs to no file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Original {
    path: PathBuf,
    text: String,
}

impl Original {
    /// Reads the file that an edit goes to: `explicit`, else the one that [`crate::config::load()`] would find, else the user's
    /// own. A file that does not exist counts as empty, and [`Plan::write`] creates it.
    ///
    /// # Errors
    /// [`EditError::NoHome`] and [`EditError::Unreadable`].
    pub fn open(explicit: Option<&Path>) -> Result<Self, EditError> {
        let path = explicit.map(PathBuf::from).or_else(find).or_else(user_file).ok_or(EditError::NoHome)?;
        match Self::read(&path) {
            Err(EditError::Unreadable { is_missing: true, .. }) => Ok(Self { path, text: String::new() }),
            original => original,
        }
    }

    /// Reads a file that must exist.
    ///
    /// # Errors
    /// [`EditError::Unreadable`].
    pub fn read(path: &Path) -> Result<Self, EditError> {
        match load::text(path) {
            Ok((_, text)) => Ok(Self { path: path.to_owned(), text }),
            Err(Unreadable { message, is_missing }) => Err(EditError::Unreadable { path: path.to_owned(), message, is_missing }),
        }
    }

    /// The parsed text.
    pub fn raw(&self) -> Raw {
        Raw::parse(&self.text, Some(&self.path))
    }

    /// A plan to make the assignments in this file.
    ///
    /// # Errors
    /// [`EditError::Assign`] and [`EditError::Invalid`].
    pub fn plan(&self, assignments: &[Assignment], labels: &Labels) -> Result<Plan, EditError> {
        let path = &self.path;
        let text = assign(&self.text, assignments, labels).map_err(|error| EditError::Assign { path: path.clone(), error })?;
        let validated = Raw::parse(&text, Some(path)).validate(labels).map_err(EditError::Invalid)?;
        Ok(Plan { original: self.clone(), text, config: validated.config })
    }
}

/// An edit of the configuration file that leaves it valid, and is not written yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    original: Original,
    text: String,
    config: Config,
}

impl Plan {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.original.path
    }

    /// The configuration that the file will hold.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether nothing changes: the file holds every assigned number already.
    pub fn is_empty(&self) -> bool {
        self.text == self.original.text
    }

    /// The change as a unified diff for people, with the file's path in its header; empty where nothing changes.
    pub fn diff(&self) -> String {
        let name = self.path().display().to_string();
        TextDiff::from_lines(&self.original.text, &self.text).unified_diff().header(&name, &name).to_string()
    }

    /// Writes the file in one step; does nothing where nothing changes.
    ///
    /// # Errors
    /// [`EditError::Changed`], [`EditError::ReadOnly`] and [`EditError::Unwritable`].
    pub fn write(&self) -> Result<(), EditError> {
        if self.is_empty() { Ok(()) } else { replace(self.path(), &self.original.text, &self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::Key;

    fn labels() -> Labels {
        Labels::new(["Dog", "Cat"].map(|name| (format!("/x/{name}"), name.to_owned())), Vec::new())
    }

    fn dog(key: Key, value: f64) -> [Assignment; 1] {
        [Assignment::Label { label: "Dog".to_owned(), key, value }]
    }

    /// A folder with a configuration file that holds `text`, and its path.
    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_plan_shows_its_diff_and_is_written_as_shown() {
        let (_folder, path) = file("[report]\nlabels = [\"Dog\"]\n");
        let plan = Original::open(Some(&path)).unwrap().plan(&dog(Key::Threshold, 0.4), &labels()).unwrap();
        assert_eq!((plan.path(), plan.config().rules[0].gate.threshold), (&*path, 0.4));
        insta::assert_snapshot!(plan.diff().replace(&path.display().to_string(), "c.toml"), @r#"
        --- c.toml
        +++ c.toml
        @@ -1,2 +1,5 @@
         [report]
         labels = ["Dog"]
        +
        +[labels."Dog"]
        +threshold = 0.4
        "#);
        plan.write().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("[labels.\"Dog\"]\nthreshold = 0.4\n"));
        let again = Original::open(Some(&path)).unwrap().plan(&dog(Key::Threshold, 0.4), &labels()).unwrap();
        assert_eq!((again.is_empty(), again.diff().as_str()), (true, ""));
        // A plan that changes nothing does not touch the file, or a daemon that watches it would load it again.
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        again.write().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
    }

    #[test]
    fn a_text_that_would_not_be_valid_makes_no_plan() {
        let (_folder, path) = file("[labels.Dog]\nthreshold = 0.3\n\n[log]\nlevel = 'loud'\n");
        let told = |assignments: &[Assignment]| {
            let error = Original::open(Some(&path)).unwrap().plan(assignments, &labels()).unwrap_err();
            error.to_string().replace(&path.display().to_string(), "c.toml")
        };
        insta::assert_snapshot!(told(&dog(Key::Release, 0.5)), @r#"the configuration would not be valid: c.toml:3: labels."Dog".release: the release 0.5 is above the threshold 0.3; it must be at most as high; c.toml:6: log.level: "loud" is not one of error, warn, info, debug, trace"#);
        insta::assert_snapshot!(told(&dog(Key::Release, 1.5)), @"c.toml: 1.5 is out of range; it must be from 0 to 1");
    }

    #[test]
    fn a_file_that_changes_after_the_plan_was_made_is_not_written() {
        let (_folder, path) = file("");
        let plan = Original::open(Some(&path)).unwrap().plan(&dog(Key::Threshold, 0.4), &labels()).unwrap();
        std::fs::write(&path, "# mine\n").unwrap();
        assert!(matches!(plan.write(), Err(EditError::Changed(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\n");
    }

    #[test]
    fn a_file_that_does_not_exist_is_empty_or_an_error_as_asked() {
        let (folder, _) = file("");
        let path = folder.path().join("other/config.toml");
        Original::open(Some(&path)).unwrap().plan(&dog(Key::Threshold, 0.4), &labels()).unwrap().write().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[labels.\"Dog\"]\nthreshold = 0.4\n");
        let gone = folder.path().join("gone.toml");
        let told = Original::read(&gone).unwrap_err().to_string();
        assert_eq!(told, format!("{}: there is no such configuration file", gone.display()));
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let told = Original::read(&pipe).unwrap_err().to_string();
        assert!(told.ends_with("this is a pipe or a socket, which cannot be read again; name a file"), "{told}");
        assert!(Original::read(Path::new("/dev/zero")).unwrap_err().to_string().contains("no configuration"));
        assert!(matches!(Original::open(Some(folder.path())), Err(EditError::Unreadable { .. })));
    }
}
