//! The tables, and how a file of an older version becomes one of this. Files of newer versions are refused.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::db::{Database, DbError, Kind};

/// A larger file is not checked as a whole when it is opened, for that would take seconds; damage is found where it is met.
const CHECKED_BYTES: u64 = 64 << 20;

/// What brings a file from each version to the next. The number of steps is the version that this program writes.
pub(super) const STEPS: [&str; 6] = [
    // Version 1. Times are milliseconds since 1970, durations milliseconds, scores ten thousandths, levels tenths of a dB; only
    // `lines` and `health`, from which lines are made again, have nanoseconds.
    "CREATE TABLE facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
     CREATE TABLE subjects(id INTEGER PRIMARY KEY, name TEXT NOT NULL, slug TEXT NOT NULL, mid TEXT NOT NULL, UNIQUE(name, slug, mid));
     CREATE TABLE sources(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
     CREATE TABLE configurations(id INTEGER PRIMARY KEY, toml TEXT NOT NULL UNIQUE);
     CREATE TABLE sessions(id INTEGER PRIMARY KEY, instance TEXT NOT NULL, version TEXT NOT NULL, node TEXT NOT NULL, model TEXT NOT NULL,
       sha256 TEXT NOT NULL, configuration INTEGER, began INTEGER NOT NULL, first_seq INTEGER NOT NULL, skipped INTEGER NOT NULL);
     CREATE TABLE events(key INTEGER PRIMARY KEY, id BLOB NOT NULL, subject INTEGER NOT NULL, source INTEGER NOT NULL,
       session INTEGER NOT NULL, onset INTEGER NOT NULL, duration INTEGER, announced INTEGER NOT NULL, confirmed INTEGER, also TEXT,
       score INTEGER NOT NULL, peak INTEGER NOT NULL, threshold INTEGER NOT NULL, level INTEGER NOT NULL,
       onset_uncertainty INTEGER NOT NULL, offset_uncertainty INTEGER, reason INTEGER, first_seq INTEGER NOT NULL, updates INTEGER NOT NULL,
       last_seq INTEGER NOT NULL);
     CREATE INDEX events_by_onset ON events(onset);
     CREATE INDEX events_by_id ON events(id);
     CREATE INDEX events_open ON events(key) WHERE reason IS NULL;
     CREATE TABLE named(subject INTEGER NOT NULL, onset INTEGER NOT NULL, key INTEGER NOT NULL, source INTEGER NOT NULL,
       outcome INTEGER NOT NULL, PRIMARY KEY(subject, onset, key)) WITHOUT ROWID;
     CREATE TABLE counts(bucket INTEGER NOT NULL, subject INTEGER NOT NULL, source INTEGER NOT NULL, n INTEGER NOT NULL,
       confirmed INTEGER NOT NULL, unconfirmed INTEGER NOT NULL, PRIMARY KEY(bucket, subject, source)) WITHOUT ROWID;
     CREATE TABLE lines(seq INTEGER PRIMARY KEY, event INTEGER NOT NULL, at INTEGER NOT NULL, kind INTEGER NOT NULL,
       subject INTEGER NOT NULL, onset INTEGER NOT NULL, offset INTEGER, score INTEGER NOT NULL, peak INTEGER NOT NULL,
       threshold INTEGER NOT NULL, level INTEGER NOT NULL, onset_uncertainty INTEGER NOT NULL, offset_uncertainty INTEGER, also TEXT,
       confirmed INTEGER NOT NULL, reason INTEGER);
     CREATE TABLE health(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, line TEXT NOT NULL);",
    // Version 2: the last moment at which a daemon is known to have run.
    "ALTER TABLE sessions ADD COLUMN alive INTEGER;
     CREATE INDEX health_by_time ON health(at);",
    // Version 3: the marks of events, and those that newer ones have replaced.
    "CREATE TABLE marks(event INTEGER PRIMARY KEY, onset INTEGER NOT NULL, at INTEGER NOT NULL, mark INTEGER NOT NULL, other INTEGER);
     CREATE INDEX marks_by_onset ON marks(onset);
     CREATE TABLE earlier_marks(number INTEGER PRIMARY KEY, event INTEGER NOT NULL, at INTEGER NOT NULL, mark INTEGER NOT NULL, other INTEGER);
     CREATE INDEX earlier_marks_by_event ON earlier_marks(event);",
    // Version 4: the numbers of half hours by label first, so that those of a year are one range, and for all labels and sources; and the
    // events of one source. Upserts need no memory, as sorting would.
    "CREATE TABLE sums(subject INTEGER NOT NULL, source INTEGER NOT NULL, bucket INTEGER NOT NULL, own INTEGER NOT NULL,
       own_confirmed INTEGER NOT NULL, own_unconfirmed INTEGER NOT NULL, n INTEGER NOT NULL, confirmed INTEGER NOT NULL,
       unconfirmed INTEGER NOT NULL, PRIMARY KEY(subject, source, bucket)) WITHOUT ROWID;
     INSERT INTO sums SELECT named.subject, named.source * each, named.onset / 1800000, events.subject = named.subject,
       events.subject = named.subject AND outcome = 1, events.subject = named.subject AND outcome = 2, 1, outcome = 1, outcome = 2
       FROM (SELECT 0 AS each UNION ALL SELECT 1) CROSS JOIN named JOIN events ON events.key = named.key
       WHERE named.source NOT IN (SELECT id FROM sources WHERE name = 'test')
       ON CONFLICT DO UPDATE SET own = own + excluded.own, own_confirmed = own_confirmed + excluded.own_confirmed,
       own_unconfirmed = own_unconfirmed + excluded.own_unconfirmed, n = n + excluded.n, confirmed = confirmed + excluded.confirmed,
       unconfirmed = unconfirmed + excluded.unconfirmed;
     INSERT INTO sums SELECT 0, source * each, onset / 1800000, 1, is_right, is_wrong, 1, is_right, is_wrong
       FROM (SELECT 0 AS each UNION ALL SELECT 1) CROSS JOIN
       (SELECT source, onset, confirmed IS NOT NULL AND reason IS NOT 1 AS is_right, reason IS 1 AS is_wrong FROM events)
       WHERE source NOT IN (SELECT id FROM sources WHERE name = 'test')
       ON CONFLICT DO UPDATE SET own = own + excluded.own, own_confirmed = own_confirmed + excluded.own_confirmed,
       own_unconfirmed = own_unconfirmed + excluded.own_unconfirmed, n = n + excluded.n, confirmed = confirmed + excluded.confirmed,
       unconfirmed = unconfirmed + excluded.unconfirmed;
     DROP TABLE counts;
     CREATE INDEX events_by_source ON events(source, onset);",
    CLIPS,
    // Version 6: the embeddings of events, by the events' keys.
    "CREATE TABLE embeddings(event INTEGER PRIMARY KEY, embedding BLOB NOT NULL);",
];

