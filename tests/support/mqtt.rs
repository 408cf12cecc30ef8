//! A real broker and an independent subscriber, for the tests of the MQTT sink.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use serde_json::Value;

use super::{PATIENCE, free_port, until};

/// A topic that no test reads. Messages there show that a subscriber is up, or make the broker write its database.
const MARKER: &str = "tests/marker";

/// The retained messages of a broker: payloads by topic.
pub type Retained = BTreeMap<String, String>;

/// A broker, which is killed when it is dropped.
pub struct Broker {
    child: Child,
    mirror: Option<Mirror>,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Broker {
    /// A broker that accepts every client.
    pub fn start() -> Self {
        let mut broker = Self::with("allow_anonymous true\n", |_| ());
        broker.watch();
        broker
    }

    /// Follows its retained messages from now on, as [`Broker::start`] does; it must accept every client.
    pub fn watch(&mut self) {
        self.mirror = Some(Mirror::of(self.port));
    }

    /// A broker with these lines in its configuration. `DIR` in them stands for its folder, into which `prepare` writes files.
    pub fn with(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        // As root it becomes a user of its own, who must be able to look into its folder.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        prepare(folder.path());
        let place = folder.path().display().to_string();
        // Sessions outlive it, so that a subscriber misses nothing while it is away.
        let kept = format!("persistence true\npersistence_location {place}/\nautosave_on_changes true\nautosave_interval 1\n");
        let log = format!("log_dest file {place}/log\nlog_timestamp true\nlog_timestamp_format %s\n");
        let text = format!("listener {port} 127.0.0.1\n{kept}{log}max_queued_messages 0\n{}", lines.replace("DIR", &place));
        std::fs::write(folder.path().join("c"), text).unwrap();
        let child = Self::spawn(folder.path());
        let broker = Self { child, mirror: None, port, folder };
        broker.wait_until_up();
        broker
    }

    fn spawn(folder: &Path) -> Child {
        let program =
            ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists()).unwrap_or("mosquitto");
        let mut command = Command::new(program);
        command.arg("-c").arg(folder.join("c")).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("mosquitto is needed; `make test` installs it")
    }

