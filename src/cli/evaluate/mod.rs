//! `mimid evaluate`: how well recordings are heard whose sounds are known, by the measures of the field.
//!
//! | module | does |
//! | --- | --- |
//! | `classes` | the labels that are judged, and which heard labels count for each |
//! | `material` | the recordings with their true events, from truth files or a data set |
//! | `hear` | runs the engine over them |
//! | `events` | reads what another program heard |
//! | `judgement` | all numbers, for every format |
//! | `format`, `pretty`, `plot` | how they are printed and drawn |

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::explain::PictureFormat;
use super::{ConfigArg, Failure, ListeningArgs, exit, load, say};
use crate::config::Loaded;
use crate::dataset::Layout;
use crate::dataset::folds::Folds;
use crate::evaluate::tally::Scene;
use crate::model::hierarchy::LabelHierarchy;
use crate::model::onnx::{self, Runtime};

mod classes;
mod comparison;
mod events;
mod format;
mod hear;
mod judgement;
mod map;
mod material;
mod plot;
mod pretty;

use classes::Classes;
use hear::Heard;
use judgement::Judgement;
use material::Material;

/// Judge what is heard in labelled recordings, by the measures of the field.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("known").required(true).multiple(false))]
pub struct Args {
    /// The true events of the recordings: a table with the columns filename, onset, offset, event_label, or an Audacity label
    /// track; may be given several times
    #[arg(long, value_name = "FILE", group = "known")]
    truth: Vec<PathBuf>,
    /// The recordings are a data set in this layout, and its folder is given in their place
    #[arg(long, value_enum, value_name = "LAYOUT", group = "known", requires = "files")]
    dataset: Option<Layout>,
    /// Only these folds or parts of the data set, such as 5, 1-4 or validation, with commas between
    #[arg(long, value_name = "FOLDS", requires = "dataset")]
    folds: Option<Folds>,
    /// Judge these events of any program instead of hearing the recordings: a table with the columns filename, onset, offset, event_label
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Say which differences to these events of another program are more than chance; a table like that of --events
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The labels that count for a label of the truth: a table of two columns without a header, the label of the truth and a label of the
    /// model, its name, slug or AudioSet id; a label may stand in several lines
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Also draw the PSDS curves and the F1 of each label into this file (.svg or .png)
    #[arg(long, value_name = "OUT")]
    plot: Option<PathBuf>,
    /// How to print the numbers
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// How many of the worst recordings and of the confusions are listed
    #[arg(long, value_name = "N", default_value_t = 5)]
    worst: usize,
    /// The recordings, in any common format; with --events they may be left out
    #[arg(value_name = "RECORDING", required_unless_present = "events")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    listening: ListeningArgs,
    #[command(flatten)]
    config: ConfigArg,
}

/// The formats of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables for people
    Pretty,
    /// One JSON object with every number
    Json,
    /// One line a number: label, measure, value, low, high
    Tsv,
    /// Tables for a report
    Markdown,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let picture = args.plot.as_deref().map(PictureFormat::of).transpose()?;
    let Loaded { config, model, .. } = load(&args.config)?;
    let hierarchy = LabelHierarchy::new(&model.labels);
    let map = args.map.as_deref().map(|path| map::read(path, &model.labels)).transpose()?.unwrap_or_default();
    let mut classes = Classes::new(&model.labels, &hierarchy, &config.rules, map, args.events.is_some());
    let mut material = match args.dataset {
        Some(layout) => material::of_dataset(args, layout, &mut classes)?,
        None => material::of_truth(args, &mut classes)?,
    };
    // Neither the order on the command line nor that of a table shows in any number.
    material.recordings.sort_by(|a, b| a.path.cmp(&b.path));
    material.remarks.iter().chain(&classes.remarks()).for_each(|sentence| say(format_args!("mimid: {sentence}")));
    let heard = match &args.events {
        Some(path) => events::read(path, &material, &classes)?,
        None => {
            classes.unreported(&config.rules).iter().for_each(|sentence| say(format_args!("mimid: {sentence}")));
            let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
            let threads = config.model.n_threads();
            let hearing =
                hear::Hearing { model: &model, rules: &config.rules, classes: &classes, listening: args.listening.listening() };
            hear::hear(&hearing, (&runtime, threads), &mut material)?
        }
    };
    let other = args.against.as_deref().map(|path| events::read(path, &material, &classes)).transpose()?;
    material.settle_lengths([Some(&heard), other.as_ref()]);
    let scenes = scenes(&material, &heard, classes.len());
    let judgement = Judgement::new(&material, &classes, &scenes, heard, args.worst);
    let comparison = other.map(|other| comparison::Comparison::new(&judgement, &self::scenes(&material, &other, classes.len())));
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Pretty => pretty::write(&judgement, comparison.as_ref(), &mut out)?,
        Format::Json => format::json(&judgement, comparison.as_ref(), &mut out)?,
        Format::Tsv => format::tsv(&judgement, comparison.as_ref(), &mut out)?,
        Format::Markdown => format::markdown(&judgement, comparison.as_ref(), &mut out)?,
    }
    out.flush()?;
    match (picture, &args.plot) {
        (Some(picture), Some(path)) => picture.write(path, plot::svg(&judgement)),
        _ => Ok(()),
    }
}

/// The true and the heard events of each label in each recording.
fn scenes(material: &Material, heard: &[Heard], n_classes: usize) -> Vec<Scene> {
    let scene = |(recording, heard): (&material::Judged, &Heard)| Scene {
        lasts_s: recording.lasts_s,
        labels: (0..n_classes).map(|class| recording.pair(class, heard)).collect(),
    };
    material.recordings.iter().zip(heard).map(scene).collect()
}

/// The failure of a wrong table or data set.
fn usage(message: impl std::fmt::Display) -> Failure {
    Failure::new(message, exit::USAGE)
}
