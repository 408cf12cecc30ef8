//! `mimid labels`: the labels that can be detected, with their thresholds, as a list, as a tree of the ontology, or as JSON.
//!
//! It reads the configuration and the model's tables, and never opens the model's graph.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;

use super::{ConfigArg, Failure, exit, load};
use crate::config::origin::{Origin, Reported, ThresholdFrom};
use crate::config::{Loaded, preset};
use crate::model::labels::{Labels, Node};
use crate::text::did_you_mean;

/// List the labels that can be detected, with each label's threshold and its origin.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only labels whose name, slug or id contains this text, in any case
    pattern: Option<String>,
    /// Only the labels of this preset: `home`, by what they are for, or `all`
    #[arg(long, value_parser = preset::NAMES, conflicts_with = "tree")]
    preset: Option<String>,
    /// Show the ontology as a tree; categories that are not labels of the model are in brackets
    #[arg(long)]
    tree: bool,
    /// Print one JSON array
    #[arg(long, conflicts_with = "tree")]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// A label as `--json` prints it.
#[derive(Debug, Serialize)]
struct LabelLine<'a> {
    index: usize,
    label: &'a str,
    slug: &'a str,
    mid: &'a str,
    parents: Vec<&'a str>,
    section: Option<&'static str>,
    announce: &'static str,
    false_alarms_per_day: Option<f64>,
    default_threshold: f64,
    threshold: f64,
    threshold_from: &'static str,
    threshold_line: Option<usize>,
    start_threshold: f64,
    reported: &'static str,
    reported_line: Option<usize>,
    group: Option<&'a str>,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Loaded { raw, origins, model, .. } = load(&args.config)?;
    let labels = &model.labels;
    let pattern = args.pattern.as_deref().unwrap_or_default().to_lowercase();
    let matches = |index: usize| {
        let subject = &labels.subjects()[index];
        pattern.is_empty()
            || [&subject.name, &subject.slug, &subject.id].iter().any(|text| text.to_lowercase().contains(&pattern))
    };
    let listed = args.preset.as_deref().and_then(|name| preset::labels(name, labels));
    let by_section = args.preset.as_deref() == Some("home");
    let all = listed.unwrap_or_else(|| (0..labels.len()).collect());
    let chosen: Vec<usize> = all.into_iter().filter(|index| matches(*index)).collect();
    if chosen.is_empty() {
        let hint = did_you_mean(labels.suggest(&pattern));
        return Err(Failure::new(format_args!("no label contains {pattern:?}{hint}"), exit::FAILED));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        json(labels, &chosen, &origins, &mut out)?;
    } else if args.tree {
        tree(labels, &chosen, &mut out)?;
    } else {
        let file = raw.path.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        // The header is for people only; other programs get one label a line.
        let header = io::stdout().is_terminal().then(|| HEADER.map(str::to_owned));
        let heads = header.into_iter().map(Entry::Row);
        let entries =
            if by_section { sections(labels, &chosen, &origins, &file) } else { rows(labels, &chosen, &origins, &file) };
        table(&heads.chain(entries).collect::<Vec<_>>(), &mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// The titles of the columns.
const HEADER: [&str; N_COLUMNS] = ["label", "id", "slug", "announced", "false a day", "default", "threshold", "from", "reported"];
const N_COLUMNS: usize = 9;

/// An entry of the list.
#[derive(Debug, Clone)]
enum Entry {
    /// The title of a section.
    Title(String),
    /// The columns of a label, or their titles.
    Row([String; N_COLUMNS]),
}

/// The rows of the preset `home` under the titles of its sections; labels of one section stand together.
fn sections(labels: &Labels, chosen: &[usize], origins: &[Origin], file: &str) -> Vec<Entry> {
    let sections = chosen.chunk_by(|one, next| origins[*one].section == origins[*next].section);
    let titled = |section: &[usize]| {
        let title = Entry::Title(origins[section[0]].section.unwrap_or_default().to_owned());
        std::iter::once(title).chain(rows(labels, section, origins, file)).collect::<Vec<_>>()
    };
    sections.flat_map(titled).collect()
}

/// The rows of the list; `file` is the name of the configuration file, for references to its lines.
fn rows(labels: &Labels, chosen: &[usize], origins: &[Origin], file: &str) -> Vec<Entry> {
    let at = |line: Option<usize>| line.map(|line| format!(" ({file}:{line})")).unwrap_or_default();
    let row = |index: &usize| {
        let (subject, origin) = (&labels.subjects()[*index], &origins[*index]);
        let from = match &origin.threshold_from {
            ThresholdFrom::Group(name) => format!("group {name:?}"),
            from => from.word().to_owned(),
        };
        let reported = match &origin.reported {
            Reported::Group(name) => format!("in the group {name:?}"),
            Reported::LeftOut => "left out".to_owned(),
            reported => reported.word().to_owned(),
        };
        Entry::Row([
            subject.name.clone(),
            subject.id.clone(),
            subject.slug.clone(),
            origin.announce.name().to_owned(),
            origin.false_alarms_per_day.map_or("-".to_owned(), |rate| rate.to_string()),
            rounded(origin.default_threshold).to_string(),
            rounded(origin.threshold).to_string(),
            from + &at(origin.threshold_line),
            reported + &at(origin.reported_line),
        ])
    };
    chosen.iter().map(row).collect()
}

/// A threshold as far as it means anything: thresholds a ten-thousandth apart are the same.
fn rounded(threshold: f32) -> f64 {
    (f64::from(threshold) * 1e4).round() / 1e4
}

fn table(entries: &[Entry], out: &mut impl Write) -> io::Result<()> {
    let columns = |entry: &Entry| match entry {
        Entry::Row(columns) => columns.each_ref().map(|text| text.chars().count()),
        Entry::Title(_) => [0; N_COLUMNS],
    };
    let widths = entries.iter().map(columns).fold([0; N_COLUMNS], |widest: [usize; N_COLUMNS], widths| {
        std::array::from_fn(|column| widest[column].max(widths[column]))
    });
    for (at, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Title(title) => writeln!(out, "{}{title}", if at == 0 { "" } else { "\n" })?,
            Entry::Row(columns) => {
                let padded: Vec<String> = columns.iter().zip(widths).map(|(text, width)| format!("{text:<width$}")).collect();
                writeln!(out, "{}", padded.join("  ").trim_end())?;
            }
        }
    }
    Ok(())
}

fn json(labels: &Labels, chosen: &[usize], origins: &[Origin], out: &mut impl Write) -> io::Result<()> {
    let parents: HashMap<&str, &Node> = labels.ontology().iter().map(|node| (node.id.as_str(), node)).collect();
    let lines: Vec<LabelLine> = chosen
        .iter()
        .map(|index| {
            let subject = &labels.subjects()[*index];
            let names = parents.get(subject.id.as_str()).map(|node| node.parents.as_slice()).unwrap_or_default();
            let parents = names.iter().filter_map(|id| parents.get(id.as_str()).map(|node| node.name.as_str())).collect();
            let origin = &origins[*index];
            let group = match &origin.reported {
                Reported::Group(name) => Some(name.as_str()),
                Reported::Yes | Reported::LeftOut | Reported::Ignored => None,
            };
            LabelLine {
                index: *index,
                label: &subject.name,
                slug: &subject.slug,
                mid: &subject.id,
                parents,
                section: origin.section,
                announce: origin.announce.name(),
                false_alarms_per_day: origin.false_alarms_per_day,
                default_threshold: rounded(origin.default_threshold),
                threshold: rounded(origin.threshold),
                threshold_from: origin.threshold_from.word(),
                threshold_line: origin.threshold_line,
                start_threshold: rounded(origin.start_threshold),
                reported: origin.reported.word(),
                reported_line: origin.reported_line,
                group,
            }
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &lines)?;
    writeln!(out)
}

/// Prints the chosen labels with their ancestors as a tree. A label with two parents appears under both.
fn tree(labels: &Labels, chosen: &[usize], out: &mut impl Write) -> io::Result<()> {
    let by_id: HashMap<&str, &Node> = labels.ontology().iter().map(|node| (node.id.as_str(), node)).collect();
    let mut children: HashMap<&str, Vec<&Node>> = HashMap::new();
    for node in labels.ontology() {
        for parent in &node.parents {
            children.entry(parent.as_str()).or_default().push(node);
        }
    }
    let chosen: HashSet<&str> = chosen.iter().map(|index| labels.subjects()[*index].id.as_str()).collect();
    // The ancestors of a chosen label show its place in the ontology.
    let mut shown: HashSet<&str> = HashSet::new();
    let mut above: Vec<&str> = chosen.iter().copied().collect();
    while let Some(id) = above.pop() {
        if shown.insert(id) {
            above.extend(by_id.get(id).into_iter().flat_map(|node| node.parents.iter().map(String::as_str)));
        }
    }
    let roots = labels.ontology().iter().filter(|node| node.parents.is_empty());
    let mut stack: Vec<(&Node, usize)> = roots.map(|node| (node, 0)).collect();
    stack.reverse();
    while let Some((node, depth)) = stack.pop() {
        if !shown.contains(node.id.as_str()) || depth > labels.ontology().len() {
            continue;
        }
        let indent = "  ".repeat(depth);
        if labels.find(&node.id).is_some() {
            writeln!(out, "{indent}{}", node.name)?;
        } else {
            writeln!(out, "{indent}({})", node.name)?;
        }
        let below = children.get(node.id.as_str()).into_iter().flatten();
        stack.extend(below.rev().map(|child| (*child, depth + 1)));
    }
    // Labels outside of the ontology, as in a model without one, are a flat list.
    for subject in labels
        .subjects()
        .iter()
        .filter(|subject| chosen.contains(subject.id.as_str()) && !by_id.contains_key(subject.id.as_str()))
    {
        writeln!(out, "{}", subject.name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;

    const NAMES: [&str; 4] = ["Dog", "Fire alarm", "Cat", "Zing"];
    const TEXT: &str = "[defaults]\nannounce = \"at once\"\n[labels.Dog]\nthreshold = 0.45\nannounce = \"confirmed\"\n\
                        [groups.alarm]\nlabels = [\"Fire alarm\"]\nthreshold = 0.3\nannounce = \"confirmed\"\n\
                        [report]\nlabels = [\"Dog\", \"Cat\"]\nignore = [\"Cat\"]";

    fn labels() -> Labels {
        Labels::new(NAMES.iter().enumerate().map(|(i, n)| (format!("/m/{i}"), n.to_string())), Vec::new())
    }

    fn printed(print: impl Fn(&Labels, &[Origin], &mut Vec<u8>) -> io::Result<()>) -> String {
        let (labels, mut out) = (labels(), Vec::new());
        print(&labels, &Raw::parse(TEXT, None).validate(&labels).unwrap().origins, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_has_the_origin_of_each_threshold() {
        insta::assert_snapshot!(printed(|labels, origins, out| {
            let rows = rows(labels, &[0, 1, 2, 3], origins, "mimid.toml");
            table(&[vec![Entry::Row(HEADER.map(str::to_owned))], rows].concat(), out)
        }), @r#"
        label       id    slug        announced  false a day  default  threshold  from                          reported
        Dog         /m/0  dog         confirmed  -            0.2      0.45       label (mimid.toml:4)          yes
        Fire alarm  /m/1  fire_alarm  confirmed  -            0.2      0.3        group "alarm" (mimid.toml:8)  in the group "alarm" (mimid.toml:6)
        Cat         /m/2  cat         at once    -            0.2      0.2        default                       ignored (mimid.toml:12)
        Zing        /m/3  zing        at once    -            0.2      0.2        default                       left out (mimid.toml:11)
        "#);
    }

    #[test]
    fn a_json_line_has_every_field() {
        insta::assert_snapshot!(printed(|labels, origins, out| json(labels, &[1], origins, out)), @r#"
        [
          {
            "index": 1,
            "label": "Fire alarm",
            "slug": "fire_alarm",
            "mid": "/m/1",
            "parents": [],
            "section": "Safety",
            "announce": "confirmed",
            "false_alarms_per_day": null,
            "default_threshold": 0.2,
            "threshold": 0.3,
            "threshold_from": "group",
            "threshold_line": 8,
            "start_threshold": 0.21,
            "reported": "group",
            "reported_line": 6,
            "group": "alarm"
          }
        ]
        "#);
    }
}
