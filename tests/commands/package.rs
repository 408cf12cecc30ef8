//! The Debian package, built from the binary under test: its files, their owners, and its reproducibility.
//!
//! The package is not installed here. `make deb-test` installs it in a root of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::run;

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// Builds the package into `folder`, uncompressed for speed.
fn build(folder: &Path) -> PathBuf {
    let script = Path::new(PROJECT).join("systemd/debian/build");
    let output = run(Command::new(script).arg(env!("CARGO_BIN_EXE_mimid")).arg(folder).arg("none"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn text(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the files in a folder of the project that have one of these endings.
fn names_in(folder: &str, endings: &[&str]) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(PROJECT).join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| endings.iter().any(|ending| name.ends_with(ending))).collect()
}

/// The names of the unit files in a folder of the project.
fn units(folder: &str) -> Vec<String> {
    names_in(folder, &[".service", ".socket"])
}

#[test]
fn the_package_holds_what_it_should_as_root_and_comes_out_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let package = build(&folder.path().join("first"));
    let again = build(&folder.path().join("second"));
    assert!(std::fs::read(&package).unwrap() == std::fs::read(&again).unwrap(), "two builds of the same sources differ");

    let dpkg_deb = |argument: &str| text(Command::new("dpkg-deb").arg(argument).arg(&package));
    let field = |name: &str| text(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name)).trim_end().to_owned();
    assert_eq!(field("Version"), concat!(env!("CARGO_PKG_VERSION"), "-1"));
    assert_eq!(field("Architecture"), text(Command::new("dpkg").arg("--print-architecture")).trim_end());
    for needed in ["adduser", "procps", "libasound2", "libc6", "libgcc-s1", "libstdc++6"] {
        assert!(field("Depends").contains(needed), "{needed}: {}", field("Depends"));
    }

    let contents = dpkg_deb("--contents");
    let mut files = BTreeSet::new();
    for line in contents.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, _, _, path] = columns[..] else { panic!("{line}") };
        let expected = if mode.starts_with('d') || path == "./usr/bin/mimid" { "rwxr-xr-x" } else { "rw-r--r--" };
        assert_eq!((owner, &mode[1..]), ("root/root", expected), "{line}");
        if !mode.starts_with('d') {
            files.insert(path.trim_start_matches('.').to_owned());
        }
    }
    let mut expected: BTreeSet<String> = [
        "/etc/mimid/config.toml",
        "/usr/bin/mimid",
        "/usr/lib/mimid/libonnxruntime.so",
        "/usr/share/bash-completion/completions/mimid",
        "/usr/share/fish/vendor_completions.d/mimid.fish",
        "/usr/share/lintian/overrides/mimid",
        "/usr/share/mimid/mimid.schema.json",
        "/usr/share/zsh/vendor-completions/_mimid",
    ]
    .map(str::to_owned)
    .into();
    expected.extend(units("systemd").into_iter().map(|unit| format!("/lib/systemd/system/{unit}")));
    expected.extend(units("systemd/user").into_iter().map(|unit| format!("/usr/lib/systemd/user/{unit}")));
    for name in ["README.md", "changelog", "changelog.Debian", "crates.txt", "onnxruntime-ThirdPartyNotices.txt"] {
        expected.insert(format!("/usr/share/doc/mimid/{name}.gz"));
    }
    let pages = names_in("docs", &[".md"]);
    assert!(pages.len() >= 8, "{pages:?}");
    expected.extend(pages.iter().map(|name| format!("/usr/share/doc/mimid/docs/{name}.gz")));
    for name in ["copyright", "examples/grafana.json", "examples/mimid-network.conf"] {
        expected.insert(format!("/usr/share/doc/mimid/{name}"));
    }
    for table in ["bank.tsv", "labels.tsv", "manifest.toml", "model.onnx", "ontology.tsv", "roundings.tsv", "thresholds.tsv"] {
        expected.insert(format!("/usr/lib/mimid/models/ced-tiny/{table}"));
    }
    let (pages, rest): (BTreeSet<String>, BTreeSet<String>) = files.into_iter().partition(|path| path.contains("/man/"));
    assert_eq!(rest, expected);
    for page in ["man1/mimid.1", "man1/mimid-run.1", "man5/mimid-config.5", "man7/mimid-protocol.7"] {
        assert!(pages.contains(&format!("/usr/share/man/{page}.gz")), "{page}: {pages:?}");
    }

    let root = folder.path().join("root");
    text(Command::new("dpkg-deb").arg("--raw-extract").arg(&package).arg(&root));
    assert_eq!(std::fs::read_to_string(root.join("DEBIAN/conffiles")).unwrap(), "/etc/mimid/config.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        let path = root.join("DEBIAN").join(script);
        text(Command::new("sh").arg("-n").arg(&path));
        let script = std::fs::read_to_string(path).unwrap();
        assert!(!script.contains("@UNITS@"), "{script}");
        assert_eq!(script.contains("deb-systemd-"), script.contains("mimid.service"), "{script}");
    }
    // The configuration is the project's own, but for where its schema lies.
    let shipped = std::fs::read_to_string(Path::new(PROJECT).join("config/mimid.toml")).unwrap();
    let packaged = std::fs::read_to_string(root.join("etc/mimid/config.toml")).unwrap();
    let (schema, packaged) = packaged.split_once('\n').unwrap();
    assert_eq!(schema, "#:schema file:///usr/share/mimid/mimid.schema.json");
    assert_eq!(packaged, shipped.split_once('\n').unwrap().1);
    text(Command::new("md5sum").args(["--check", "--quiet", "DEBIAN/md5sums"]).current_dir(&root));
}
