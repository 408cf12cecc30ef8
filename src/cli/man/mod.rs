//! `mimid man`: the manual pages. The pages of `mimid` and of each subcommand have the words of `--help`; `mimid-config(5)` has
//! the keys of the configuration's schema and the text of `docs/configuration.md`, `mimid-protocol(7)` the text of
//! `docs/protocol.md`.
//!
//! The command is for packagers, so `--help` does not name it. It reads no configuration and opens no model.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, Failure, exit};

mod config;
mod markdown;

const SOURCE: &str = concat!("mimid ", env!("CARGO_PKG_VERSION"));
const MANUAL: &str = "mimid's manual";
const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// Write the manual pages: one for each subcommand, one of the configuration, one of the protocol.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write the pages into; it is created where it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    write_pages(&args.folder).map_err(|error| {
        let folder = args.folder.display();
        Failure::new(format_args!("the manual pages could not be written into {folder}: {error}"), exit::FAILED)
    })
}

fn write_pages(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, page) in pages()? {
        std::fs::write(folder.join(name), page)?;
    }
    Ok(())
}

/// The file name and the text of each page, that of `mimid` itself first.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut mimid = Cli::command().disable_help_subcommand(true);
    // A subcommand knows its whole name, `mimid-run`, only when its parent is built.
    mimid.build();
    let shown = |command: &clap::Command| command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect::<Vec<_>>();
    let subcommands = shown(&mimid).into_iter().flat_map(|command| {
        let own = shown(&command);
        std::iter::once(command).chain(own)
    });
    let mut pages: Vec<(String, Vec<u8>)> = Vec::new();
    for command in std::iter::once(mimid.clone()).chain(subcommands) {
        let man = Man::new(command).source(SOURCE).manual(MANUAL);
        let mut page = Vec::new();
        man.render(&mut page)?;
        if pages.is_empty() {
            surroundings().to_writer(&mut page)?;
        }
        pages.push((man.get_filename(), page));
    }
    for (name, roff) in [("mimid-config.5", configuration()?), ("mimid-protocol.7", protocol())] {
        pages.push((name.to_owned(), roff.render().into_bytes()));
    }
    Ok(pages)
}

/// `mimid-config(5)`: the introduction, then every key, then the rest of the text.
fn configuration() -> io::Result<Roff> {
    let mut roff = head("mimid-config", "5", "the configuration of mimid");
    let (introduction, rest) = CONFIGURATION.split_once("\n## ").unwrap_or((CONFIGURATION, ""));
    markdown::append(&mut roff, introduction);
    config::append(&mut roff)?;
    markdown::append(&mut roff, &format!("## {rest}"));
    see_also(&mut roff, &["mimid(1)", "mimid-check(1)", "mimid-protocol(7)"]);
    Ok(roff)
}

/// `mimid-protocol(7)`.
fn protocol() -> Roff {
    let mut roff = head("mimid-protocol", "7", "the protocol of mimid's socket");
    markdown::append(&mut roff, PROTOCOL);
    see_also(&mut roff, &["mimid(1)", "mimid-listen(1)", "mimid-config(5)"]);
    roff
}

/// The beginning of a page that is no command's.
fn head(name: &str, part: &str, about: &str) -> Roff {
    let mut roff = Roff::new();
    // An empty date is a word of its own only in quotation marks.
    roff.control("TH", [name, part, "\"\"", SOURCE, MANUAL]);
    // Lines of code are long, and groff cannot stretch them.
    roff.control("ad", ["l"]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]).control("SH", ["DESCRIPTION"]);
    roff
}

fn see_also(roff: &mut Roff, pages: &[&str]) {
    roff.control("SH", ["SEE ALSO"]).text([roman(pages.join(", "))]);
}

