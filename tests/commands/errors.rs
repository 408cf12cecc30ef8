//! Errors before the daemon runs: one sentence, the right exit code, no panic.

use std::path::Path;

use crate::support::{Daemon, SoundServer, VOICE, failure, mimid, run, wav_of_too_many_channels};

/// The outcome of `mimid run` with this configuration and these arguments. Its folder is replaced by F in its messages.
fn fail(config: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let config = if config.contains("[socket]") { config.to_owned() } else { format!("[socket]\npath = \"F/s\"\n{config}") };
    std::fs::write(&path, config.replace("F/", &format!("{}/", folder.path().display()))).unwrap();
    let (code, message) = failure(mimid().arg("run").arg("--config").arg(&path).args(arguments).env("MIMID_LOG", "off"));
    (code, message.replace(folder.path().to_str().unwrap(), "F"))
}

#[test]
fn no_capture_device() {
    let (code, message) = fail("", &[]);
    assert_eq!(code, 3, "{message}");
    assert!(message.starts_with("mimid: there is no capture device ("), "{message}");
    assert!(
        message.ends_with("plug in a microphone, start a sound server, or play a recording with --source file:PATH"),
        "{message}"
    );
}

#[test]
fn a_recording_with_a_wrong_header_is_a_source_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    let (bytes, what) = wav_of_too_many_channels();
    std::fs::write(&path, bytes).unwrap();
    let (code, message) = fail("", &["--source", &format!("file:{}", path.display())]);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains(what) && message.lines().count() == 1, "{message}");
}

#[test]
fn no_capture_device_to_list() {
    let (code, message) = failure(mimid().arg("devices"));
    let expected = "mimid: there is no capture device; plug in a microphone, or start a sound server (PipeWire or PulseAudio)";
    assert_eq!((code, message.as_str()), (3, expected));
}

#[test]
fn a_device_that_is_named_wrongly() {
    let server = SoundServer::start();
    let mut command = mimid();
    command.args(["run", "--source", "pulseaudio:mic.monitr"]).env("MIMID_LOG", "off").envs(server.environment());
    let expected = "mimid: there is no capture device \"pulseaudio:mic.monitr\", did you mean \"pulseaudio:mic.monitor\"?; `mimid devices` lists them";
    assert_eq!(failure(&mut command), (3, expected.to_owned()));
    let listed = run(mimid().args(["devices", "--json"]).envs(server.environment()));
    let devices: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((devices[0]["id"].as_str(), devices[0]["default"].as_bool()), (Some("pulseaudio:mic.monitor"), Some(true)));
    assert_eq!((devices[0]["rate_hz"].as_u64(), devices[0]["channels"].as_u64()), (Some(48_000), Some(2)));
}

#[test]
fn a_check_names_the_devices_that_are_not_there() {
    let server = SoundServer::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let sources = ["pulseaudio:mic.monitor", "pulseaudio:mic.monitr", "file:/nonexistent.wav"];
    let tables = sources.iter().enumerate().map(|(at, input)| format!("[[source]]\nname = \"{at}\"\ninput = \"{input}\"\n"));
    std::fs::write(&path, tables.collect::<String>()).unwrap();
    let output = run(mimid().args(["check", "--config"]).arg(&path).envs(server.environment()));
    assert!(output.status.success());
    let expected = format!(
        "warning: {}:6: source[2].input: there is no capture device \"pulseaudio:mic.monitr\", did you mean \"pulseaudio:mic.monitor\"?; \
         `mimid devices` lists them\n",
        path.display()
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}

#[test]
fn a_check_judges_tokens_and_passwords_as_the_daemon_does() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let check = |text: &str| {
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        let output = run(mimid().args(["check", "--config"]).arg(&path).env_remove("MIMID_HTTP_TOKEN"));
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = check("[sinks.http]\nlisten = \"0.0.0.0:8787\"\n");
    assert!(code == Some(2) && told.contains(":2: sinks.http.listen: 0.0.0.0:8787 can be reached from other machines"), "{told}");
    let with_file = format!("[sinks.http]\nlisten = \"0.0.0.0:8787\"\ntoken_file = \"{}\"\n", token.display());
    let (code, told) = check(&with_file);
    assert!(code == Some(2) && told.contains(":3: sinks.http.token_file: the secret in"), "{told}");
    std::fs::write(&token, "short").unwrap();
    assert!(check(&with_file).1.contains("the access token is too short"));
    std::fs::write(&token, "a token of the tests").unwrap();
    assert_eq!(check(&with_file), (Some(0), String::new()));
    let (code, told) = check("[sinks.mqtt]\nurl = \"mqtt://127.0.0.1\"\nusername = \"a\"\npassword_file = \"/nonexistent\"\n");
    assert!(code == Some(2) && told.contains(":4: sinks.mqtt.password_file: the secret in /nonexistent"), "{told}");
}

/// Only root can start a server for another user.
#[test]
fn a_sound_server_of_another_user_lets_in_who_has_its_cookie_and_else_it_is_told() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let server = SoundServer::start_as(65_534);
    let home = tempfile::tempdir().unwrap();
    let devices = |config_home: &Path| {
        let mut command = mimid();
        command
            .args(["devices", "--json"])
            .envs(server.environment())
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", config_home);
        let output = run(command.env_remove("PULSE_COOKIE"));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (listed, told) = devices(&server.folder.path().join(".config"));
    assert!(listed.contains("pulseaudio:mic.monitor"), "{listed}{told}");
    let (listed, told) = devices(home.path());
    assert!(!listed.contains("pulseaudio:mic.monitor"), "{listed}");
    assert!(told.contains("PulseAudio refuses this user") && told.contains("$PULSE_COOKIE"), "{told}");
}

#[test]
fn a_model_that_is_named_wrongly() {
    let (code, message) = fail("[model]\ndir = \"ced-tyni\"", &[]);
    assert_eq!(code, 4, "{message}");
    assert!(message.starts_with("mimid: there is no model \"ced-tyni\"; did you mean \"ced-tiny\"? (looked for "), "{message}");
}

#[test]
fn labels_of_a_configuration_with_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "[defaults]\ntreshold = 0.4").unwrap();
    let (code, message) = failure(mimid().args(["labels", "--config"]).arg(&path));
    assert_eq!(code, 2, "{message}");
    assert!(message.ends_with("c.toml:2: defaults.treshold: there is no such key; did you mean \"threshold\"?"), "{message}");
}

