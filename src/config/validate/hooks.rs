//! The settings of the hooks. Files with secrets are read when a hook runs, not here.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Check;
use crate::config::QuietHours;
use crate::config::raw::{MAX_AT_ONCE, MAX_HOOK_QUEUE, MAX_RETRIES, MAX_TIMEOUT_S, RawHook};
use crate::config::table::At;
use crate::model::labels::slug;
use crate::publish::filter::{HEALTH_TYPES, SUMMARY_TYPE, is_type};
use crate::publish::hooks::fields::sample;
use crate::publish::hooks::queue::Bounds;
use crate::publish::hooks::template::{Around, Template};
use crate::publish::settings::{HookAct, HookConfig, HookOn, HookWhen, HooksConfig, WebHook};
use crate::publish::store::place;
use crate::systemd;
use crate::text::{did_you_mean, nearest};

/// Parts of the names of headers that carry secrets.
const SECRET_HEADERS: [&str; 6] = ["authorization", "token", "secret", "password", "cookie", "api-key"];

impl Check<'_> {
    /// The hooks, for a machine of this name.
    pub(super) fn hooks(&mut self, node: Option<&str>, clips: Option<&PathBuf>) -> Option<HooksConfig> {
        let raw = self.raw;
        if raw.hooks.is_empty() {
            return None;
        }
        let mut hooks: Vec<HookConfig> = Vec::new();
        let clips = clips.cloned();
        for (index, (line, hook)) in raw.hooks.iter().enumerate() {
            let key = |name: &str| format!("hooks[{}].{name}", index + 1);
            let name = hook.name.value.clone().unwrap_or_default();
            if name.trim().is_empty() || name.chars().any(char::is_control) {
                self.fault(
                    hook.name.line.or(*line),
                    &key("name"),
                    "each hook needs a name without control characters".to_owned(),
                );
            } else if hooks.iter().any(|other| other.name == name) {
                self.fault(hook.name.line, &key("name"), format!("two hooks have the name {name:?}"));
            }
            let cooldown_s = hook.cooldown_s.value;
            if !(0.0..=86_400.0).contains(&cooldown_s) {
                self.fault(
                    hook.cooldown_s.line,
                    &key("cooldown_s"),
                    format!("{cooldown_s} is out of range; it must be from 0 to 86400"),
                );
            }
            let timeout_s = hook.timeout_s.value;
            if !(0.1..=MAX_TIMEOUT_S).contains(&timeout_s) {
                let message = format!("{timeout_s} is out of range; it must be from 0.1 to {MAX_TIMEOUT_S}");
                self.fault(hook.timeout_s.line, &key("timeout_s"), message);
            }
            if !(0.0..=1.0).contains(&hook.min_score.value) {
                self.fault(
                    hook.min_score.line,
                    &key("min_score"),
                    format!("{} is out of range; it must be from 0 to 1", hook.min_score.value),
                );
            }
            let (hours, faults) = QuietHours::parse(&hook.hours.value);
            faults.into_iter().for_each(|message| self.fault(hook.hours.line, &key("hours"), message));
            let names: Vec<&str> =
                raw.sources.iter().map(|(_, source)| source.name.value.as_deref().unwrap_or("default")).collect();
            for source in hook.sources.value.iter().filter(|source| !names.contains(&source.as_str()) && *source != "default") {
                let hint = did_you_mean(nearest(source, names.iter().copied()));
                self.warn(hook.sources.line, &key("sources"), format!("there is no source {source:?} in this file{hint}"));
            }
            let bounds = Bounds {
                queue: self.hook_number(&key("queue"), &hook.queue, 1, MAX_HOOK_QUEUE),
                at_once: self.hook_number(&key("at_once"), &hook.at_once, 1, MAX_AT_ONCE),
                retries: u32::try_from(self.hook_number(&key("retries"), &hook.retries, 0, MAX_RETRIES)).unwrap_or(0),
            };
            let when = self.choice(&key("when"), &hook.when, &HookWhen::NAMES).unwrap_or(HookWhen::Confirmed);
            let on = self.hook_on(&key("on"), &hook.on);
            if when == HookWhen::Clip && !raw.clips.enabled.value {
                self.warn(hook.when.line, &key("when"), "no clip is kept, because [clips] enabled is false".to_owned());
            }
            self.judge_attachment(hook, when, &key);
            let act = self.hook_act(*line, hook, &key);
            if let Some(act) = act {
                hooks.push(HookConfig {
                    name,
                    on,
                    when,
                    min_score: hook.min_score.value,
                    sources: hook.sources.value.clone(),
                    hours,
                    cooldown: Duration::from_secs_f64(cooldown_s.clamp(0.0, 86_400.0)),
                    act,
                    secret_file: hook.secret_file.value.as_ref().map(PathBuf::from),
                    timeout: Duration::from_secs_f64(timeout_s.clamp(0.1, MAX_TIMEOUT_S)),
                    bounds,
                    clips: clips.clone(),
                });
            }
        }
        let node = node.map_or_else(systemd::machine_name, str::to_owned);
        Some(HooksConfig { node, file: self.hooks_file(), hooks })
    }

    /// Judges whether a clip can be attached.
    fn judge_attachment(&mut self, hook: &RawHook, when: HookWhen, key: &dyn Fn(&str) -> String) {
        if !hook.attach.value {
            return;
        }
        let has_body = ["POST", "PUT", "PATCH"].contains(&hook.method.value.to_ascii_uppercase().as_str());
        let message = match (when, &hook.url.value, &hook.body.value) {
            (HookWhen::Clip, Some(_), None) if has_body => return,
            (HookWhen::Clip, Some(_), None) => "a clip is sent with POST, PUT or PATCH",
            (HookWhen::Clip, Some(_), Some(_)) => "the clip takes the place of the body; leave out one of the two",
            (HookWhen::Clip, None, _) => "a program finds the clip's file in $MIMID_CLIP or {clip}; leave attach out",
            _ => "a clip is there with when = \"clip\" alone",
        };
        self.fault(hook.attach.line, &key("attach"), message.to_owned());
    }

    /// Beside the store's file, where there is a store.
    fn hooks_file(&self) -> Option<PathBuf> {
        let raw = &self.raw.store;
        let of_service = place::of_service();
        let is_on = raw.enabled.value.unwrap_or(raw.path.value.is_some() || of_service.is_some());
        let store = raw.path.value.as_ref().map(PathBuf::from).or(of_service).or_else(place::of_user);
        store.filter(|_| is_on).map(|store| store.with_file_name("hooks.db"))
    }

    fn hook_number(&mut self, key: &str, raw: &At<i64>, least: i64, most: i64) -> usize {
        if !(least..=most).contains(&raw.value) {
            self.fault(raw.line, key, format!("{} is out of range; it must be from {least} to {most}", raw.value));
        }
        usize::try_from(raw.value.clamp(least, most)).unwrap_or(1)
    }

    fn hook_on(&mut self, key: &str, raw: &At<Vec<String>>) -> HookOn {
        let mut on = HookOn::default();
        if raw.value.is_empty() {
            self.fault(
                raw.line,
                key,
                "the list is empty, so that the hook would never run; write \"event\" for every event".to_owned(),
            );
        }
        for wanted in &raw.value {
            let group = self
                .raw
                .groups
                .iter()
                .map(|group| &group.name)
                .find(|group| group.eq_ignore_ascii_case(wanted) || slug(group) == wanted.to_lowercase());
            let label = self.labels.find(wanted).map(|index| self.labels.subjects()[index].name.clone());
            match (wanted.as_str(), label, group) {
                ("event", ..) => on.is_every_event = true,
                ("health", ..) => on.is_health = true,
                (SUMMARY_TYPE, None, None) => on.types.push(SUMMARY_TYPE.to_owned()),
                (wanted, None, None) if HEALTH_TYPES.iter().any(|kind| is_type(kind, wanted)) => on.types.push(wanted.to_owned()),
                (wanted, None, None) if self.labels.is_left_out(wanted) => {
                    self.warn(raw.line, key, super::rules::left_out(wanted));
                }
                (_, None, None) => {
                    let hint = did_you_mean(self.labels.suggest(wanted).or_else(|| nearest(wanted, HEALTH_TYPES)));
                    self.fault(raw.line, key, format!("{wanted:?} is no label, no group and no type of report{hint}"));
                }
                (_, label, group) => on.labels.extend(label.into_iter().chain(group.cloned())),
            }
        }
        on
    }

    fn hook_act(&mut self, line: Option<usize>, hook: &RawHook, key: &dyn Fn(&str) -> String) -> Option<HookAct> {
        let body = hook.body.value.as_ref().and_then(|body| self.template(hook.body.line, &key("body"), body));
        match (&hook.exec.value, &hook.url.value) {
            (Some(command), None) => {
                let Some(program) = command.first().filter(|program| !program.is_empty()) else {
                    self.fault(hook.exec.line, &key("exec"), "name a program, such as [\"notify-send\", \"{label}\"]".to_owned());
                    return None;
                };
                let has_secret = |template: &Template| template.has("secret");
                let command: Vec<Template> =
                    command.iter().filter_map(|part| self.template(hook.exec.line, &key("exec"), part)).collect();
                if command.iter().any(has_secret) {
                    let message = "everybody on the machine can see arguments; the program finds the secret in $MIMID_SECRET";
                    self.fault(hook.exec.line, &key("exec"), message.to_owned());
                }
                if program.contains('{') {
                    self.fault(hook.exec.line, &key("exec"), "the program itself cannot be a field".to_owned());
                }
                Some(HookAct::Exec { command, input: body })
            }
            (None, Some(url)) => self.web_hook(url, hook, body, key).map(HookAct::Web),
            (Some(_), Some(_)) => {
                self.fault(hook.url.line, &key("url"), "a hook has either exec or url; make two of it".to_owned());
                None
            }
            (None, None) => {
                self.fault(line, &key("url"), "the hook does nothing; give it a program (exec) or an address (url)".to_owned());
                None
            }
        }
    }

    fn web_hook(&mut self, url: &str, hook: &RawHook, body: Option<Template>, key: &dyn Fn(&str) -> String) -> Option<WebHook> {
        let template = self.template(hook.url.line, &key("url"), url)?;
        let filled =
            Url::parse(&template.fill(Around::Address, sample)).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let host_begins = url.find("://").map_or(0, |at| at + 3);
        let authority = url[host_begins..].split(['/', '?', '#']).next().unwrap_or_default();
        let message = match &filled {
            None => Some("write http://HOST/PATH or https://HOST/PATH"),
            Some(_) if authority.contains('{') => Some("fields may stand only behind the host"),
            Some(_) if authority.contains('@') => {
                Some("write user and password as a header: headers = { Authorization = \"Basic {secret}\" }")
            }
            Some(_) => None,
        };
        if let Some(message) = message {
            self.fault(hook.url.line, &key("url"), message.to_owned());
        }
        let method = hook.method.value.to_ascii_uppercase();
        if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
            self.fault(
                hook.method.line,
                &key("method"),
                format!("{:?} is none of GET, POST, PUT, PATCH, DELETE", hook.method.value),
            );
        }
        let mut headers = Vec::new();
        for (name, value) in &hook.headers.value {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let lower = name.to_ascii_lowercase();
            if name.is_empty()
                || !name.bytes().all(is_token)
                || ["host", "connection", "content-length", "transfer-encoding"].contains(&lower.as_str())
            {
                self.fault(hook.headers.line, &key("headers"), format!("{name:?} is no header that a hook may set"));
            }
            let Some(value) = self.template(hook.headers.line, &key("headers"), value) else { continue };
            if SECRET_HEADERS.iter().any(|part| lower.contains(part)) && !value.has("secret") {
                let message = format!(
                    "{name} carries a secret, which this file is no place for: write {{secret}}, and name its file under secret_file"
                );
                self.fault(hook.headers.line, &key("headers"), message);
            }
            headers.push((name.clone(), value));
        }
        let declared = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map(|(_, value)| value.text.to_lowercase());
        let looks_like_json = body.as_ref().is_none_or(|body| {
            let mut letters = body.text.trim_start().chars();
            // A text may begin with a field.
            matches!((letters.next(), letters.next()), (Some('['), _) | (Some('{'), Some('"' | '}' | ' ' | '\n')))
        });
        let (around, content_type) = match declared {
            Some(declared) if declared.contains("json") => (Around::Json, "application/json"),
            Some(declared) if declared.contains("form-urlencoded") => (Around::Address, "application/x-www-form-urlencoded"),
            Some(_) => (Around::Plain, "text/plain; charset=utf-8"),
            None if looks_like_json => (Around::Json, "application/json"),
            None => (Around::Plain, "text/plain; charset=utf-8"),
        };
        if let Some(body) = &body
            && around == Around::Json
            && let Err(error) = serde_json::from_str::<serde_json::Value>(&body.fill(around, sample))
        {
            self.fault(hook.body.line, &key("body"), format!("this is not JSON: {error}"));
        }
        let mut allow = Vec::new();
        for network in &hook.allow.value {
            match network.parse() {
                Ok(network) => allow.push(network),
                Err(message) => self.fault(hook.allow.line, &key("allow"), message),
            }
        }
        let ca_file = hook.ca_file.value.as_ref().map(PathBuf::from);
        Some(WebHook { url: template, method, headers, body, attach: hook.attach.value, around, content_type, ca_file, allow })
    }

    fn template(&mut self, line: Option<usize>, key: &str, text: &str) -> Option<Template> {
        Template::parse(text).map_err(|message| self.fault(line, key, message)).ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Raw;
    use crate::model::Labels;
    use crate::publish::settings::HooksConfig;

    fn hooks(text: &str) -> Result<HooksConfig, Vec<String>> {
        let labels = Labels::new([("/m/0".to_owned(), "Dog".to_owned()), ("/m/1".to_owned(), "Glass".to_owned())], Vec::new());
        let text = format!("[report]\nlabels = [\"Dog\", \"Glass\"]\n[store]\npath = \"/a/events.db\"\n{text}");
        Raw::parse(&text, None)
            .validate(&labels)
            .map(|loaded| loaded.config.sinks.hooks.unwrap())
            .map_err(|faults| faults.sentences())
    }

    #[test]
    fn hooks_are_told_of_labels_groups_types_and_health() {
        let text = "[groups.Pets]\nlabels = [\"Dog\"]\n[[hooks]]\nname = \"a\"\non = [\"pets\", \"glass\", \"source\", \"health\"]\nexec = [\"true\"]\n\
                    [[hooks]]\nname = \"b\"\nurl = \"https://a/{slug}\"\n";
        let found = hooks(text).unwrap();
        let [a, b] = found.hooks.as_slice() else { panic!("two hooks") };
        assert_eq!(
            (a.on.labels.as_slice(), a.on.types.as_slice(), a.on.is_health),
            (["Pets".to_owned(), "Glass".to_owned()].as_slice(), ["source".to_owned()].as_slice(), true)
        );
        assert!(b.on.is_every_event && !b.on.is_health);
        assert_eq!(found.file, Some("/a/hooks.db".into()));
    }

    #[test]
    fn every_fault_is_told_with_its_key() {
        let faults = hooks(
            "[[hooks]]\non = [\"Glas\"]\nwhen = \"end\"\nmin_score = 2\nhours = [\"now\"]\ncooldown_s = -1\nexec = [\"{label}\", \"{secret}\", \"{labl}\"]\n\
             timeout_s = 0\nretries = 101\nat_once = 0\nqueue = 0\n\
             [[hooks]]\nname = \"x\"\non = []\n[[hooks]]\nname = \"x\"\nurl = \"ftp://a\"\nmethod = \"BREW\"\nbody = '{\"a\": {label}}'\n\
             headers = { \"a b\" = \"x\", Authorization = \"Bearer abc\" }\nallow = [\"lan\"]\n\
             [[hooks]]\nname = \"y\"\nurl = \"http://{label}/\"\n[[hooks]]\nname = \"y\"\nurl = \"http://a:b@c/\"\n\
             [[hooks]]\nname = \"z\"\nurl = \"http://c/\"\nexec = [\"true\"]\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(faults.join("\n"));
    }
}
