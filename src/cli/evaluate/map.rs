//! The table of `--map`: which labels of the model count for a label of the truth.

use std::collections::HashMap;
use std::path::Path;

use super::usage;
use crate::cli::Failure;
use crate::model::Labels;
use crate::text::visible;

/// The model's labels that count for a name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(HashMap<String, Vec<usize>>);

impl Map {
    /// The labels of a name; `None` where the table does not have it.
    pub fn get(&self, name: &str) -> Option<Vec<usize>> {
        self.0.get(&name.trim().to_lowercase()).cloned()
    }
}

/// Reads the table.
///
/// # Errors
/// A sentence for each faulty line.
pub fn read(path: &Path, labels: &Labels) -> Result<Map, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| usage(format_args!("{}: the table cannot be read: {error}", path.display())))?;
    parse(&bytes, labels).map_err(|faults| {
        let sentences: Vec<String> =
            faults.iter().map(|(line, fault)| format!("{}:{line}: {}", path.display(), visible(fault))).collect();
        usage(sentences.join("\n"))
    })
}

/// Parses the table. Empty lines and those that begin with # are passed over.
fn parse(bytes: &[u8], labels: &Labels) -> Result<Map, Vec<(usize, String)>> {
    let text = String::from_utf8_lossy(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes));
    let (mut map, mut faults) = (Map::default(), Vec::new());
    for (line, text) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some((name, label)) = text.split_once('\t').map(|(name, label)| (name.trim(), label.trim())) else {
            faults.push((line, "the line has no tab; write the label of the truth, a tab, and a label of the model".to_owned()));
            continue;
        };
        match labels.find(label) {
            Some(found) => {
                let members = map.0.entry(name.to_lowercase()).or_default();
                if !members.contains(&found) {
                    members.push(found);
                }
            }
            None => faults.push((line, labels.unknown(label))),
        }
    }
    if map.0.is_empty() && faults.is_empty() {
        faults.push((1, "the table is empty".to_owned()));
    }
    if faults.is_empty() { Ok(map) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_the_truth_has_all_labels_of_its_lines() {
        let labels =
            Labels::new([("/m/0", "Dog"), ("/m/1", "Bark")].map(|(id, name)| (id.to_owned(), name.to_owned())), Vec::new());
        let map = parse(b"# mine\nhound\tdog\nHound\t/m/1\n\n", &labels).unwrap();
        assert_eq!((map.get(" HOUND"), map.get("cat")), (Some(vec![0, 1]), None));
        let faults = parse(b"hound dog\nhound\tBarq\n", &labels).unwrap_err();
        insta::assert_snapshot!(format!("{faults:?}"), @r#"[(1, "the line has no tab; write the label of the truth, a tab, and a label of the model"), (2, "there is no label \"Barq\"; did you mean \"Bark\"?")]"#);
        assert_eq!(parse(b"\n", &labels).unwrap_err().len(), 1);
    }
}
