//! `mimid clips`: lists, exports, locks and deletes the sound that is kept. It reads the store and the folder itself, whether a daemon runs
//! or not, and so needs the rights of their owner.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{ConfigArg, Failure, exit};
use crate::config;
use crate::event::ClipState;
use crate::publish::clips::shelf::{Shelf, ShelfError, open_file};
use crate::publish::store::clips::ClipRow;
use crate::publish::store::history::History;
use crate::publish::store::place;
use crate::publish::wire::ListedClip;
use crate::text::visible;

/// List, export, lock and delete the sound that is kept of events.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, clap::Args)]
struct Place {
    /// The store's file [default: that of the configuration, else of the service or the user]
    #[arg(long, value_name = "PATH", global = true)]
    store: Option<PathBuf>,
    /// The folder of the clips [default: that of the configuration, else clips beside the store]
    #[arg(long, value_name = "PATH", global = true)]
    folder: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the clips, the newest first
    List {
        /// The most clips
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Print a JSON object a line
        #[arg(long)]
        json: bool,
        /// Only clips that are there, and not those that were withheld, lost or cleared
        #[arg(long)]
        kept: bool,
    },
    /// Copy the clips of events into a folder
    Export {
        /// The ids of the events
        #[arg(required = true, value_name = "EVENT")]
        events: Vec<Uuid>,
        /// The folder
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
    },
    /// Have the clips of events never cleared by themselves
    Lock {
        /// The ids of the events
        #[arg(required = true, value_name = "EVENT")]
        events: Vec<Uuid>,
    },
    /// Have the clips of events cleared like any other
    Unlock {
        /// The ids of the events
        #[arg(required = true, value_name = "EVENT")]
        events: Vec<Uuid>,
    },
    /// Delete the clips of events, and of the events that share them
    Delete {
        /// The ids of the events
        #[arg(required = true, value_name = "EVENT")]
        events: Vec<Uuid>,
    },
}

impl Place {
    /// The store's file and the folder.
    fn found(&self) -> Result<(PathBuf, PathBuf), Failure> {
        let beside = |store: &Path| store.with_file_name("clips");
        if let Some(store) = &self.store {
            return Ok((store.clone(), self.folder.clone().unwrap_or_else(|| beside(store))));
        }
        let raw = config::load::read(self.config.config.as_deref()).map_err(|faults| Failure::new(faults, exit::USAGE))?;
        let store = raw.store.path.value.map_or_else(place::to_read, PathBuf::from);
        let folder = self.folder.clone().or_else(|| raw.clips.path.value.map(PathBuf::from));
        let folder = folder.unwrap_or_else(|| beside(&store));
        Ok((store, folder))
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (store, folder) = args.place.found()?;
    if !store.exists() {
        let message = format!("there is no store at {}; name its file with --store", store.display());
        return Err(Failure::new(message, exit::FAILED));
    }
    if let Command::List { limit, json, kept } = &args.command {
        return list(&store, *limit, *json, *kept);
    }
    if !folder.is_dir() {
        let message = format!("there is no folder of clips at {}; name it with --folder", folder.display());
        return Err(Failure::new(message, exit::FAILED));
    }
    let failed = |error: ShelfError| Failure::new(error, exit::FAILED);
    let shelf = Shelf::open(&folder, &store).map_err(failed)?;
    let of = |event: &Uuid, error: ShelfError| Failure::new(format_args!("{event}: {error}"), exit::FAILED);
    match &args.command {
        Command::List { .. } => Ok(()),
        Command::Export { events, to } => events.iter().try_for_each(|event| {
            let (_, file, path) = shelf.find(*event).map_err(|error| of(event, error))?;
            export(&path, &to.join(file))
        }),
        Command::Lock { events } => {
            events.iter().try_for_each(|event| shelf.lock(*event, true).map(drop).map_err(|error| of(event, error)))
        }
        Command::Unlock { events } => {
            events.iter().try_for_each(|event| shelf.lock(*event, false).map(drop).map_err(|error| of(event, error)))
        }
        Command::Delete { events } => events.iter().try_for_each(|event| shelf.delete(*event).map_err(|error| of(event, error))),
    }
}

/// Copies a file to a place where none is.
fn export(from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = open_file(from).and_then(|mut file| {
        let mut new = std::fs::OpenOptions::new().write(true).create_new(true).open(to)?;
        io::copy(&mut file, &mut new)
    });
    copied.map_err(|error| {
        let (from, to) = (from.display(), to.display());
        Failure::new(format_args!("{from} cannot be copied to {to}: {error}"), exit::FAILED)
    })?;
    Ok(writeln!(io::stdout(), "{}", visible(&to.display().to_string()))?)
}

fn list(store: &Path, limit: usize, is_json: bool, is_kept: bool) -> Result<(), Failure> {
    let failed = |error| Failure::new(format_args!("{} cannot be read: {error}", store.display()), exit::FAILED);
    let rows = History::open(store).and_then(|history| history.clips(limit)).map_err(failed)?;
    let (mut out, zone) = (io::stdout().lock(), TimeZone::system());
    for row in rows.iter().filter(|row| !is_kept || row.state == ClipState::Kept) {
        if is_json {
            let json = serde_json::to_string(&ListedClip::from(row)).unwrap_or_default();
            writeln!(out, "{json}")?;
        } else {
            writeln!(out, "{}", visible(&line(row, &zone)))?;
        }
    }
    Ok(())
}

/// A clip in a line.
fn line(row: &ClipRow, zone: &TimeZone) -> String {
    let time = zone.to_datetime(row.from).strftime("%Y-%m-%d %H:%M:%S");
    let seconds = row.to.duration_since(row.from).as_secs_f64();
    let told = match (&row.reason, row.state) {
        (_, ClipState::Kept) => {
            format!("{seconds:>5.1} s {:>7} kB{}", row.bytes.div_ceil(1_000), if row.is_locked { "  locked" } else { "" })
        }
        (Some(reason), state) => format!("{}: {reason}", state.word()),
        (None, state) => state.word().to_owned(),
    };
    format!("{time}  {:<12} {:<24} {}  {told}", row.source, row.label, row.event)
}
