//! `[[hooks]]`: programs and servers that are told of events.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{At, Table};
use crate::publish::settings::HookWhen;

section! {
    /// One `[[hooks]]`: a program or a server that is told of events.
    RawHook {
        /// The name of the hook, which `status`, the metrics and `mimid hooks test` use.
        #[schemars(length(min = 1))]
        name: Option<String> = None,
        /// The things that it is told of: labels and groups, by display name, slug or id; `event` for every event; types of other
        /// reports, such as `source.lost`, or their first parts, such as `source`; and `health` for all of those.
        on: Vec<String> = vec!["event".to_owned()],
        /// When it is told of an event: `announced`, at once, though the event may be taken back; `confirmed`; `ended`, with the
        /// duration; or `clip`, when its sound is kept. Nothing is told of an event that was taken back before.
        #[schemars(extend("enum" = HookWhen::NAMES.map(|(name, _)| name)))]
        when: String = "confirmed".to_owned(),
        /// The lowest peak score of an event that it is told of, from 0 to 1.
        #[schemars(range(min = 0, max = 1))]
        min_score: f64 = 0.0,
        /// The sources whose reports it is told of. Without any: all.
        sources: Vec<String> = Vec::new(),
        /// The hours in which it is told, in the machine's own time zone, written like quiet_hours: `22:00-06:30` or
        /// `Mon-Fri 09:00-17:00`. Without any: always.
        hours: Vec<String> = Vec::new(),
        /// The time in seconds, at most a day, for which it is not told again of the same label or type.
        #[schemars(range(min = 0, max = MAX_COOLDOWN_S))]
        cooldown_s: f64 = 0.0,
        /// The program and its arguments, in which `{label}` and the other fields are filled in. No shell is between. Its standard
        /// input is the report's line, and its variables are `$MIMID_LABEL` and the other fields.
        exec: Option<Vec<String>> = None,
        /// The address of the server, `http://…` or `https://…`. Fields may stand behind the host.
        url: Option<String> = None,
        /// The method of the request.
        #[schemars(length(min = 1))]
        method: String = "POST".to_owned(),
        /// The headers of the request, in whose values fields are filled in.
        headers: BTreeMap<String, String> = BTreeMap::new(),
        /// The body of the request, or the program's standard input, in which fields are filled in: in JSON as parts of strings, in a
        /// form as parts of values. Without it: the report's line.
        body: Option<String> = None,
        /// Whether the body of the request is the file of the event's clip, with `when = "clip"`.
        attach: bool = false,
        /// A file that holds the secret, which `{secret}` stands for. Without it: `$MIMID_HOOK_NAME` of the hook `NAME`, or systemd's
        /// credential `hook_NAME`.
        #[schemars(length(min = 1))]
        secret_file: Option<String> = None,
        /// A file with certificates in PEM, by which the server of `https://` is trusted instead of the system's.
        #[schemars(length(min = 1))]
        ca_file: Option<String> = None,
        /// The private addresses and networks, such as `192.168.1.0/24`, that the hook may reach though the address names none.
        allow: Vec<String> = Vec::new(),
        /// The time in seconds that a try may take, from 0.1 to 600.
        #[schemars(range(min = 0.1, max = MAX_TIMEOUT_S))]
        timeout_s: f64 = 10.0,
        /// How often it is tried again where the server fails, or the program ends with the exit code 75, from 0 to 100. The waits
        /// between grow from a second to five minutes.
        #[schemars(range(min = 0, max = MAX_RETRIES))]
        retries: i64 = 10,
        /// How many programs or requests of the hook run at a time, from 1 to 32.
        #[schemars(range(min = 1, max = MAX_AT_ONCE))]
        at_once: i64 = 4,
        /// How many may wait, from 1 to 100000. Those for which there is no room are left out and counted.
        #[schemars(range(min = 1, max = MAX_HOOK_QUEUE))]
        queue: i64 = 1_000,
    }
}

/// The longest cooldown of a hook, in seconds: a day.
const MAX_COOLDOWN_S: f64 = 86_400.0;
/// The longest time of a try, in seconds.
pub const MAX_TIMEOUT_S: f64 = 600.0;
/// The most further tries.
pub const MAX_RETRIES: i64 = 100;
/// The most programs or requests at a time.
pub const MAX_AT_ONCE: i64 = 32;
/// The most runs that wait.
pub const MAX_HOOK_QUEUE: i64 = 100_000;
