//! What another program heard: a table of events, joined with the recordings of the truth.

use std::collections::HashMap;
use std::path::Path;

use super::classes::Classes;
use super::hear::Heard;
use super::material::Material;
use super::usage;
use crate::cli::tune::recordings::read_file;
use crate::cli::{Failure, say};
use crate::dataset::truth;
use crate::evaluate::matching::Span;
use crate::evaluate::timing::HeardEvent;
use crate::text::{unescaped, visible};

/// Reads the events of the table at `path`.
///
/// # Errors
/// A sentence for each line that cannot be read, or one where no event is of these recordings.
pub fn read(path: &Path, material: &Material, classes: &Classes) -> Result<Vec<Heard>, Failure> {
    let bytes = read_file(path)
        .map_err(|sentence| usage(format_args!("{}: {}", path.display(), sentence.replace("truth file", "table of events"))))?;
    let table = truth::parse_heard(&bytes);
    let faults: Vec<String> =
        table.faults.iter().map(|(line, sentence)| format!("{}:{line}: {}", path.display(), visible(sentence))).collect();
    if !faults.is_empty() {
        return Err(usage(faults.join("\n")));
    }
    let names = Names::new(material);
    let mut heard = vec![Heard { events: vec![Vec::new(); classes.len()], changes: None }; material.recordings.len()];
    let mut of_label: HashMap<String, Vec<usize>> = HashMap::new();
    let (mut n_found, mut strangers): (usize, Vec<(usize, String)>) = (0, Vec::new());
    for row in table.rows {
        let at = match row.filename.as_deref().map(|name| names.find(name)) {
            Some(Found::One(at)) => at,
            None if material.recordings.len() == 1 => 0,
            None => {
                return Err(usage(format_args!(
                    "{}: a label track belongs to one recording; give a table with filenames",
                    path.display()
                )));
            }
            Some(Found::None) => {
                strangers.push((row.line, row.filename.unwrap_or_default()));
                continue;
            }
            Some(Found::Several(n)) => {
                let name = row.filename.unwrap_or_default();
                let message = format!("{name:?} is the name of {n} of the recordings; write more of its path");
                return Err(usage(format_args!("{}:{}: {message}", path.display(), row.line)));
            }
        };
        n_found += 1;
        let Some(event) = row.event else { continue };
        let classes = of_label.entry(event.label).or_insert_with_key(|label| classes.of_name(label));
        let span = Span { onset_s: event.onset_s, offset_s: event.offset_s };
        classes.iter().for_each(|class| heard[at].events[*class].push(HeardEvent { span, announced_s: None }));
    }
    if let Some((line, name)) = strangers.first() {
        let n = strangers.len();
        if n_found == 0 {
            let message =
                format!("{name:?} is none of the recordings that the truth names, and nor is any other recording of this table");
            return Err(usage(format_args!("{}:{line}: {message}", path.display())));
        }
        say(format_args!(
            "mimid: {}: {n} events are of recordings that the truth does not name, and are left out, such as line {line} of {name:?}",
            path.display()
        ));
    }
    Ok(heard)
}

/// The recordings by their names.
struct Names {
    paths: HashMap<String, usize>,
    /// The recordings of a file name, and of a file name without its ending.
    file_names: HashMap<String, Vec<usize>>,
}

enum Found {
    One(usize),
    None,
    Several(usize),
}

impl Names {
    fn new(material: &Material) -> Self {
        let mut names = Self { paths: HashMap::new(), file_names: HashMap::new() };
        for (at, recording) in material.recordings.iter().enumerate() {
            names.paths.insert(recording.path.to_string_lossy().into_owned(), at);
            let text = |name: Option<&std::ffi::OsStr>| name.unwrap_or_default().to_string_lossy().into_owned();
            let (name, stem) = (text(recording.path.file_name()), text(recording.path.file_stem()));
            if stem != name {
                names.file_names.entry(stem).or_default().push(at);
            }
            names.file_names.entry(name).or_default().push(at);
        }
        names
    }

    /// The recording of a name: its path, the end of its path, its file name, or that without an ending.
    fn find(&self, name: &str) -> Found {
        let raw = unescaped(name).and_then(|bytes| String::from_utf8(bytes).ok()).filter(|raw| raw != name);
        if let Some(at) = self.paths.get(name).or_else(|| raw.as_ref().and_then(|raw| self.paths.get(raw))) {
            return Found::One(*at);
        }
        let name = raw.as_deref().unwrap_or(name);
        let path = Path::new(name);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let candidates = self.file_names.get(file_name.as_ref()).map(Vec::as_slice).unwrap_or_default();
        match *candidates {
            [] => match self.file_names.get(path.file_stem().unwrap_or_default().to_string_lossy().as_ref()).map(Vec::as_slice) {
                // Another ending: a program may have heard a converted recording.
                Some([at]) => Found::One(*at),
                Some(several) if several.len() > 1 => Found::Several(several.len()),
                _ => Found::None,
            },
            [at] => Found::One(at),
            _ => {
                let ending: Vec<usize> =
                    self.paths.iter().filter(|(own, _)| Path::new(own).ends_with(path)).map(|(_, at)| *at).collect();
                match ending[..] {
                    [at] => Found::One(at),
                    _ => Found::Several(candidates.len()),
                }
            }
        }
    }
}
