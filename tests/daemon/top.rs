//! `mimid top` in a real terminal: tmux reads the screen and presses the keys.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Daemon, failure, looped, mimid, run, until, voice_and_silence};
use serde_json::Value;

const CONFIG: &str =
    "# What the kitchen is asked for.\n[report]\nlabels = [\"Speech\", \"Music\"] # no dogs\n\n[log]\nlevel = \"warn\"\n";

/// A daemon that hears one voice after the other; the folder holds its recording.
struct Kitchen {
    daemon: Daemon,
    recording: PathBuf,
    _folder: tempfile::TempDir,
}

impl Kitchen {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = voice_and_silence(folder.path());
        let daemon = Daemon::start(CONFIG, &["--source", &looped(&recording)], &[]);
        Self { daemon, recording, _folder: folder }
    }

    fn start_again(&mut self) {
        self.daemon.start_again(CONFIG, &["--source", &looped(&self.recording)], &[]);
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.daemon.folder.path().join("mimid.toml")).unwrap()
    }
}

/// A terminal with a shell. Dropping it ends both.
struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    fn open(width: u16, height: u16, environment: &[(&str, &str)]) -> Self {
        let terminal = Self { folder: tempfile::tempdir().unwrap() };
        let mut tmux = terminal.tmux();
        // The environment of the binary under test is that of the server, and so of its shell.
        for (name, value) in mimid().get_envs() {
            match value {
                Some(value) => tmux.env(name, value),
                None => tmux.env_remove(name),
            };
        }
        for name in ["NO_COLOR", "COLORTERM", "TMUX"] {
            tmux.env_remove(name);
        }
        tmux.envs([("LC_ALL", "C.UTF-8"), ("TERM", "xterm")]).envs(environment.iter().copied());
        let (width, height) = (width.to_string(), height.to_string());
        tmux.args(["new-session", "-d", "-x", &width, "-y", &height]);
        tmux.args(["env", "PS1=$ ", "bash", "--norc", "--noprofile"]);
        assert!(tmux.status().expect("tmux is needed; `make test` installs it").success());
        terminal.wait_for("a prompt", |screen| screen.contains("$"));
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(self.folder.path().join("t"));
        tmux
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.tmux().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// The screen with its colours as escape sequences.
    fn painted(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    /// A property of the pane, such as `alternate_on`.
    fn is(&self, property: &str) -> bool {
        self.ask(&["display-message", "-p", &format!("#{{{property}}}")]).trim() == "1"
    }

    fn press(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    fn command(&self, line: &str) {
        self.press(&["-l", line]);
        self.press(&["Enter"]);
    }

    /// Waits until the screen is as expected, and returns it.
    fn wait_for(&self, what: &str, looks: impl Fn(&str) -> bool) -> String {
        until(what, || {
            let screen = self.screen();
            if looks(&screen) { Ok(screen) } else { Err(screen.lines().map(str::to_owned).collect::<Vec<_>>()) }
        })
    }

    /// Starts the program and waits for its picture.
    fn top(&self, kitchen: &Kitchen, arguments: &str) -> String {
        self.command(&format!("{} top --socket {} {arguments}", env!("CARGO_BIN_EXE_mimid"), kitchen.daemon.socket().display()));
        self.wait_for("a picture", |screen| screen.contains("Speech") && screen.contains("thresh"))
    }

    /// Moves the cursor to a label.
    fn choose(&self, label: &str) {
        let chosen = |screen: &str| screen.lines().find(|line| line.starts_with('▸')).map(str::to_owned).unwrap_or_default();
        // The column is filled up with spaces: "Speech" is not "Speech synthesizer".
        let cell = format!(" {label}  ");
        until(&format!("{label} to be chosen"), || {
            let screen = self.screen();
            let before = chosen(&screen);
            if before.contains(&cell) {
                return Ok(());
            }
            // The open events below the rows name labels, too. Strong labels are at the top, so that one that is not there was scrolled up.
            let rows = || screen.lines().skip_while(|line| !line.contains("thresh")).take_while(|line| !line.trim().is_empty());
            let row = |sign: &str| rows().position(|line| line.contains(sign));
            let is_below = row(&cell).zip(row("▸")).is_some_and(|(label, chosen)| label > chosen);
            self.press(&[if is_below { "Down" } else { "Up" }]);
            // The key has been taken when another row is chosen; where the rows changed places meanwhile there may be none farther on.
            (0..50).any(|_| name(&chosen(&self.screen())) != name(&before));
            Err(screen.lines().map(str::to_owned).collect::<Vec<_>>())
        });
    }
}

/// The label in the chosen row, without the numbers after it.
fn name(row: &str) -> &str {
    row.trim_start_matches(['▸', ' ']).split("  ").next().unwrap_or_default()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").status();
    }
}

/// The threshold in the row of a label, if it is marked as changed.
fn changed(screen: &str, label: &str) -> Option<f64> {
    let row = screen.lines().find(|line| line.contains(&format!(" {label}  ")) && !line.starts_with(label))?;
    let (before, _) = row.split_once('*')?;
    before.split_whitespace().last()?.parse().ok()
}

/// The threshold of Speech in the daemon's answer.
fn told(screen: &str) -> Option<f64> {
    screen.split_once("Speech: threshold ")?.1.split_once(',')?.0.parse().ok()
}

#[test]
fn a_threshold_is_changed_seen_to_act_taken_back_and_written() {
    let kitchen = Kitchen::start();
    let terminal = Terminal::open(120, 40, &[]);
    let mut client = kitchen.daemon.connect();
    terminal.top(&kitchen, "");
    terminal.wait_for("an event", |screen| screen.contains("● Speech") && screen.contains("an event is open"));
    terminal.wait_for("reasons", |screen| {
        screen.contains("below its start threshold") && screen.contains("[report] does not name it")
    });
    terminal.choose("Speech");
    let shipped = client.look("Speech")["threshold"].as_f64().unwrap();

    let is_in_force = |screen: &str| match (changed(screen, "Speech"), told(screen)) {
        (Some(seen), Some(told)) => (seen - told).abs() < 0.001,
        _ => false,
    };
    terminal.press(&["Right", "Right", "S-Left"]);
    let screen = terminal.wait_for("a change in force", is_in_force);
    let seen = changed(&screen, "Speech").unwrap();
    assert!(seen > shipped, "{shipped} {screen}");
    let in_force = client.look("Speech")["threshold"].as_f64().unwrap();
    assert!((in_force - seen).abs() < 0.001, "{in_force} {screen}");

    terminal.press(&["u"]);
    terminal.wait_for("no change", |screen| changed(screen, "Speech").is_none() && told(screen) == Some(shipped));
    assert_eq!(client.look("Speech")["threshold"].as_f64().unwrap(), shipped);

    terminal.press(&["Left"]);
    let screen = terminal.wait_for("a change in force", is_in_force);
    let seen = changed(&screen, "Speech").unwrap();
    assert!(seen < shipped);
    terminal.press(&["q"]);
    terminal.wait_for("a question", |screen| screen.contains("1 threshold is changed and not written"));
    terminal.press(&["w"]);
    let screen = terminal.wait_for("a diff", |screen| screen.contains("This would be written to"));
    assert!(screen.contains("+threshold = ") && screen.contains("y writes and loads it"), "{screen}");
    assert!(!kitchen.config().contains("threshold"));
    terminal.press(&["y"]);
    terminal.wait_for("it in force", |screen| screen.contains("is written and in force") && changed(screen, "Speech").is_none());

    let config = kitchen.config();
    for kept in CONFIG.lines() {
        assert!(config.lines().any(|line| line == kept), "{kept:?} is gone: {config}");
    }
    let in_force = client.look("Speech")["threshold"].as_f64().unwrap();
    assert!((in_force - seen).abs() < 0.001);
    let table: toml::Table = config.parse().unwrap();
    assert_eq!(table["labels"]["Speech"]["threshold"].as_float().unwrap(), in_force);
    // The settings in force come from the file now: reading it again changes nothing.
    let reloaded = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(client.look("Speech")["threshold"].as_f64().unwrap(), in_force, "{reloaded}");
}

#[test]
fn the_picture_follows_the_size_of_the_window() {
    let kitchen = Kitchen::start();
    let terminal = Terminal::open(120, 40, &[]);
    let screen = terminal.top(&kitchen, "");
    assert!(screen.contains("confirmed  thresh") && screen.contains("noise floor"), "{screen}");
    for (width, height, looks) in [("50", "12", "? keys"), ("30", "5", "this window is too small"), ("120", "40", "noise floor")]
    {
        terminal.ask(&["resize-window", "-x", width, "-y", height]);
        let screen = terminal
            .wait_for(looks, |screen| screen.contains(looks) && (width == "120" || !screen.contains("confirmed  thresh")));
        assert!(screen.lines().all(|line| line.chars().count() <= width.parse().unwrap()));
    }
}

#[test]
fn every_way_out_gives_the_terminal_back() {
    let kitchen = Kitchen::start();
    let terminal = Terminal::open(120, 40, &[]);
    let given_back = |screen: &str| screen.contains("before") && screen.lines().rfind(|line| !line.is_empty()) == Some("$");
    terminal.command("echo before");
    for way in ["q", "Escape", "C-c", "-TERM", "-HUP"] {
        terminal.top(&kitchen, "");
        assert!(terminal.is("alternate_on") && !terminal.is("cursor_flag"));
        if way.starts_with('-') {
            assert!(Command::new("bash").args(["-c", &format!("kill {way} {}", program(&terminal))]).status().unwrap().success());
        } else {
            terminal.press(&[way]);
        }
        terminal.wait_for("the shell", given_back);
        assert!(!terminal.is("alternate_on") && terminal.is("cursor_flag"), "{way}");
        terminal.command("clear; echo before");
    }
    terminal.top(&kitchen, "");
    terminal.press(&["C-z"]);
    terminal.wait_for("the shell", |screen| screen.contains("Stopped"));
    assert!(!terminal.is("alternate_on") && terminal.is("cursor_flag"));
    // The terminal shows typed text: it is the shell's again.
    terminal.command("echo mean''while");
    terminal.wait_for("an echo", |screen| screen.contains("mean''while") && screen.contains("meanwhile"));
    terminal.command("fg");
    terminal.wait_for("the picture", |screen| screen.contains("thresh") && !screen.contains("meanwhile"));
    assert!(terminal.is("alternate_on") && !terminal.is("cursor_flag"));
    terminal.press(&["q"]);
    terminal.wait_for("the shell", |screen| screen.contains("meanwhile"));
    terminal.command("echo code $?");
    terminal.wait_for("an exit code", |screen| screen.contains("code 0"));
}

/// The program that runs in the shell.
fn program(terminal: &Terminal) -> String {
    let shell = terminal.ask(&["display-message", "-p", "#{pane_pid}"]);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim())).unwrap();
    children.trim().to_owned()
}

