//! `mimid labels`: the labels that can be detected, with their thresholds, as a list, as a tree of the ontology, or as JSON.
//!
//! It reads the configuration and the model's tables, and never opens the model's graph.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;

use super::{ConfigArg, Failure, exit, load};
use crate::config::Loaded;
use crate::config::origin::{Origin, Reported, ThresholdFrom};
use crate::model::labels::{Labels, Node};
use crate::text::did_you_mean;

/// List the labels that can be detected, with each label's threshold and its origin.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only labels whose name, slug or id contains this text, in any case
    pattern: Option<String>,
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
    default_threshold: f32,
    threshold: f32,
    threshold_from: &'static str,
    threshold_line: Option<usize>,
    start_threshold: f32,
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
    let chosen: Vec<usize> = (0..labels.len()).filter(|index| matches(*index)).collect();
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
        let rows = header.into_iter().chain(rows(labels, &chosen, &origins, &file));
        table(&rows.collect::<Vec<_>>(), &mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// The titles of the columns.
const HEADER: [&str; 7] = ["label", "id", "slug", "default", "threshold", "from", "reported"];

/// The rows of the list; `file` is the name of the configuration file, for references to its lines.
fn rows(labels: &Labels, chosen: &[usize], origins: &[Origin], file: &str) -> Vec<[String; 7]> {
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
        [
            subject.name.clone(),
            subject.id.clone(),
            subject.slug.clone(),
            format!("{:?}", origin.default_threshold),
            format!("{:?}", origin.threshold),
            from + &at(origin.threshold_line),
            reported + &at(origin.reported_line),
        ]
    };
    chosen.iter().map(row).collect()
}

fn table(rows: &[[String; 7]], out: &mut impl Write) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [label, id, slug, default, threshold, from] = std::array::from_fn(width);
    for [a, b, c, d, e, f, g] in rows {
        writeln!(out, "{a:<label$}  {b:<id$}  {c:<slug$}  {d:<default$}  {e:<threshold$}  {f:<from$}  {g}")?;
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
                default_threshold: origin.default_threshold,
                threshold: origin.threshold,
                threshold_from: origin.threshold_from.word(),
                threshold_line: origin.threshold_line,
                start_threshold: origin.start_threshold,
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
    const TEXT: &str = "[labels.Dog]\nthreshold = 0.45\n[groups.alarm]\nlabels = [\"Fire alarm\"]\nthreshold = 0.3\n\
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
            table(&[vec![HEADER.map(str::to_owned)], rows].concat(), out)
        }), @r#"
        label       id    slug        default  threshold  from                          reported
        Dog         /m/0  dog         0.2      0.45       label (mimid.toml:2)          yes
        Fire alarm  /m/1  fire_alarm  0.2      0.3        group "alarm" (mimid.toml:5)  in the group "alarm" (mimid.toml:3)
        Cat         /m/2  cat         0.2      0.2        default                       ignored (mimid.toml:8)
        Zing        /m/3  zing        0.2      0.2        default                       left out (mimid.toml:7)
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
            "default_threshold": 0.2,
            "threshold": 0.3,
            "threshold_from": "group",
            "threshold_line": 5,
            "start_threshold": 0.21,
            "reported": "group",
            "reported_line": 3,
            "group": "alarm"
          }
        ]
        "#);
    }
}
