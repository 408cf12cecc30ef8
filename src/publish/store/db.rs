//! The only file that knows SQLite: connections, statements, rows, and what an error means. It knows no table.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

/// How long a statement waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(2);

/// What is wrong with a file or a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file is damaged, or is no database.
    Damaged,
    /// There is no room on the disk.
    Full,
    /// The file or the folder may not be written, or the disk is mounted read-only.
    NotWritable,
    /// The file cannot be opened, because it or its folder is not there or may not be read.
    NotOpened,
    /// The disk fails.
    Disk,
    /// Another program holds the file.
    Busy,
    /// A newer mimid has written the file.
    Newer,
    /// A name is asked for that the file does not have.
    Unknown,
    /// Anything else.
    Other,
}

/// A failure, with its kind and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbError {
    /// The kind.
    pub kind: Kind,
    /// The sentence.
    pub message: String,
}

impl DbError {
    /// A failure.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Damaged,
            Some(ErrorCode::DiskFull) => Kind::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Kind::NotWritable,
            Some(ErrorCode::CannotOpen) => Kind::NotOpened,
            Some(ErrorCode::SystemIoFailure) => Kind::Disk,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
            _ => Kind::Other,
        };
        let message = match kind {
            Kind::Damaged => "the file is damaged".to_owned(),
            Kind::Full => "the disk is full".to_owned(),
            Kind::NotWritable => "the file may not be written".to_owned(),
            Kind::NotOpened => "the file cannot be opened".to_owned(),
            Kind::Disk => "the disk fails".to_owned(),
            Kind::Busy => "another program holds the file".to_owned(),
            Kind::Newer | Kind::Unknown | Kind::Other => error.to_string(),
        };
        Self { kind, message }
    }
}

impl From<std::io::Error> for DbError {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull => Kind::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => Kind::NotWritable,
            _ => Kind::NotOpened,
        };
        Self { kind, message: error.to_string() }
    }
}

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(value) => ToSqlOutput::Owned(Value::Integer(*value)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Int(value)
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Cell::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Text(value.to_owned())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// A row of an answer.
pub struct Row<'a>(&'a rusqlite::Row<'a>);

impl Row<'_> {
    /// The number in a column; 0 where there is none.
    pub fn int(&self, column: usize) -> i64 {
        self.maybe(column).unwrap_or(0)
    }

    /// The number in a column.
    pub fn maybe(&self, column: usize) -> Option<i64> {
        self.0.get_ref(column).ok().and_then(|value| value.as_i64().ok())
    }

    /// The text in a column; empty where there is none.
    pub fn text(&self, column: usize) -> String {
        self.0.get_ref(column).ok().and_then(|value| value.as_str().ok()).unwrap_or_default().to_owned()
    }

    /// The bytes in a column; none where there are none.
    pub fn bytes(&self, column: usize) -> Vec<u8> {
        self.0.get_ref(column).ok().and_then(|value| value.as_blob().ok()).unwrap_or_default().to_vec()
    }
}

/// An open file.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    /// Opens a file to write, and makes it if there is none. Only its owner may read a new one.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        // A file that is there is not opened here: to close it again would take the locks away that other connections of this process
        // have on it.
        if !path.exists() {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        }
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        // A kill loses nothing of what is committed; a loss of power may lose the last commits, but never damages the file.
        // Another connection moves the log into the file, so that no commit waits for the disk.
        connection.execute_batch(
            "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;
             PRAGMA journal_size_limit=4194304; PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY;",
        )?;
        Ok(Self(connection))
    }

    /// Opens a file to read.
    pub fn open_to_read(path: &Path) -> Result<Self, DbError> {
        // The system's own words for a file that is not there or may not be read.
        nix::unistd::access(path, nix::unistd::AccessFlags::R_OK).map_err(std::io::Error::from)?;
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        // Opened so, it writes nothing but a copy elsewhere.
        connection.execute_batch("PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY;")?;
        Ok(Self(connection))
    }

    /// Runs statements without values.
    pub fn batch(&self, sql: &str) -> Result<(), DbError> {
        Ok(self.0.execute_batch(sql)?)
    }

    /// Runs a statement. Returns how many rows it changed.
    pub fn run(&self, sql: &str, values: &[Cell]) -> Result<usize, DbError> {
        Ok(self.0.prepare_cached(sql)?.execute(params_from_iter(values))?)
    }

    /// Inserts a row. Returns its number.
    pub fn insert(&self, sql: &str, values: &[Cell]) -> Result<i64, DbError> {
        self.run(sql, values)?;
        Ok(self.0.last_insert_rowid())
    }

    /// The rows of a query.
    pub fn rows<T>(&self, sql: &str, values: &[Cell], mut read: impl FnMut(&Row) -> T) -> Result<Vec<T>, DbError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(&Row(row)));
        }
        Ok(all)
    }

    /// The first number of the first row; `None` where there is no row or no number.
    pub fn number(&self, sql: &str, values: &[Cell]) -> Result<Option<i64>, DbError> {
        Ok(self.rows(sql, values, |row| row.maybe(0))?.into_iter().next().flatten())
    }

    /// Has all that `work` does take place, or nothing of it.
    pub fn whole<T>(&self, work: impl FnOnce() -> Result<T, DbError>) -> Result<T, DbError> {
        self.0.execute_batch("BEGIN IMMEDIATE")?;
        let done = work().and_then(|done| Ok(self.0.execute_batch("COMMIT").map(|()| done)?));
        if done.is_err() {
            // SQLite has done so itself after some errors.
            let _ = self.0.execute_batch("ROLLBACK");
        }
        done
    }

    /// Moves what it can of the log into the file, without holding anybody up.
    pub fn checkpoint(&self) -> Result<(), DbError> {
        self.rows("PRAGMA wal_checkpoint(PASSIVE)", &[], |_| ()).map(drop)
    }

    /// Whether the file's structure is whole.
    pub fn is_whole(&self) -> Result<bool, DbError> {
        Ok(self.rows("PRAGMA quick_check(1)", &[], |row| row.text(0))? == ["ok"])
    }

    /// The size of what is kept, in bytes, without the free pages.
    pub fn used_bytes(&self) -> Result<u64, DbError> {
        let pragma = |name: &str| self.number(&format!("PRAGMA {name}"), &[]).map(|value| value.unwrap_or(0).unsigned_abs());
        Ok((pragma("page_count")?.saturating_sub(pragma("freelist_count")?)) * pragma("page_size")?)
    }

    /// Gives up to so many free pages back to the disk.
    pub fn give_back(&self, pages: u32) -> Result<(), DbError> {
        self.rows(&format!("PRAGMA incremental_vacuum({pages})"), &[], |_| ()).map(drop)
    }

    /// Copies the whole, as it is at this moment, into a new file, while others write.
    pub fn copy_to(&self, path: &Path) -> Result<(), DbError> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let copied = self.run("VACUUM INTO ?", &[path.to_string_lossy().as_ref().into()]);
        if copied.is_err() {
            // The unfinished copy is of no use. A failure to remove it does no harm.
            let _ = std::fs::remove_file(path);
        }
        copied.map(drop)
    }
}