/// The clips of events, by the events' ids: they can outlive their events' rows.
const CLIPS: &str = "CREATE TABLE clips(event BLOB PRIMARY KEY, file TEXT, state TEXT NOT NULL, why TEXT, bytes INTEGER NOT NULL,
       began INTEGER NOT NULL, ended INTEGER NOT NULL, locked INTEGER NOT NULL, label TEXT NOT NULL, heard_by TEXT NOT NULL,
       best INTEGER NOT NULL) WITHOUT ROWID;
     CREATE INDEX clips_by_file ON clips(file) WHERE file IS NOT NULL;
     CREATE INDEX clips_by_time ON clips(began);";

/// The version of the files that this program writes.
pub const VERSION: usize = STEPS.len();

/// The version of a file; 0 for a new one.
fn version(db: &Database) -> Result<usize, DbError> {
    Ok(db.number("PRAGMA user_version", &[])?.and_then(|version| usize::try_from(version).ok()).unwrap_or(usize::MAX))
}

fn newer(version: usize) -> DbError {
    let message =
        format!("a newer mimid has written it: it has version {version}, and this mimid knows {VERSION}; use the newer mimid");
    DbError::new(Kind::Newer, message)
}

/// Opens a file to write, makes its tables, and brings an older one up to date; a copy of the older one stays beside it.
pub fn open(path: &Path) -> Result<Database, DbError> {
    migrated(path, &STEPS)
}

