//! What the README shows works: its TOML is valid, its commands parse, its Python program runs.

use std::process::Stdio;

use crate::support::{Daemon, free_port, mimid, run, voice_and_silence};
use clap::Parser;
use mimid::cli::Cli;

const README: &str = include_str!("../../README.md");

/// The code blocks of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn its_configurations_are_valid() {
    let blocks = blocks("toml");
    assert!(!blocks.is_empty());
    let folder = tempfile::tempdir().unwrap();
    for block in blocks {
        let path = folder.path().join("c.toml");
        std::fs::write(&path, block).unwrap();
        let output = run(mimid().args(["check", "--config"]).arg(&path));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn its_commands_parse() {
    let commands: Vec<&str> =
        blocks("sh").iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("mimid ")).collect();
    assert!(commands.len() >= 10);
    for command in commands {
        let words = command.split('#').next().unwrap().split_whitespace();
        Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

#[test]
fn its_python_program_prints_events() {
    let [program] = blocks("python")[..] else { panic!("one Python program") };
    assert!(program.lines().count() <= 12);
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    let daemon = Daemon::looped("", recording);
    let mut python = std::process::Command::new("python3");
    python.args(["-c", program]).env("MIMID_SOCKET", daemon.socket()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert!(line.contains(" Speech 0."), "{line}");
}

#[test]
fn its_requests_over_http_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    let port = free_port();
    let config = format!("[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n");
    let daemon = Daemon::looped(&config, recording);
    daemon.connect().status_when("a window", |status| status["sources"][0]["windows"].as_u64() > Some(0));
    let commands: Vec<&str> =
        blocks("sh").iter().flat_map(|block| block.lines()).filter(|line| line.starts_with("curl ")).collect();
    assert!(commands.len() >= 5);
    for command in commands {
        let asked = command.split(" #").next().unwrap().replace("127.0.0.1:8787", &format!("127.0.0.1:{port}"));
        // A stream of events never ends by itself.
        let bounded = asked.replacen("curl ", "curl -s -o /dev/null -m 5 -w '%{http_code}' ", 1);
        let output = std::process::Command::new("bash").arg("-c").arg(&bounded).output().unwrap();
        let code = String::from_utf8(output.stdout).unwrap();
        // While it is paused, as one of them asks, it is as healthy as before.
        assert_eq!(code, "200", "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
