//! The walk: each event in its turn, and a question what it was.

use std::io::{self, BufRead, Write};

use jiff::tz::TimeZone;

use super::marker::Marker;
use super::{Said, line};
use crate::cli::Failure;
use crate::cli::pretty::Style;
use crate::model::Labels;
use crate::publish::store::history::KeptEvent;
use crate::publish::wire::MarkKind;
use crate::text::{did_you_mean, nearest};

/// The most labels that are named where several begin with what was typed.
const OFFERED: usize = 8;
const KEYS: &str = "r right, w wrong, or the name of what it was; Enter to skip, u to undo, q to end";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Mark(Said),
    Skip,
    Undo,
    End,
}

/// Reads an answer; a label by its name, slug or id, or by a beginning of its name that no other has.
fn answer(text: &str, labels: &Labels) -> Result<Answer, String> {
    let plain = |kind| Ok(Answer::Mark(Said { kind, label: None }));
    let typed = text.trim().to_lowercase();
    match typed.as_str() {
        "" | "s" => return Ok(Answer::Skip),
        "u" => return Ok(Answer::Undo),
        "q" => return Ok(Answer::End),
        "r" | "right" => return plain(MarkKind::Right),
        "w" | "wrong" => return plain(MarkKind::Wrong),
        _ => {}
    }
    let names = || labels.subjects().iter().map(|subject| subject.name.as_str());
    let other = |name: &str| Ok(Answer::Mark(Said { kind: MarkKind::Other, label: Some(name.to_owned()) }));
    if let Some(found) = labels.find(&typed) {
        return other(&labels.subjects()[found].name);
    }
    let begins: Vec<&str> = names().filter(|name| name.to_lowercase().starts_with(&typed)).collect();
    match begins[..] {
        [name] => other(name),
        [] => Err(format!("no label begins with {typed:?}{}", did_you_mean(nearest(&typed, names())))),
        _ => {
            let more = if begins.len() > OFFERED { ", …" } else { "" };
            Err(format!("{} labels begin so: {}{more}", begins.len(), begins[..begins.len().min(OFFERED)].join(", ")))
        }
    }
}

/// Asks for each event what it was, and marks it.
pub fn walk(events: &[KeptEvent], labels: &Labels, marker: &mut Marker, zone: &TimeZone, style: Style) -> Result<(), Failure> {
    let (mut input, mut out) = (io::stdin().lock().lines(), io::stdout().lock());
    if events.is_empty() {
        return Ok(writeln!(out, "no event of that time is without a mark")?);
    }
    let (bold, plain) = if style == Style::Colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    writeln!(out, "{KEYS}")?;
    let mut marked: Vec<Option<MarkKind>> = Vec::new();
    while let Some(kept) = events.get(marked.len()) {
        writeln!(out, "{bold}{:>4}/{}  {}{plain}", marked.len() + 1, events.len(), line(kept, zone))?;
        write!(out, "what was it? ")?;
        out.flush()?;
        let Some(text) = input.next().transpose()? else { break };
        match answer(&text, labels) {
            Ok(Answer::Mark(said)) => {
                marker.mark(&kept.event.id.to_string(), &said, labels)?;
                if let Some(label) = &said.label {
                    writeln!(out, "           was {label}")?;
                }
                marked.push(Some(said.kind));
            }
            Ok(Answer::Skip) => marked.push(None),
            Ok(Answer::Undo) => match marked.pop() {
                Some(Some(_)) => marker.mark(&events[marked.len()].event.id.to_string(), &Said::NONE, labels)?,
                Some(None) => {}
                None => writeln!(out, "           this is the first one")?,
            },
            Ok(Answer::End) => break,
            Err(wrong) => writeln!(out, "           {wrong}")?,
        }
    }
    let n = |kind| marked.iter().filter(|mark| **mark == Some(kind)).count();
    let (right, wrong, other) = (n(MarkKind::Right), n(MarkKind::Wrong), n(MarkKind::Other));
    Ok(writeln!(out, "marked {}: {right} right, {wrong} wrong, {other} another sound", right + wrong + other)?)
}
