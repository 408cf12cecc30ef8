//! `mimid check`: reports all faults of a configuration at once, or prints the effective configuration. It opens no source.

use std::io::Write;

use super::{ConfigArg, Failure, load, say};
use crate::capture::source::{Coding, Input};
use crate::capture::{device, parse_input};
use crate::config::print::effective;
use crate::config::raw::RawSource;
use crate::config::{Fault, Loaded, Raw};

/// Check a configuration and report all its faults at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the effective configuration, with every default filled in
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Loaded { raw, config, warnings, model, .. } = load(&args.config)?;
    for warning in warnings.iter().chain(&missing_devices(&raw)) {
        say(format_args!("warning: {warning}"));
    }
    let mut out = std::io::stdout().lock();
    if args.print {
        out.write_all(effective(&config, &model.labels).as_bytes())?;
    } else {
        let (rules, sources) = (config.rules.len(), config.sources.len());
        writeln!(
            out,
            "the configuration is valid: {rules} of {} labels and groups are reported, sources: {sources}",
            model.labels.len()
        )?;
    }
    out.flush()?;
    Ok(())
}

/// A warning for each capture device that is not present. It is no fault, because a device may be plugged in later.
fn missing_devices(raw: &Raw) -> Vec<Fault> {
    let missing = |(index, (_, source)): (usize, &(_, RawSource))| match parse_input(&source.input.value, Coding::auto(0)) {
        Ok(Input::Device(id)) => {
            let error = device::look_for(&id).err()?;
            let key = format!("source[{}].input", index + 1);
            Some(Fault { path: raw.path.clone(), line: source.input.line, key, message: error.to_string() })
        }
        _ => None,
    };
    raw.sources.iter().enumerate().filter_map(missing).collect()
}
