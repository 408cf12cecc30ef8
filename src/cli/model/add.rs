//! `mimid model add`: from a graph and a label map to a model's folder.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::staging::Staging;
use super::trial::{Sound, Trial};
use super::{licence, runtime, settings};
use crate::cli::{ConfigArg, Failure, exit, say};
use crate::model::draft::{Asked, Draft, DraftError, Texts};
use crate::model::labels::{Node, read_ontology};
use crate::model::manifest::{InputKind, LogMelParameters, OutputKind, Summary, homes, sha256};
use crate::model::map::{self, MapLabel};
use crate::model::onnx::Runtime;
use crate::model::onnx::look::{Seen, list};
use crate::model::{Model, Tagger, external};

/// Make a model of an ONNX graph and a label map.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The graph, an ONNX file; files with its weights lie beside it
    graph: PathBuf,
    /// The label map: one name a line, or a table with a header, such as index,mid,display_name
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// The folder of the model [default: one of the model's name among the installed models]
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// The model's name, of letters, digits, dots, dashes and underscores [default: that of the graph's file]
    #[arg(long)]
    name: Option<String>,
    /// The licence of the weights, such as Apache-2.0
    #[arg(long)]
    licence: Option<String>,
    /// Where the model comes from, such as an address [default: the graph's file]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The sample rate that the model takes, where the graph does not say it
    #[arg(long, value_name = "HZ")]
    sample_rate: Option<u32>,
    /// The length of a window, where the graph takes any
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(10..=60_000))]
    window_ms: Option<u32>,
    /// The output with the scores, where there are several that may be it
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Whether the scores are probabilities or logits [default: what their numbers look like]
    #[arg(long, value_name = "KIND", value_parser = ["probabilities", "logits"])]
    kind: Option<String>,
    /// The output with the embedding of a window, from which sounds of one's own can be learnt
    #[arg(long, value_name = "NAME")]
    embedding: Option<String>,
    /// The definition of the log-mel spectrogram that the graph takes: TOML with the keys of [input.log_mel], or a whole manifest
    #[arg(long, value_name = "FILE")]
    log_mel: Option<PathBuf>,
    /// The ontology of the labels, a table with id, name and parents [default: that of an installed model which has most of them]
    #[arg(long, value_name = "FILE")]
    ontology: Option<PathBuf>,
    /// A recording to play through the model, in any common format, instead of beeps
    #[arg(long, value_name = "RECORDING")]
    sound: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

fn usage(message: impl std::fmt::Display) -> Failure {
    Failure::new(message, exit::USAGE)
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let name = name(args)?;
    let labels = read(&args.labels, "label map")?;
    let labels = map::parse(&labels).map_err(|error| usage(format_args!("{}: {error}", args.labels.display())))?;
    let graph = read(&args.graph, "graph")?;
    let place = match &args.to {
        Some(to) => to.clone(),
        None => homes::for_new().ok_or_else(|| usage("there is no home folder for models; name a folder with --to"))?.join(&name),
    };
    let staging = Staging::new(&place)?;
    let external = weights(args, &graph)?;
    let runtime = runtime(&settings(&args.config)?)?;
    let seen = Seen::of(&args.graph, &runtime)?;
    let mut asked = asked(args)?;
    let draft = loop {
        match Draft::of(&seen, &asked, labels.len()) {
            Ok(draft) => break draft,
            Err(DraftError::Graph(sentence)) => {
                return Err(Failure::new(format_args!("{}: {sentence}", args.graph.display()), exit::MODEL));
            }
            Err(error @ DraftError::Unknown(_)) => return Err(usage(format_args!("{}: {error}", args.graph.display()))),
            Err(error @ DraftError::SampleRate) => match ask("The sample rate that the model takes, in Hz", None) {
                Some(rate) => {
                    let bad = |_| usage(format_args!("{rate:?} is no sample rate in Hz"));
                    asked.sample_rate_hz = Some(rate.parse().map_err(bad)?);
                }
                None => return Err(usage(format_args!("{}: {error}", args.graph.display()))),
            },
        }
    };
    let licence = match &args.licence {
        Some(licence) => licence.clone(),
        None => ask("The licence of the weights", Some(licence::UNKNOWN)).unwrap_or_else(|| licence::UNKNOWN.to_owned()),
    };
    let ontology = ontology(args.ontology.as_deref(), &labels)?;
    let nodes = ontology.as_ref().map_or(&[][..], |(nodes, _, _)| nodes);
    let table = map::to_table(&labels, nodes);
    staging.write("model.onnx", &graph)?;
    staging.write("labels.tsv", table.as_bytes())?;
    if let Some((_, bytes, _)) = &ontology {
        staging.write("ontology.tsv", bytes)?;
    }
    for (file, bytes) in &external {
        staging.write(file, bytes)?;
    }
    let external: Vec<(String, String)> = external.iter().map(|(file, bytes)| (file.clone(), sha256(bytes))).collect();
    let file = args.graph.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let texts = Texts {
        name: &name,
        licence: &licence,
        source: args.source.as_deref().unwrap_or(&file),
        graph: ("model.onnx", sha256(&graph)),
        external: &external,
        labels: sha256(table.as_bytes()),
        ontology: ontology.as_ref().map(|(_, bytes, _)| sha256(bytes)),
    };
    let (model, trial, kind) = try_out(args, &staging, &draft, &texts, &runtime)?;
    let from = ontology.as_ref().map(|(_, _, from)| format!(", with the ontology {from}")).unwrap_or_default();
    let mut out = format!("graph: takes {}; gives {}\n", list(&seen.inputs), list(&seen.outputs));
    let input = if draft.kind == InputKind::Waveform { "the waveform" } else { "the log-mel" };
    out +=
        &format!("input: {input} at {} Hz, a window of {} ms every {} ms\n", draft.sample_rate_hz, draft.window_ms, draft.hop_ms);
    let scores = if kind == OutputKind::Logits { "logits" } else { "probabilities" };
    out += &format!("output: {:?}, {scores}\nlabels: {} of {}{from}\n", draft.output, labels.len(), args.labels.display());
    out += &trial.told(&model);
    out += &match licence::warning(&licence) {
        Some(warning) => format!("licence: {warning}\n"),
        None => format!("licence: {licence}\n"),
    };
    let place = staging.put()?;
    let word = if args.to.is_some() { place.display().to_string() } else { name };
    out += &format!(
        "{} is written; `mimid model use {word}` puts it into the configuration, and then `mimid tune` finds its thresholds\n",
        place.display()
    );
    std::io::stdout().write_all(out.as_bytes())?;
    Ok(())
}