    fn wait_until_up(&self) {
        until("the broker to listen", || TcpStream::connect(("127.0.0.1", self.port)));
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = Self::spawn(self.folder.path());
        self.wait_until_up();
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Publishes a message, and waits until the broker has taken it.
    pub fn publish(&self, topic: &str, payload: &str, options: &[&str]) {
        publish(self.port, topic, payload, options);
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The longest time from one of the broker's starts until the daemon was connected, in seconds by the broker's own log.
    pub fn longest_search_s(&self) -> u64 {
        let log = self.log();
        let (mut started_s, mut longest_s) = (None, 0);
        for (second, said) in log.lines().filter_map(|line| line.split_once(": ")) {
            let second: u64 = second.parse().unwrap();
            if said.contains(" starting") {
                started_s = Some(second);
            } else if said.contains("connected")
                && said.contains("mimid")
                && let Some(started_s) = started_s.take()
            {
                longest_s = longest_s.max(second - started_s);
            }
        }
        longest_s
    }

    /// The retained message that a new subscriber to this topic gets at once.
    pub fn ask(&self, topic: &str) -> Option<String> {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", topic, "--retained-only", "-C", "1", "-W", "1"]);
        let output = command.output().expect("mosquitto-clients is needed; `make test` installs it");
        String::from_utf8(output.stdout).unwrap().lines().next().map(str::to_owned)
    }

    /// Waits until the retained messages under the filter are as expected, and returns them.
    pub fn wait_until(&self, what: &str, filter: &str, is_well: impl Fn(&Retained) -> bool) -> Retained {
        let mirror = self.mirror.as_ref().expect("only a broker that takes everybody has one");
        until(what, || {
            let retained = mirror.retained(filter);
            if is_well(&retained) { Ok(retained) } else { Err(retained) }
        })
    }

    /// Waits until the broker's database, which it reads at its next start, is as expected.
    pub fn wait_until_written(&self, what: &str, holds: impl Fn(&[u8]) -> bool) {
        // It writes when something changes, and to be sure that something does:
        until(what, || {
            self.publish(MARKER, "", &[]);
            std::fs::read(self.folder.path().join("mosquitto.db")).is_ok_and(|written| holds(&written))
        });
    }
}

fn publish(port: u16, topic: &str, payload: &str, options: &[&str]) {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", topic, "-m", payload]).args(options);
    assert!(command.status().expect("mosquitto-clients is needed; `make test` installs it").success());
}

/// `mosquitto_sub` whose lines are the retain flag, the topic and the payload.
fn listen(port: u16, options: &[&str]) -> (Child, impl Iterator<Item = Message> + Send + use<>) {
    let mut command = Command::new("mosquitto_sub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-F", "%r %t %p"]).args(options);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("`make test` installs it");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let messages = lines.map_while(Result::ok).map(|line| {
        let mut parts = line.splitn(3, ' ');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        Message { is_retained: part() == "1", topic: part(), payload: part() }
    });
    (child, messages)
}

/// The retained messages of a broker, as a subscriber to all topics keeps them by the retain flag of each message.
struct Mirror {
    child: Child,
    retained: Arc<Mutex<Retained>>,
}

impl Mirror {
    fn of(port: u16) -> Self {
        let (child, messages) = listen(port, &["-V", "5", "-t", "#", "--retain-as-published"]);
        let retained = Arc::new(Mutex::new(Retained::new()));
        let kept = retained.clone();
        std::thread::spawn(move || {
            for message in messages.filter(|message| message.is_retained) {
                let mut kept = kept.lock().unwrap();
                match message.payload.is_empty() {
                    true => kept.remove(&message.topic),
                    false => kept.insert(message.topic, message.payload),
                };
            }
        });
        Self { child, retained }
    }

    fn retained(&self, filter: &str) -> Retained {
        let retained = self.retained.lock().unwrap();
        retained
            .iter()
            .filter(|(topic, _)| matches(filter, topic))
            .map(|(topic, payload)| (topic.clone(), payload.clone()))
            .collect()
    }
}

/// Whether `filter` matches this topic.
fn matches(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, level) if level == Some(wanted) => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message as a subscriber gets it.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub is_retained: bool,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.payload).unwrap()
    }
}

/// A subscriber whose session the broker keeps while it is away.
pub struct Subscriber {
    child: Child,
    messages: mpsc::Receiver<Message>,
}

impl Subscriber {
    /// A subscriber that the broker has subscribed when this returns.
    pub fn new(broker: &Broker, filters: &[&str], options: &[&str]) -> Self {
        let filters = filters.iter().chain(&[MARKER]).flat_map(|filter| ["-t", *filter]);
        let options: Vec<&str> = ["-c", "-i", "watcher"].into_iter().chain(filters).chain(options.iter().copied()).collect();
        let (child, told) = listen(broker.port, &options);
        let ((sender, messages), (there, is_there)) = (mpsc::channel(), mpsc::channel());
        std::thread::spawn(move || {
            for message in told {
                if message.topic == MARKER {
                    let _ = there.send(());
                } else if sender.send(message).is_err() {
                    return;
                }
            }
        });
        until("a subscriber", || {
            broker.publish(MARKER, "", &[]);
            is_there.try_recv()
        });
        Self { child, messages }
    }

    /// The next message that is as expected. Others are skipped.
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Message) -> bool) -> Message {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what} in vain"));
            if is_it(&message) {
                return message;
            }
        }
    }

    pub fn wait_for_payload(&self, topic: &str, payload: &str) -> Message {
        self.wait_for(&format!("{topic} {payload}"), |message| message.topic == topic && message.payload == payload)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
