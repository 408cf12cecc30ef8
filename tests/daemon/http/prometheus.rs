//! The metrics, the dashboard and the alerts with the real Prometheus and its `promtool`, where they are installed.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Server;
use crate::support::http::Answer;
use crate::support::{free_port, run, until};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/prometheus-rules.yml");

/// Whether Prometheus is installed. `make test` installs it where it can.
fn is_installed() -> bool {
    let is_there = ["/usr/bin/promtool", "/usr/bin/prometheus"].iter().all(|program| Path::new(program).exists());
    if !is_there {
        println!("prometheus is not installed; nothing is tested");
    }
    is_there
}

/// Requires that `promtool` with these arguments finds no fault in the text on its standard input.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = command.spawn().unwrap();
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn promtool_finds_no_fault_in_the_older_format() {
    if !is_installed() {
        return;
    }
    let server = Server::start("");
    let plain = server.ask("GET", "/metrics", "Accept: text/plain;version=0.0.4\r\n", "");
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    assert!(plain.body.contains("# TYPE mimid_events_total counter\n"), "{}", plain.body);
    promtool(&["check", "metrics"], &plain.body);
}

/// Requires that an alert fires, with these labels, after five minutes of the series, or that it does not.
fn check_alert(series: &str, alert: &str, is_expected: bool, labels: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.yml");
    let expected = if is_expected { format!("[{{exp_labels: {{{labels}}}, exp_annotations: {{}}}}]") } else { "[]".to_owned() };
    // promtool compares annotations too, which are no part of this test.
    let rules: String = std::fs::read_to_string(RULES)
        .unwrap()
        .lines()
        .filter(|line| !is_annotation(line))
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let text = format!(
        "rule_files: [rules.yml]\nevaluation_interval: 15s\ntests:\n- interval: 15s\n  input_series:\n{series}\n  \
         alert_rule_test:\n  - eval_time: 5m\n    alertname: {alert}\n    exp_alerts: {expected}\n"
    );
    std::fs::write(&file, text).unwrap();
    let output = run(Command::new("promtool").args(["test", "rules"]).arg(&file).current_dir(folder.path()));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{alert}: {}", String::from_utf8_lossy(&said));
}

fn is_annotation(line: &str) -> bool {
    ["annotations:", "summary:", "description:"].iter().any(|key| line.trim_start().starts_with(key))
}

#[test]
fn the_alerts_fire_where_something_is_amiss_and_not_in_a_pause() {
    if !is_installed() {
        return;
    }
    promtool(&["check", "rules", RULES], "");
    let of = |name: &str, labels: &str, values: &str| {
        format!("  - series: '{name}{{instance=\"a\",job=\"m\"{labels}}}'\n    values: '{values}'")
    };
    let up =
        |up: &str, paused: &str| [of("mimid_source_up", ",source=\"kitchen\"", up), of("mimid_paused", "", paused)].join("\n");
    let kitchen = |severity: &str| format!("severity: {severity}, instance: a, job: m, source: kitchen");
    check_alert(&up("0x30", "0x30"), "MimidDeaf", true, &kitchen("critical"));
    check_alert(&up("0x30", "1x30"), "MimidDeaf", false, "");
    check_alert(&up("1x30", "0x30"), "MimidDeaf", false, "");
    check_alert(&up("1x30", "0x30"), "MimidDown", true, "severity: critical");
    let silent = of("mimid_source_silence_seconds", ",source=\"kitchen\"", "60+15x30");
    check_alert(&silent, "MimidSilent", true, &kitchen("warning"));
    let overrun = of("mimid_overrun_samples_total", ",source=\"kitchen\"", "0x8 480x22");
    check_alert(&overrun, "MimidOverrun", true, &kitchen("warning"));
    let sink = of("mimid_sink_up", ",sink=\"mqtt\"", "0x30");
    check_alert(&sink, "MimidSinkDown", true, "severity: warning, instance: a, job: m, sink: mqtt");
}

/// Prometheus, which is killed when it is dropped.
struct Prometheus {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// One that scrapes the server twice a second, and has the alerts.
    fn start(server: &Server) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 1s}}\nrule_files: [{RULES:?}]\n\
             scrape_configs: [{{job_name: mimid, static_configs: [{{targets: [{:?}]}}]}}]\n",
            server.address.to_string()
        );
        std::fs::write(folder.path().join("c.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("c.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, port, _folder: folder }
    }

    /// The number of series that a query gives.
    fn query(&self, expression: &str) -> Result<usize, String> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        let request = format!("GET /api/v1/query?query={encoded} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let answer = Answer::read(stream);
        let json: Value = serde_json::from_str(&answer.body).map_err(|_| answer.body.clone())?;
        if json["status"] != "success" {
            return Err(answer.body);
        }
        Ok(json["data"]["result"].as_array().map_or(0, Vec::len))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_query_of_the_dashboard_has_an_answer_of_prometheus_and_a_first_event_is_seen() {
    if !is_installed() {
        return;
    }
    let server = Server::start("");
    let prometheus = Prometheus::start(&server);
    let dashboard: Value = serde_json::from_str(include_str!("../../../config/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<String> = targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(queries.len() > 10 && queries.iter().all(|query| !query.contains("$__interval")), "{queries:?}");
    for query in queries {
        // The clients of the sockets come and go, but their numbers are always there.
        let query = query.replace("$__rate_interval", "10s");
        until(&query, || match prometheus.query(&query) {
            Ok(0) => Err("no series".to_owned()),
            other => other,
        });
    }
    // The first event of a label is an increase.
    let first = "sum(increase(mimid_events_total{outcome=\"confirmed\",label=\"speech\",source!=\"test\"}[1m])) > 0.5";
    until("the increase of a label's first event", || prometheus.query(first) == Ok(1));
    assert_eq!(prometheus.query("ALERTS{alertstate=\"firing\"}"), Ok(0));
}
