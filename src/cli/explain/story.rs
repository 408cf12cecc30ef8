//! The findings in words: plain sentences with their numbers, the thresholds that decided and those that would have decided otherwise.

use std::fmt::Write;
use std::path::Path;

use super::findings::{Findings, Told};
use crate::detect::rule::Gate;
use crate::detect::standing::Fate;
use crate::detect::trace::TracedSegment;
use crate::event::EndReason;
use crate::text::visible;

/// How many rises of curves are told of where no label is named, the highest first.
const MOST_RISES: usize = 12;
/// How many rises of the curve of a label that is named.
const MOST_OF_LABEL: usize = 40;
/// How many labels are told of at a moment.
const MOST_AT: usize = 10;
/// A rise is a near miss if it came to this part of what it needed.
const NEAR: f32 = 0.4;

/// Everything that a reader asked for; `asked` are rules that were named, `at_s` the moment.
pub fn tell(findings: &Findings, file: &Path, asked: &[usize], at_s: Option<f64>) -> String {
    let mut out = format!("{}, {:.2} s\n", visible(&file.display().to_string()), findings.length_s);
    // Writing to a string cannot fail.
    let _ = match at_s {
        Some(at_s) => moment(findings, asked, at_s, &mut out),
        None if asked.is_empty() => overview(findings, &mut out),
        None => asked.iter().try_for_each(|rule| label(findings, *rule, &mut out)),
    };
    out
}

fn overview(findings: &Findings, out: &mut String) -> std::fmt::Result {
    let confirmed: Vec<&Told> = findings.events().filter(|event| !event.is_taken_back()).collect();
    writeln!(out, "\nevents: {}", confirmed.len())?;
    confirmed.iter().try_for_each(|event| told(findings, event, out))?;
    let taken_back: Vec<&Told> = findings.events().filter(|event| event.is_taken_back()).collect();
    if !taken_back.is_empty() {
        writeln!(out, "\nannounced and taken back: {}", taken_back.len())?;
        taken_back.iter().try_for_each(|event| self::taken_back(findings, event, out))?;
    }
    let is_told = |rise: &&TracedSegment| matches!(rise.fate, Fate::PartOf { .. });
    let missed = highest(findings, |rise| findings.is_reported(rise.rule) && !is_told(&rise) && nearness(findings, rise) >= NEAR);
    section(findings, "rises that did not become an event", &missed, out)?;
    let unreported = highest(findings, |rise| !findings.is_reported(rise.rule) && is_told(&rise));
    section(findings, "what the report leaves out, and would have told", &unreported, out)
}

/// Every rise of one label's curve.
fn label(findings: &Findings, rule: usize, out: &mut String) -> std::fmt::Result {
    let report = if findings.is_reported(rule) { String::new() } else { format!("; {}", findings.why_not[rule]) };
    writeln!(out, "\n{}: {}{report}", findings.name(rule), gates(&findings.rules[rule].gate))?;
    let events: Vec<&Told> = findings.told.iter().filter(|event| event.is_of(rule)).collect();
    let mut rises: Vec<&TracedSegment> = findings.rises.iter().filter(|rise| rise.rule == rule).collect();
    if rises.is_empty() && events.is_empty() {
        return writeln!(out, "  its curve never rose above 0.002");
    }
    events.iter().try_for_each(|event| match event.is_taken_back() {
        true => taken_back(findings, event, out),
        false => told(findings, event, out),
    })?;
    rises.retain(|rise| !matches!(rise.fate, Fate::PartOf { .. }));
    rises.sort_by(|a, b| b.peak.total_cmp(&a.peak));
    let left_out = rises.len().saturating_sub(MOST_OF_LABEL);
    rises.truncate(MOST_OF_LABEL);
    rises.sort_by_key(|rise| rise.bounds.onset.at);
    rises.iter().try_for_each(|rise| writeln!(out, "{}", risen(findings, rise, "")))?;
    if left_out > 0 {
        writeln!(out, "  and {left_out} lower ones")?;
    }
    Ok(())
}

