//! The numbers for programs and for reports: JSON, a table of one number a line, and Markdown.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::comparison::{Comparison, Line};
use super::judgement::{Judgement, MEASURES, PSDS_KEYS, Row};
use crate::evaluate::mistakes::Mistake;
use crate::evaluate::timing::Spread;
use crate::evaluate::totals::{Estimate, Scope};
use crate::text::{escaped, visible};

/// A number with six decimals at most, which is null where it is none.
fn number(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}

fn estimate(estimate: Option<Estimate>) -> Value {
    match estimate {
        Some(Estimate { value, bounds: Some([low, high]) }) => {
            json!({"value": number(value), "low": number(low), "high": number(high)})
        }
        Some(Estimate { value, bounds: None }) => json!({"value": number(value), "low": null, "high": null}),
        None => Value::Null,
    }
}

fn timing(spread: Option<Spread>) -> Value {
    spread.map_or(Value::Null, |Spread { n, median_s, median_absolute_s, p95_absolute_s }| {
        json!({
            "events": n,
            "median_s": number(median_s),
            "median_absolute_s": number(median_absolute_s),
            "p95_absolute_s": number(p95_absolute_s),
        })
    })
}

fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Prints one JSON object.
pub fn json(judgement: &Judgement, comparison: Option<&Comparison>, out: &mut impl Write) -> io::Result<()> {
    let row = |row: &Row| {
        let mut object = Map::new();
        object.insert("true_events".to_owned(), json!(row.n_true));
        object.insert("heard_events".to_owned(), json!(row.n_heard));
        object.extend(row.values.iter().map(|(key, value)| ((*key).to_owned(), estimate(*value))));
        if row.scope != Scope::Macro && !judgement.is_weak {
            let keys = ["onset_error", "offset_error", "announcement_delay"];
            object.extend(keys.iter().zip(row.timing).map(|(key, spread)| ((*key).to_owned(), timing(spread))));
        }
        Value::Object(object)
    };
    let of = |scope: Scope| judgement.rows.iter().find(|row| row.scope == scope).map_or(Value::Null, row);
    let is_label = |row: &&Row| matches!(row.scope, Scope::Label(_));
    let labels: Map<String, Value> = judgement.rows.iter().filter(is_label).map(|one| (one.name.clone(), row(one))).collect();
    let errors = judgement.errors.iter().map(|(key, errors, rate)| {
        let value = json!({
            "error_rate": estimate(*rate),
            "substitutions": errors.substitutions,
            "deletions": errors.deletions,
            "insertions": errors.insertions,
            "true": errors.n_true,
        });
        ((*key).to_owned(), value)
    });
    let mistake = |mistake: &Mistake| {
        json!({
            "label": judgement.names[mistake.label],
            "what": if mistake.is_missed { "missed" } else { "false alarm" },
            "onset": number(mistake.span.onset_s),
            "offset": number(mistake.span.offset_s),
        })
    };
    let worst: Vec<Value> = judgement
        .worst
        .iter()
        .map(|one| json!({"recording": name_of(&one.path), "mistakes": one.mistakes.iter().map(mistake).collect::<Vec<_>>()}))
        .collect();
    let confusions: Vec<Value> = judgement
        .confusions
        .iter()
        .map(|(confusion, path)| {
            json!({
                "true": judgement.names[confusion.truth],
                "heard": judgement.names[confusion.heard],
                "events": confusion.n,
                "example": {"recording": name_of(path), "onset": number(confusion.first.1.onset_s), "offset": number(confusion.first.1.offset_s)},
            })
        })
        .collect();
    let mut object = json!({
        "recordings": judgement.n_recordings,
        "hours": number(judgement.hours),
        "lengths_by_last_event": judgement.has_guessed_lengths,
        "whole_recordings_only": judgement.is_weak,
        "macro": of(Scope::Macro),
        "micro": of(Scope::Micro),
        "labels": labels,
        "errors": errors.collect::<Map<_, _>>(),
        "worst": worst,
        "confusions": confusions,
    });
    if let Some(comparison) = comparison {
        let line = |line: &Line| {
            json!({
                "label": line.name,
                "measure": line.key,
                "this": number(line.difference.values[0]),
                "other": number(line.difference.values[1]),
                "difference": estimate(Some(line.difference.difference)),
                "p": number(line.difference.p),
                "more_than_chance": line.difference.is_more_than_chance(),
            })
        };
        object["against"] = comparison.lines.iter().map(line).collect();
    }
    serde_json::to_writer(&mut *out, &object)?;
    writeln!(out)
}

