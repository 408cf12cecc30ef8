//! The settings of the sources.

use std::collections::HashMap;
use std::sync::Arc;

use super::Check;
use crate::capture::network::Network;
use crate::capture::parse_input;
use crate::capture::source::{Channel, Coding, Input, Pcm, SampleFormat, SourceConfig};
use crate::config::raw::{CODINGS, MAX_CHANNELS, MAX_SILENT_AFTER_S, RawChannel, RawSource};
use crate::resample::{MAX_RATE_HZ, MIN_RATE_HZ};
use crate::text::{did_you_mean, nearest};

impl Check<'_> {
    pub(super) fn sources(&mut self) -> Vec<SourceConfig> {
        let standard = [(None, RawSource::default())];
        let raw = if self.raw.sources.is_empty() { standard.as_slice() } else { self.raw.sources.as_slice() };
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut stdin = 0;
        let mut sources = Vec::new();
        for (index, (line, source)) in raw.iter().enumerate() {
            let key = |name: &str| format!("source[{}].{name}", index + 1);
            let name = match &source.name.value {
                Some(name) => name.clone(),
                None if raw.len() == 1 => "default".to_owned(),
                None => {
                    self.fault(*line, &key("name"), "each of several sources needs a name".to_owned());
                    String::new()
                }
            };
            let name_line = source.name.line.or(*line);
            if source.name.value.is_some() && (name.trim().is_empty() || name.chars().any(char::is_control)) {
                self.fault(name_line, &key("name"), "a source's name must not be empty or hold control characters".to_owned());
            } else if !name.is_empty() && seen.insert(name.clone(), index).is_some() {
                self.fault(name_line, &key("name"), format!("two sources have the name {name:?}"));
            }
            let input = self.input(source, &key);
            stdin += usize::from(matches!(input, Input::Stdin { .. }));
            if stdin == 2 {
                self.fault(source.input.line, &key("input"), "standard input can be read by one source only".to_owned());
            }
            let channel = match &source.channel.value {
                RawChannel::Word(word) if word.eq_ignore_ascii_case("mix") => Channel::Mix,
                RawChannel::Number(number @ 1..=1_024) => Channel::Pick(u16::try_from(*number).unwrap_or(1)),
                RawChannel::Word(word) => {
                    let hint = did_you_mean(nearest(word, ["mix"]));
                    self.fault(
                        source.channel.line,
                        &key("channel"),
                        format!("{word:?} is not \"mix\" or a channel's number{hint}"),
                    );
                    Channel::Mix
                }
                RawChannel::Number(number) => {
                    self.fault(
                        source.channel.line,
                        &key("channel"),
                        format!("channels are counted from 1 to 1024, not {number}"),
                    );
                    Channel::Mix
                }
            };
            let gain = source.gain_db.value;
            if !(-60.0..=60.0).contains(&gain) {
                self.fault(source.gain_db.line, &key("gain_db"), format!("{gain} is out of range; it must be from -60 to 60"));
            }
            let silent_after_s = source.silent_after_s.value;
            if !(0.0..=MAX_SILENT_AFTER_S).contains(&silent_after_s) {
                let message = format!("{silent_after_s} is out of range; it must be from 0 (never) to {MAX_SILENT_AFTER_S}");
                self.fault(source.silent_after_s.line, &key("silent_after_s"), message);
            }
            let silent_after_ms = (silent_after_s * 1e3).round() as u64;
            let allow = self.allowed(source, &key("allow"));
            let password_file = source.password_file.value.as_ref().map(Into::into);
            sources.push(SourceConfig {
                name: name.into(),
                input,
                channel,
                gain_db: gain as f32,
                password_file,
                ca_file: source.ca_file.value.as_ref().map(Into::into),
                allow,
                silent_after_ms,
            });
        }
        sources
    }

    /// The places of the sources that have one. Faults of names are told by [`Self::sources`].
    pub(super) fn areas(&mut self) -> Vec<(Arc<str>, String)> {
        let mut areas = Vec::new();
        for (index, (_, source)) in self.raw.sources.iter().enumerate() {
            let Some(area) = &source.area.value else { continue };
            if area.trim().is_empty() || area.chars().any(char::is_control) {
                let key = format!("source[{}].area", index + 1);
                self.fault(source.area.line, &key, "an area must not be empty or hold control characters".to_owned());
            }
            areas.push((source.name.value.as_deref().unwrap_or("default").into(), area.clone()));
        }
        areas
    }

    fn input(&mut self, source: &RawSource, key: &impl Fn(&str) -> String) -> Input {
        let coding = self.coding(source, key);
        let input = parse_input(&source.input.value, coding).unwrap_or_else(|wrong| {
            self.fault(source.input.line, &key("input"), wrong);
            Input::Default
        });
        match &input {
            Input::File { path, .. } if path.as_os_str().is_empty() => {
                self.fault(source.input.line, &key("input"), "file: is not followed by a path".to_owned());
            }
            Input::Device(id) if id.trim().is_empty() => {
                let message = "the input is empty; write \"default\" for the default microphone".to_owned();
                self.fault(source.input.line, &key("input"), message);
            }
            Input::Push { .. } if coding == Coding::Container => {
                let message = "satellites push raw PCM; write its format, or leave the key out".to_owned();
                self.fault(source.format.line, &key("format"), message);
            }
            Input::Push { .. } if source.allow.value.is_empty() => {
                let message =
                    "satellites need allow, the addresses from which they may push, such as [\"192.168.1.7\"]".to_owned();
                self.fault(source.input.line, &key("input"), message);
            }
            _ => {}
        }
        // The shipped file sets the defaults, which deserve no warning.
        let standard = RawSource::default();
        let is_raw = matches!(input, Input::Stdin { .. } | Input::Exec { .. } | Input::Push { .. });
        let is_push = matches!(input, Input::Push { .. });
        let has_address = matches!(input, Input::Http { .. } | Input::Rtsp { .. });
        for (name, line, is_misplaced, place) in [
            ("allow", source.allow.line, !source.allow.value.is_empty() && !is_push, "tcp:// and udp://"),
            (
                "password_file",
                source.password_file.line,
                source.password_file.value.is_some() && !has_address,
                "rtsp:// and http://",
            ),
            ("ca_file", source.ca_file.line, source.ca_file.value.is_some() && !is_encrypted(&input), "rtsps:// and https://"),
        ] {
            if is_misplaced {
                self.warn(line, &key(name), format!("{name} is used with {place} only"));
            }
        }
        for (name, line, is_set) in [
            ("rate_hz", source.rate_hz.line, source.rate_hz.value != standard.rate_hz.value),
            ("format", source.format.line, source.format.value != standard.format.value),
            ("channels", source.channels.line, source.channels.value != standard.channels.value),
        ] {
            if is_set && !is_raw {
                self.warn(
                    line,
                    &key(name),
                    format!("{name} is used with raw PCM only: \"-\", \"exec:…\", \"tcp://…\" and \"udp://…\""),
                );
            }
        }
        input
    }

    /// The networks from which satellites may push.
    fn allowed(&mut self, source: &RawSource, key: &str) -> Vec<Network> {
        let mut networks = Vec::new();
        for text in &source.allow.value {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(wrong) => self.fault(source.allow.line, key, wrong),
            }
        }
        networks
    }

    /// The coding of bytes that do not say it themselves.
    fn coding(&mut self, source: &RawSource, key: &impl Fn(&str) -> String) -> Coding {
        let rate = u32::try_from(source.rate_hz.value).ok().filter(|rate| (MIN_RATE_HZ..=MAX_RATE_HZ).contains(rate));
        if rate.is_none() {
            let message = format!("{} is out of range; it must be from {MIN_RATE_HZ} to {MAX_RATE_HZ}", source.rate_hz.value);
            self.fault(source.rate_hz.line, &key("rate_hz"), message);
        }
        let channels = u16::try_from(source.channels.value).ok().filter(|n| (1..=MAX_CHANNELS).contains(&i64::from(*n)));
        if channels.is_none() {
            let message = format!("{} is out of range; it must be from 1 to {MAX_CHANNELS}", source.channels.value);
            self.fault(source.channels.line, &key("channels"), message);
        }
        let pcm = |format| Pcm { rate_hz: rate.unwrap_or(16_000), format, channels: channels.unwrap_or(1) };
        let word = source.format.value.to_lowercase();
        match SampleFormat::NAMES.iter().find(|(name, _)| *name == word) {
            Some((_, format)) => Coding::Raw(pcm(*format)),
            None if word == "container" => Coding::Container,
            None => {
                if word != "auto" {
                    let message = format!("{:?} is no format; write one of {}", source.format.value, CODINGS.join(", "));
                    self.fault(source.format.line, &key("format"), message);
                }
                Coding::Auto(pcm(SampleFormat::S16Le))
            }
        }
    }
}

/// Whether the connection of this input is encrypted, or may be after a redirect.
fn is_encrypted(input: &Input) -> bool {
    match input {
        Input::Rtsp { address } => address.is_encrypted(),
        Input::Http { .. } => true,
        _ => false,
    }
}
