//! The reasons why there is no socket, each as a sentence with its remedy.

use std::io;
use std::path::{Path, PathBuf};

/// The longest path that the system takes, in bytes.
pub(super) const MAX_PATH: usize = 107;

/// The reason why there is no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Neither the configuration nor the environment gives a path.
    #[error("there is no place for the socket: set path under [socket], or XDG_RUNTIME_DIR")]
    NoPlace,
    /// The path is too long for the system.
    #[error("the socket's path {} is {actual} bytes long, but the system takes {MAX_PATH} at most; set a shorter path under [socket]", .path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        actual: usize,
    },
    /// The folder does not exist.
    #[error("the folder {} for the socket does not exist; make it, or set another path under [socket]", .folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// This user may not make the socket there.
    #[error("this user may not make the socket {}; set another path under [socket], or run as a user who may", .path.display())]
    Permission {
        /// The path.
        path: PathBuf,
    },
    /// Another daemon serves the socket.
    #[error("the socket {} is in use by another mimid; stop that one, or set another path under [socket]", .path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something other than a socket is at the path.
    #[error("{} is there already and is not a socket; move it away, or set another path under [socket]", .path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Something other than a lock is at the lock's path.
    #[error("{} is there already and is not the socket's lock; move it away, or set another path under [socket]", .path.display())]
    NotALock {
        /// The lock's path.
        path: PathBuf,
    },
    /// The configured group does not exist.
    #[error("there is no group {group:?}; correct group under [socket]")]
    NoGroup {
        /// The group's name.
        group: String,
    },
    /// This user may not give the socket to the configured group.
    #[error("this user may not give the socket to the group {group:?}; run as a member of it, or correct group under [socket]")]
    NotAMember {
        /// The group's name.
        group: String,
    },
    /// The service manager handed over something other than one listening Unix stream socket with a path.
    #[error(
        "the service manager handed {what} over, but mimid serves one listening Unix stream socket; mend the socket unit: one ListenStream= with a path"
    )]
    Handed {
        /// The thing that it handed over.
        what: String,
    },
    /// The system returned another error.
    #[error("the socket {} cannot be made: {what}", .path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// The system's error.
        what: String,
    },
}

impl BindError {
    /// The exit code of a daemon that ends for this reason.
    pub fn exit_code(&self) -> u8 {
        match self {
            BindError::InUse { .. } => 5,
            BindError::NoPlace
            | BindError::TooLong { .. }
            | BindError::NoGroup { .. }
            | BindError::NotAMember { .. }
            | BindError::Handed { .. } => 2,
            _ => 1,
        }
    }
}

/// The error of the system at `path`, as a `BindError`.
pub(super) fn refusal(path: &Path, error: &io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => BindError::Permission { path: path.into() },
        _ => BindError::Refused { path: path.into(), what: error.to_string() },
    }
}