/// What every strong label was about to do at a moment.
fn moment(findings: &Findings, asked: &[usize], at_s: f64, out: &mut String) -> std::fmt::Result {
    let Some((moment, glances)) = &findings.moment else {
        return writeln!(out, "\nat {at_s:.2} s the recording has ended");
    };
    let strength = |rule: &usize| {
        let gate = &findings.rules[*rule].gate;
        let two_sided = findings.two_sided_at(*rule, at_s).unwrap_or(0.0);
        (two_sided / gate.threshold).max(glances[*rule].causal / gate.start_threshold)
    };
    let mut order: Vec<(f32, usize)> = match asked {
        [] => (0..findings.rules.len()).map(|rule| (strength(&rule), rule)).collect(),
        asked => asked.iter().map(|rule| (strength(rule), *rule)).collect(),
    };
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    order.truncate(if asked.is_empty() { MOST_AT } else { asked.len() });
    writeln!(out, "\nat {at_s:.2} s, {:.1} dBFS", moment.loudness_dbfs)?;
    for (_, rule) in order {
        let (glance, gate) = (&glances[rule], &findings.rules[rule].gate);
        let two_sided = findings.two_sided_at(rule, at_s);
        let seen = two_sided.map_or("not known".to_owned(), |score| against(score, gate.threshold));
        let why = match findings.is_reported(rule) {
            true => findings.why(rule, *moment, glance).because(),
            false => findings.why_not[rule].clone(),
        };
        writeln!(out, "\n  {}", findings.name(rule))?;
        if !asked.is_empty() {
            writeln!(out, "      {}", gates(gate))?;
        }
        writeln!(out, "      from what had been heard: {}", against(glance.causal, gate.start_threshold))?;
        writeln!(out, "      from both sides: {seen}")?;
        writeln!(
            out,
            "      that curve from {:.1} s on, by the half second: {}",
            (at_s - 2.0).max(0.0),
            around(findings, rule, at_s)
        )?;
        writeln!(out, "      just then: {why}")?;
        let at = |from: u64, to: u64| findings.seconds(from) <= at_s && at_s <= findings.seconds(to);
        let events = findings.told.iter().filter(|event| event.is_of(rule) && at(event.span().0, event.span().1));
        for event in events {
            let (from, to) = event.span();
            let (from, to) = (findings.seconds(from), findings.seconds(to));
            let end = if event.is_taken_back() { "was taken back" } else { "was borne out" };
            writeln!(out, "      in the end: {} {from:.2}–{to:.2} s {end}", findings.name(event.rule))?;
        }
        let rises = findings.rises.iter().filter(|rise| rise.rule == rule && !matches!(rise.fate, Fate::PartOf { .. }));
        for rise in rises.filter(|rise| at(rise.bounds.onset.at, rise.bounds.offset.at)) {
            writeln!(out, "      in the end: {}", risen(findings, rise, "").trim_start())?;
        }
    }
    Ok(())
}

/// An event that was told: how it began, what bore it out, how sure its edges are.
fn told(findings: &Findings, event: &Told, out: &mut String) -> std::fmt::Result {
    let Some((heard, offset, reason)) = &event.end else { return Ok(()) };
    let gate = &findings.rules[event.rule].gate;
    let (from, to) = stretch(findings, event.span());
    let also: Vec<&str> = event.also.iter().map(|rule| findings.name(*rule)).collect();
    let also = if also.is_empty() { String::new() } else { format!(" (also {})", also.join("; ")) };
    let unreported = if findings.is_reported(event.rule) { "" } else { "  not reported" };
    writeln!(out, "  {from}–{to} s  {}{also}  {:.1} dBFS{unreported}", findings.name(event.rule), event.level_dbfs)?;
    let announced = findings.seconds(event.announced.announced);
    match findings.is_late(event) {
        true => writeln!(
            out,
            "      told at {announced:.2} s: what had been heard at first did not reach the start threshold {:.3} long enough",
            gate.start_threshold
        )?,
        false => writeln!(
            out,
            "      announced at {announced:.2} s: {}",
            against(event.announced.score, findings.rules[event.announced_as].gate.start_threshold)
        )?,
    }
    writeln!(out, "      borne out from both sides: {}", against(heard.peak_score, gate.threshold))?;
    let milliseconds = |samples: u64| (findings.seconds(samples) * 1_000.0).round();
    writeln!(
        out,
        "      its onset is known to ±{} ms, its offset to ±{} ms{}",
        milliseconds(heard.onset.uncertainty),
        milliseconds(offset.uncertainty),
        if *reason == EndReason::MaxDuration { "; it ended because it reached max_duration_s" } else { "" }
    )
}

/// An event that was announced and that the second look did not bear out.
fn taken_back(findings: &Findings, event: &Told, out: &mut String) -> std::fmt::Result {
    let gate = &findings.rules[event.rule].gate;
    let (from, to) = event.span();
    // A rise that became part of another event bore out that one.
    let is_other = |rise: &TracedSegment| matches!(rise.fate, Fate::PartOf { .. });
    let near = |rise: &&TracedSegment| {
        rise.rule == event.rule && rise.bounds.onset.at < to && rise.bounds.offset.at > from && !is_other(rise)
    };
    let peak = findings.rises.iter().filter(near).map(|rise| rise.peak).fold(0.0, f32::max);
    let (from, to) = stretch(findings, (from, to));
    writeln!(
        out,
        "  {from}–{to} s  {}: announced at {:.2} s with {}; from both sides {}",
        findings.name(event.rule),
        findings.seconds(event.announced.announced),
        against(event.announced.score, gate.start_threshold),
        against(peak, gate.threshold)
    )
}

