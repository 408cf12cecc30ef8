//! Why clips cannot be kept just now: the folder is gone or may not be written, or the disk is full or slow. It is told within seconds,
//! whether a clip is due or not, and taken back as soon as the disk takes a file again.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::stats::clips::{ClipStats, SLOW, SLOW_AFTER};

/// The time between two looks at the disk.
const LOOK: Duration = Duration::from_secs(2);
/// The file that is written to see whether the disk takes one. It is the name of no clip.
const PROBE: &str = ".mimid-probe";
/// What is written into it: a page, for which a full disk has no room.
const PROBED: [u8; 4_096] = [0; 4_096];

/// What stands in the way.
#[derive(Debug)]
pub struct Trouble {
    stats: Arc<ClipStats>,
    look_at: Instant,
    /// The device and the inode of the folder at the last look that found one.
    place: Option<(u64, u64)>,
}

impl Trouble {
    /// None so far.
    pub fn new(stats: Arc<ClipStats>) -> Self {
        Self { stats, look_at: Instant::now(), place: None }
    }

    /// Records why a clip could not be kept.
    pub fn begins(&self, reason: String) {
        let stood = self.stands();
        if self.stats.set_reason(Some(reason.clone())) && !stood {
            tracing::error!(reason, "clips cannot be kept just now; all is heard and sent on as before");
        }
    }

    /// Records that a file was written.
    pub fn ends(&self) {
        if self.stats.set_reason(None) {
            tracing::info!(folder = %self.stats.folder.display(), "clips are kept again");
        }
    }

    /// Records how long a piece of work took.
    pub fn took(&self, took: Duration) {
        if took >= SLOW_AFTER && !self.stands() {
            self.begins(SLOW.to_owned());
        }
    }

    /// Whether something stands in the way.
    pub fn stands(&self) -> bool {
        self.stats.standing_reason().is_some()
    }

    /// When the next look is due.
    pub fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Puts the next look off.
    pub fn wait(&mut self) {
        self.look_at = Instant::now() + LOOK;
    }

    /// Whether another folder is in the place of the one of the last time: its disk is gone, and left the folder on which it was mounted,
    /// or it is there again.
    pub fn is_elsewhere(&mut self, folder: &Path) -> bool {
        let Ok(found) = std::fs::metadata(folder) else { return false };
        let place = (found.dev(), found.ino());
        self.place.replace(place).is_some_and(|before| before != place)
    }

    /// Looks at the disk, and tells what is found. Returns whether it is in order.
    pub fn look(&mut self, folder: &Path, min_free_mb: u64) -> bool {
        self.wait();
        let begun = Instant::now();
        let found = match disk(folder, min_free_mb) {
            Ok(()) if self.stands() => probe(folder),
            found => found,
        };
        match found {
            Err(reason) => self.begins(reason),
            Ok(()) if begun.elapsed() < SLOW_AFTER => self.ends(),
            Ok(()) => self.begins(SLOW.to_owned()),
        }
        !self.stands()
    }
}

/// What the system says of the folder's disk.
fn disk(folder: &Path, min_free_mb: u64) -> Result<(), String> {
    let named = folder.display();
    let is_folder = std::fs::metadata(folder).map_err(|error| format!("{named}: {error}"))?.is_dir();
    if !is_folder {
        return Err(format!("{named}: this is no folder"));
    }
    let disk = statvfs(folder).map_err(|error| format!("{named}: {}", std::io::Error::from(error)))?;
    if disk.flags().contains(FsFlags::ST_RDONLY) {
        return Err(format!("{named}: the disk is read-only"));
    }
    #[allow(clippy::unnecessary_cast, reason = "the widths differ between systems")]
    let free = (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64);
    if free < PROBED.len() as u64 {
        return Err(format!("{named}: the disk is full"));
    }
    if free < min_free_mb << 20 {
        return Err(format!("{named}: less than {min_free_mb} MiB are free on the disk, which min_free_mb keeps free"));
    }
    Ok(())
}

/// Writes a small file and removes it.
fn probe(folder: &Path) -> Result<(), String> {
    let path = folder.join(PROBE);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    let written = options.open(&path).and_then(|mut file| {
        file.write_all(&PROBED)?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed).map_err(|error| format!("{}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_gone_is_told_and_taken_back_and_a_probe_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let clips = folder.path().join("clips");
        let stats = Arc::new(ClipStats::new(clips.clone()));
        let mut trouble = Trouble::new(stats.clone());
        assert!(!trouble.look(&clips, 0) && stats.reason().unwrap().contains("No such file"), "{:?}", stats.reason());
        std::fs::create_dir(&clips).unwrap();
        assert!(!trouble.look(&clips, u64::MAX >> 30) && stats.reason().unwrap().contains("which min_free_mb keeps free"));
        assert!(trouble.look(&clips, 0) && stats.reason().is_none());
        assert_eq!(std::fs::read_dir(&clips).unwrap().count(), 0);
        // A link in its place is not written through.
        std::os::unix::fs::symlink(folder.path().join("victim"), clips.join(PROBE)).unwrap();
        assert!(probe(&clips).is_err() && !folder.path().join("victim").exists());
    }

    #[test]
    fn another_folder_in_its_place_is_noticed_once_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (clips, aside) = (folder.path().join("clips"), folder.path().join("aside"));
        let mut trouble = Trouble::new(Arc::new(ClipStats::new(clips.clone())));
        let mut looks = || [trouble.is_elsewhere(&clips), trouble.is_elsewhere(&clips)];
        std::fs::create_dir(&clips).unwrap();
        assert_eq!(looks(), [false, false]);
        std::fs::rename(&clips, &aside).unwrap();
        assert_eq!(looks(), [false, false]);
        std::fs::create_dir(&clips).unwrap();
        assert_eq!(looks(), [true, false]);
        std::fs::remove_dir(&clips).unwrap();
        std::fs::rename(&aside, &clips).unwrap();
        assert_eq!(looks(), [true, false]);
    }

    #[test]
    fn work_that_takes_long_is_told_while_it_does_and_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let stats = Arc::new(ClipStats::new(folder.path().to_owned()));
        let mut trouble = Trouble::new(stats.clone());
        stats.set_busy_since(Some(Instant::now()));
        assert_eq!(stats.reason(), None);
        std::thread::sleep(SLOW_AFTER);
        assert_eq!(stats.reason().as_deref(), Some(SLOW));
        stats.set_busy_since(None);
        assert_eq!(stats.reason(), None);
        trouble.took(SLOW_AFTER);
        assert_eq!(stats.reason().as_deref(), Some(SLOW));
        assert!(trouble.look(folder.path(), 0));
        assert_eq!(stats.reason(), None);
    }
}
