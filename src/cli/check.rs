//! `mimid check`: reports all faults of a configuration at once, or prints the effective configuration. It opens no source.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::{ConfigArg, Failure, load, say};
use crate::capture::source::{Coding, Input};
use crate::capture::{device, parse_input};
use crate::config::print::effective;
use crate::config::raw::RawSource;
use crate::config::{Fault, Faults, LoadError, Loaded, Raw};
use crate::publish::http;
use crate::publish::settings::SinksConfig;
use crate::secret;

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
    let secrets = secrets(&raw, &config.sinks);
    for warning in warnings.iter().chain(&missing_devices(&raw)).chain(&secrets.unreadable) {
        say(format_args!("warning: {warning}"));
    }
    if !secrets.faults.is_empty() {
        return Err(LoadError::Faults(secrets.faults).into());
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

/// What is wrong with passwords and tokens.
#[derive(Debug, Default)]
struct Secrets {
    /// What the daemon refuses as well.
    faults: Faults,
    /// What this user may not read, and the daemon's perhaps may.
    unreadable: Vec<Fault>,
}

/// Judges the passwords and tokens of the sinks as their start would.
fn secrets(raw: &Raw, sinks: &SinksConfig) -> Secrets {
    let mut secrets = Secrets::default();
    let mut judge = |line: Option<usize>, key: &str, file: Option<&Path>, judged: Result<(), String>| {
        let Err(message) = judged else { return };
        let fault = Fault { path: raw.path.clone(), line, key: key.to_owned(), message };
        let is_denied = |path: &Path| File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        if file.is_some_and(is_denied) { secrets.unreadable.push(fault) } else { secrets.faults.push(fault) }
    };
    if let Some(config) = &sinks.http {
        let keys = &raw.sinks.http;
        let (line, key) = match config.token_file {
            Some(_) => (keys.token_file.line, "sinks.http.token_file"),
            None => (keys.listen.line, "sinks.http.listen"),
        };
        judge(line, key, config.token_file.as_deref(), http::judge(config));
    }
    if let Some(mqtt) = &sinks.mqtt {
        let line = raw.sinks.mqtt.password_file.line;
        let password = secret::read(mqtt.password_file.as_deref(), "MIMID_MQTT_PASSWORD", "mqtt_password");
        judge(line, "sinks.mqtt.password_file", mqtt.password_file.as_deref(), password.map(drop));
    }
    for (hook, (_, raw)) in sinks.hooks.iter().flat_map(|hooks| &hooks.hooks).zip(&raw.hooks) {
        let key = format!("hooks.{}.secret_file", hook.name);
        // A variable or a credential of the service is none of this user's.
        if hook.secret_file.is_some() {
            judge(raw.secret_file.line, &key, hook.secret_file.as_deref(), hook.secret().map(drop));
        }
    }
    secrets
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