#[test]
fn a_terminal_that_goes_without_a_signal_ends_the_program() {
    let mut kitchen = Kitchen::start();
    let terminal = Terminal::open(120, 40, &[]);
    let socket = kitchen.daemon.socket();
    // In a session of its own the program gets no signal when the terminal goes.
    terminal.command(&format!(
        "setsid -f {} top --socket {} <$(tty) >$(tty) 2>&1",
        env!("CARGO_BIN_EXE_mimid"),
        socket.display()
    ));
    terminal.wait_for("a picture", |screen| screen.contains("Speech") && screen.contains("thresh"));
    let is_of_it = |folder: &std::fs::DirEntry| {
        let arguments = std::fs::read_to_string(folder.path().join("cmdline")).unwrap_or_default();
        arguments.contains("\0top\0") && arguments.contains(socket.to_str().unwrap())
    };
    let runs = || std::fs::read_dir("/proc").unwrap().flatten().any(|folder| is_of_it(&folder));
    assert!(runs());
    // Nothing comes that it would draw.
    kitchen.daemon.child.kill().unwrap();
    kitchen.daemon.child.wait().unwrap();
    terminal.wait_for("word of it", |screen| screen.contains("no daemon"));
    drop(terminal);
    until("the program to end", || !runs());
}

#[test]
fn a_daemon_that_is_killed_is_missed_and_one_that_comes_is_taken_up() {
    let mut kitchen = Kitchen::start();
    let terminal = Terminal::open(120, 40, &[]);
    terminal.top(&kitchen, "--interval-ms 100");
    terminal.choose("Speech");
    kitchen.daemon.child.kill().unwrap();
    kitchen.daemon.child.wait().unwrap();
    let screen = terminal.wait_for("word of it", |screen| screen.contains("no daemon") && screen.contains("trying again"));
    assert!(screen.contains("Speech"), "the last picture stays: {screen}");
    terminal.press(&["Right"]);
    terminal.wait_for("a change", |screen| changed(screen, "Speech").is_some());
    kitchen.start_again();
    terminal.wait_for("the daemon", |screen| !screen.contains("no daemon") && screen.contains("live"));
    let screen = terminal.wait_for("an event", |screen| screen.contains("an event is open"));
    let seen = changed(&screen, "Speech").unwrap_or_else(|| panic!("{screen}"));
    let in_force = kitchen.daemon.connect().look("Speech")["threshold"].as_f64().unwrap();
    assert!((in_force - seen).abs() < 0.001, "the new daemon is told of the change: {in_force} {screen}");
}

