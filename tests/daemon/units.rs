//! The systemd units: systemd finds no fault with them and calls the system's service safe, and the daemon sends the
//! notifications that they rely on. Where systemd's tools are not installed, the checks that need them are skipped with a
//! message.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Daemon, ServiceManager, VOICE, looped, run};

/// The highest allowed exposure level of the system's service, in tenths.
const EXPOSURE: &str = "--threshold=20";

/// The units of a folder of the project, with the binary under test where the installed one would be.
fn units(folder: &str) -> tempfile::TempDir {
    let copies = tempfile::tempdir().unwrap();
    for name in ["mimid.service", "mimid.socket"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)).unwrap();
        std::fs::write(copies.path().join(name), text.replace("/usr/bin/mimid", env!("CARGO_BIN_EXE_mimid"))).unwrap();
    }
    copies
}

/// `systemd-analyze` with these arguments and units; `None` where it is not installed.
fn analyze(arguments: &[&str], units: &[PathBuf]) -> Option<(bool, String)> {
    if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: systemd-analyze is not installed; `make test` installs it");
        return None;
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(units).env("LC_ALL", "C").env("XDG_RUNTIME_DIR", home.path()).env("HOME", home.path());
    let output = run(&mut command);
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    for (folder, manager) in [("systemd", "--system"), ("systemd/user", "--user")] {
        let units = units(folder);
        let paths = ["mimid.service", "mimid.socket"].map(|name| units.path().join(name));
        let Some((well, said)) = analyze(&[manager, "verify", "--man=no"], &paths) else { return };
        assert!(well && said.is_empty(), "{folder}: {said}");
    }
}

#[test]
fn systemd_finds_no_fault_with_a_service_that_has_a_network() {
    let drop_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/mimid-network.conf");
    // With the credential that it leaves to whoever needs it.
    let text = std::fs::read_to_string(drop_in).unwrap().replace("# LoadCredential=", "LoadCredential=");
    assert!(text.contains("\nLoadCredential="));
    for (folder, manager) in [("systemd", "--system"), ("systemd/user", "--user")] {
        let units = units(folder);
        let paths = ["mimid.service", "mimid.socket"].map(|name| units.path().join(name));
        std::fs::create_dir(units.path().join("mimid.service.d")).unwrap();
        let verify = |text: &str| {
            std::fs::write(units.path().join("mimid.service.d/network.conf"), text).unwrap();
            analyze(&[manager, "verify", "--man=no"], &paths)
        };
        let Some((well, said)) = verify(&text) else { return };
        assert!(well && said.is_empty(), "{folder}: {said}");
        // It is read at all.
        let Some((_, said)) = verify(&text.replace("PrivateNetwork=", "PrivateNetwerk=")) else { return };
        assert!(said.contains("PrivateNetwerk"), "{folder}: {said}");
    }
}

#[test]
fn systemd_finds_a_fault_where_there_is_one() {
    let units = units("systemd");
    let path = units.path().join("mimid.service");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("ProtectHome=", "ProtectHouse=")).unwrap();
    let Some((_, said)) = analyze(&["--system", "verify", "--man=no"], std::slice::from_ref(&path)) else { return };
    assert!(said.contains("ProtectHouse"), "{said}");
}

#[test]
fn the_system_service_is_exposed_by_two_of_ten_at_most() {
    let units = units("systemd");
    let path = units.path().join("mimid.service");
    let Some((well, said)) = analyze(&["security", "--offline=true", "--no-pager", EXPOSURE], &[path]) else { return };
    let overall = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or(&said);
    assert!(well && overall.contains("mimid.service"), "{overall}");
}

/// The next notification to the service manager with this line.
fn wait_for(manager: &ServiceManager, line: &str) -> String {
    loop {
        let message = manager.told();
        if message.lines().any(|said| said == line) {
            return message;
        }
    }
}

#[test]
fn the_service_manager_is_told_of_the_start_a_reload_and_the_end() {
    let manager = ServiceManager::new();
    let mut daemon = Daemon::start("", &["--source", &looped(VOICE)], &[("NOTIFY_SOCKET", &manager.path)]);
    assert!(wait_for(&manager, "READY=1").lines().any(|line| line.starts_with("STATUS=")));
    daemon.signal("-HUP");
    // Type=notify-reload takes no RELOADING=1 that does not say when it was.
    let reloading = wait_for(&manager, "RELOADING=1");
    let when = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect(&reloading);
    assert!(when.parse::<u64>().unwrap() > 0);
    wait_for(&manager, "READY=1");
    daemon.signal("-TERM");
    wait_for(&manager, "STOPPING=1");
    assert_eq!(daemon.wait(), 0);
}
