//! A headless Firefox, driven by its own remote protocol (Marionette), because Debian has no WebDriver for it. Only as much as the tests need.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{free_port, until};

/// A browser with one window. Dropping it ends the browser.
pub struct Firefox {
    stream: TcpStream,
    process: Child,
    count: u64,
    _profile: tempfile::TempDir,
}

impl Firefox {
    /// A browser whose user prefers English; `None` where Firefox is not installed.
    pub fn start() -> Option<Self> {
        let program = ["firefox-esr", "firefox"].into_iter().find(|name| {
            Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })?;
        let (profile, port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = format!("user_pref(\"marionette.port\", {port});\nuser_pref(\"intl.accept_languages\", \"en-US\");\n");
        std::fs::write(profile.path().join("user.js"), settings).unwrap();
        let mut command = Command::new(program);
        command.args(["--headless", "--no-remote", "--marionette", "--profile"]).arg(profile.path()).env("HOME", profile.path());
        // A group of its own, so that the browser's many processes end with it.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let stream = until("the browser to listen", || TcpStream::connect(("127.0.0.1", port)));
        let mut browser = Self { stream, process, count: 0, _profile: profile };
        assert_eq!(browser.read()["marionetteProtocol"], 3);
        browser.command("WebDriver:NewSession", &json!({ "capabilities": { "alwaysMatch": {} } }));
        Some(browser)
    }

    /// Opens an address.
    pub fn open(&mut self, url: &str) {
        self.command("WebDriver:Navigate", &json!({ "url": url }));
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.command("WebDriver:ExecuteScript", &json!({ "script": script, "args": [] }))["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub fn wait_for(&mut self, expression: &str) {
        until(expression, || self.value(&format!("Boolean({expression})")) == true);
    }

    /// Presses a key, wherever the focus is.
    pub fn press(&mut self, key: char) {
        let steps = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.command("WebDriver:PerformActions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": steps }] }));
    }

    /// Gives a command, and returns its result.
    fn command(&mut self, name: &str, parameters: &Value) -> Value {
        self.count += 1;
        let message = json!([0, self.count, name, parameters]).to_string();
        write!(self.stream, "{}:{message}", message.len()).unwrap();
        let mut answer = self.read();
        assert!(answer[1] == self.count && answer[2].is_null(), "{name}: {answer}");
        answer[3].take()
    }

    /// The next message: its length, a colon, and JSON.
    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut sign = [0];
            self.stream.read_exact(&mut sign).unwrap();
            match sign[0] {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message).unwrap();
        serde_json::from_slice(&message).unwrap()
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.process.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.process.wait();
    }
}
