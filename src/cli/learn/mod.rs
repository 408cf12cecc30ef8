//! `mimid learn`: teaches a sound of one's own by a few recordings, and writes its file.
//!
//! This file has the command line. `hear` hears the recordings, `teach` turns them into a sound and its file, `correct` turns events that
//! were something else into corrections, `told` says what was done. The arithmetic is in `learn`, and the file's format in `model::learnt`.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{ConfigArg, Failure, ListeningArgs, exit, load};
use crate::config::Loaded;
use crate::dataset::Layout;
use crate::dataset::folds::Folds;
use crate::model::Model;
use crate::model::learnt::{file, label_of};

mod classes;
mod correct;
mod hear;
mod live;
mod teach;
mod told;

/// Learn a sound of your own from a few recordings, so that it is a label like any other.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sound's name, such as Kettle
    #[arg(required_unless_present_any = ["correct", "reviews", "dataset"])]
    name: Option<String>,
    /// Recordings of the sound, in any common format; five are enough, and one is a beginning
    #[arg(value_name = "RECORDING")]
    files: Vec<PathBuf>,
    /// Recordings of what the sound is not: other sounds that resemble it, or the room without it
    #[arg(long = "not", value_name = "RECORDING", num_args = 1.., action = clap::ArgAction::Append)]
    not: Vec<PathBuf>,
    /// Learn from this event of the store as well, by its id, as `mimid history --format csv` shows it; may be given several times
    #[arg(long = "event", value_name = "ID")]
    events: Vec<Uuid>,
    /// Correct an event of the store, by its id: its label was not what sounded. Where it sounds like that again, the label's score is
    /// lowered
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "files", "not", "events", "truth", "is_a", "add", "replace", "forget", "reviews"])]
    correct: Option<Uuid>,
    /// The label that the corrected event was instead
    #[arg(long, value_name = "LABEL", requires = "correct")]
    was: Option<String>,
    /// Correct by all marks of the store at once: those of `mimid review`, and of the page
    #[arg(long, conflicts_with_all = ["name", "files", "not", "events", "truth", "is_a", "add", "replace", "forget"])]
    reviews: bool,
    /// Listen to a source, and learn from what is played to it: be quiet first, then make the sound several times. No sound is kept
    #[arg(long, conflicts_with_all = ["truth", "correct", "reviews", "forget"])]
    live: bool,
    /// The source to listen to: the name of a configured one, or what `mimid run --source` takes [default: the first configured one]
    #[arg(long, value_name = "SOURCE", requires = "live")]
    source: Option<String>,
    /// How often the sound will be made
    #[arg(long, value_name = "N", default_value_t = 5, requires = "live", value_parser = clap::value_parser!(u32).range(1..=100))]
    plays: u32,
    /// Learn every class of a data set in this layout, whose folder takes the place of the name
    #[arg(long, value_enum, value_name = "LAYOUT", conflicts_with_all = ["files", "not", "events", "truth", "is_a", "add", "replace", "forget", "live", "correct", "reviews"])]
    dataset: Option<Layout>,
    /// Only these folds or parts of the data set, such as 1-4 or train, with commas between
    #[arg(long, value_name = "FOLDS", requires = "dataset")]
    folds: Option<Folds>,
    /// The store's file [default: of the service that runs this, of this user, then /var/lib/mimid/events.db]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// A table that says when the sound is to be heard in the recordings: with the columns filename, onset, offset, event_label
    #[arg(long, value_name = "FILE", requires = "files")]
    truth: Option<PathBuf>,
    /// The label that the sound is a kind of, such as Alarm: it counts for that one as well
    #[arg(long, value_name = "LABEL")]
    is_a: Option<String>,
    /// Learn from these recordings beside those that the sound was learnt from before
    #[arg(long)]
    add: bool,
    /// Learn a sound anew that there is already
    #[arg(long, conflicts_with = "add")]
    replace: bool,
    /// Write nothing: leave one recording out at a time, and say what the others make of it
    #[arg(long)]
    check: bool,
    /// Forget the sound: remove its file
    #[arg(long, conflicts_with_all = ["files", "not", "events", "is_a", "check"])]
    forget: bool,
    #[command(flatten)]
    listening: ListeningArgs,
    #[command(flatten)]
    config: ConfigArg,
}

impl Args {
    /// The sound's name; empty where none is given.
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let usage = |message: String| Failure::new(message, exit::USAGE);
    let name_given = args.name.as_deref().filter(|_| args.dataset.is_none());
    if let Some(fault) = name_given.and_then(file::fault_of_name) {
        return Err(usage(format!("{:?} cannot be a sound's name: {fault}", args.name())));
    }
    let Loaded { config, mut model, .. } = load(&args.config)?;
    let Some(folder) = config.model.sounds.clone() else {
        return Err(usage("there is no folder for learnt sounds; name one with `sounds` under [model]".to_owned()));
    };
    if args.forget {
        return forget(args.name(), &folder, &model);
    }
    if let Some(layout) = args.dataset {
        model.gives_embeddings = true;
        return classes::run(args, layout, &model, config.model.runtime.as_deref(), &folder);
    }
    if args.correct.is_some() || args.reviews {
        return correct::run(args, &model, &folder);
    }
    let name = args.name();
    let known = model.sounds.iter().find(|sound| sound.name == name).cloned();
    if known.is_none() && model.labels.find(name).is_some() {
        return Err(usage(format!("the label {name:?} exists already; give the sound a name of its own")));
    }
    if let Some(label) = label_of(&model.labels, name).filter(|_| known.is_none()) {
        let other = &model.labels.subjects()[label];
        return Err(usage(format!(
            "the label {:?} has the identifier {} already, which {name:?} would have as well; give the sound another name",
            other.name, other.slug
        )));
    }
    if known.is_some() && !(args.add || args.replace || args.check) {
        let message =
            format!("the sound {name:?} is learnt already; add recordings to it with --add, or learn it anew with --replace");
        return Err(usage(message));
    }
    if known.is_none() && args.add {
        return Err(usage(format!("no sound {name:?} is learnt yet, to which recordings could be added; leave --add out")));
    }
    let gives_none = args.files.is_empty() && args.events.is_empty() && !args.live;
    // Recordings of what it is not, or another kind, can be added without a recording of the sound.
    let adds = args.add && !(args.not.is_empty() && args.is_a.is_none());
    if gives_none && (known.is_none() || args.replace || (args.add && !adds)) {
        return Err(usage(format!("name recordings of the sound: `mimid learn {name:?} RECORDING…`")));
    }
    model.gives_embeddings = true;
    teach::run(args, known, &model, config.model.runtime.as_deref(), &folder, &config.sources)
}

/// Removes a sound's file.
fn forget(name: &str, folder: &Path, model: &Model) -> Result<(), Failure> {
    let mut all = model.sounds.iter().chain(model.corrections.iter());
    let Some(sound) = all.find(|sound| sound.name == name) else {
        return Err(Failure::new(format!("no sound {name:?} is learnt, in {}", folder.display()), exit::USAGE));
    };
    let path = file::find(folder, &sound.name).ok_or_else(|| {
        Failure::new(format!("no file in {} holds the sound {name:?} any more", folder.display()), exit::FAILED)
    })?;
    std::fs::remove_file(&path)
        .map_err(|error| Failure::new(format!("{} cannot be removed ({error})", path.display()), exit::FAILED))?;
    println!("{} is removed; a running daemon forgets the sound with `systemctl reload mimid`", path.display());
    Ok(())
}