/// Prints a table with the columns label, measure, value, low, high; of a comparison, also the difference's measure as `difference:…`.
pub fn tsv(judgement: &Judgement, comparison: Option<&Comparison>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "label\tmeasure\tvalue\tlow\thigh")?;
    let mut line = |label: &str, measure: &str, Estimate { value, bounds }: Estimate| {
        let [low, high] = bounds.map_or([String::new(), String::new()], |bounds| bounds.map(|bound| format!("{bound:.6}")));
        writeln!(out, "{}\t{measure}\t{value:.6}\t{low}\t{high}", escaped(label.as_bytes()))
    };
    for row in &judgement.rows {
        for (key, value) in &row.values {
            if let Some(value) = value {
                line(&row.name, key, *value)?;
            }
        }
    }
    for (key, errors, _) in &judgement.errors {
        let n_true = f64::from(errors.n_true.max(1));
        for (name, n) in
            [("substitution", errors.substitutions), ("deletion", errors.deletions), ("insertion", errors.insertions)]
        {
            line("micro", &format!("{name}_rate_{key}"), Estimate { value: f64::from(n) / n_true, bounds: None })?;
        }
    }
    for difference in comparison.iter().flat_map(|comparison| &comparison.lines) {
        line(&difference.name, &format!("difference:{}", difference.key), difference.difference.difference)?;
        line(&difference.name, &format!("p:{}", difference.key), Estimate { value: difference.difference.p, bounds: None })?;
    }
    Ok(())
}

/// The measures that tables for people have: their keys and titles.
pub fn columns(judgement: &Judgement) -> Vec<(&'static str, &'static str)> {
    let counted = MEASURES.iter().filter(|measure| !(measure.title.is_empty() || (judgement.is_weak && measure.is_timed)));
    let mut columns: Vec<_> = counted.map(|measure| (measure.key, measure.title)).collect();
    if judgement.psds.is_some() {
        columns.extend(PSDS_KEYS.iter().zip(["PSDS 1", "PSDS 2"]).map(|(key, title)| (*key, title)));
    }
    columns
}

/// A number in a table for people.
pub fn cell(key: &str, value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if key == "false_alarms_per_hour" => format!("{value:.1}"),
        Some(value) => format!("{value:.3}"),
    }
}

/// Prints Markdown tables.
pub fn markdown(judgement: &Judgement, comparison: Option<&Comparison>, out: &mut impl Write) -> io::Result<()> {
    let columns = columns(judgement);
    let titles: Vec<&str> = columns.iter().map(|(_, title)| *title).collect();
    writeln!(out, "{} recordings, {:.3} h\n", judgement.n_recordings, judgement.hours)?;
    writeln!(out, "| label | true | heard | {} |", titles.join(" | "))?;
    writeln!(out, "| --- | ---: | ---: |{}", " ---: |".repeat(columns.len()))?;
    for row in &judgement.rows {
        let values = columns.iter().map(|(key, _)| {
            let value = row.value(key);
            match (row.scope, value.and_then(|value| value.bounds)) {
                (Scope::Macro, Some([low, high])) => {
                    format!("{} ({}…{})", cell(key, value.map(|value| value.value)), cell(key, Some(low)), cell(key, Some(high)))
                }
                _ => cell(key, value.map(|value| value.value)),
            }
        });
        let values: Vec<String> = values.collect();
        writeln!(out, "| {} | {} | {} | {} |", plain(&row.name), row.n_true, row.n_heard, values.join(" | "))?;
    }
    if let Some(comparison) = comparison {
        writeln!(out, "\n| label | measure | this | other | difference | 95 % | p | more than chance |")?;
        writeln!(out, "| --- | --- | ---: | ---: | ---: | --- | ---: | --- |")?;
        for line in &comparison.lines {
            let (difference, key) = (&line.difference, line.key);
            let bounds = difference.difference.bounds.map(|[low, high]| format!("{low:+.3}…{high:+.3}")).unwrap_or_default();
            let [this, other] = difference.values.map(|value| cell(key, Some(value)));
            let (by, p) = (difference.difference.value, difference.p);
            let verdict = if difference.is_more_than_chance() { "yes" } else { "no" };
            writeln!(out, "| {} | {key} | {this} | {other} | {by:+.3} | {bounds} | {p:.4} | {verdict} |", plain(&line.name))?;
        }
    }
    Ok(())
}

/// A name in a cell of a Markdown table.
fn plain(name: &str) -> String {
    visible(name).replace('|', "\\|")
}