fn migrated(path: &Path, steps: &[&str]) -> Result<Database, DbError> {
    // Nothing is written before it is known that it may be.
    if path.exists() {
        let from = version(&Database::open_to_read(path)?)?;
        if from > steps.len() {
            return Err(newer(from));
        }
    }
    let db = Database::open(path)?;
    let from = version(&db)?;
    if db.used_bytes()? <= CHECKED_BYTES && !db.is_whole()? {
        return Err(DbError::new(Kind::Damaged, "the file is damaged"));
    }
    if from == 0 {
        bring_up(&db, steps, from)?;
    } else if from < steps.len() {
        let copy = copied(&db, path, from)?;
        tracing::info!(old = %copy.display(), "the store's file is brought from version {from} to {}", steps.len());
        // An index of millions of events is sorted, and memory has no room for it.
        db.batch("PRAGMA temp_store=FILE")?;
        bring_up(&db, steps, from)?;
        db.batch("PRAGMA temp_store=MEMORY")?;
    }
    Ok(db)
}

/// Brings a file from a version to that of the steps, as a whole or not at all.
fn bring_up(db: &Database, steps: &[&str], from: usize) -> Result<(), DbError> {
    db.whole(|| {
        for step in &steps[from..] {
            db.batch(step)?;
        }
        db.batch(&format!("PRAGMA user_version={}", steps.len()))
    })
}

/// Copies an older file beside itself, if that is not done: a start that was killed, or found too little room, has left the copy. Returns
/// where it is. A copy has its name only when it is whole.
fn copied(db: &Database, path: &Path, from: usize) -> Result<PathBuf, DbError> {
    let what = format!("version-{from}");
    // An older mimid that ran meanwhile has begun a session.
    let newest = |db: &Database| db.number("SELECT max(id) FROM sessions", &[]).ok().flatten();
    let is_of_it =
        |copy: &PathBuf| Database::open_to_read(copy).is_ok_and(|copy| newest(&copy).is_some_and(|of| Some(of) == newest(db)));
    let has_room = |bytes: u64| {
        if free_bytes(path).is_none_or(|free| free >= bytes) {
            return Ok(());
        }
        let mib = bytes.div_ceil(1 << 20);
        let message = format!("the disk is full: to bring the file from version {from} up to date takes {mib} MiB of free room");
        Err(DbError::new(Kind::Full, message))
    };
    if let Some(copy) = (1..).map(|n| named(path, &what, n)).take_while(|copy| copy.exists()).find(is_of_it) {
        return has_room(db.used_bytes()? / 2).map(|()| copy);
    }
    has_room(db.used_bytes()? / 2 * 3)?;
    let unfinished = named(path, &format!("{what}.part"), 1);
    if unfinished.exists() {
        std::fs::remove_file(&unfinished)?;
    }
    db.copy_to(&unfinished)?;
    let copy = beside(path, &what);
    std::fs::rename(&unfinished, &copy)?;
    Ok(copy)
}

/// The free room of a file's disk; `None` where the system does not say it.
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    #[allow(clippy::unnecessary_cast, reason = "the widths differ between systems")]
    Some((disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64))
}

/// A file of an older version, open to be written as it is; `None` where it is new, or of this version or a newer one.
pub fn open_older(path: &Path) -> Result<Option<Database>, DbError> {
    if !path.exists() || !(1..VERSION).contains(&version(&Database::open_to_read(path)?)?) {
        return Ok(None);
    }
    Database::open(path).map(Some)
}

