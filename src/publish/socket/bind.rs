//! Finds the socket's path, binds the socket or takes over the service manager's, and removes the file at the end.
//!
//! The path of a socket that no daemon serves any more is reused; a socket that a daemon serves is left alone. A lock beside the
//! socket, `PATH.lock`, decides between two daemons that start at once. The system releases it however a daemon ends.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::{Gid, Uid};

use super::activation;
use super::error::{BindError, MAX_PATH, refusal};
use crate::publish::access::{Access, find_group};
use crate::publish::settings::SocketConfig;

/// The socket's path where the configuration names none: `$RUNTIME_DIRECTORY/mimid.sock` under systemd, else
/// `$XDG_RUNTIME_DIR/mimid/mimid.sock`, else `mimid/mimid.sock` in `/run/user/UID`, or in `/run` for root.
pub fn default_path() -> Result<PathBuf, BindError> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folders) = folder("RUNTIME_DIRECTORY") {
        // systemd may name several folders, separated by colons. The first one is for the socket.
        let first = folders.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
        return Ok(Path::new(std::ffi::OsStr::from_bytes(first)).join("mimid.sock"));
    }
    let uid = Uid::effective();
    let session = || Some(PathBuf::from(format!("/run/user/{uid}"))).filter(|folder| folder.is_dir());
    let root = || uid.is_root().then(|| PathBuf::from("/run"));
    let home = folder("XDG_RUNTIME_DIR").map(PathBuf::from).or_else(session).or_else(root);
    home.map(|folder| folder.join("mimid/mimid.sock")).ok_or(BindError::NoPlace)
}

/// A listening socket. Dropping it removes the socket's file, unless the socket is the service manager's.
#[derive(Debug)]
pub struct Bound {
    /// The listener, which the server uses.
    pub listener: UnixListener,
    /// The socket's path.
    pub path: PathBuf,
    /// The users who may change the daemon.
    pub access: Access,
    /// The file that this daemon made; `None` for a service manager's socket.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    inode: (u64, u64),
    /// The lock, which is released after the socket's file has been removed.
    _lock: Lock,
}

