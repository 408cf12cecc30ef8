//! The installed models: listing them, checking one, writing one into the configuration, removing one.

use std::io::Write;
use std::path::Path;

use super::trial::{Sound, Trial};
use super::{CheckArgs, ChoiceArgs, ListArgs, licence, runtime, settings};
use crate::cli::{Failure, exit, say};
use crate::config::edit::{Assignment, Original};
use crate::model::manifest::{Summary, homes};
use crate::model::{Model, Tagger};

/// Lists the installed models, and the one of the configuration.
pub fn list(args: &ListArgs) -> Result<(), Failure> {
    let settings = settings(&args.config)?;
    let used = homes::find(&settings.dir).ok();
    let mut models = homes::installed();
    if let Some(folder) = used.iter().find(|used| !models.iter().any(|(_, folder)| is_same(folder, used))) {
        models.push((settings.dir.clone(), folder.clone()));
    }
    let mut out = std::io::stdout().lock();
    for (name, folder) in &models {
        let mark = if used.as_deref().is_some_and(|used| is_same(used, folder)) { "*" } else { " " };
        match Summary::read(folder) {
            Ok(Summary { licence, .. }) => writeln!(out, "{mark} {name}\t{licence}\t{}", folder.display())?,
            Err(error) => writeln!(out, "{mark} {name}\t-\t{error}")?,
        }
    }
    if models.is_empty() {
        say("no model is installed; `make setup` installs one, and `mimid model add` another");
    }
    out.flush()?;
    Ok(())
}

/// Whether two paths are one folder.
fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

/// Checks a model, and says what it hears.
pub fn check(args: &CheckArgs) -> Result<(), Failure> {
    let settings = settings(&args.config)?;
    let model = Model::open(args.model.as_deref().unwrap_or(&settings.dir))?;
    let sound = Sound::of(args.sound.as_deref(), &model)?;
    let mut tagger = Tagger::open(&model, &runtime(&settings)?)?;
    let trial = Trial::of(&model, &mut tagger, sound)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "the model {} is whole: {} labels, in {}", model.name, model.labels.len(), model.folder().display())?;
    write!(out, "{}", trial.told(&model))?;
    match licence::warning(&model.licence) {
        Some(warning) => writeln!(out, "licence: {warning}")?,
        None => writeln!(out, "licence: {}", model.licence)?,
    }
    out.flush()?;
    Ok(())
}

/// Writes a model into the configuration.
pub fn choose(args: &ChoiceArgs) -> Result<(), Failure> {
    let settings = settings(&args.config)?;
    let model = Model::open(&args.model)?;
    // A configuration must not name a model that cannot be run.
    Tagger::open(&model, &runtime(&settings)?)?;
    let original = Original::open(args.config.config.as_deref())?;
    let dir = homes::word_for(model.folder());
    let mut assignments = vec![Assignment::Text { table: "model", key: "dir", value: dir }];
    // A preset by AudioSet's names has nothing of a model with names of its own.
    if original.raw().reports_none_of(&model.labels) {
        assignments.push(Assignment::Text { table: "report", key: "preset", value: "all".to_owned() });
    }
    let plan = original.plan(&assignments, &model.labels)?;
    if let Some(warning) = licence::warning(&model.licence) {
        say(format_args!("warning: {warning}"));
    }
    let mut out = std::io::stdout().lock();
    if plan.is_empty() {
        writeln!(out, "{} says that already", plan.path().display())?;
        return Ok(());
    }
    write!(out, "{}", plan.diff())?;
    out.flush()?;
    plan.write()?;
    writeln!(out, "{} is written; a running daemon takes it with `systemctl reload mimid`", plan.path().display())?;
    if (0..model.labels.len()).all(|label| model.labels.thresholds(label).is_none()) {
        writeln!(out, "the model comes without thresholds; `mimid tune` finds them next")?;
    }
    Ok(())
}

/// Removes the files of a model that its manifest names, and its folder where it is empty then.
pub fn remove(args: &ChoiceArgs) -> Result<(), Failure> {
    let folder = homes::find(&args.model)?;
    let settings = settings(&args.config)?;
    if homes::find(&settings.dir).is_ok_and(|used| is_same(&used, &folder)) {
        let message = format!(
            "the configuration uses the model {:?}; choose another with `mimid model use` before it is removed",
            args.model
        );
        return Err(Failure::new(message, exit::USAGE));
    }
    let files = Summary::read(&folder)?.files;
    // Without its manifest the folder is no model any more, whatever else can be removed.
    for file in std::iter::once("manifest.toml").chain(files.iter().map(String::as_str)) {
        let path = folder.join(file);
        let is_gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        if let Err(error) = std::fs::remove_file(&path).or_else(|error| if is_gone(&error) { Ok(()) } else { Err(error) }) {
            return Err(Failure::new(format!("{} cannot be removed ({error})", path.display()), exit::FAILED));
        }
    }
    match std::fs::remove_dir(&folder) {
        Ok(()) => println!("{} is removed", folder.display()),
        Err(_) => println!("the model is removed; {} holds other files as well and stays", folder.display()),
    }
    Ok(())
}
