//! `mimid labels`: what can be detected, as a list, a tree of the ontology, or JSON.
//!
//! It reads the model's tables only; the graph stays closed.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use serde::Serialize;

use super::{ConfigArg, Failure, exit};
use crate::config;
use crate::model::Model;
use crate::model::labels::{Labels, Node};

/// List what can be detected.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only labels whose name, slug or id contains this, in any case
    pattern: Option<String>,
    /// Show the ontology as a tree; what the model does not tell by itself stands in brackets
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
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let raw = config::read(args.config.config.as_deref()).map_err(|faults| Failure::new(faults, exit::USAGE))?;
    let model = Model::open(&raw.model.dir.value)?;
    let labels = &model.labels;
    let pattern = args.pattern.as_deref().unwrap_or_default().to_lowercase();
    let matches = |index: usize| {
        let subject = &labels.subjects()[index];
        pattern.is_empty()
            || [&subject.name, &subject.slug, &subject.id].iter().any(|text| text.to_lowercase().contains(&pattern))
    };
    let chosen: Vec<usize> = (0..labels.len()).filter(|index| matches(*index)).collect();
    if chosen.is_empty() {
        let hint = labels.suggest(&pattern).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        return Err(Failure::new(format_args!("no label contains {pattern:?}{hint}"), exit::FAILED));
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        json(labels, &chosen, &mut out)?;
    } else if args.tree {
        tree(labels, &chosen, &mut out)?;
    } else {
        let width = chosen.iter().map(|index| labels.subjects()[*index].name.chars().count()).max().unwrap_or(0);
        for index in chosen {
            let subject = &labels.subjects()[index];
            writeln!(out, "{:<width$}  {:<12}  {}", subject.name, subject.id, subject.slug)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn json(labels: &Labels, chosen: &[usize], out: &mut impl Write) -> io::Result<()> {
    let parents: HashMap<&str, &Node> = labels.ontology().iter().map(|node| (node.id.as_str(), node)).collect();
    let lines: Vec<LabelLine> = chosen
        .iter()
        .map(|index| {
            let subject = &labels.subjects()[*index];
            let names = parents.get(subject.id.as_str()).map(|node| node.parents.as_slice()).unwrap_or_default();
            let parents = names.iter().filter_map(|id| parents.get(id.as_str()).map(|node| node.name.as_str())).collect();
            LabelLine { index: *index, label: &subject.name, slug: &subject.slug, mid: &subject.id, parents }
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &lines)?;
    writeln!(out)
}

/// The ontology's part that leads to the chosen labels. A label with two parents stands under both.
fn tree(labels: &Labels, chosen: &[usize], out: &mut impl Write) -> io::Result<()> {
    let by_id: HashMap<&str, &Node> = labels.ontology().iter().map(|node| (node.id.as_str(), node)).collect();
    let mut children: HashMap<&str, Vec<&Node>> = HashMap::new();
    for node in labels.ontology() {
        for parent in &node.parents {
            children.entry(parent.as_str()).or_default().push(node);
        }
    }
    let chosen: HashSet<&str> = chosen.iter().map(|index| labels.subjects()[*index].id.as_str()).collect();
    // Everything above a chosen label is shown, so that one sees where it stands.
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
    // A model without an ontology is a flat list.
    for subject in labels
        .subjects()
        .iter()
        .filter(|subject| chosen.contains(subject.id.as_str()) && !by_id.contains_key(subject.id.as_str()))
    {
        writeln!(out, "{}", subject.name)?;
    }
    Ok(())
}