#[test]
fn colours_are_those_that_the_terminal_has() {
    let kitchen = Kitchen::start();
    // An event is green, and the level has one of 256 colours.
    let is_green = |painted: &str| painted.contains("\x1b[32m●");
    let is_indexed = |painted: &str| painted.contains("38;5;");
    let watch = |environment: &[(&str, &str)]| {
        let terminal = Terminal::open(120, 40, &[]);
        for (name, value) in environment {
            terminal.command(&format!("export {name}={value}"));
        }
        terminal.top(&kitchen, "");
        terminal
    };
    let loud = |screen: &str| screen.contains("● Speech") && screen.lines().nth(1).is_some_and(|meter| meter.contains("██"));

    let terminal = watch(&[("TERM", "xterm-256color")]);
    terminal.wait_for("256 colours", |_| is_indexed(&terminal.painted()) && is_green(&terminal.painted()));
    let terminal = watch(&[("TERM", "xterm")]);
    terminal.wait_for("16 colours", |screen| loud(screen) && is_green(&terminal.painted()));
    assert!(!is_indexed(&terminal.painted()));
    let terminal = watch(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]);
    terminal.wait_for("an event", loud);
    let painted = terminal.painted();
    let is_coloured = (30..=37).chain(90..=97).any(|colour| painted.contains(&format!("\x1b[{colour}m")));
    assert!(!is_coloured && !is_indexed(&painted), "{painted:?}");
}

