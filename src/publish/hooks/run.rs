//! Tries one run of a hook: finds its secret, fills in its templates, and has its program run or its server asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use jiff::tz::TimeZone;

use super::fields::Fields;
use super::queue::Tried;
use super::template::{Around, Template};
use super::web::{Asked, Trust};
use super::{Answered, command};
use crate::publish::clips::name::ClipName;
use crate::publish::settings::{HookAct, HookConfig};
use crate::publish::wire::{Body, Line};
use crate::secret;

/// A hook with what its tries share.
#[derive(Debug)]
pub struct Runner {
    /// The hook.
    pub config: HookConfig,
    node: Arc<str>,
    trust: Trust,
    stop: Arc<AtomicBool>,
}

/// What a try does, with everything filled in.
#[derive(Debug)]
pub enum Doing {
    /// It runs this program with this input.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
        /// Its standard input.
        input: String,
        /// Its variables.
        environment: Vec<(String, String)>,
    },
    /// It asks a server.
    Web(Asked),
}

impl Runner {
    /// A runner of a hook.
    pub fn new(config: HookConfig, node: Arc<str>) -> Self {
        Self { config, node, trust: Trust::default(), stop: Arc::default() }
    }

    /// Has the programs that run ended.
    pub fn break_off(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Tries a run for a report's line. No answer holds the secret.
    pub async fn run(&self, line: &str) -> Answered {
        let config = self.config.clone();
        // A file with a secret may be on a slow disk.
        let secret = tokio::task::spawn_blocking(move || config.secret()).await.unwrap_or_else(|error| Err(error.to_string()));
        let secret = match secret {
            Ok(secret) => secret,
            Err(said) => return Answered { tried: Tried::Failed(None), said, shown: String::new() },
        };
        let mut answered = match self.doing(line, secret.as_deref()) {
            Ok(doing) => self.act(doing).await,
            Err(said) => Answered { tried: Tried::Refused, said, shown: String::new() },
        };
        if let Some(secret) = &secret {
            answered.said = answered.said.replace(secret.as_str(), "***");
            answered.shown = answered.shown.replace(secret.as_str(), "***");
        }
        answered
    }

    /// What a try for a line does.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn doing(&self, line: &str, secret: Option<&str>) -> Result<Doing, String> {
        let read: Line = serde_json::from_str(line).map_err(|error| format!("the report cannot be read ({error})"))?;
        let fields = Fields::new(&read, &self.config.name, &self.node, &TimeZone::system()).with_secret(secret);
        let clip = self.clip(&read);
        let fields = fields.with_clip(clip.as_deref());
        match &self.config.act {
            HookAct::Exec { command, input } => {
                let filled = |template: &Template| template.fill(Around::Plain, |field| fields.value(field));
                let input = match input {
                    // Its own lines stay; those of a value do not.
                    Some(input) => filled(input),
                    None => format!("{}\n", line.trim_end()),
                };
                let command = command.iter().map(filled).collect();
                Ok(Doing::Exec { command, input, environment: fields.environment().collect() })
            }
            HookAct::Web(web) => web.asked(&fields, line).map(Doing::Web),
        }
    }

    /// The file of a report about a clip. Only the name of a clip becomes a path.
    fn clip(&self, line: &Line) -> Option<PathBuf> {
        let Body::Clip { file: Some(file), .. } = &line.body else { return None };
        ClipName::read(file).and_then(|_| Some(self.config.clips.as_ref()?.join(file)))
    }

    async fn act(&self, doing: Doing) -> Answered {
        let limit = self.config.timeout;
        match (doing, &self.config.act) {
            (Doing::Web(asked), HookAct::Web(web)) => web.ask(asked, self.trust.clone(), limit).await,
            (Doing::Exec { command, input, environment }, _) => {
                let stop = self.stop.clone();
                let ran = tokio::task::spawn_blocking(move || command::run(&command, &input, environment, limit, &stop)).await;
                ran.unwrap_or_else(|error| Answered { tried: Tried::BrokenOff, said: error.to_string(), shown: String::new() })
            }
            (Doing::Web(_), HookAct::Exec { .. }) => {
                Answered { tried: Tried::Refused, said: String::new(), shown: String::new() }
            }
        }
    }
}

impl HookConfig {
    /// The secret, from a file, the environment or systemd's credentials, if there is one.
    ///
    /// # Errors
    /// One sentence.
    pub fn secret(&self) -> Result<Option<String>, String> {
        let secret = secret::read(self.secret_file.as_deref(), &self.secret_variable(), &self.secret_credential())?;
        if secret.is_none() && self.wants_secret() {
            return Err(format!(
                "it has no secret: name its file under secret_file, or set ${} or systemd's credential {}",
                self.secret_variable(),
                self.secret_credential()
            ));
        }
        Ok(secret)
    }

    /// The variable that may hold its secret.
    pub fn secret_variable(&self) -> String {
        format!("MIMID_HOOK_{}", plain(&self.name).to_uppercase())
    }

    fn secret_credential(&self) -> String {
        format!("hook_{}", plain(&self.name))
    }

    /// Whether it cannot run without a secret.
    pub fn wants_secret(&self) -> bool {
        match &self.act {
            HookAct::Exec { .. } => self.secret_file.is_some(),
            HookAct::Web(web) => web.has_secret(),
        }
    }
}

fn plain(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
