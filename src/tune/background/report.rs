//! The report on hours of background: text for people and JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::choice::{Advice, Choice, Number};
use super::statistics::{Alarm, Place, Statistics};
use crate::detect::rule::Rule;
use crate::text::visible;

/// The number of labels with the most alarms that are listed.
const MOST: usize = 10;
/// The number of a label's strongest alarms that are named.
const MOMENTS: usize = 3;

/// A duration as text for people.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// The place and the time of an alarm: a recording and the time in it, or a local time and a source.
fn moment(alarm: &Alarm, zone: &TimeZone) -> String {
    let at_ms = alarm.moment.at_ms;
    match &alarm.moment.place {
        Place::Recording(path) => format!("{} at {}:{:02}", visible(path), at_ms / 60_000, at_ms / 1_000 % 60),
        Place::Source(name) => {
            let time = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
            format!("{} on {name}", time.to_zoned_datetime(zone.clone()).strftime("%a %H:%M:%S"))
        }
    }
}

/// The report as text for people.
pub fn text(advice: &Advice, statistics: &Statistics, rules: &[Rule], zone: &TimeZone) -> String {
    let mut out = String::new();
    let heard = duration(Duration::from_millis(statistics.heard_ms));
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{heard} of background; the budget is {} a day, of all labels together.", alarms(advice.per_day));
    fired_most(&mut out, advice, rules, zone);
    changes(&mut out, advice, rules);
    sureness(&mut out, advice, &heard);
    out
}

fn fired_most(out: &mut String, advice: &Advice, rules: &[Rule], zone: &TimeZone) {
    let mut most: Vec<&Choice> = advice.choices.iter().filter(|choice| choice.n_in_force() > 0).collect();
    most.sort_by_key(|choice| std::cmp::Reverse(choice.n_in_force()));
    let Some(first) = most.first() else {
        let _ = writeln!(out, "\nNothing reached the thresholds in force.");
        return;
    };
    let total: u64 = most.iter().map(|choice| choice.n_in_force()).sum();
    let _ = writeln!(out, "\nAt the thresholds in force about {total} alarms; the most of");
    let name = |choice: &Choice| rules[choice.rule].subject.name.clone();
    let width = most.iter().take(MOST).map(|choice| name(choice).chars().count()).max().unwrap_or(0);
    let digits = first.n_in_force().to_string().len();
    for choice in most.iter().take(MOST) {
        let moments: Vec<String> =
            choice.strongest.iter().take(MOMENTS).map(|alarm| format!("{:.2} {}", alarm.score, moment(alarm, zone))).collect();
        let _ = writeln!(out, "  {:<width$}  {:>digits$}  listen to {}", name(choice), choice.n_in_force(), moments.join(", "));
    }
    if most.len() > MOST {
        let _ = writeln!(out, "  and of {} more", most.len() - MOST);
    }
}

fn changes(out: &mut String, advice: &Advice, rules: &[Rule]) {
    let set: Vec<&Choice> = advice.choices.iter().filter(|choice| choice.is_change() && !choice.ignore).collect();
    let ignored: Vec<&str> =
        advice.choices.iter().filter(|choice| choice.ignore).map(|choice| &*rules[choice.rule].subject.name).collect();
    if set.is_empty() && ignored.is_empty() {
        let _ = writeln!(out, "\nThe thresholds in force keep within the budget, as far as these hours can tell.");
        return;
    }
    if !set.is_empty() {
        let _ = writeln!(out, "\nSuggested instead (threshold; start threshold):");
        let name = |choice: &Choice| rules[choice.rule].subject.name.clone();
        let width = set.iter().map(|choice| name(choice).chars().count()).max().unwrap_or(0);
        for choice in set {
            let threshold = change(&choice.threshold);
            let _ = writeln!(out, "  {:<width$}  {threshold:<16}  {}", name(choice), change(&choice.start_threshold));
        }
    }
    if !ignored.is_empty() {
        let _ = writeln!(
            out,
            "\nHeard so often here that no threshold that they can reach would keep within the budget; better ignored: {}.",
            ignored.join(", ")
        );
    }
}

fn change(number: &Number) -> String {
    let Number { in_force, advised, .. } = *number;
    match number.is_changed() {
        false => format!("{in_force:.3}"),
        true => format!("{in_force:.3} → {advised:.3}"),
    }
}

fn sureness(out: &mut String, advice: &Advice, heard: &str) {
    let left = match advice.n_left {
        0 => "none of these alarms is left".to_owned(),
        n => format!("about {n} of these alarms {} left", if n == 1 { "is" } else { "are" }),
    };
    let _ = writeln!(
        out,
        "\nWith that {left}. By {heard} alone one can be 95 % sure of no more than {} a day;",
        alarms(advice.at_most_per_day)
    );
    let enough = duration(Duration::from_secs_f64((advice.hours_to_be_sure * 3_600.0).min(1e9)));
    let _ = writeln!(out, "to be as sure of {} takes {enough} without one.", alarms(advice.per_day));
}

fn alarms(n: f64) -> String {
    let number = if n < 10.0 { format!("{}", (n * 10.0).round() / 10.0) } else { format!("{n:.0}") };
    format!("{number} alarm{}", if number == "1" { "" } else { "s" })
}

/// The report as JSON for programs.
pub fn json(advice: &Advice, statistics: &Statistics, rules: &[Rule]) -> Value {
    let strongest = |alarm: &Alarm| {
        let (score, at_ms) = (rounded(alarm.score), alarm.moment.at_ms);
        match &alarm.moment.place {
            Place::Recording(path) => json!({"score": score, "file": **path, "at_s": at_ms as f64 / 1_000.0}),
            Place::Source(name) => {
                let at = Timestamp::from_millisecond(at_ms).map(|at| format!("{at:.3}")).unwrap_or_default();
                json!({"score": score, "source": **name, "at": at})
            }
        }
    };
    let number = |number: &Number| {
        json!({
            "in_force": rounded(number.in_force), "suggested": rounded(number.advised),
            "alarms_in_force": number.n_in_force, "alarms_suggested": number.n_advised,
        })
    };
    let label = |choice: &Choice| {
        let subject = &rules[choice.rule].subject;
        json!({
            "label": subject.name, "slug": subject.slug, "mid": Some(&subject.id).filter(|id| !id.is_empty()),
            "ignore": choice.ignore, "changed": choice.is_change(),
            "threshold": number(&choice.threshold), "start_threshold": number(&choice.start_threshold),
            "strongest": choice.strongest.iter().map(strongest).collect::<Vec<_>>(),
        })
    };
    json!({
        "heard_s": statistics.heard_ms as f64 / 1_000.0, "false_alarms_per_day": advice.per_day,
        "alarms_left": advice.n_left, "at_most_per_day_95": advice.at_most_per_day, "hours_to_be_sure_95": advice.hours_to_be_sure,
        "labels": advice.choices.iter().map(label).collect::<Vec<_>>(),
    })
}

fn rounded(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 1e4
}
