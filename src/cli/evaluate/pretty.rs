//! The numbers for people: a table by label, the errors, the times, and what to listen to.

use std::io::{self, Write};
use std::path::Path;

use super::comparison::Comparison;
use super::format::{cell, columns};
use super::judgement::Judgement;
use crate::evaluate::timing::Spread;
use crate::evaluate::totals::Scope;
use crate::text::visible;

/// How many mistakes of a recording are listed.
const MOST_MISTAKES: usize = 8;

/// Prints the numbers.
pub fn write(judgement: &Judgement, comparison: Option<&Comparison>, out: &mut impl Write) -> io::Result<()> {
    let (n, hours) = (judgement.n_recordings, judgement.hours);
    let of_events =
        if judgement.has_guessed_lengths { ", of which some are only known to last as long as their events" } else { "" };
    writeln!(out, "{n} recordings of {hours:.3} h{of_events}")?;
    if judgement.is_weak {
        writeln!(out, "The truth says which labels are in a recording, and not when: only whole recordings are judged.")?;
    }
    table(judgement, out)?;
    if !judgement.errors.is_empty() {
        writeln!(out, "\nerror rate       rate             substituted  deleted  inserted  of")?;
        for ((_, errors, rate), title) in judgement.errors.iter().zip(["events, 500 ms", "events, 200 ms", "segments of 1 s"]) {
            let rate = rate.map_or_else(|| "–".to_owned(), |rate| interval(rate.value, rate.bounds));
            writeln!(
                out,
                "{title:15}  {rate:15}  {:>11}  {:>7}  {:>8}  {}",
                errors.substitutions, errors.deletions, errors.insertions, errors.n_true
            )?;
        }
    }
    let all = judgement.rows.iter().find(|row| row.scope == Scope::Micro);
    let timing = all.map(|row| row.timing).unwrap_or_default();
    if timing.iter().any(Option::is_some) {
        writeln!(out, "\ntime             median    absolute  95 %      of events")?;
        for (title, spread) in ["onset", "offset", "announced after"].into_iter().zip(timing) {
            if let Some(Spread { n, median_s, median_absolute_s, p95_absolute_s }) = spread {
                writeln!(out, "{title:15}  {median_s:+.3} s  {median_absolute_s:.3} s   {p95_absolute_s:.3} s   {n}")?;
            }
        }
    }
    if !judgement.confusions.is_empty() {
        writeln!(out, "\nconfusions: the true label, the one that was heard in its place, how often, and where first")?;
        for (confusion, path) in &judgement.confusions {
            let [truth, heard] = [confusion.truth, confusion.heard].map(|label| visible(&judgement.names[label]));
            writeln!(out, "  {truth} → {heard}  {}×, {} at {:.2} s", confusion.n, shown(path), confusion.first.1.onset_s)?;
        }
    }
    if !judgement.worst.is_empty() {
        writeln!(out, "\nthe worst recordings")?;
        for worst in &judgement.worst {
            let n_missed = worst.mistakes.iter().filter(|mistake| mistake.is_missed).count();
            writeln!(out, "  {}  {n_missed} missed, {} false alarms", shown(&worst.path), worst.mistakes.len() - n_missed)?;
            for mistake in worst.mistakes.iter().take(MOST_MISTAKES) {
                let what = if mistake.is_missed { "missed     " } else { "false alarm" };
                let name = visible(&judgement.names[mistake.label]);
                writeln!(out, "    {:8.2} – {:8.2} s  {what}  {name}", mistake.span.onset_s, mistake.span.offset_s)?;
            }
            if worst.mistakes.len() > MOST_MISTAKES {
                writeln!(out, "    and {} more", worst.mistakes.len() - MOST_MISTAKES)?;
            }
        }
    }
    comparison.map_or(Ok(()), |comparison| against(comparison, out))
}

/// The table by label, with the bounds of the mean below it.
fn table(judgement: &Judgement, out: &mut impl Write) -> io::Result<()> {
    let columns = columns(judgement);
    let width = judgement.rows.iter().map(|row| visible(&row.name).chars().count()).max().unwrap_or(0).max(5);
    writeln!(
        out,
        "\n{:width$}   true  heard  {}",
        "",
        columns.iter().map(|(_, title)| format!("{title:>9}")).collect::<Vec<_>>().join("  ")
    )?;
    for row in &judgement.rows {
        let values: Vec<String> =
            columns.iter().map(|(key, _)| format!("{:>9}", cell(key, row.value(key).map(|value| value.value)))).collect();
        writeln!(out, "{:width$}  {:>5}  {:>5}  {}", visible(&row.name), row.n_true, row.n_heard, values.join("  "))?;
    }
    let Some(mean) = judgement.mean() else { return Ok(()) };
    for (at, title) in ["from", "to"].into_iter().enumerate() {
        let bound = |key: &str| row_bound(mean.value(key).and_then(|value| value.bounds), at);
        let values: Vec<String> = columns.iter().map(|(key, _)| format!("{:>9}", cell(key, bound(key)))).collect();
        if judgement.draws.is_some() {
            writeln!(out, "{:width$}  {:>12}  {}", if at == 0 { "macro, 95 %" } else { "" }, title, values.join("  "))?;
        }
    }
    Ok(())
}

fn row_bound(bounds: Option<[f64; 2]>, at: usize) -> Option<f64> {
    bounds.map(|bounds| bounds[at])
}

fn interval(value: f64, bounds: Option<[f64; 2]>) -> String {
    let bounds = bounds.map(|[low, high]| format!(" {low:.2}…{high:.2}")).unwrap_or_default();
    format!("{value:.3}{bounds}")
}

fn against(comparison: &Comparison, out: &mut impl Write) -> io::Result<()> {
    let width = comparison.lines.iter().map(|line| visible(&line.name).chars().count()).max().unwrap_or(0);
    writeln!(out, "\nagainst the other   this  other  difference  95 %                p")?;
    for line in &comparison.lines {
        let (difference, key) = (&line.difference, line.key);
        let [this, other] = difference.values.map(|value| cell(key, Some(value)));
        let bounds = difference.difference.bounds.map(|[low, high]| format!("{low:+.3}…{high:+.3}")).unwrap_or_default();
        let verdict = if difference.is_more_than_chance() { "more than chance" } else { "may be chance" };
        writeln!(
            out,
            "{:width$}  {key:21}  {this:>6}  {other:>6}  {:+.3}  {bounds:17}  {:.4}  {verdict}",
            visible(&line.name),
            difference.difference.value,
            difference.p
        )?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    visible(&path.display().to_string())
}
