//! `mimid check`: a configuration's faults, all at once, or what it comes to.

use std::io::Write;

use super::{ConfigArg, Failure, load};
use crate::config::print::effective;

/// Check a configuration: all faults at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the effective configuration
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (loaded, model) = load(&args.config)?;
    for warning in &loaded.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let mut out = std::io::stdout().lock();
    if args.print {
        out.write_all(effective(&loaded.config, &model.labels).as_bytes())?;
    } else {
        let (rules, sources) = (loaded.config.rules.len(), loaded.config.sources.len());
        writeln!(
            out,
            "the configuration is valid: {rules} of {} labels and groups are reported, sources: {sources}",
            model.labels.len()
        )?;
    }
    out.flush()?;
    Ok(())
}