#[test]
fn scripts_get_one_answer() {
    let kitchen = Kitchen::start();
    let mut client = kitchen.daemon.connect();
    client.wait_for_event("event.start", &["Speech"]);
    let top = |arguments: &[&str]| {
        let mut command = mimid();
        command.arg("top").arg("--socket").arg(kitchen.daemon.socket()).args(arguments);
        command
    };
    let output = run(&mut top(&["--once", "--json", "-k", "3"]));
    assert!(output.status.success());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["type"], "top");
    assert_eq!(answer["sources"][0]["labels"].as_array().unwrap().len(), 3);
    let output = run(&mut top(&["--once", "--source", "voice", "-k", "527"]));
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("Speech ")).unwrap();
    assert!(row.contains("event is") || row.contains("announced") || row.contains("below its start threshold"), "{row}");
    assert_eq!(text.lines().count(), 2 + 527);

    let (code, sentence) = failure(&mut top(&[]));
    assert_eq!((code, sentence.as_str()), (2, "mimid: top draws on a terminal, and there is none; use --once, or --once --json"));
    let (code, sentence) = failure(&mut top(&["--once", "--source", "voize"]));
    assert_eq!((code, sentence.as_str()), (2, r#"mimid: the daemon has no source "voize"; did you mean "voice"?"#));
    assert_eq!(failure(&mut top(&["--json"])).0, 2);
    let nowhere = kitchen.daemon.folder.path().join("nobody");
    let (code, sentence) = failure(mimid().args(["top", "--once", "--socket"]).arg(nowhere));
    assert!(code == 1 && sentence.contains("no mimid listens on"), "{sentence}");
}
