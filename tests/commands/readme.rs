//! The examples in the pages work: configurations are valid, commands parse, requests are answered, programs run, and the files
//! that they name exist. The Rust programs are compiled as documentation tests.

use std::process::{Command, Stdio};

use crate::support::pages::{Page, lines, pages, project};
use crate::support::{Daemon, free_port, mimid, run, voice_and_silence};
use clap::Parser;
use mimid::cli::Cli;
use mimid::publish::wire::Line;
use serde_json::Value;

/// The daemon hears a voice again and again.
fn daemon(config: &str) -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    (Daemon::looped(config, recording), folder)
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let pages = pages();
    let readme = &pages[0];
    assert!(readme.text.lines().count() <= 200, "{} lines", readme.text.lines().count());
    for page in pages.iter().filter(|page| page.path.starts_with("docs")) {
        assert!(readme.links.iter().any(|link| page.path.as_os_str() == link.as_str()), "{}", page.path.display());
    }
}

#[test]
fn every_block_is_in_a_language_that_a_test_runs() {
    for page in pages() {
        for block in page.blocks {
            let is_run = ["toml", "sh", "json", "python", "rust", "js", "text"].contains(&block.language.as_str());
            assert!(is_run, "{}: a block of {:?}: {}", page.path.display(), block.language, block.text);
        }
    }
}