/// Writes the manifest, opens the model from it and plays the sound through it. What looks like logits becomes logits.
fn try_out(
    args: &Args,
    staging: &Staging,
    draft: &Draft,
    texts: &Texts,
    runtime: &Runtime,
) -> Result<(Model, Trial, OutputKind), Failure> {
    let own_path = |failure: Failure| {
        // The folder has another name as long as it is not in its place.
        let (staged, graph) = (staging.folder().join("model.onnx").display().to_string(), args.graph.display().to_string());
        Failure { message: failure.message.replace(&staged, &graph), ..failure }
    };
    let attempt = |kind: OutputKind| -> Result<(Model, Trial), Failure> {
        staging.write("manifest.toml", draft.manifest(texts, kind).as_bytes())?;
        let folder =
            staging.folder().to_str().ok_or_else(|| usage("the path of the folder is no text; name another with --to"))?;
        let model = Model::open(folder)?;
        let sound = Sound::of(args.sound.as_deref(), &model)?;
        let mut tagger = Tagger::open(&model, runtime)?;
        let trial = Trial::of(&model, &mut tagger, sound)?;
        if trial.has_nan {
            let message = format!("the graph {} gives scores that are no numbers", args.graph.display());
            return Err(Failure::new(message, exit::MODEL));
        }
        Ok((model, trial))
    };
    let kind = if args.kind.as_deref() == Some("logits") { OutputKind::Logits } else { OutputKind::Probabilities };
    let (model, trial) = attempt(kind).map_err(own_path)?;
    let (least, most) = trial.range;
    // A sum of rounded exponentials may be a little above 1.
    if kind == OutputKind::Logits || (least >= -1e-3 && most <= 1.001) {
        return Ok((model, trial, kind));
    }
    if args.kind.is_some() {
        let message = format!("the scores are from {least:.2} to {most:.2} and no probabilities; leave --kind out");
        return Err(usage(message));
    }
    let (model, trial) = attempt(OutputKind::Logits).map_err(own_path)?;
    Ok((model, trial, OutputKind::Logits))
}

/// The model's name, which is that of its folder.
fn name(args: &Args) -> Result<String, Failure> {
    let stem = || args.graph.file_stem().map(|stem| stem.to_string_lossy().to_lowercase().replace(' ', "-"));
    let name = args.name.clone().or_else(stem).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > 64 || name.starts_with(['.', '-']) || !name.chars().all(is_plain) {
        let message = format!(
            "{name:?} cannot be a model's name; --name gives one of up to 64 letters, digits, dots, dashes and underscores"
        );
        return Err(usage(message));
    }
    Ok(name)
}

