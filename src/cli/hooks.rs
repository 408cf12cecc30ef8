//! `mimid hooks`: lists the hooks of the configuration, and runs one with a made-up report. It asks no running daemon.

use std::io::Write;

use jiff::{SignedDuration, Timestamp};

use super::{ConfigArg, Failure, exit, load};
use crate::config::Loaded;
use crate::config::print::hook_names;
use crate::event::{ClipReport, ClipState, EndReason, Report, SoundEvent, Subject, Summary};
use crate::limits;
use crate::publish::filter::SUMMARY_TYPE;
use crate::publish::hooks::queue::Tried;
use crate::publish::hooks::run::{Doing, Runner};
use crate::publish::settings::{HookAct, HookConfig, HookWhen, HooksConfig};
use crate::publish::wire::Line;
use crate::text::{did_you_mean, nearest, visible};

/// List the hooks, or run one now to see what it does.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run a hook now with a made-up event, and show what it does.
    Test(TestArgs),
}

/// Run a hook now with a made-up event, and show what it does.
#[derive(Debug, clap::Args)]
struct TestArgs {
    /// The hook's name
    name: String,
    /// The label of the event, by display name, slug or id [default: the first that the hook is told of]
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = match &args.command {
        Some(Command::Test(test)) if test.config.config.is_some() => &test.config,
        _ => &args.config,
    };
    let loaded = load(config)?;
    match (&args.command, &loaded.config.sinks.hooks) {
        (None, None) => Ok(writeln!(std::io::stdout(), "the configuration has no hooks")?),
        (None, Some(hooks)) => list(hooks),
        (Some(Command::Test(test)), hooks) => {
            let none = Vec::new();
            let all = hooks.as_ref().map_or(&none, |hooks| &hooks.hooks);
            let Some(hook) = all.iter().find(|hook| hook.name == test.name) else {
                let hint = did_you_mean(nearest(&test.name, all.iter().map(|hook| hook.name.as_str())));
                return Err(Failure::new(format_args!("the configuration has no hook {:?}{hint}", test.name), exit::USAGE));
            };
            try_it(hook, hooks.as_ref().map_or("", |hooks| &hooks.node), test.label.as_deref(), &loaded)
        }
    }
}

fn list(hooks: &HooksConfig) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let width = hooks.hooks.iter().map(|hook| hook.name.chars().count()).max().unwrap_or(0);
    for hook in &hooks.hooks {
        let when = HookWhen::NAMES.iter().find(|(_, when)| *when == hook.when).map_or("", |(name, _)| name);
        let act = match &hook.act {
            HookAct::Exec { command, .. } => command.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(" "),
            // What stands behind the host may be a secret.
            HookAct::Web(web) => {
                let host_begins = web.url.text.find("://").map_or(0, |at| at + 3);
                let end = web.url.text[host_begins..].find(['/', '?']).map_or(web.url.text.len(), |at| host_begins + at);
                format!("{} {}", web.method, &web.url.text[..end])
            }
        };
        let on = hook_names(&hook.on).join(", ");
        writeln!(out, "{:<width$}  {}", visible(&hook.name), visible(&format!("{on}, {when}: {act}")))?;
    }
    Ok(())
}

fn try_it(hook: &HookConfig, node: &str, label: Option<&str>, loaded: &Loaded) -> Result<(), Failure> {
    let line = made_up(hook, label, loaded)?.to_json();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(limits::explain(&error), exit::FAILED))?;
    let runner = Runner::new(hook.clone(), node.into());
    let mut out = std::io::stdout().lock();
    // What is shown has a word in the place of the secret.
    match runner.doing(&line, Some("SECRET")).map_err(|why| Failure::new(why, exit::FAILED))? {
        Doing::Exec { command, input, .. } => {
            writeln!(out, "runs     {}", visible(&format!("{command:?}")))?;
            writeln!(out, "input    {}", visible(input.trim_end()))?;
        }
        Doing::Web(asked) => {
            writeln!(out, "asks     {} {}", asked.method, visible(asked.url.as_str()))?;
            for (name, value) in &asked.headers {
                writeln!(out, "         {}", visible(&format!("{name}: {value}")))?;
            }
            writeln!(out, "body     {}", visible(&asked.body))?;
        }
    }
    out.flush()?;
    let answered = runtime.block_on(runner.run(&line));
    writeln!(out, "result   {}", visible(&answered.said))?;
    for line in answered.shown.lines() {
        writeln!(out, "         {}", visible(line))?;
    }
    if answered.tried == Tried::Done {
        Ok(())
    } else {
        Err(Failure::new(format_args!("the hook failed: {}", answered.said), exit::FAILED))
    }
}

/// A report of the kind that the hook is told of.
fn made_up(hook: &HookConfig, label: Option<&str>, loaded: &Loaded) -> Result<Line, Failure> {
    let (now, labels) = (Timestamp::now(), &loaded.model.labels);
    if let (None, [], [kind], false) = (label, hook.on.labels.as_slice(), hook.on.types.as_slice(), hook.on.is_every_event)
        && kind == SUMMARY_TYPE
    {
        return Ok(Line::report(0, now, &Report::Summary(Summary { from: now, until: now, ..Summary::default() }.into())));
    }
    if let (None, [], [_, ..], false) = (label, hook.on.labels.as_slice(), hook.on.types.as_slice(), hook.on.is_every_event) {
        return Ok(Line::report(0, now, &Report::SourceLost { source: "test".into(), reason: "this is a test".to_owned() }));
    }
    let name = label.or(hook.on.labels.first().map(String::as_str)).unwrap_or("Dog");
    let group =
        loaded.config.rules.iter().map(|rule| &rule.subject).find(|subject| subject.is_group() && subject.is_called(name));
    let subject = match (labels.find(name), group) {
        (Some(index), _) => labels.subjects()[index].clone(),
        (None, Some(group)) => group.clone(),
        (None, None) => {
            let hint = did_you_mean(labels.suggest(name));
            return Err(Failure::new(format_args!("there is no label or group {name:?}{hint}"), exit::USAGE));
        }
    };
    let onset = now.checked_sub(SignedDuration::from_millis(1_700)).unwrap_or(now);
    Ok(Line::report(0, now, &event(hook.when, subject, onset, now)))
}

fn event(when: HookWhen, subject: std::sync::Arc<Subject>, onset: Timestamp, now: Timestamp) -> Report {
    let has_ended = when == HookWhen::Ended;
    let event = SoundEvent {
        id: uuid::Uuid::now_v7(),
        subject,
        source: "test".into(),
        onset,
        offset: has_ended.then_some(now),
        score: 0.9,
        peak_score: 0.9,
        threshold: 0.5,
        level_dbfs: -30.0,
        onset_uncertainty_ms: 50,
        offset_uncertainty_ms: has_ended.then_some(50),
        also: Vec::new(),
        is_confirmed: when != HookWhen::Announced,
        embedding: None,
    };
    match when {
        HookWhen::Announced => Report::EventStart(event),
        HookWhen::Confirmed => Report::EventUpdate(event),
        HookWhen::Ended => Report::EventEnd(event, EndReason::Decay),
        // No sound was kept, so that there is no file.
        HookWhen::Clip => Report::Clip(Box::new(ClipReport {
            event: event.id,
            subject: event.subject,
            source: event.source,
            state: ClipState::Kept,
            reason: None,
            file: None,
            from: onset,
            to: now,
            bytes: 0,
        })),
    }
}
