//! Prints a configuration as a file that can be read again.

use std::fmt::Write;

use super::{Config, LogFormat, LogLevel};
use crate::capture::source::{Channel, Coding, Input, Protocol, SampleFormat};
use crate::detect::rule::Gate;
use crate::model::Labels;
use crate::model::manifest::DetectionOverride;
use crate::publish::settings::{ClipFormat, ClipsConfig, Entities, MqttVersion, SinksConfig, StoreConfig, SummaryConfig};
use crate::text::without_passwords;

mod hooks;

pub use hooks::names as hook_names;

/// The effective configuration as TOML: every rule, with the numbers that most of them share as `[defaults]`.
pub fn effective(config: &Config, labels: &Labels) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(config, labels, &mut out);
    out
}

fn write_all(config: &Config, labels: &Labels, out: &mut String) -> std::fmt::Result {
    let socket = &config.socket;
    writeln!(out, "[socket]")?;
    if let Some(path) = &socket.path {
        writeln!(out, "path = {}", quoted(&path.to_string_lossy()))?;
    }
    writeln!(out, "mode = \"{:04o}\"", socket.mode)?;
    if let Some(group) = &socket.group {
        writeln!(out, "group = {}", quoted(group))?;
    }
    writeln!(out, "\n[model]\ndir = {}", quoted(&config.model.dir))?;
    if let Some(runtime) = &config.model.runtime {
        writeln!(out, "runtime = {}", quoted(&runtime.to_string_lossy()))?;
    }
    if let Some(sounds) = &config.model.sounds {
        writeln!(out, "sounds = {}", quoted(&sounds.to_string_lossy()))?;
    }
    if let Some(threads) = config.model.threads {
        writeln!(out, "threads = {threads}")?;
    }
    write_detection(&config.model.detection, out)?;
    for source in &config.sources {
        writeln!(out, "\n[[source]]\nname = {}", quoted(&source.name))?;
        match &source.input {
            Input::Default => writeln!(out, "input = \"default\"")?,
            Input::Device(id) => writeln!(out, "input = {}", quoted(id))?,
            Input::File { path, looped } => {
                let suffix = if *looped { "?loop" } else { "" };
                writeln!(out, "input = {}", quoted(&format!("file:{}{suffix}", path.display())))?;
            }
            Input::Stdin { coding } => write!(out, "input = \"-\"\n{}", printed(coding))?,
            Input::Http { address } | Input::Rtsp { address } => writeln!(out, "input = {}", quoted(&address.shown()))?,
            Input::Push { protocol, listen, coding } => {
                let scheme = if *protocol == Protocol::Tcp { "tcp" } else { "udp" };
                write!(out, "input = \"{scheme}://{listen}\"\n{}", printed(coding))?;
            }
            Input::Exec { command, coding } => {
                // No argument holds a NUL, which alone could not be quoted.
                let command = shlex::try_join(command.iter().map(String::as_str)).unwrap_or_default();
                write!(out, "input = {}\n{}", quoted(&without_passwords(&format!("exec:{command}"))), printed(coding))?;
            }
        }
        if let Some(file) = &source.password_file {
            writeln!(out, "password_file = {}", quoted(&file.to_string_lossy()))?;
        }
        if let Some(file) = &source.ca_file {
            writeln!(out, "ca_file = {}", quoted(&file.to_string_lossy()))?;
        }
        if !source.allow.is_empty() {
            let allow: Vec<String> = source.allow.iter().map(|network| quoted(&network.to_string())).collect();
            writeln!(out, "allow = [{}]", allow.join(", "))?;
        }
        if let Some((_, area)) = config.areas.iter().find(|(name, _)| *name == source.name) {
            writeln!(out, "area = {}", quoted(area))?;
        }
        match source.channel {
            Channel::Mix => writeln!(out, "channel = \"mix\"")?,
            Channel::Pick(number) => writeln!(out, "channel = {number}")?,
        }
        writeln!(out, "gain_db = {:?}\nsilent_after_s = {:?}", source.gain_db, source.silent_after_ms as f64 / 1e3)?;
    }
    let common = most_common(config);
    if let Some(common) = &common {
        writeln!(out, "\n[defaults]")?;
        write_gate(common, None, out)?;
    }
    let (singles, groups): (Vec<_>, Vec<_>) = config.rules.iter().partition(|rule| !rule.subject.is_group());
    let names: Vec<String> = singles.iter().map(|rule| format!("    {},\n", quoted(&rule.subject.name))).collect();
    let merge = config.rules.first().is_some_and(|rule| rule.merge);
    writeln!(out, "\n[report]\nmerge = {merge}\nlabels = [\n{}]", names.concat())?;
    let has_clips = |name: &String| config.clips.as_ref().is_some_and(|clips| clips.policy.names.contains(name));
    let clip = |name: &String| if has_clips(name) { "clip = true\n" } else { "" };
    for rule in singles.iter().filter(|rule| Some(rule.gate) != common || has_clips(&rule.subject.name)) {
        let remark = remark(config, &rule.subject.name);
        writeln!(out, "\n{remark}[labels.{}]", quoted(&rule.subject.name))?;
        out.push_str(clip(&rule.subject.name));
        write_gate(&rule.gate, common.as_ref(), out)?;
    }
    for rule in groups {
        let members: Vec<String> = rule.members.iter().map(|index| quoted(&labels.subjects()[*index].name)).collect();
        let remark = remark(config, &rule.subject.name);
        writeln!(out, "\n{remark}[groups.{}]\nlabels = [{}]", quoted(&rule.subject.name), members.join(", "))?;
        out.push_str(clip(&rule.subject.name));
        write_gate(&rule.gate, common.as_ref(), out)?;
    }
    write_store(config.store.as_ref(), out)?;
    write_clips(config.clips.as_ref(), out)?;
    if let Some(SummaryConfig { at }) = &config.sinks.summary {
        writeln!(out, "\n[summary]\nat = \"{:02}:{:02}\"", at.hour(), at.minute())?;
    }
    write_sinks(&config.sinks, config.keep_thresholds, out)?;
    hooks::write(config.sinks.hooks.as_ref(), out)?;
    let level = name_of(config.log.level, &LogLevel::NAMES);
    let format = name_of(config.log.format, &LogFormat::NAMES);
    let quiet: Vec<String> = config.quiet_hours.texts().map(|text| quoted(&text)).collect();
    writeln!(out, "\n[privacy]\nstore_audio = {}\nquiet_hours = [{}]", config.clips.is_some(), quiet.join(", "))?;
    writeln!(out, "\n[reload]\nwatch = {}\n\n[log]\nlevel = \"{level}\"\nformat = \"{format}\"", config.watch)
}