/// The bytes of a file that is named on the command line.
fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    let refuse = |why: &str| usage(format_args!("{}: {why}; name the file of the {what}", path.display()));
    let metadata = std::fs::metadata(path).map_err(|error| usage(format_args!("{} cannot be read ({error})", path.display())))?;
    if metadata.is_dir() {
        return Err(refuse("this is a folder"));
    }
    // To open a pipe without a writer would block for ever.
    if !metadata.is_file() {
        return Err(refuse("this is no file"));
    }
    std::fs::read(path).map_err(|error| usage(format_args!("{} cannot be read ({error})", path.display())))
}

/// The files beside the graph that hold its weights, with their bytes.
fn weights(args: &Args, graph: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let folder = args.graph.parent().unwrap_or(Path::new(""));
    let files = external::files(graph).unwrap_or_default();
    let file = |file: String| {
        let is_plain = !file.contains('/')
            && !matches!(file.as_str(), "" | "." | ".." | "manifest.toml" | "labels.tsv" | "model.onnx" | "ontology.tsv");
        if !is_plain {
            let message = format!("{}: its weights are in {file:?}, which is no name of a file beside it", args.graph.display());
            return Err(Failure::new(message, exit::MODEL));
        }
        let path = folder.join(&file);
        let bytes = std::fs::read(&path).map_err(|error| {
            let message =
                format!("{}: its weights are in {}, which cannot be read ({error})", args.graph.display(), path.display());
            Failure::new(message, exit::MODEL)
        })?;
        Ok((file, bytes))
    };
    files.into_iter().map(file).collect()
}

/// What the command line says of the graph.
fn asked(args: &Args) -> Result<Asked, Failure> {
    let mut asked = Asked {
        sample_rate_hz: args.sample_rate,
        window_ms: args.window_ms,
        output: args.output.clone(),
        embedding: args.embedding.clone(),
        log_mel: None,
    };
    let Some(path) = &args.log_mel else { return Ok(asked) };
    let wrong = |what: &dyn std::fmt::Display| usage(format_args!("{}: {what}", path.display()));
    let text = String::from_utf8(read(path, "log-mel")?).map_err(|_| wrong(&"it holds bytes that are not UTF-8"))?;
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(&error.message().replace('\n', " ")))?;
    if let Some(toml::Value::Table(mut input)) = table.remove("input") {
        let rate = input.get("sample_rate_hz").and_then(toml::Value::as_integer).and_then(|rate| u32::try_from(rate).ok());
        asked.sample_rate_hz = asked.sample_rate_hz.or(rate);
        table = match input.remove("log_mel") {
            Some(toml::Value::Table(log_mel)) => log_mel,
            _ => return Err(wrong(&"it has no [input.log_mel]")),
        };
    }
    let parameters: LogMelParameters =
        table.clone().try_into().map_err(|error: toml::de::Error| wrong(&error.message().replace('\n', " ")))?;
    let text = toml::to_string(&table).map_err(|error| wrong(&error))?;
    asked.log_mel = Some((parameters, text));
    Ok(asked)
}

type Ontology = (Vec<Node>, Vec<u8>, String);

/// The ontology of the labels, the bytes of its file, and where it comes from: the one that was named, or that of an installed
/// model which has at least half of the labels.
fn ontology(named: Option<&Path>, labels: &[MapLabel]) -> Result<Option<Ontology>, Failure> {
    if let Some(path) = named {
        let bytes = read(path, "ontology")?;
        return Ok(Some((read_ontology(path)?, bytes, path.display().to_string())));
    }
    let of = |(name, folder): (String, PathBuf)| {
        let path = folder.join(Summary::read(&folder).ok()?.ontology?);
        let nodes = read_ontology(&path).ok()?;
        let is_fit = 2 * map::known(labels, &nodes) >= labels.len();
        is_fit.then(|| Some((nodes, std::fs::read(&path).ok()?, format!("of {name}"))))?
    };
    Ok(homes::installed().into_iter().find_map(of))
}

/// Asks for something on the terminal; `None` where there is none, or where nothing was said.
fn ask(question: &str, default: Option<&str>) -> Option<String> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    say(format_args!("{question}{}:", default.map(|default| format!(" [{default}]")).unwrap_or_default()));
    answer(&mut std::io::stdin().lock())
}

/// The next line, without spaces around it; `None` where it is empty.
fn answer(input: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}
