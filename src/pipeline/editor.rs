//! The thread that edits the configuration file for clients, so that a slow disk delays neither the pipeline nor the publishing
//! stage.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use crate::config::edit::{Assignment, EditError, Original};
use crate::limits;
use crate::model::Labels;

/// How many edits may wait while one is being made.
const WAITING: usize = 256;

/// An edit of the configuration file, with the channel for its answer.
#[derive(Debug)]
pub struct Edit {
    /// The file, which must exist.
    pub path: PathBuf,
    /// The numbers to set.
    pub assignments: Vec<Assignment>,
    /// The labels of the model.
    pub labels: Labels,
    /// Takes nothing once the file is written, or the sentence that says why it is not.
    pub reply: oneshot::Sender<Result<(), String>>,
}

/// Makes edits one after another, so that no two find each other's change in the file. The thread starts with the first edit.
#[derive(Debug, Default)]
pub struct Editor {
    running: Option<(Sender<Edit>, JoinHandle<()>)>,
}

impl Editor {
    /// Has an edit made and answered. It is refused at once where too many others wait.
    pub fn edit(&mut self, edit: Edit) {
        let edits = match self.edits() {
            Ok(edits) => edits,
            Err(error) => return refuse(edit, format!("no thread could be started: {}", limits::explain(&error))),
        };
        if let Err(TrySendError::Full(edit) | TrySendError::Disconnected(edit)) = edits.try_send(edit) {
            refuse(edit, "too many changes of the configuration file wait for the disk; try again".to_owned());
        }
    }

    fn edits(&mut self) -> std::io::Result<&Sender<Edit>> {
        let (edits, _) = match self.running.take() {
            Some(running) => self.running.insert(running),
            None => {
                let (edits, to_make) = bounded(WAITING);
                let thread = std::thread::Builder::new().name("editor".to_owned()).spawn(move || make_all(&to_make))?;
                self.running.insert((edits, thread))
            }
        };
        Ok(edits)
    }

    /// Waits until every edit is made, but not beyond the deadline.
    pub fn finish(self, deadline: Instant) {
        let Some((edits, thread)) = self.running else { return };
        drop(edits);
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn make_all(edits: &Receiver<Edit>) {
    while let Ok(Edit { path, assignments, labels, reply }) = edits.recv() {
        let _ = reply.send(make(&path, &assignments, &labels));
    }
}

fn make(path: &Path, assignments: &[Assignment], labels: &Labels) -> Result<(), String> {
    let plan = Original::read(path).and_then(|original| original.plan(assignments, labels));
    plan.and_then(|plan| plan.write()).map_err(|error| match error {
        EditError::Unwritable { .. } | EditError::ReadOnly(_) => format!(
            "the daemon's user may not write {} ({error}); write them there yourself, or let `mimid top w` do it",
            path.display()
        ),
        other => other.to_string(),
    })
}

fn refuse(edit: Edit, sentence: String) {
    // A client that has gone misses no answer.
    let _ = edit.reply.send(Err(sentence));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::Key;

    #[test]
    fn edits_are_made_one_after_another_and_all_of_them_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "# mine\n[report]\npreset = \"all\"\n").unwrap();
        let names: Vec<String> = (0..WAITING).map(|index| format!("Label {index}")).collect();
        let labels = Labels::new(names.iter().map(|name| (format!("/x/{name}"), name.clone())), Vec::new());
        let mut editor = Editor::default();
        let answers: Vec<_> = names
            .iter()
            .map(|name| {
                let (reply, answer) = oneshot::channel();
                let assignments = vec![Assignment::Label { label: name.clone(), key: Key::Threshold, value: 0.5 }];
                editor.edit(Edit { path: path.clone(), assignments, labels: labels.clone(), reply });
                answer
            })
            .collect();
        editor.finish(Instant::now() + Duration::from_secs(60));
        for answer in answers {
            assert_eq!(answer.blocking_recv().unwrap(), Ok(()));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\n") && names.iter().all(|name| text.contains(&format!("[labels.{name:?}]"))), "{text}");
    }

    #[test]
    fn a_file_that_is_gone_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone.toml");
        let (reply, answer) = oneshot::channel();
        let mut editor = Editor::default();
        editor.edit(Edit { path: path.clone(), assignments: Vec::new(), labels: Labels::default(), reply });
        let told = answer.blocking_recv().unwrap().unwrap_err();
        assert!(told.starts_with(&format!("{}: there is no such", path.display())) && !path.exists(), "{told}");
    }
}
