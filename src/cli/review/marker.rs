//! The way of a mark into the store: the daemon writes it, and where none runs, or its store is another file, this program does.

use std::path::PathBuf;

use super::Said;
use crate::cli::client::{ClientError, Daemon};
use crate::cli::history::explained;
use crate::cli::{Failure, exit};
use crate::model::Labels;
use crate::publish::store::db::DbError;
use crate::publish::store::marks::{self, Mark, Unmarked};
use crate::publish::wire::{Body, MarkKind, Request};

/// Marks events.
pub struct Marker {
    socket: Option<PathBuf>,
    path: PathBuf,
}

impl Marker {
    /// The way to the daemon at a socket, and to a store's file.
    pub fn new(socket: Option<PathBuf>, path: PathBuf) -> Self {
        Self { socket, path }
    }

    /// Marks the event of this id.
    pub fn mark(&mut self, id: &str, said: &Said, labels: &Labels) -> Result<(), Failure> {
        if !self.through_daemon(id, said)? {
            return self.in_file(id, said, labels);
        }
        Ok(())
    }

    /// Has the daemon mark it. Returns whether it did: none may run, or it may have another store.
    fn through_daemon(&self, id: &str, said: &Said) -> Result<bool, Failure> {
        let mut daemon = match Daemon::connect(self.socket.as_deref()) {
            Ok(daemon) => daemon,
            Err(ClientError::NoPlace | ClientError::NoDaemon { .. }) if self.socket.is_none() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        daemon.ask(&Request::Mark { id: id.to_owned(), mark: said.kind, label: said.label.clone() })?;
        loop {
            match daemon.read()?.ok_or(ClientError::Closed)?.0.body {
                Body::Done { op, .. } if op == "mark" => return Ok(true),
                Body::Error { code, .. } if matches!(&*code, "unknown_name" | "no_store") => return Ok(false),
                Body::Error { message, .. } => return Err(ClientError::Refused(message).into()),
                _ => {}
            }
        }
    }

    fn in_file(&self, id: &str, said: &Said, labels: &Labels) -> Result<(), Failure> {
        let failed = |unmarked: Unmarked| match unmarked {
            Unmarked::Db(error) => self.unwritten(&error),
            Unmarked::NoEvent => Failure::new(format_args!("{} has no event {id:?}", self.path.display()), exit::FAILED),
            other => Failure::new(other, exit::FAILED),
        };
        let mark = match (said.kind, said.label.as_deref().and_then(|name| labels.find(name))) {
            (MarkKind::Right, _) => Some(Mark::Right),
            (MarkKind::Wrong, _) => Some(Mark::Wrong),
            (MarkKind::Other, Some(label)) => Some(Mark::Other(labels.subjects()[label].clone())),
            (MarkKind::Other | MarkKind::None, _) => None,
        };
        let id = id.parse().map_err(|_| failed(Unmarked::NoEvent))?;
        marks::set_in_file(&self.path, id, mark.as_ref()).map_err(failed)
    }

    fn unwritten(&self, error: &DbError) -> Failure {
        Failure::new(explained(&self.path, error), exit::FAILED)
    }
}
