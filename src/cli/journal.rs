//! A log layer for systemd's journal in the journal's own protocol: one datagram a record, with each field as a field of the
//! journal.
//!
//! The message repeats the fields, because `journalctl` shows the message alone. The layer never waits, so that logging never
//! delays the analysis. A journal that is full costs records, which are counted and reported with the next record that is
//! accepted.

use std::fmt::{self, Write};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::stat::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The socket on which the journal accepts records.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether `output` is the stream to the journal that the service manager opened. `stream` is the variable `JOURNAL_STREAM`,
/// which names that stream as `DEVICE:INODE`; it is still set where the output was redirected.
pub(super) fn leads_to_journal(stream: Option<&str>, output: impl AsFd) -> bool {
    let journal = stream.and_then(|stream| stream.split_once(':')).and_then(|(device, inode)| {
        let (device, inode) = (device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?);
        Some((device, inode))
    });
    journal.is_some_and(|journal| fstat(output).is_ok_and(|status| (status.st_dev, status.st_ino) == journal))
}

/// The layer, which sends every record to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    lost: AtomicU64,
}

impl Journal {
    /// A connection to the journal whose socket is at `path`.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(path)?;
        Ok(Self { socket, path: path.into(), lost: AtomicU64::new(0) })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut record = Record::default();
        event.record(&mut record);
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            record.field("lost_records", &lost.to_string());
        }
        if self.socket.send(&record.finish(event.metadata())).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
            // A journal that was restarted has a new socket at the same path.
            let _ = self.socket.connect(&self.path);
        }
    }
}

/// A record under construction.
#[derive(Default)]
struct Record {
    message: String,
    /// The fields as text, to follow the message.
    fields_text: String,
    datagram: Vec<u8>,
}

impl Record {
    fn field(&mut self, name: &str, value: &str) {
        let _ = write!(self.fields_text, " {name}={value}");
        // The journal accepts capitals, digits and underscores. The prefix keeps the name apart from fields of other programs.
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        put(&mut self.datagram, &format!("MIMID_{}", name.chars().map(allowed).collect::<String>()), value);
    }

    fn finish(mut self, metadata: &tracing::Metadata<'_>) -> Vec<u8> {
        let priority = match *metadata.level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        put(&mut self.datagram, "MESSAGE", &format!("{}{}", self.message, self.fields_text));
        put(&mut self.datagram, "PRIORITY", priority);
        put(&mut self.datagram, "SYSLOG_IDENTIFIER", "mimid");
        put(&mut self.datagram, "MIMID_TARGET", metadata.target());
        self.datagram
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" { self.message = value } else { self.field(field.name(), &value) }
    }
}

/// Appends one field with its length, so that a newline in a value does not begin another field.
fn put(record: &mut Vec<u8>, name: &str, value: &str) {
    record.extend_from_slice(name.as_bytes());
    record.push(b'\n');
    record.extend_from_slice(&(value.len() as u64).to_le_bytes());
    record.extend_from_slice(value.as_bytes());
    record.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::File;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The fields of a record, as the journal parses it.
    fn read(mut record: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !record.is_empty() {
            let end = record.iter().position(|byte| *byte == b'\n').unwrap();
            let (name, rest) = (String::from_utf8(record[..end].to_vec()).unwrap(), &record[end + 1..]);
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8 + length], b'\n');
            assert!(fields.insert(name, String::from_utf8(rest[8..8 + length].to_vec()).unwrap()).is_none());
            record = &rest[8 + length + 1..];
        }
        fields
    }

    fn receive(journal: &UnixDatagram) -> BTreeMap<String, String> {
        let mut record = vec![0; 65_536];
        let length = journal.recv(&mut record).unwrap();
        read(&record[..length])
    }

    /// A journal for the test, and a subscriber that logs to it.
    fn journal() -> (UnixDatagram, impl Subscriber + Send + Sync, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = UnixDatagram::bind(&path).unwrap();
        (journal, tracing_subscriber::registry().with(Journal::connect(&path).unwrap()), folder)
    }

    #[test]
    fn a_record_has_its_fields_and_shows_them() {
        let (journal, subscriber, _folder) = journal();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(source = %"kitchen", rate_hz = 48_000, "the source is lost");
        });
        let expected = [
            ("MESSAGE", "the source is lost source=kitchen rate_hz=48000"),
            ("MIMID_RATE_HZ", "48000"),
            ("MIMID_SOURCE", "kitchen"),
            ("MIMID_TARGET", module_path!()),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "mimid"),
        ];
        assert_eq!(receive(&journal), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_value_cannot_make_a_field_of_its_own() {
        let (journal, subscriber, _folder) = journal();
        tracing::subscriber::with_default(subscriber, || tracing::info!(what = "a\nPRIORITY=0\nb", "said"));
        let record = receive(&journal);
        assert_eq!((record["PRIORITY"].as_str(), record["MIMID_WHAT"].as_str()), ("6", "a\nPRIORITY=0\nb"));
    }

    #[test]
    fn a_journal_that_is_full_costs_records_which_are_counted() {
        let (journal, subscriber, _folder) = journal();
        tracing::subscriber::with_default(subscriber, || {
            // This is more than the system buffers for a socket that nobody reads.
            let long = "x".repeat(60_000);
            for _ in 0..1_000 {
                tracing::info!("{long}");
            }
            journal.set_nonblocking(true).unwrap();
            let mut record = vec![0; 65_536];
            let mut kept = 0;
            while journal.recv(&mut record).is_ok() {
                kept += 1;
            }
            assert!(kept < 1_000, "all were kept");
            tracing::info!("back");
            assert_eq!(receive(&journal)["MIMID_LOST_RECORDS"], (1_000 - kept).to_string());
            tracing::info!("again");
            assert!(!receive(&journal).contains_key("MIMID_LOST_RECORDS"));
        });
    }

    #[test]
    fn a_journal_that_is_restarted_gets_later_records() {
        let (journal, subscriber, folder) = journal();
        drop(journal);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("to nobody");
            let path = folder.path().join("j");
            std::fs::remove_file(&path).unwrap();
            let journal = UnixDatagram::bind(&path).unwrap();
            tracing::info!("found out here at the latest");
            tracing::info!("back");
            let record = receive(&journal);
            assert_eq!((record["MESSAGE"].as_str(), record["MIMID_LOST_RECORDS"].as_str()), ("back lost_records=2", "2"));
        });
    }

    #[test]
    fn only_the_stream_that_the_service_manager_made_is_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (File::create(folder.path().join("1")).unwrap(), File::create(folder.path().join("2")).unwrap());
        let status = fstat(&one).unwrap();
        let stream = format!("{}:{}", status.st_dev, status.st_ino);
        assert!(leads_to_journal(Some(&stream), &one));
        assert!(!leads_to_journal(Some(&stream), &other));
        assert!(!leads_to_journal(None, &one));
        for wrong in ["", ":", "8:", "x:y", &format!("{}", status.st_ino)] {
            assert!(!leads_to_journal(Some(wrong), &one), "{wrong:?}");
        }
    }
}
