//! Log records to systemd's journal in its own protocol: one datagram a record, with each field as a field of the journal.
//!
//! The message carries the fields too, because that is what `journalctl` shows. Never waits: a journal that takes nothing costs records,
//! which are counted and told with the next one that goes through, and no thread that hears stands still for it.

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

/// Where the journal takes records.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether `output` goes to the journal. `stream` is what the service manager says of the one that it made, as `DEVICE:INODE` in
/// `JOURNAL_STREAM`; whoever redirects an output still has that variable.
pub(super) fn leads_to_journal(stream: Option<&str>, output: impl AsFd) -> bool {
    let journal = stream.and_then(|stream| stream.split_once(':')).and_then(|(device, inode)| {
        let (device, inode) = (device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?);
        Some((device, inode))
    });
    journal.is_some_and(|journal| fstat(output).is_ok_and(|status| (status.st_dev, status.st_ino) == journal))
}

/// Hands every record to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    lost: AtomicU64,
}

impl Journal {
    /// A way to the journal that takes records at `path`.
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
            // A journal that was started anew may have another socket there.
            let _ = self.socket.connect(&self.path);
        }
    }
}

/// A record on its way.
#[derive(Default)]
struct Record {
    message: String,
    /// The fields as they stand behind the message.
    shown: String,
    sent: Vec<u8>,
}

impl Record {
    fn field(&mut self, name: &str, value: &str) {
        let _ = write!(self.shown, " {name}={value}");
        // The journal takes capitals, digits and underscores, and keeps names without a prefix for itself and for others.
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        put(&mut self.sent, &format!("MIMID_{}", name.chars().map(allowed).collect::<String>()), value);
    }

    fn finish(mut self, metadata: &tracing::Metadata<'_>) -> Vec<u8> {
        let priority = match *metadata.level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        put(&mut self.sent, "MESSAGE", &format!("{}{}", self.message, self.shown));
        put(&mut self.sent, "PRIORITY", priority);
        put(&mut self.sent, "SYSLOG_IDENTIFIER", "mimid");
        put(&mut self.sent, "MIMID_TARGET", metadata.target());
        self.sent
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

/// One field with its length before it, so that a line's end in a value begins no other field.
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

    /// What the journal makes of a record.
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

    /// A journal of our own, and what is logged to it.
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
    fn a_journal_that_stands_still_costs_records_and_is_told_how_many() {
        let (journal, subscriber, _folder) = journal();
        tracing::subscriber::with_default(subscriber, || {
            // More than the system keeps for a socket that nobody reads.
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
    fn a_journal_that_is_started_anew_gets_what_comes_after() {
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
