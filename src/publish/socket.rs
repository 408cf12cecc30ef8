//! The socket's place: where it is, binding it safely, and taking it away again.
//!
//! A socket that nobody serves any more is taken over; one that a living daemon serves is not. A lock beside the socket decides
//! between two daemons that start at once.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::access::{Access, find_group};
use crate::config::SocketConfig;

/// The longest path that the system takes, in bytes.
const MAX_PATH: usize = 107;

/// Why there is no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Nothing says where it could be.
    #[error("there is no place for the socket: set path under [socket], or XDG_RUNTIME_DIR")]
    NoPlace,
    /// The system takes no path of this length.
    #[error("the socket's path {} is {actual} bytes long, but the system takes {MAX_PATH} at most; set a shorter path under [socket]", .path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        actual: usize,
    },
    /// The folder is not there.
    #[error("the folder {} for the socket does not exist; make it, or set another path under [socket]", .folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// This user may not make it there.
    #[error("this user may not make the socket {}; set another path under [socket], or run as a user who may", .path.display())]
    Permission {
        /// The path.
        path: PathBuf,
    },
    /// A living daemon serves it.
    #[error("the socket {} is in use by another mimid; stop that one, or set another path under [socket]", .path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// There is something else at its path.
    #[error("{} is there already and is not a socket; move it away, or set another path under [socket]", .path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The configured group is not there.
    #[error("there is no group {group:?}; correct group under [socket]")]
    NoGroup {
        /// The group's name.
        group: String,
    },
    /// The system refused.
    #[error("the socket {} cannot be made: {what}", .path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// What the system said.
        what: String,
    },
}

impl BindError {
    /// The exit code of a daemon that ends for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            BindError::InUse { .. } => 5,
            BindError::NoPlace | BindError::TooLong { .. } | BindError::NoGroup { .. } => 2,
            _ => 1,
        }
    }
}

/// Where the socket is where the configuration does not say: `$RUNTIME_DIRECTORY/mimid.sock` under systemd, else
/// `$XDG_RUNTIME_DIR/mimid/mimid.sock`, else the same in `/run/user/UID`, or in `/run` for root.
pub fn default_path() -> Result<PathBuf, BindError> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folders) = folder("RUNTIME_DIRECTORY") {
        // systemd gives several folders separated by colons; the first is ours.
        let first = folders.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
        return Ok(Path::new(std::ffi::OsStr::from_bytes(first)).join("mimid.sock"));
    }
    let uid = nix::unistd::Uid::effective();
    let session = || Some(PathBuf::from(format!("/run/user/{uid}"))).filter(|folder| folder.is_dir());
    let root = || uid.is_root().then(|| PathBuf::from("/run"));
    let home = folder("XDG_RUNTIME_DIR").map(PathBuf::from).or_else(session).or_else(root);
    home.map(|folder| folder.join("mimid/mimid.sock")).ok_or(BindError::NoPlace)
}

/// A bound socket. Dropping it takes it away.
#[derive(Debug)]
pub struct Bound {
    /// Where it listens; taken by the server.
    pub listener: UnixListener,
    /// Its path.
    pub path: PathBuf,
    /// Who may change the daemon.
    pub access: Access,
    inode: (u64, u64),
    _lock: Flock<File>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Somebody may have taken the path meanwhile; theirs stays.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = std::fs::remove_file(lock_path(&self.path));
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Binds the socket that `config` asks for.
pub fn bind(config: &SocketConfig) -> Result<Bound, BindError> {
    let path = match &config.path {
        Some(path) => path.clone(),
        None => default_path()?,
    };
    let actual = path.as_os_str().len();
    // The socket is bound under a name that is one byte longer, and renamed.
    if actual >= MAX_PATH {
        return Err(BindError::TooLong { path, actual });
    }
    let group = config
        .group
        .as_ref()
        .map(|group| find_group(group).ok_or_else(|| BindError::NoGroup { group: group.clone() }))
        .transpose()?;
    make_folder(config, &path)?;
    let lock = lock(&path)?;
    clear(&path)?;
    let refused = |error: io::Error| refusal(&path, &error);
    // Bound under another name, the socket has its mode and group before anybody can find it.
    let mut hidden = path.as_os_str().to_owned();
    hidden.push("~");
    let hidden = PathBuf::from(hidden);
    let _ = std::fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(refused)?;
    let finish = || {
        chown(&hidden, None, group.map(|group| group.as_raw()))?;
        std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(config.mode))?;
        std::fs::rename(&hidden, &path)?;
        listener.set_nonblocking(true)?;
        std::fs::symlink_metadata(&path)
    };
    let metadata = finish().map_err(|error| {
        let _ = std::fs::remove_file(&hidden);
        refused(error)
    })?;
    Ok(Bound { listener, access: Access::new(group), inode: (metadata.dev(), metadata.ino()), path, _lock: lock })
}

/// The folder of the default place is ours to make; any other must be there.
fn make_folder(config: &SocketConfig, path: &Path) -> Result<(), BindError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() {
        return Ok(());
    }
    if config.path.is_some() || !folder.parent().is_some_and(Path::is_dir) {
        return Err(BindError::NoFolder { folder: folder.into() });
    }
    std::fs::DirBuilder::new().mode(0o755).create(folder).map_err(|error| refusal(path, &error))
}

fn lock(path: &Path) -> Result<Flock<File>, BindError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(lock_path(path))
        .map_err(|error| refusal(path, &error))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(BindError::InUse { path: path.into() }),
        Err((_, error)) => Err(BindError::Refused { path: path.into(), what: error.to_string() }),
    }
}

/// Takes a stale socket away; refuses to touch anything else.
fn clear(path: &Path) -> Result<(), BindError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.into() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.into() }),
        Err(_) => std::fs::remove_file(path).map_err(|error| refusal(path, &error)),
    }
}

fn refusal(path: &Path, error: &io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => BindError::Permission { path: path.into() },
        _ => BindError::Refused { path: path.into(), what: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path) -> SocketConfig {
        SocketConfig { path: Some(path.into()), mode: 0o640, group: None }
    }

    #[test]
    fn a_socket_has_its_mode_and_is_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bound = bind(&config(&path)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        drop(bound);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_stale_socket_is_taken_over_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let bound = bind(&config(&path)).unwrap();
        let error = bind(&config(&path)).unwrap_err();
        assert_eq!((error.clone(), error.exit_code()), (BindError::InUse { path: path.clone() }, 5));
        drop(bound);
        let other = UnixListener::bind(&path).unwrap();
        assert_eq!(bind(&config(&path)).unwrap_err(), BindError::InUse { path: path.clone() });
        drop(other);
    }

    #[test]
    fn what_is_no_socket_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&config(&path)).unwrap_err(), BindError::NotASocket { path: path.clone() });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn paths_that_cannot_be_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(200));
        assert!(matches!(bind(&config(&long)), Err(BindError::TooLong { actual, .. }) if actual > 200));
        let missing = folder.path().join("a/b");
        assert_eq!(bind(&config(&missing)).unwrap_err(), BindError::NoFolder { folder: folder.path().join("a") });
        let group = SocketConfig { group: Some("no-such-group".into()), ..config(&folder.path().join("s")) };
        assert_eq!(bind(&group).unwrap_err(), BindError::NoGroup { group: "no-such-group".into() });
    }
}