/// The sections that `--help` does not have: files, environment and exit codes.
fn surroundings() -> Roff {
    let mut roff = Roff::new();
    section(
        &mut roff,
        "FILES",
        &[
            ("/etc/mimid/config.toml", "The configuration; $XDG_CONFIG_HOME/mimid/config.toml where this file does not exist."),
            ("/run/mimid/mimid.sock", "The system service's socket."),
            ("$XDG_RUNTIME_DIR/mimid/mimid.sock", "The socket in a user's session."),
            ("/usr/lib/mimid/models", "The installed models, one folder each."),
            ("/usr/lib/mimid/libonnxruntime.so", "ONNX Runtime."),
        ],
    );
    section(
        &mut roff,
        "ENVIRONMENT",
        &[
            ("MIMID_MODELS", "A folder to look for models in first."),
            ("MIMID_ONNXRUNTIME", "The path of libonnxruntime; [model] runtime in the configuration takes precedence."),
            ("NO_COLOR", "If set to anything, mimid top, listen and run --print use no colours."),
        ],
    );
    section(
        &mut roff,
        "EXIT STATUS",
        &[
            ("0", "The command succeeded."),
            (&exit::FAILED.to_string(), "The command failed while running."),
            (&exit::USAGE.to_string(), "The command line or the configuration is wrong."),
            (&exit::DEVICE.to_string(), "There is no such device."),
            (&exit::MODEL.to_string(), "The model or ONNX Runtime could not be loaded."),
            (&exit::SOCKET.to_string(), "The socket is in use."),
            (&exit::INTERRUPTED.to_string(), "The command was interrupted."),
        ],
    );
    see_also(&mut roff, &["mimid-config(5)", "mimid-protocol(7)"]);
    roff
}

fn section(roff: &mut Roff, title: &str, items: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (term, meaning) in items {
        roff.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subcommand_of_the_help_has_a_page_and_no_other_has() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "mimid.1");
        let commands: Vec<String> = Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .flat_map(|command| {
                let own = format!("mimid-{}.1", command.get_name());
                let below = command.get_subcommands().map(|below| format!("mimid-{}-{}.1", command.get_name(), below.get_name()));
                std::iter::once(own).chain(below).collect::<Vec<_>>()
            })
            .collect();
        assert!(commands.len() >= 10 && !commands.iter().any(|name| name == "mimid-man.1"));
        let (of_commands, others) = names[1..].split_at(commands.len());
        assert_eq!(
            (of_commands, others),
            (
                commands.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
                ["mimid-config.5", "mimid-protocol.7"].as_slice()
            )
        );
    }

    #[test]
    fn the_pages_that_are_no_commands_hold_their_texts_and_no_markdown() {
        let pages = pages().unwrap();
        for (page, words) in [
            ("mimid-config.5", [".SH SOURCES", "quiet_hours", "SEE ALSO"]),
            ("mimid-protocol.7", [".SH REQUESTS", "event.start", "SEE ALSO"]),
        ] {
            let (_, text) = pages.iter().find(|(name, _)| name == page).unwrap();
            let text = std::str::from_utf8(text).unwrap();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
            assert!([".\n**", "](", "`", "| ---"].iter().all(|mark| !text.contains(mark)), "{text}");
        }
    }

    #[test]
    fn the_first_page_tells_the_exit_codes_and_the_files_and_every_page_its_version() {
        let pages = pages().unwrap();
        for (name, page) in &pages {
            let page = std::str::from_utf8(page).unwrap();
            assert!(page.contains(concat!("\"mimid ", env!("CARGO_PKG_VERSION"), "\"")), "{name}: {page}");
            assert_eq!(page.contains(".SH \"EXIT STATUS\""), name == "mimid.1", "{name}: {page}");
        }
        let first = std::str::from_utf8(&pages[0].1).unwrap();
        assert!(first.contains("/etc/mimid/config.toml") && first.contains("\\fB4\\fR\n"), "{first}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let failure = run(&Args { folder: file.join("man") }).unwrap_err();
        assert_eq!(failure.exit_code, exit::FAILED);
        assert!(failure.message.contains("file/man"), "{}", failure.message);
    }
}
