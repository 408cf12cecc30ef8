//! A real broker and a subscriber that is no part of this program, for the tests of the MQTT sink.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A port that nobody has just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A broker, which is killed when it is dropped.
pub struct Broker {
    child: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Broker {
    /// One that takes everybody.
    pub fn start() -> Self {
        Self::with("allow_anonymous true\n", |_| ())
    }

    /// One with these lines in its configuration, `DIR` being its folder, for which `prepare` writes the files.
    pub fn with(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        // As root it becomes a user of its own, who must be able to look into its folder.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        prepare(folder.path());
        let place = folder.path().display().to_string();
        // Sessions outlive it, so that a subscriber misses nothing while it is away.
        let kept = format!("persistence true\npersistence_location {place}/\nautosave_on_changes true\nautosave_interval 1\n");
        let text = format!("listener {port} 127.0.0.1\n{kept}max_queued_messages 0\n{}", lines.replace("DIR", &place));
        std::fs::write(folder.path().join("c"), text).unwrap();
        let child = Self::spawn(folder.path());
        let broker = Self { child, port, folder };
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
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the broker does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
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

    pub fn publish(&self, topic: &str, payload: &str, options: &[&str]) {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1", "-t", topic, "-m", payload]).args(options);
        assert!(command.status().expect("mosquitto-clients is needed; `make test` installs it").success());
    }

    /// What a new subscriber is given at once.
    pub fn retained(&self, filter: &str) -> BTreeMap<String, String> {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", filter, "-v", "--retained-only", "-W", "1"]);
        if !filter.contains(['#', '+']) {
            // Of one topic there is one message; who has it need not wait for another.
            command.args(["-C", "1"]);
        }
        let output = command.output().expect("mosquitto-clients is needed; `make test` installs it");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(topic, payload)| (topic.to_owned(), payload.to_owned()))
            .collect()
    }

    /// Waits until what is retained under the filter is as it should be.
    pub fn wait_until(&self, filter: &str, is_well: impl Fn(&BTreeMap<String, String>) -> bool) -> BTreeMap<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let retained = self.retained(filter);
            if is_well(&retained) {
                return retained;
            }
            assert!(Instant::now() < deadline, "{retained:#?}");
        }
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
    pub fn new(broker: &Broker, filters: &[&str], options: &[&str]) -> Self {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-c", "-i", "watcher", "-q", "1", "-F", "%r %t %p"]);
        command.args(filters.iter().flat_map(|filter| ["-t", filter])).args(options);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("`make test` installs it");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut parts = line.splitn(3, ' ');
                let mut part = || parts.next().unwrap_or_default().to_owned();
                let message = Message { is_retained: part() == "1", topic: part(), payload: part() };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, messages }
    }

    /// The next message that is as it should be; others are passed over.
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Message) -> bool) -> Message {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("{what} does not come"));
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
