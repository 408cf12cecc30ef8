//! A headless Chromium, driven over WebDriver as a user would drive it: the text of the page, clicks, keys, and the console.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{PATIENCE, free_port, until};

/// A browser with one window. Dropping it ends the browser.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// A browser whose user prefers this language, with these further arguments.
    pub fn start(language: &str, arguments: &[&str]) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own, so that the browser's many processes end with it. Chromium's files beside its profile go there, too.
        driver.process_group(0).env("HOME", profile.path()).env("XDG_CONFIG_HOME", profile.path());
        let driver = driver.spawn().expect("chromedriver is needed; `make test` installs it");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        until("the browser's driver to listen", || std::net::TcpStream::connect(("127.0.0.1", port)));
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities(profile.path(), language, arguments));
            builder.connect(&format!("http://127.0.0.1:{port}")).await.expect("there is a browser")
        });
        Self { runtime, client, driver, _profile: profile }
    }

    /// Opens an address.
    pub fn open(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap();
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.runtime.block_on(self.client.execute(&format!("return ({expression});"), Vec::new())).unwrap()
    }

    /// Waits until an expression is true in the page, and returns its value.
    pub fn wait_for(&self, expression: &str) -> Value {
        until(expression, || {
            let value = self.value(expression);
            let is_true = !matches!(value, Value::Null | Value::Bool(false)) && value != 0 && value != "";
            if is_true { Ok(value) } else { Err(Seen(self)) }
        })
    }

    /// Clicks the element.
    pub fn click(&self, css: &str) {
        self.runtime
            .block_on(async { self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await.unwrap().click().await })
            .unwrap();
    }

    /// Types into the element.
    pub fn type_into(&self, css: &str, text: &str) {
        let typed =
            async { self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await.unwrap().send_keys(text).await };
        self.runtime.block_on(typed).unwrap();
    }

    /// Presses a key this many times, wherever the focus is.
    pub fn press(&self, key: Key, times: usize) {
        let keys = String::from(char::from(key)).repeat(times);
        self.runtime.block_on(async { self.client.active_element().await.unwrap().send_keys(&keys).await }).unwrap();
    }

    /// Sets the size of the page in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("goog/cdp/execute", &json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}));
    }

    /// Lets a site show notifications, as its user would.
    pub fn allow_notifications(&self, origin: &str) {
        let permission = json!({"origin": origin.trim_end_matches('/'), "permissions": ["notifications"]});
        self.command("goog/cdp/execute", &json!({"cmd": "Browser.grantPermissions", "params": permission}));
    }

    /// Sets a preference of the user's system, such as `prefers-color-scheme` `dark`.
    pub fn prefer(&self, name: &str, value: &str) {
        let features = json!([{"name": name, "value": value}]);
        self.command("goog/cdp/execute", &json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}));
    }

    /// The console's messages since the last call: errors of scripts, refused connections, violations of the page's policy.
    pub fn console(&self) -> Vec<String> {
        let said = self.command("se/log", &json!({"type": "browser"}));
        let told =
            said.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        told.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// A screenshot as a PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        self.runtime.block_on(self.client.screenshot()).unwrap()
    }

    fn command(&self, path: &'static str, body: &Value) -> Value {
        self.runtime.block_on(self.client.issue_cmd(OfChrome { path, body: body.to_string() })).unwrap()
    }
}

/// The state of a browser while a test waits for something else in it.
struct Seen<'a>(&'a Browser);

impl std::fmt::Debug for Seen<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        let text = self.0.value("document.body.innerText");
        write!(formatter, "the console says {:#?}; the page {text}", self.0.console())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = i32::try_from(self.driver.id()).unwrap();
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
        let _ = self.driver.wait();
    }
}

/// A command that only Chromium's driver knows.
#[derive(Debug)]
struct OfChrome {
    path: &'static str,
    body: String,
}

impl WebDriverCompatibleCommand for OfChrome {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.clone()))
    }
}

fn capabilities(profile: &Path, language: &str, arguments: &[&str]) -> Capabilities {
    let mut all: Vec<String> = [
        "--headless",
        // A container has no sandbox of the kind that Chromium wants, and little shared memory.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        // It is to talk to nobody but the daemon.
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push(format!("--user-data-dir={}", profile.display()));
    all.push(format!("--accept-lang={language}"));
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let options = json!({"args": all});
    let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
    capabilities.as_object().unwrap().clone()
}