#[test]
fn configurations_are_valid() {
    let pages = pages();
    let folder = tempfile::tempdir().unwrap();
    let blocks: Vec<_> = pages.iter().flat_map(|page| &page.blocks).filter(|block| block.language == "toml").collect();
    assert!(blocks.len() >= 4);
    for block in blocks {
        let path = folder.path().join("c.toml");
        // The check reads the passwords, which are in no repository.
        let password = folder.path().join("password");
        std::fs::write(&password, "a password of the tests").unwrap();
        let is_read = |line: &&str| ["password_file = ", "secret_file = "].iter().any(|key| line.starts_with(key));
        let names = block.text.lines().filter(is_read).filter_map(|line| line.split('"').nth(1));
        let text = names.fold(block.text.clone(), |text, name| text.replace(name, password.to_str().unwrap()));
        std::fs::write(&path, text).unwrap();
        let output = run(mimid().args(["check", "--config"]).arg(&path));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn scripts_are_valid_and_every_command_in_them_is_there() {
    let pages = pages();
    let makefile = std::fs::read_to_string(project().join("Makefile")).unwrap();
    let targets = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    let mut n_commands = 0;
    for page in &pages {
        for block in page.blocks.iter().filter(|block| block.language == "sh") {
            let checked = run(Command::new("bash").args(["-n", "-c", &block.text]));
            assert!(checked.status.success(), "{}: {}", page.path.display(), String::from_utf8_lossy(&checked.stderr));
            let mut lines = block.text.lines();
            while let Some(line) = lines.next() {
                let command = line.split(" #").next().unwrap().trim();
                // Variables that are set before the command are none of it.
                let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
                match words.first().copied().unwrap_or_default() {
                    "mimid" => {
                        n_commands += 1;
                        Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{command}: {error}"));
                    }
                    "make" => assert!(targets.split(' ').any(|target| target == words[1]), "{command}"),
                    // The lines that come over a socket have a test of their own.
                    "curl" | "(echo" | "socat" => {}
                    // Root's, or another package's.
                    "sudo" | "systemctl" | "cargo" | "for" | "done" | "#" | "" => {}
                    program if is_python(program) => {
                        if let Some((_, mark)) = command.split_once("<<") {
                            check_python(
                                &lines
                                    .by_ref()
                                    .take_while(|line| *line != mark.trim_matches('\''))
                                    .collect::<Vec<_>>()
                                    .join("\n"),
                            );
                        }
                        for script in words.iter().filter(|word| word.ends_with(".py")) {
                            assert!(project().join(script).is_file(), "{command}");
                        }
                    }
                    _ => panic!("{}: no test knows {command}", page.path.display()),
                }
                // The tests that a command names.
                for pair in words.windows(2).filter(|pair| pair[0] == "--test") {
                    assert!(project().join("tests").join(pair[1]).join("main.rs").is_file(), "{command}");
                }
            }
        }
    }
    assert!(n_commands >= 30, "{n_commands}");
}

fn is_python(program: &str) -> bool {
    ["python3", "python", "pip"].contains(&program.rsplit('/').next().unwrap())
}

fn check_python(program: &str) {
    let checked = run(Command::new("python3").args(["-c", "import ast, sys; ast.parse(sys.argv[1])", program]));
    assert!(checked.status.success(), "{program}: {}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn lines_of_the_protocol_are_as_the_daemon_writes_them() {
    let pages = pages();
    let lines = lines(&pages, "json");
    assert!(lines.len() >= 4);
    for line in lines {
        let read: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let (written, shown): (Value, Value) =
            (serde_json::from_str(&read.to_json()).unwrap(), serde_json::from_str(line).unwrap());
        assert_eq!(written, shown);
    }
}

/// The page of the protocol names the type and every field of a line that a daemon sent.
fn assert_described(pages: &[Page], line: &Value) {
    let page = pages.iter().find(|page| page.path.ends_with("docs/protocol.md")).unwrap();
    let mut names: Vec<&str> = line["type"].as_str().into_iter().collect();
    collect(line, &mut names);
    for name in names {
        assert!(page.code.iter().any(|code| code == name), "{name} is not described: {line}");
    }
}

fn collect<'l>(value: &'l Value, names: &mut Vec<&'l str>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            names.push(name);
            collect(value, names);
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[test]
fn requests_are_answered_by_lines_that_are_described() {
    let pages = pages();
    let requests: Vec<&String> = pages.iter().flat_map(|page| &page.code).filter(|code| code.starts_with("{\"op\"")).collect();
    assert!(requests.len() >= 9);
    let (daemon, _folder) = daemon("");
    let mut client = daemon.connect();
    for request in requests {
        client.send(request);
        let op = serde_json::from_str::<Value>(request).unwrap()["op"].as_str().unwrap().to_owned();
        let answer = loop {
            let line = client.next();
            assert_described(&pages, &line);
            let is_answer = match op.as_str() {
                "subscribe" => line["type"] == "subscribed",
                "reload" => line["type"] == "config.reloaded" && line["seq"].is_null(),
                "pause" | "resume" | "test" => line["type"] == "done" && line["op"] == *op,
                _ => line["type"] == *op,
            };
            if is_answer || line["type"] == "error" {
                break line;
            }
        };
        // An example names an event that no store has, and this daemon has no store.
        if op == "mark" {
            assert_eq!(answer["code"], "no_store", "{request}: {answer}");
            continue;
        }
        assert_ne!(answer["type"], "error", "{request}: {answer}");
    }
}

#[test]
fn a_subscription_in_the_shell_brings_events() {
    let pages = pages();
    let (daemon, folder) = daemon("");
    // The socket is where the commands look for it.
    std::fs::create_dir(folder.path().join("mimid")).unwrap();
    std::os::unix::fs::symlink(daemon.socket(), folder.path().join("mimid/mimid.sock")).unwrap();
    let all = lines(&pages, "sh");
    let commands: Vec<&&str> = all.iter().filter(|line| line.contains("socat ")).collect();
    assert!(commands.len() >= 2);
    for command in commands {
        let mut shell = Command::new("bash");
        shell.args(["-c", command]).env("XDG_RUNTIME_DIR", folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(shell.stdout.take().unwrap()));
        let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        assert_eq!(lines.next().unwrap()["type"], "hello", "{command}");
        let begun = lines.find(|line| line["type"] == "event.start");
        assert_described(&pages, &begun.unwrap_or_else(|| panic!("{command}: no event")));
        // The end of what it reads ends the whole of it.
        drop(shell.stdin.take());
        let _ = shell.kill();
        let _ = shell.wait();
    }
}

#[test]
fn the_python_program_prints_events() {
    let pages = pages();
    let programs: Vec<_> = pages.iter().flat_map(|page| &page.blocks).filter(|block| block.language == "python").collect();
    let [program] = programs[..] else { panic!("one Python program") };
    assert!(program.text.lines().count() <= 14);
    let (daemon, _folder) = daemon("");
    // The socket is named, or lies where a user's daemon has it.
    let runtime = tempfile::tempdir().unwrap();
    std::fs::create_dir(runtime.path().join("mimid")).unwrap();
    std::os::unix::fs::symlink(daemon.socket(), runtime.path().join("mimid/mimid.sock")).unwrap();
    for (variable, value) in [("MIMID_SOCKET", daemon.socket()), ("XDG_RUNTIME_DIR", runtime.path().to_owned())] {
        let mut python = Command::new("python3");
        python.args(["-c", &program.text]).env_remove("MIMID_SOCKET").env_remove("XDG_RUNTIME_DIR").env(variable, value);
        let mut child = python.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        let _ = child.kill();
        let _ = child.wait();
        assert!(line.contains(" Speech 0."), "{variable}: {line}");
    }
}

#[test]
fn requests_over_http_are_answered() {
    let pages = pages();
    let port = free_port();
    let state = tempfile::tempdir().unwrap();
    let store = state.path().join("events.db");
    let (daemon, _folder) = daemon(&format!("[store]\npath = {store:?}\n[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n"));
    daemon.connect().status_when("a window", |status| status["sources"][0]["windows"].as_u64() > Some(0));
    let all = lines(&pages, "sh");
    let commands: Vec<&&str> = all.iter().filter(|line| line.starts_with("curl ")).collect();
    assert!(commands.len() >= 5);
    for command in commands {
        let asked = command.split(" #").next().unwrap().replace("127.0.0.1:8787", &format!("127.0.0.1:{port}"));
        // A stream of events never ends by itself: one line of its head is enough.
        let shown = format!("{} | head -n 1", asked.replacen("curl ", "curl -sN -m 120 -D - ", 1));
        let output = Command::new("bash").arg("-c").arg(&shown).output().unwrap();
        let head = String::from_utf8(output.stdout).unwrap();
        // While it is paused, as one of them asks, it is as healthy as before.
        assert!(head.starts_with("HTTP/1.1 200 "), "{command}: {head}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn links_and_paths_lead_to_something() {
    let pages = pages();
    for page in &pages {
        let folder = page.path.parent().unwrap();
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = project().join(folder).join(path);
            assert!(target.exists(), "{}: {link}", page.path.display());
            if !anchor.is_empty() {
                let there = std::fs::canonicalize(target).unwrap();
                let linked = pages.iter().find(|page| std::fs::canonicalize(project().join(&page.path)).unwrap() == there);
                assert!(
                    linked.is_some_and(|page| page.anchors.iter().any(|known| known == anchor)),
                    "{}: {link}",
                    page.path.display()
                );
            }
        }
        for path in page.code.iter().filter(|code| is_path(code)) {
            let (here, there) = (project().join(folder).join(path), project().join(path));
            assert!(here.exists() || there.exists(), "{}: there is no {path}", page.path.display());
        }
    }
}

/// Whether code is the path of a file of the project. Words in capitals are placeholders.
fn is_path(code: &str) -> bool {
    let first = code.split('/').next().unwrap();
    let folders = ["src", "tests", "docs", "models", "config", "systemd", "benches", "fuzz", ".ci", "examples"];
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    folders.contains(&first)
        && code.contains('/')
        && code.chars().all(is_word)
        && !code.split(['/', '.']).any(|part| part.len() > 1 && part != "README" && part.chars().all(|c| c.is_ascii_uppercase()))
}