/// Opens a file of this version to read.
pub fn open_to_read(path: &Path) -> Result<Database, DbError> {
    let db = Database::open_to_read(path)?;
    match version(&db)? {
        VERSION => Ok(db),
        older if older < VERSION => {
            let message = format!("it has the older version {older}; the daemon brings it up to date when it starts");
            Err(DbError::new(Kind::Other, message))
        }
        later => Err(newer(later)),
    }
}

/// Opens a file of this version to write into one of its tables, beside the daemon's own writer, who has brought it up to date.
pub fn open_beside(path: &Path) -> Result<Database, DbError> {
    drop(open_to_read(path)?);
    Database::open(path)
}

/// Puts a damaged file aside. Returns where it is now.
pub fn put_aside(path: &Path) -> Result<PathBuf, DbError> {
    let aside = beside(path, "damaged");
    std::fs::rename(path, &aside)?;
    // The log and its index belong to the damaged file.
    for suffix in ["-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let _ = std::fs::rename(with(path), with(&aside));
    }
    Ok(aside)
}

/// A path beside another that no file has yet.
fn beside(path: &Path, what: &str) -> PathBuf {
    (1..).map(|n| named(path, what, n)).find(|path| !path.exists()).unwrap_or_else(|| named(path, what, 0))
}

/// The path beside another that says what it is, and from the second one on its number.
fn named(path: &Path, what: &str, n: u32) -> PathBuf {
    let number = if n == 1 { String::new() } else { format!("-{n}") };
    PathBuf::from(format!("{}.{what}{number}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_file_is_brought_up_to_date_and_a_copy_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let first = migrated(&path, &["CREATE TABLE a(x INTEGER); CREATE TABLE sessions(id INTEGER)"]).unwrap();
        first.batch("INSERT INTO a VALUES (7); INSERT INTO sessions VALUES (1)").unwrap();
        drop(first);
        let second = migrated(&path, &["", "ALTER TABLE a ADD y INTEGER DEFAULT 8"]).unwrap();
        assert_eq!(second.number("SELECT x + y FROM a", &[]), Ok(Some(15)));
        let old = Database::open_to_read(&folder.path().join("events.db.version-1")).unwrap();
        assert_eq!((old.number("SELECT x FROM a", &[]), version(&old)), (Ok(Some(7)), Ok(1)));
        // A step that fails changes nothing, and the next try makes no further copy; nor does a copy that was not finished stay.
        drop(second);
        std::fs::write(folder.path().join("events.db.version-2.part"), "unfinished").unwrap();
        for _ in 0..2 {
            assert!(migrated(&path, &["", "", "CREATE TABLE b(x); nonsense"]).is_err());
        }
        let mut copies: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        copies.retain(|name| name.contains("version"));
        copies.sort();
        assert_eq!(copies, ["events.db.version-1", "events.db.version-2"]);
        assert_eq!(migrated(&path, &["", ""]).unwrap().number("SELECT count(*) FROM sqlite_schema", &[]), Ok(Some(2)));
    }

    #[test]
    fn a_newer_file_is_refused_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        open(&path).unwrap().batch("PRAGMA user_version=9").unwrap();
        for error in [open(&path).unwrap_err(), open_to_read(&path).unwrap_err()] {
            assert_eq!(error.kind, Kind::Newer);
            assert!(error.message.contains("a newer mimid has written it: it has version 9"), "{error}");
        }
    }

    #[test]
    fn a_damaged_file_is_found_and_put_aside_under_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        for expected in ["events.db.damaged", "events.db.damaged-2"] {
            std::fs::write(&path, "this is no database, but it is long enough to be looked at as if it were one; ".repeat(60))
                .unwrap();
            assert_eq!(open(&path).unwrap_err().kind, Kind::Damaged);
            assert_eq!(put_aside(&path).unwrap(), folder.path().join(expected));
        }
        open(&path).unwrap();
    }
}