#[test]
fn a_recording_that_is_not_there() {
    let (code, message) = fail("", &["--source", "file:/nonexistent.wav"]);
    assert_eq!((code, message.as_str()), (1, "mimid: /nonexistent.wav: there is no such file"));
}

#[test]
fn a_channel_that_the_source_does_not_have() {
    let (code, message) = fail(&format!("[[source]]\ninput = \"file:{VOICE}\"\nchannel = 3"), &[]);
    let expected =
        format!("mimid: channel 3 was asked for, but {VOICE} has 1; set channel to \"mix\" or to a number from 1 to 1");
    assert_eq!((code, message), (3, expected));
}

#[test]
fn a_configuration_with_faults() {
    let (code, message) = fail("[defaults]\ntreshold = 0.4\n[labels.\"Baby crying\"]\n[log]\nlevel = 3", &[]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r#"
    mimid: F/c.toml:4: defaults.treshold: there is no such key; did you mean "threshold"?
    F/c.toml:5: labels."Baby crying": there is no such label; did you mean "Baby cry, infant cry"?
    F/c.toml:7: log.level: this is an integer, but it must be a string
    the configuration has 3 faults
    "#);
}

#[test]
fn a_configuration_that_cannot_be_read() {
    let with = |path: &Path| failure(mimid().args(["check", "--config"]).arg(path));
    assert_eq!(with(Path::new("/nonexistent.toml")), (2, "mimid: /nonexistent.toml: there is no such configuration file".into()));
    assert_eq!(with(Path::new("/tmp")), (2, "mimid: /tmp: this is a folder; name the configuration file in it".into()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, b"# fine\nx = \"\xff\"").unwrap();
    assert_eq!(with(&path), (2, format!("mimid: {}: line 2 holds bytes that are not UTF-8", path.display())));
}

#[test]
fn a_socket_that_cannot_be() {
    let at = |path: &str| {
        let (code, message) = fail(&format!("[socket]\npath = {path:?}"), &["--source", &format!("file:{VOICE}")]);
        (code, message.lines().last().unwrap_or_default().to_owned())
    };
    let (code, message) = at(&format!("/tmp/{}", "x".repeat(200)));
    assert_eq!(code, 2);
    assert!(message.contains("is 205 bytes long, but the system takes 107 at most"), "{message}");
    let (code, message) = at("F/missing/s");
    assert_eq!(
        (code, message.as_str()),
        (1, "mimid: the folder F/missing for the socket does not exist; make it, or set another path under [socket]")
    );
    let (code, message) = at("F/c.toml");
    assert_eq!(
        (code, message.as_str()),
        (1, "mimid: F/c.toml is there already and is not a socket; move it away, or set another path under [socket]")
    );
    // Nobody, not even root, may make a file in /proc.
    let (code, message) = at("/proc/s");
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("/proc/s"), "{message}");
}

#[test]
fn a_socket_in_use() {
    let daemon = Daemon::looped("", VOICE);
    let config = daemon.folder.path().join("mimid.toml");
    let (code, message) = failure(
        mimid().arg("run").arg("--config").arg(config).args(["--source", &format!("file:{VOICE}")]).env("MIMID_LOG", "off"),
    );
    assert_eq!(code, 5, "{message}");
    assert!(message.contains("is in use by another mimid; stop that one, or set another path under [socket]"), "{message}");
    // The first one is not hurt.
    daemon.connect();
}

#[test]
fn a_daemon_that_is_not_there() {
    for command in ["listen", "status"] {
        let (code, message) = failure(mimid().args([command, "--socket", "/nonexistent/s"]));
        let expected = "mimid: no mimid listens on /nonexistent/s; start one with `mimid run`, or name its socket with --socket";
        assert_eq!((code, message.as_str()), (1, expected));
    }
}

#[test]
fn wrong_usage() {
    for arguments in [&["scan"][..], &["rnu"], &["run", "--rate", "1"], &["listen", "--count", "x"], &["run", "--source", ""]] {
        let (code, message) = failure(mimid().args(arguments));
        assert_eq!(code, 2, "{arguments:?}: {message}");
        assert!(!message.is_empty());
    }
    let (code, message) = failure(mimid().args(["labels", "smoke alarn"]));
    assert_eq!(
        (code, message.as_str()),
        (1, "mimid: no label contains \"smoke alarn\"; did you mean \"Smoke detector, smoke alarm\"?")
    );
}

#[test]
fn nothing_is_left_in_the_home_of_its_user() {
    let home = tempfile::tempdir().unwrap();
    let output = run(mimid().args(["scan", VOICE]).env("HOME", home.path()).env_remove("ORT_DISABLE_TELEMETRY"));
    assert!(output.status.success());
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_prints_and_ends() {
    for arguments in [
        &["--help"][..],
        &["help", "run"],
        &["--version"],
        &["completions", "bash"],
        &["completions", "fish"],
        &["schema", "config"],
        &["schema", "protocol"],
        &["check"],
        &["devices", "--json"],
    ] {
        let output = run(mimid().args(arguments));
        assert!(output.status.success() && !output.stdout.is_empty(), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let tree = String::from_utf8(run(mimid().args(["labels", "--tree", "bark"])).stdout).unwrap();
    assert!(tree.contains("Animal\n  Domestic animals, pets\n    Dog\n      Bark\n"), "{tree}");
    let json: serde_json::Value = serde_json::from_slice(&run(mimid().args(["labels", "--json"])).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 527);
    let speech = &json[0];
    assert_eq!((speech["threshold_from"].as_str(), speech["reported"].as_str()), (Some("manifest"), Some("yes")));
    assert_eq!(speech["threshold"], speech["default_threshold"]);
}

#[test]
fn each_label_of_the_preset_has_its_section_its_announcement_and_its_false_alarms() {
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_slice(&run(mimid().args(["labels", "--preset", "home", "--json"]).args(arguments)).stdout).unwrap()
    };
    let home = json(&[]);
    assert_eq!(home.as_array().unwrap().len(), 149);
    for label in home.as_array().unwrap() {
        assert!(label["section"].is_string() && label["false_alarms_per_day"].as_f64() > Some(0.0), "{label}");
        // Thresholds are printed as far as they mean anything.
        let digits = label["threshold"].to_string().len();
        assert!(["at once", "confirmed"].contains(&label["announce"].as_str().unwrap()) && digits <= 6, "{label}");
    }
    // The rate belongs to the label's own threshold and announcement.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    for own in ["threshold = 0.123", "announce = \"confirmed\"", "start_threshold = 0.01"] {
        std::fs::write(&path, format!("[labels.Doorbell]\n{own}\n")).unwrap();
        let doorbell = json(&["Doorbell", "--config", path.to_str().unwrap()])[0].clone();
        assert!(doorbell["false_alarms_per_day"].is_null() && doorbell["section"] == "Doors and phones", "{own}: {doorbell}");
    }
    let text = String::from_utf8(run(mimid().args(["labels", "--preset", "home"])).stdout).unwrap();
    assert!(text.starts_with("Safety\nSmoke detector") && text.contains("\n\nWeather\nThunder "), "{text}");
}

#[test]
fn the_shipped_configuration_is_valid_for_the_shipped_model() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mimid.toml");
    let output = run(mimid().arg("check").arg("--config").arg(&shipped));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "the configuration is valid: 149 of 527 labels and groups are reported, sources: 1\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    // And so are the tables that it shows as comments.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let examples = shipped.split("# [").skip(1).map(|table| table.split("\n\n").next().unwrap());
    // A hook's keys have sentences between them; the test of the commented keys reads those.
    let examples: Vec<&str> = examples.filter(|table| !table.starts_with('[')).collect();
    assert_eq!(examples.len(), 2);
    std::fs::write(&path, examples.iter().map(|table| format!("[{}\n", table.replace("# ", ""))).collect::<String>()).unwrap();
    let output = run(mimid().arg("check").arg("--config").arg(&path));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_effective_configuration_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
    std::fs::write(&first, "[labels.dog]\nthreshold = 0.4\n[groups.alarm]\nlabels = [\"siren\"]\n").unwrap();
    let print = |path: &Path| run(mimid().args(["check", "--print", "--config"]).arg(path)).stdout;
    let printed = print(&first);
    assert!(!printed.is_empty());
    std::fs::write(&second, &printed).unwrap();
    assert_eq!(String::from_utf8(print(&second)).unwrap(), String::from_utf8(printed).unwrap());
}
