//! The recordings that a command line names: files, folders, standard input, and lists in a file.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::{Failure, exit};
use crate::recording::STANDARD_INPUT;

/// The endings of the files in a folder that are taken for recordings.
const ENDINGS: [&str; 38] = [
    "3ga", "3gp", "aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "au", "avi", "bwf", "caf", "dsf", "flac", "m4a", "m4b",
    "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpga", "oga", "ogg", "ogv", "opus", "rf64", "snd", "spx", "tta", "w64", "wav",
    "wave", "webm", "wma", "wv",
];

/// The treatment of folders among the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folders {
    /// They stay what they are, and are no recordings.
    Refused,
    /// The recordings in them and below are taken.
    Walked,
}

/// The recordings of these arguments, in their order; those of a folder in the order of their names.
pub fn recordings(named: &[PathBuf], list: Option<&Path>, folders: Folders) -> Result<Vec<PathBuf>, Failure> {
    let mut all = named.to_vec();
    if let Some(list) = list {
        let bytes = read(list)
            .map_err(|error| Failure::new(format_args!("the list {} cannot be read: {error}", list.display()), exit::USAGE))?;
        all.extend(names(&bytes));
        if all.is_empty() {
            return Err(Failure::new(format_args!("the list {} names no recording", list.display()), exit::USAGE));
        }
    }
    let is_standard_input = |path: &&PathBuf| path.as_path() == Path::new(STANDARD_INPUT);
    if all.iter().filter(is_standard_input).count() + usize::from(list == Some(Path::new("-"))) > 1 {
        return Err(Failure::new("standard input can be read once only", exit::USAGE));
    }
    if folders == Folders::Refused {
        return Ok(all);
    }
    let mut found = Vec::new();
    for path in all {
        if !path.is_dir() {
            found.push(path);
            continue;
        }
        let before = found.len();
        walk(&path, &mut found)?;
        if found.len() == before {
            return Err(Failure::new(format_args!("there is no recording in {}", path.display()), exit::USAGE));
        }
    }
    Ok(found)
}

fn read(list: &Path) -> io::Result<Vec<u8>> {
    if list == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(list)
}

/// The names in a list: each ends with a NUL, as `find -print0` writes them, or else with its line.
fn names(bytes: &[u8]) -> Vec<PathBuf> {
    let is_nul = bytes.contains(&0);
    let names = bytes.split(|byte| if is_nul { *byte == 0 } else { *byte == b'\n' });
    let without_return = |name| if is_nul { name } else { <[u8]>::strip_suffix(name, b"\r").unwrap_or(name) };
    names.map(without_return).filter(|name| !name.is_empty()).map(|name| OsStr::from_bytes(name).into()).collect()
}

/// Appends the recordings in a folder and in those below it. Hidden ones are left out, and links to folders are not followed.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error| Failure::new(format_args!("the folder {} cannot be read: {error}", folder.display()), exit::FAILED);
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let paths: BTreeSet<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(unreadable)?;
    for path in paths {
        let is_hidden = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
        let Ok(kind) = path.symlink_metadata().map(|metadata| metadata.file_type()) else { continue };
        if is_hidden {
            continue;
        }
        if kind.is_dir() {
            walk(&path, found)?;
        } else if is_recording(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn is_recording(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_names_by_line_or_by_nul() {
        let of = |bytes: &[u8]| names(bytes).iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(of(b"a.wav\nb c.wav\r\n\nd\xff.wav"), [&b"a.wav"[..], b"b c.wav", b"d\xff.wav"]);
        assert_eq!(of(b"a\n.wav\0b.wav\0"), [&b"a\n.wav"[..], b"b.wav"]);
        assert!(of(b"\n\n").is_empty());
    }

    #[test]
    fn a_folder_gives_its_recordings_in_order_without_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let expected = [make("a/2.WAV"), make("a/b/1.flac"), make("c.mp3")];
        for other in ["c.txt", ".d.wav", ".e/f.wav", "a/wav"] {
            make(other);
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert_eq!(recordings(&[folder.path().into()], None, Folders::Walked).unwrap(), expected);
        assert_eq!(recordings(&[folder.path().into()], None, Folders::Refused).unwrap(), [folder.path()]);
        let empty = folder.path().join(".e");
        std::fs::remove_file(empty.join("f.wav")).unwrap();
        assert!(recordings(&[empty], None, Folders::Walked).unwrap_err().message.contains("there is no recording in"));
        assert_eq!(recordings(&["-".into(), "-".into()], None, Folders::Refused).unwrap_err().exit_code, exit::USAGE);
    }
}