/// The keys of a coding.
fn printed(coding: &Coding) -> String {
    let (word, pcm) = match coding {
        Coding::Container => return "format = \"container\"\n".to_owned(),
        Coding::Auto(pcm) => ("auto", pcm),
        Coding::Raw(pcm) => (name_of(pcm.format, &SampleFormat::NAMES), pcm),
    };
    format!("rate_hz = {}\nformat = \"{word}\"\nchannels = {}\n", pcm.rate_hz, pcm.channels)
}

fn write_store(store: Option<&StoreConfig>, out: &mut String) -> std::fmt::Result {
    let Some(StoreConfig { path, keep_days, max_mb, embeddings }) = store else {
        return writeln!(out, "\n[store]\nenabled = false");
    };
    let path = quoted(&path.to_string_lossy());
    writeln!(
        out,
        "\n[store]\nenabled = true\npath = {path}\nkeep_days = {keep_days}\nmax_mb = {max_mb}\nembeddings = {embeddings}"
    )
}

fn write_clips(clips: Option<&ClipsConfig>, out: &mut String) -> std::fmt::Result {
    let Some(ClipsConfig { folder, policy, format, keep, voice_threshold }) = clips else {
        return writeln!(out, "\n[clips]\nenabled = false");
    };
    writeln!(out, "\n[clips]\nenabled = true\npath = {}", quoted(&folder.to_string_lossy()))?;
    writeln!(out, "before_s = {:?}\nafter_s = {:?}\nmax_s = {:?}", policy.before_s, policy.after_s, policy.max_s)?;
    writeln!(out, "format = \"{}\"", name_of(*format, &ClipFormat::NAMES))?;
    writeln!(out, "without_voice = {}\nvoice_threshold = {voice_threshold:?}", policy.voice_threshold.is_some())?;
    writeln!(out, "keep_days = {}\nmax_mb = {}\nmin_free_mb = {}", keep.days, keep.max_mb, keep.min_free_mb)
}

fn write_sinks(sinks: &SinksConfig, keep_thresholds: bool, out: &mut String) -> std::fmt::Result {
    let path = |key: &str, path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| format!("{key} = {}\n", quoted(&path.to_string_lossy()))).unwrap_or_default()
    };
    if let Some(mqtt) = &sinks.mqtt {
        let scheme = if mqtt.tls { "mqtts" } else { "mqtt" };
        let host = if mqtt.host.contains(':') { format!("[{}]", mqtt.host) } else { mqtt.host.clone() };
        writeln!(out, "\n[sinks.mqtt]\nurl = {}", quoted(&format!("{scheme}://{host}:{}", mqtt.port)))?;
        writeln!(out, "version = {}", quoted(name_of(mqtt.version, &MqttVersion::NAMES)))?;
        writeln!(out, "node = {}\nprefix = {}", quoted(&mqtt.node), quoted(&mqtt.prefix))?;
        if let Some(username) = &mqtt.username {
            writeln!(out, "username = {}", quoted(username))?;
        }
        out.push_str(&(path("password_file", &mqtt.password_file) + &path("ca_file", &mqtt.ca_file)));
        writeln!(out, "discovery = {}\ndiscovery_prefix = {}", mqtt.discovery, quoted(&mqtt.discovery_prefix))?;
        writeln!(out, "entities = {}", quoted(name_of(mqtt.entities, &Entities::NAMES)))?;
        writeln!(out, "keep_thresholds = {keep_thresholds}\nqueue = {}", mqtt.queue)?;
    }
    if let Some(http) = &sinks.http {
        writeln!(out, "\n[sinks.http]\nlisten = {}", quoted(&http.listen.to_string()))?;
        out.push_str(&path("token_file", &http.token_file));
        let hosts: Vec<String> = http.hosts.iter().map(|host| quoted(host)).collect();
        writeln!(out, "hosts = [{}]\npublic_health = {}", hosts.join(", "), http.public_health)?;
    }
    Ok(())
}

