//! The settings of the hooks, as plain data that the configuration fills. Files with secrets are read when a hook runs, not here.

use std::path::PathBuf;
use std::time::Duration;

use crate::capture::network::Network;
use crate::hours::QuietHours;
use crate::publish::hooks::queue::Bounds;
use crate::publish::hooks::template::{Around, Template};

/// The hooks.
#[derive(Debug, Clone, PartialEq)]
pub struct HooksConfig {
    /// The name of this machine.
    pub node: String,
    /// The file with the runs that wait; `None` without a store.
    pub file: Option<PathBuf>,
    /// Each hook.
    pub hooks: Vec<HookConfig>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq)]
pub struct HookConfig {
    /// Its name.
    pub name: String,
    /// The reports that it runs for.
    pub on: HookOn,
    /// When in the life of an event it runs.
    pub when: HookWhen,
    /// The lowest peak score of an event, 0…1.
    pub min_score: f64,
    /// The names of the sources; none is all.
    pub sources: Vec<String>,
    /// The hours in which it runs; none is always.
    pub hours: QuietHours,
    /// How long it does not run again for the same label or type.
    pub cooldown: Duration,
    /// What it does.
    pub act: HookAct,
    /// A file with its secret; `None` means the environment, or systemd's credential, or none.
    pub secret_file: Option<PathBuf>,
    /// How long a try may take.
    pub timeout: Duration,
    /// The bounds of its queue.
    pub bounds: Bounds,
    /// The folder of the clips; `None` where clips are off.
    pub clips: Option<PathBuf>,
}

/// The reports that a hook runs for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HookOn {
    /// The display names of labels and groups.
    pub labels: Vec<String>,
    /// Types of reports about health, or the first parts of types.
    pub types: Vec<String>,
    /// Whether it runs for every event.
    pub is_every_event: bool,
    /// Whether it runs for every report that is about no event.
    pub is_health: bool,
}

/// When in the life of an event a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookWhen {
    /// As soon as it is announced; it may be taken back.
    Announced,
    /// As soon as it is confirmed.
    Confirmed,
    /// When it has ended, unless it was taken back.
    Ended,
    /// When its clip is kept.
    Clip,
}

impl HookWhen {
    /// Every choice with its name in the configuration.
    pub const NAMES: [(&str, Self); 4] =
        [("announced", Self::Announced), ("confirmed", Self::Confirmed), ("ended", Self::Ended), ("clip", Self::Clip)];
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAct {
    /// It runs a program.
    Exec {
        /// The program and its arguments.
        command: Vec<Template>,
        /// The program's standard input; `None` means the report's line.
        input: Option<Template>,
    },
    /// It asks a server.
    Web(WebHook),
}

/// What a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebHook {
    /// The address. It has fields only behind the host.
    pub url: Template,
    /// The method, such as `POST`.
    pub method: String,
    /// Names and values.
    pub headers: Vec<(String, Template)>,
    /// The body; `None` means the report's line, or nothing for a GET.
    pub body: Option<Template>,
    /// Whether the body is the file of the clip.
    pub attach: bool,
    /// What stands around a value in the body.
    pub around: Around,
    /// The `Content-Type` where the headers have none.
    pub content_type: &'static str,
    /// A PEM file with the only certificates that may have signed the server's; `None` means those of the system.
    pub ca_file: Option<PathBuf>,
    /// The private addresses that it may reach, beside those that the address itself names.
    pub allow: Vec<Network>,
}