impl Drop for Bound {
    fn drop(&mut self) {
        let Some(own) = &self.own else { return };
        // Another process may have put its own socket at the path meanwhile, and that one stays.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| inode(&metadata) == own.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// The socket that the service manager handed over, or else a new one as configured.
pub fn open(config: &SocketConfig) -> Result<Bound, BindError> {
    let Some((listener, path)) = activation::handed()? else { return bind(config) };
    if let Some(configured) = config.path.as_ref().filter(|configured| **configured != path) {
        let (configured, path) = (configured.display(), path.display());
        tracing::warn!(
            "the socket is {path}, which the service manager made; path under [socket] says {configured} and is not used"
        );
    }
    Ok(Bound { listener, access: Access::new(group(config)?), path, own: None })
}

/// The configured group.
fn group(config: &SocketConfig) -> Result<Option<Gid>, BindError> {
    let find = |name: &String| find_group(name).ok_or_else(|| BindError::NoGroup { group: name.clone() });
    config.group.as_ref().map(find).transpose()
}

/// Binds the configured socket. At no moment can a user connect whom the mode and the group do not allow to, except the daemon's
/// own user and root.
pub fn bind(config: &SocketConfig) -> Result<Bound, BindError> {
    let path = match &config.path {
        Some(path) => path.clone(),
        None => default_path()?,
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The mode of a socket can be set only after it is bound, and a client that connects before that stays connected. So the
    // socket is bound in a private folder, and moved to its path when its mode is set. The lock admits one daemon for this path
    // at a time.
    let private = folder.join(format!(".{}", std::process::id()));
    let hidden = private.join("s");
    let actual = path.as_os_str().len();
    if actual.max(hidden.as_os_str().len()) > MAX_PATH {
        return Err(BindError::TooLong { path, actual });
    }
    let group = group(config)?;
    make_folder(config, &path, folder)?;
    let refused = |error: io::Error| refusal(&path, &error);
    let lock = Lock::take(&path)?;
    clear(&path)?;
    // A daemon with the same process id may have been killed here and have left its folder.
    let _ = remove_private(&hidden, &private);
    DirBuilder::new().mode(0o700).create(&private).map_err(refused)?;
    // The process's umask may have removed even the owner's permissions.
    std::fs::set_permissions(&private, Permissions::from_mode(0o700)).map_err(refused)?;
    let listener = ready(config, &path, &hidden, group).and_then(|listener| {
        std::fs::rename(&hidden, &path).map_err(refused)?;
        Ok(listener)
    });
    let _ = remove_private(&hidden, &private);
    let listener = listener?;
    let metadata = std::fs::symlink_metadata(&path).map_err(refused)?;
    let own = Own { inode: inode(&metadata), _lock: lock };
    Ok(Bound { listener, access: Access::new(group), path, own: Some(own) })
}

/// A socket at `hidden` with the configured mode and group. Errors name `path`, to which the socket is moved later.
fn ready(config: &SocketConfig, path: &Path, hidden: &Path, group: Option<Gid>) -> Result<UnixListener, BindError> {
    let refused = |error: io::Error| refusal(path, &error);
    let listener = UnixListener::bind(hidden).map_err(refused)?;
    if let (Some(gid), Some(name)) = (group, &config.group) {
        chown(hidden, None, Some(gid.as_raw())).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => BindError::NotAMember { group: name.clone() },
            _ => refused(error),
        })?;
    }
    std::fs::set_permissions(hidden, Permissions::from_mode(config.mode)).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

fn remove_private(hidden: &Path, private: &Path) -> io::Result<()> {
    // Another user who may write to the folder may have put a link there. Its target must not be removed.
    let metadata = std::fs::symlink_metadata(private)?;
    if !metadata.is_dir() || metadata.uid() != Uid::effective().as_raw() {
        return Ok(());
    }
    let _ = std::fs::remove_file(hidden);
    std::fs::remove_dir(private)
}

/// Makes the folder of the default path, if its parent exists. The folder of a configured path must exist already.
fn make_folder(config: &SocketConfig, path: &Path, folder: &Path) -> Result<(), BindError> {
    if folder.is_dir() {
        return Ok(());
    }
    if config.path.is_some() || !folder.parent().is_some_and(Path::is_dir) {
        return Err(BindError::NoFolder { folder: folder.into() });
    }
    match DirBuilder::new().mode(0o755).create(folder) {
        // Another daemon that starts at the same time may have made the folder.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(refusal(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The lock on a socket's path. Dropping it removes the lock's file.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Lock {
    fn take(socket: &Path) -> Result<Self, BindError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let refused = |error: io::Error| refusal(socket, &error);
        loop {
            // A link that another user put there is not followed, and a pipe is not waited for.
            let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600).custom_flags(flags);
            let file = options.open(&path).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => BindError::NotALock { path: path.clone() },
                _ => refused(error),
            })?;
            if !file.metadata().map_err(refused)?.is_file() {
                return Err(BindError::NotALock { path });
            }
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, Errno::EWOULDBLOCK)) => return Err(BindError::InUse { path: socket.into() }),
                Err((_, error)) => return Err(BindError::Refused { path: socket.into(), what: error.to_string() }),
            };
            // The daemon that held the lock before may have removed the file after it was opened here. The lock then holds
            // nothing, and the loop tries again.
            let ours = file.metadata().map_err(refused)?;
            if std::fs::symlink_metadata(&path).is_ok_and(|there| inode(&there) == inode(&ours)) {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock is still held here, so the file is not another daemon's.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes a socket that no process serves any more. Anything else at the path is an error and stays.
fn clear(path: &Path) -> Result<(), BindError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.into() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse { path: path.into() }),
        // Only a refused connection proves that no process listens. After any other error a server may run that this user may not
        // reach.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| refusal(path, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refusal(path, &error)),
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
    fn a_socket_that_somebody_else_put_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bound = bind(&config(&path)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn of_many_that_start_at_once_one_gets_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        for _ in 0..20 {
            let all: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| bind(&config(&path)))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(all.iter().filter(|bound| bound.is_ok()).count(), 1);
            assert!(all.iter().flat_map(|bound| bound.as_ref().err()).all(|error| error.exit_code() == 5));
            assert!(UnixStream::connect(&path).is_ok());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_longest_path_that_the_system_takes_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(MAX_PATH - folder.path().as_os_str().len() - 1));
        let bound = bind(&config(&path)).unwrap();
        assert!(UnixStream::connect(&bound.path).is_ok());
        let longer = PathBuf::from(format!("{}x", path.display()));
        let error = bind(&config(&longer)).unwrap_err();
        assert!(error.to_string().contains("is 108 bytes long, but the system takes 107 at most"), "{error}");
    }

    #[test]
    fn what_is_no_socket_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&config(&path)).unwrap_err(), BindError::NotASocket { path: path.clone() });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
