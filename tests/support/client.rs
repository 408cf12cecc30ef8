//! A client of the daemon's socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::{PATIENCE, until};

/// A subscriber.
pub struct Client {
    lines: BufReader<UnixStream>,
    pub hello: Value,
}

impl Client {
    pub fn connect(socket: &Path) -> Self {
        Self::of(UnixStream::connect(socket).unwrap())
    }

    /// The client of a connection.
    pub fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { lines: BufReader::new(stream), hello: Value::Null };
        client.hello = client.next();
        client
    }

    pub fn send(&mut self, request: &str) {
        self.send_bytes(format!("{request}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.lines.get_mut().write_all(bytes).unwrap();
    }

    /// The next line. If none comes, the test fails here.
    pub fn next(&mut self) -> Value {
        self.try_next().expect("the daemon closed the connection")
    }

    /// The next line, or `None` when the daemon has closed the connection.
    pub fn try_next(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line).expect("no line came in time") {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    /// The next line of this type. Others are skipped.
    pub fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let line = self.next();
            if line["type"] == kind {
                return line;
            }
        }
    }

    /// The next event line of this type and one of these labels.
    pub fn wait_for_event(&mut self, kind: &str, labels: &[&str]) -> Value {
        loop {
            let line = self.wait_for(kind);
            if labels.iter().any(|label| line["event"]["label"] == *label) {
                return line;
            }
        }
    }

    /// The end of this event. Other lines are skipped.
    pub fn wait_for_end_of(&mut self, event: &Value) -> Value {
        loop {
            let end = self.wait_for("event.end");
            if end["event"]["id"] == event["id"] {
                return end;
            }
        }
    }

    pub fn ask(&mut self, request: &str, answer: &str) -> Value {
        self.send(request);
        self.wait_for(answer)
    }

    pub fn status(&mut self) -> Value {
        self.ask(r#"{"op":"status"}"#, "status")
    }

    /// Asks for the status until it is as expected, and returns it.
    pub fn status_when(&mut self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        until(what, || {
            let status = self.status();
            if holds(&status) { Ok(status) } else { Err(status) }
        })
    }

    /// Waits until the first source is in this state, and returns the status.
    pub fn status_when_it_is(&mut self, state: &str) -> Value {
        self.status_when(&format!("the first source to be {state}"), |status| status["sources"][0]["state"] == state)
    }

    /// Waits until the first source has delivered this many more seconds of sound, by its own count of samples.
    pub fn hear_on(&mut self, seconds: f64) {
        let mut from = None;
        self.status_when(&format!("{seconds} s of sound"), |status| {
            let source = &status["sources"][0];
            let (Some(samples), Some(rate_hz)) = (source["samples"].as_u64(), source["rate_hz"].as_u64()) else { return false };
            let from = *from.get_or_insert(samples);
            (samples - from) as f64 >= seconds * rate_hz as f64
        });
    }

    /// The number of scored windows for each second of the first source's sound since an earlier status. It is the rate of hops
    /// if the analysis keeps up, however busy the machine is.
    pub fn windows_per_s_since(&mut self, earlier: &Value) -> f64 {
        let now = self.status();
        let [from, to] = [earlier, &now].map(|status| &status["sources"][0]);
        let more = |key: &str| to[key].as_f64().unwrap() - from[key].as_f64().unwrap();
        more("windows") / (more("samples") / to["rate_hz"].as_f64().unwrap())
    }

    /// The entry of this label of the first source in the answer to `top`, or null before there is one.
    pub fn look(&mut self, label: &str) -> Value {
        let top = self.ask(r#"{"op":"top","k":527}"#, "top");
        let labels = top["sources"][0]["labels"].as_array().cloned().unwrap_or_default();
        labels.into_iter().find(|found| found["label"] == label).unwrap_or_default()
    }

    /// Asks `top` until the label's entry is as expected, and returns the entry.
    pub fn look_until(&mut self, label: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until(&format!("top to say so of {label}"), || {
            let found = self.look(label);
            if holds(&found) { Ok(found) } else { Err(found) }
        })
    }
}
