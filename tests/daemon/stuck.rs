//! A daemon whose inference never returns: it stops feeding the watchdog, still answers requests, and ends itself.
//!
//! With `MIMID_ENDURANCE` set to anything, the test also waits a minute until the daemon gives up.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Daemon, ServiceManager, onnx, until};

const RATE_HZ: usize = 16_000;

/// Seconds of a square wave of this amplitude.
fn square(amplitude: i16, seconds: usize) -> Vec<u8> {
    (0..seconds * RATE_HZ).flat_map(|at| if at / 20 % 2 == 0 { amplitude } else { -amplitude }.to_le_bytes()).collect()
}

#[test]
fn an_inference_that_never_returns_starves_the_watchdog_and_ends_the_daemon() {
    let (model, manager) = (tempfile::tempdir().unwrap(), ServiceManager::new());
    onnx::folder(model.path(), &onnx::stuck_graph(), onnx::LABELS, |manifest| manifest);
    let config = format!("[model]\ndir = {:?}\n[report]\npreset = \"all\"\n", model.path());
    let mut daemon = Daemon::start_as(&config, &["--source", "-"], |mut command| {
        command.env("NOTIFY_SOCKET", &manager.path).stderr(Stdio::piped());
        command
    });
    let mut client = daemon.connect();
    let mut input = daemon.child.stdin.take().unwrap();
    input.write_all(&square(3_000, 3)).unwrap();
    manager.told_of("READY=1");
    manager.told_of("WATCHDOG=1");
    // Loud enough for the loop without an end.
    input.write_all(&square(32_000, 2)).unwrap();
    // It is fed every second while something is heard.
    until("a watchdog that starves", || match manager.told_within(Duration::from_millis(2_500)) {
        Some(told) => Err(told),
        None => Ok(()),
    });
    // Requests that need no analysis are still answered.
    let status = client.status();
    assert!(status["sources"][0]["windows"].as_u64().unwrap() < 40, "{status}");
    if std::env::var_os("MIMID_ENDURANCE").is_none() {
        // It holds up no end either.
        daemon.signal("-TERM");
        assert_eq!(daemon.wait(), 0);
        return;
    }
    assert_eq!(daemon.wait(), 1);
    let mut said = String::new();
    daemon.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked") && !said.contains("bug"), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.ends_with("the analysis has stood still for 60 s; mimid ends so that it can be started anew"), "{said}");
}