fn section(findings: &Findings, title: &str, rises: &[&TracedSegment], out: &mut String) -> std::fmt::Result {
    if rises.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    let width = rises.iter().map(|rise| findings.name(rise.rule).chars().count()).max().unwrap_or(0);
    let name = |rise: &TracedSegment| format!("{:<width$}  ", findings.name(rise.rule));
    rises.iter().try_for_each(|rise| writeln!(out, "{}", risen(findings, rise, &name(rise))))
}

/// The highest rises, in their order in time; of each label those that came nearest to what they needed.
fn highest(findings: &Findings, is_wanted: impl Fn(&TracedSegment) -> bool) -> Vec<&TracedSegment> {
    let mut rises: Vec<&TracedSegment> = findings.rises.iter().filter(|rise| is_wanted(rise)).collect();
    rises.sort_by(|a, b| nearness(findings, b).total_cmp(&nearness(findings, a)));
    rises.truncate(MOST_RISES);
    rises.sort_by_key(|rise| rise.bounds.onset.at);
    rises
}

/// A rise's peak as a part of its threshold.
fn nearness(findings: &Findings, rise: &TracedSegment) -> f32 {
    rise.peak / findings.rules[rise.rule].gate.threshold
}

/// One line: where a rise lies, how high it is, and what became of it.
fn risen(findings: &Findings, rise: &TracedSegment, name: &str) -> String {
    let (from, to) = stretch(findings, (rise.bounds.onset.at, rise.bounds.offset.at));
    format!("  {from}–{to} s  {name}{:.3}: {}", rise.peak, fate(findings, rise))
}

fn fate(findings: &Findings, rise: &TracedSegment) -> String {
    let gate = &findings.rules[rise.rule].gate;
    match rise.fate {
        Fate::PartOf { .. } if !findings.is_reported(rise.rule) => {
            format!("above its threshold {:.3}; {}", gate.threshold, findings.why_not[rise.rule])
        }
        Fate::PartOf { .. } => match findings.event_of(rise) {
            Some(event) => format!("told as {}", findings.name(event.rule)),
            None => "told".to_owned(),
        },
        Fate::Below => {
            format!(
                "below its threshold {:.3}; {:.3} would have told it",
                gate.threshold,
                (rise.peak * 1_000.0).floor() / 1_000.0
            )
        }
        Fate::TooQuiet => format!(
            "too quiet: {:.1} dBFS, where min_level_dbfs asks for {:.1}",
            rise.level_dbfs,
            gate.min_level_dbfs.unwrap_or_default()
        ),
        Fate::TooFaint => format!(
            "it stands out of the noise by {:.1} dB, where min_snr_db asks for {:.1}",
            rise.bounds.snr_db.unwrap_or_default(),
            gate.min_snr_db
        ),
        Fate::TooShort => format!("too short, where min_duration_ms asks for {}", gate.min_duration_ms),
        Fate::CoolingDown { until } => {
            format!("within the cooldown_s of the event before, which ends at {:.2} s", findings.seconds(until))
        }
        Fate::Overlapping => "within an event that was told already".to_owned(),
        Fate::Busy => "too many events of it were open".to_owned(),
    }
}

/// The two-sided curve around a moment.
fn around(findings: &Findings, rule: usize, at_s: f64) -> String {
    let from_s = (at_s - 2.0).max(0.0);
    let score = |step: u32| findings.two_sided_at(rule, from_s + f64::from(step) * 0.5).map(|score| format!("{score:.3}"));
    (0..=8).filter_map(score).collect::<Vec<_>>().join(" ")
}

/// The numbers of a gate: the thresholds, and of the others what is asked for at all.
fn gates(gate: &Gate) -> String {
    let Gate {
        threshold,
        start_threshold,
        release,
        confirm_k,
        confirm_n,
        min_duration_ms,
        cooldown_ms,
        min_level_dbfs,
        min_snr_db,
        ..
    } = *gate;
    let mut out = format!("threshold {threshold:.3}, start threshold {start_threshold:.3}, release {release:.3}");
    let asked = [
        (confirm_n > 1).then(|| format!("confirm {confirm_k}/{confirm_n}")),
        (min_duration_ms > 0).then(|| format!("min_duration_ms {min_duration_ms}")),
        (cooldown_ms > 0).then(|| format!("cooldown_s {}", cooldown_ms as f64 / 1_000.0)),
        min_level_dbfs.map(|level| format!("min_level_dbfs {level:.1}")),
        (min_snr_db > 0.0).then(|| format!("min_snr_db {min_snr_db:.1}")),
    ];
    asked.into_iter().flatten().for_each(|gate| {
        out.push_str(", ");
        out.push_str(&gate);
    });
    out
}

/// A score beside the threshold that it is measured by.
fn against(score: f32, threshold: f32) -> String {
    let sign = if score >= threshold { "reaches" } else { "is below" };
    format!("{score:.3} {sign} {threshold:.3}")
}

/// A stretch of samples in seconds, in columns.
fn stretch(findings: &Findings, (from, to): (u64, u64)) -> (String, String) {
    (format!("{:>6.2}", findings.seconds(from)), format!("{:<6.2}", findings.seconds(to)))
}
