//! Prints the hooks. A secret is in a file, a variable or a credential and thus never printed.

use std::fmt::Write;

use super::{name_of, quoted};
use crate::publish::hooks::template::Template;
use crate::publish::settings::{HookAct, HookConfig, HookOn, HookWhen, HooksConfig, WebHook};

fn list(texts: impl Iterator<Item = String>) -> String {
    format!("[{}]", texts.map(|text| quoted(&text)).collect::<Vec<_>>().join(", "))
}

/// Writes the hooks.
pub fn write(hooks: Option<&HooksConfig>, out: &mut String) -> std::fmt::Result {
    for hook in hooks.iter().flat_map(|hooks| &hooks.hooks) {
        write_hook(hook, out)?;
    }
    Ok(())
}

fn write_hook(hook: &HookConfig, out: &mut String) -> std::fmt::Result {
    let HookConfig { name, on, when, min_score, sources, hours, cooldown, act, secret_file, timeout, bounds, clips: _ } = hook;
    writeln!(out, "\n[[hooks]]\nname = {}\non = {}", quoted(name), list(names(on).into_iter()))?;
    writeln!(out, "when = {}\nmin_score = {min_score:?}", quoted(name_of(*when, &HookWhen::NAMES)))?;
    writeln!(out, "sources = {}\nhours = {}", list(sources.iter().cloned()), list(hours.texts()))?;
    writeln!(out, "cooldown_s = {:?}", cooldown.as_secs_f64())?;
    let text = |template: &Template| template.text.clone();
    match act {
        HookAct::Exec { command, input } => {
            writeln!(out, "exec = {}", list(command.iter().map(text)))?;
            if let Some(input) = input {
                writeln!(out, "body = {}", quoted(&input.text))?;
            }
        }
        HookAct::Web(WebHook { url, method, headers, body, attach, ca_file, allow, .. }) => {
            writeln!(out, "url = {}\nmethod = {}", quoted(&url.text), quoted(method))?;
            let headers: Vec<String> =
                headers.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(&value.text))).collect();
            if !headers.is_empty() {
                writeln!(out, "headers = {{ {} }}", headers.join(", "))?;
            }
            if let Some(body) = body {
                writeln!(out, "body = {}", quoted(&body.text))?;
            }
            if *attach {
                writeln!(out, "attach = true")?;
            }
            if let Some(file) = ca_file {
                writeln!(out, "ca_file = {}", quoted(&file.to_string_lossy()))?;
            }
            writeln!(out, "allow = {}", list(allow.iter().map(ToString::to_string)))?;
        }
    }
    if let Some(file) = secret_file {
        writeln!(out, "secret_file = {}", quoted(&file.to_string_lossy()))?;
    }
    writeln!(out, "timeout_s = {:?}\nretries = {}", timeout.as_secs_f64(), bounds.retries)?;
    writeln!(out, "at_once = {}\nqueue = {}", bounds.at_once, bounds.queue)
}

/// What a hook runs for, as the configuration names it.
pub fn names(on: &HookOn) -> Vec<String> {
    let word = |is_named: bool, word: &str| is_named.then(|| word.to_owned());
    let words = word(on.is_every_event, "event").into_iter().chain(word(on.is_health, "health"));
    words.chain(on.labels.iter().cloned()).chain(on.types.iter().cloned()).collect()
}