/// A comment where the thresholds of a label or a group are not from the file.
fn remark(config: &Config, name: &str) -> &'static str {
    let is_set = config.set_by_clients.iter().any(|set| set == name);
    if is_set { "# a client has set thresholds of this, which are not in the configuration file\n" } else { "" }
}

/// Writes the numbers that take the place of the model's own.
fn write_detection(own: &DetectionOverride, out: &mut String) -> std::fmt::Result {
    if *own == DetectionOverride::default() {
        return Ok(());
    }
    writeln!(out, "\n[detection]")?;
    let DetectionOverride { windows_ms, hop_ms, strides, steady_stride, noise_gate_dbfs, delta, median, extent, valley } = own;
    for (key, value) in [
        ("windows_ms", windows_ms.as_ref().map(|list| format!("{list:?}"))),
        ("hop_ms", hop_ms.map(|value| value.to_string())),
        ("strides", strides.as_ref().map(|list| format!("{list:?}"))),
        ("steady_stride", steady_stride.map(|value| value.to_string())),
        ("noise_gate_dbfs", noise_gate_dbfs.map(|value| format!("{value:?}"))),
        ("delta", delta.map(|value| format!("{value:?}"))),
        ("median", median.map(|value| value.to_string())),
        ("extent", extent.map(|value| format!("{value:?}"))),
        ("valley", valley.map(|value| format!("{value:?}"))),
    ] {
        if let Some(value) = value {
            writeln!(out, "{key} = {value}")?;
        }
    }
    Ok(())
}

/// The gate that most rules share. It has a level only if every rule has one: a label can set another level, but cannot unset it.
fn most_common(config: &Config) -> Option<Gate> {
    let count = |gate: &Gate| config.rules.iter().filter(|rule| rule.gate == *gate).count();
    let common = config.rules.iter().map(|rule| rule.gate).max_by_key(count)?;
    let is_level_everywhere = config.rules.iter().all(|rule| rule.gate.min_level_dbfs.is_some());
    Some(Gate { min_level_dbfs: common.min_level_dbfs.filter(|_| is_level_everywhere), ..common })
}

/// Writes the numbers of a gate, or only those that differ from `common`.
fn write_gate(gate: &Gate, common: Option<&Gate>, out: &mut String) -> std::fmt::Result {
    let differs = |same: fn(&Gate, &Gate) -> bool| common.is_none_or(|common| !same(gate, common));
    if differs(|a, b| a.announce == b.announce) {
        writeln!(out, "announce = {}", quoted(gate.announce.name()))?;
    }
    if differs(|a, b| a.threshold == b.threshold) {
        writeln!(out, "threshold = {:?}", gate.threshold)?;
    }
    // Without these two keys the release and the start threshold would follow the threshold, so they are always written.
    writeln!(out, "release = {:?}\nstart_threshold = {:?}", gate.release, gate.start_threshold)?;
    if differs(|a, b| (a.confirm_k, a.confirm_n) == (b.confirm_k, b.confirm_n)) {
        writeln!(out, "confirm = \"{}/{}\"", gate.confirm_k, gate.confirm_n)?;
    }
    if differs(|a, b| a.min_duration_ms == b.min_duration_ms) {
        writeln!(out, "min_duration_ms = {}", gate.min_duration_ms)?;
    }
    if differs(|a, b| a.max_duration_ms == b.max_duration_ms) {
        writeln!(out, "max_duration_s = {:?}", gate.max_duration_ms.unwrap_or(0) as f64 / 1_000.0)?;
    }
    if differs(|a, b| a.hangover_ms == b.hangover_ms) {
        writeln!(out, "hangover_ms = {}", gate.hangover_ms)?;
    }
    if differs(|a, b| a.cooldown_ms == b.cooldown_ms) {
        writeln!(out, "cooldown_s = {:?}", gate.cooldown_ms as f64 / 1_000.0)?;
    }
    if let Some(level) = gate.min_level_dbfs
        && differs(|a, b| a.min_level_dbfs == b.min_level_dbfs)
    {
        writeln!(out, "min_level_dbfs = {level:?}")?;
    }
    if differs(|a, b| a.min_snr_db == b.min_snr_db) {
        writeln!(out, "min_snr_db = {:?}", gate.min_snr_db)?;
    }
    Ok(())
}

/// The name of a choice in the file.
fn name_of<T: PartialEq>(choice: T, names: &[(&'static str, T)]) -> &'static str {
    names.iter().find(|(_, named)| *named == choice).map_or("", |(name, _)| name)
}

/// A string as a basic string of TOML, on one line between quotation marks, which can hold any value and any key.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
