//! The findings in words: plain sentences with the scores, the thresholds that decided, and those that would have decided
//! otherwise.
//!
//! It reads the findings and changes nothing; all that it writes is one text.

use std::fmt::Write;
use std::path::Path;

use super::findings::{ExplainedEvent, Findings};
use crate::detect::rule::{Announce, Gate};
use crate::detect::standing::Fate;
use crate::detect::trace::TracedSegment;
use crate::event::EndReason;
use crate::text::visible;

/// How many segments are listed where no label is named: those that came nearest to their thresholds.
const MOST_SEGMENTS: usize = 12;
/// How many segments are listed of a label that is named, the highest.
const MOST_OF_LABEL: usize = 40;
/// How many labels are listed at a moment, the strongest.
const MOST_AT: usize = 10;
/// A segment is a near miss if its evidence comes to this part of its threshold.
const NEAR: f32 = 0.4;

/// The whole text: about the moment `at_s`, else about the rules `asked`, else an overview of the recording.
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
    let confirmed: Vec<&ExplainedEvent> = findings.reported_events().filter(|event| !event.is_taken_back()).collect();
    writeln!(out, "\nevents: {}", confirmed.len())?;
    confirmed.iter().try_for_each(|event| confirmed_event(findings, event, out))?;
    let taken_back: Vec<&ExplainedEvent> = findings.reported_events().filter(|event| event.is_taken_back()).collect();
    if !taken_back.is_empty() {
        writeln!(out, "\nannounced and taken back: {}", taken_back.len())?;
        taken_back.iter().try_for_each(|event| self::taken_back(findings, event, out))?;
    }
    let is_near_miss = |segment: &TracedSegment| !is_part(segment) && nearness(findings, segment) >= NEAR;
    let missed = nearest(findings, |segment| findings.is_reported(segment.rule) && is_near_miss(segment));
    section(findings, "segments that did not become an event", &missed, out)?;
    let unreported = nearest(findings, |segment| !findings.is_reported(segment.rule) && is_part(segment));
    section(findings, "segments of labels that the report leaves out, which would have been events", &unreported, out)
}

/// The events of one label, and the segments of its score that became none.
fn label(findings: &Findings, rule: usize, out: &mut String) -> std::fmt::Result {
    let report = if findings.is_reported(rule) { String::new() } else { format!("; {}", findings.why_not[rule]) };
    writeln!(out, "\n{}: {}{report}", findings.name(rule), gates(&findings.rules[rule].gate))?;
    let events: Vec<&ExplainedEvent> = findings.events.iter().filter(|event| event.is_of(rule)).collect();
    let mut segments: Vec<&TracedSegment> = findings.segments.iter().filter(|segment| segment.rule == rule).collect();
    if segments.is_empty() && events.is_empty() {
        return writeln!(out, "  its evidence never rose above 0.002");
    }
    events.iter().try_for_each(|event| match event.is_taken_back() {
        true => taken_back(findings, event, out),
        false => confirmed_event(findings, event, out),
    })?;
    segments.retain(|segment| !is_part(segment));
    segments.sort_by(|a, b| b.evidence.total_cmp(&a.evidence));
    let left_out = segments.len().saturating_sub(MOST_OF_LABEL);
    segments.truncate(MOST_OF_LABEL);
    segments.sort_by_key(|segment| segment.bounds.onset.at);
    segments.iter().try_for_each(|segment| writeln!(out, "{}", line(findings, segment, "")))?;
    if left_out > 0 {
        writeln!(out, "  and {left_out} more with less evidence")?;
    }
    Ok(())
}

/// The strongest labels at a moment, or the rules `asked`: their scores, how they stood, and what they became afterwards.
fn moment(findings: &Findings, asked: &[usize], at_s: f64, out: &mut String) -> std::fmt::Result {
    let Some((moment, glances)) = &findings.moment else {
        return writeln!(out, "\nthe recording ends before {at_s:.2} s");
    };
    let strength = |rule: &usize| {
        let gate = &findings.rules[*rule].gate;
        let confirmed = findings.confirmed_at(*rule, at_s).unwrap_or(0.0);
        (confirmed / gate.threshold).max(glances[*rule].causal / gate.start_threshold)
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
        let confirmed = findings.confirmed_at(rule, at_s);
        let confirmed = confirmed.map_or("not known".to_owned(), |score| against(score, gate.threshold));
        let why = match findings.is_reported(rule) {
            true => findings.why(rule, *moment, glance).because(),
            false => findings.why_not[rule].clone(),
        };
        writeln!(out, "\n  {}", findings.name(rule))?;
        if !asked.is_empty() {
            writeln!(out, "      {}", gates(gate))?;
        }
        writeln!(out, "      causal score: {}", against(glance.causal, gate.start_threshold))?;
        writeln!(out, "      background: {:.3}", glance.background)?;
        writeln!(out, "      evidence: {confirmed}")?;
        let from_s = (at_s - 2.0).max(0.0);
        writeln!(out, "      evidence every 0.5 s from {from_s:.1} s on: {}", around(findings, rule, at_s))?;
        writeln!(out, "      at that moment: {why}")?;
        let at = |from: u64, to: u64| findings.seconds(from) <= at_s && at_s <= findings.seconds(to);
        let events = findings.events.iter().filter(|event| event.is_of(rule) && at(event.span().0, event.span().1));
        for event in events {
            let (from, to) = event.span();
            let (from, to) = (findings.seconds(from), findings.seconds(to));
            let end = if event.is_taken_back() { "was taken back" } else { "was confirmed" };
            writeln!(out, "      afterwards: {} {from:.2}–{to:.2} s {end}", findings.name(event.rule))?;
        }
        let segments = findings.segments.iter().filter(|segment| segment.rule == rule);
        let segments = segments.filter(|segment| !is_part(segment));
        for segment in segments.filter(|segment| at(segment.bounds.onset.at, segment.bounds.offset.at)) {
            writeln!(out, "      afterwards: {}", line(findings, segment, "").trim_start())?;
        }
    }
    Ok(())
}

/// A confirmed event: the scores that announced and confirmed it, and how uncertain its onset and offset are.
fn confirmed_event(findings: &Findings, event: &ExplainedEvent, out: &mut String) -> std::fmt::Result {
    let Some((heard, offset, reason)) = &event.end else { return Ok(()) };
    let gate = &findings.rules[event.rule].gate;
    let (from, to) = span(findings, event.span());
    let also: Vec<&str> = event.also.iter().map(|rule| findings.name(*rule)).collect();
    let also = if also.is_empty() { String::new() } else { format!(" (also {})", also.join("; ")) };
    let unreported = if findings.is_reported(event.rule) { "" } else { "  not reported" };
    writeln!(out, "  {from}–{to} s  {}{also}  {:.1} dBFS{unreported}", findings.name(event.rule), event.level_dbfs)?;
    let announced = findings.seconds(event.announced.announced);
    match findings.is_late(event) {
        _ if findings.rules[event.announced_as].gate.announce == Announce::Confirmed => {
            writeln!(out, "      announced at {announced:.2} s, when it was confirmed, as announce = \"confirmed\" asks")?
        }
        true => writeln!(
            out,
            "      announced at {announced:.2} s, when it was confirmed: its causal score did not reach {:.3} for long enough",
            gate.start_threshold
        )?,
        false => writeln!(
            out,
            "      announced at {announced:.2} s: causal score {}",
            against(event.announced.score, findings.rules[event.announced_as].gate.start_threshold)
        )?,
    }
    let parts = strongest(findings, event.rule, event.span(), is_part).map(weighed).unwrap_or_default();
    writeln!(out, "      evidence: {}{parts}", against(heard.peak_score, gate.threshold))?;
    let milliseconds = |samples: u64| (findings.seconds(samples) * 1_000.0).round();
    writeln!(
        out,
        "      its onset is uncertain by ±{} ms, its offset by ±{} ms{}",
        milliseconds(heard.onset.uncertainty),
        milliseconds(offset.uncertainty),
        if *reason == EndReason::MaxDuration { "; it ended because it reached max_duration_s" } else { "" }
    )
}

/// An event that was announced and taken back, because its evidence stayed below the threshold.
fn taken_back(findings: &Findings, event: &ExplainedEvent, out: &mut String) -> std::fmt::Result {
    let gate = &findings.rules[event.rule].gate;
    let (from, to) = event.span();
    // A segment that became part of another event confirmed that one.
    let own = strongest(findings, event.rule, (from, to), |segment| !is_part(segment));
    let (from, to) = span(findings, (from, to));
    writeln!(
        out,
        "  {from}–{to} s  {}: announced at {:.2} s, causal score {}; evidence {}{}",
        findings.name(event.rule),
        findings.seconds(event.announced.announced),
        against(event.announced.score, gate.start_threshold),
        against(own.map_or(0.0, |segment| segment.evidence), gate.threshold),
        own.map(weighed).unwrap_or_default()
    )
}

/// Whether a segment is part of an event.
fn is_part(segment: &TracedSegment) -> bool {
    matches!(segment.fate, Fate::PartOf { .. })
}

/// The segment of a rule with the highest evidence in a stretch, among those that are wanted.
fn strongest(
    findings: &Findings,
    rule: usize,
    (from, to): (u64, u64),
    is_wanted: impl Fn(&TracedSegment) -> bool,
) -> Option<&TracedSegment> {
    let overlaps = |segment: &&TracedSegment| segment.bounds.onset.at < to && segment.bounds.offset.at > from;
    let own = findings.segments.iter().filter(|segment| segment.rule == rule && is_wanted(segment)).filter(overlaps);
    own.max_by(|a, b| a.evidence.total_cmp(&b.evidence))
}

/// The parts of a segment's evidence, as what each adds to the log odds; empty where the confirmed score alone is the evidence.
fn weighed(segment: &TracedSegment) -> String {
    let Some([confirmed, causal, duration, snr, background]) = segment.weighed else { return String::new() };
    format!(
        " [log odds: confirmed score {confirmed:+.1}, causal score {causal:+.1}, duration {duration:+.1}, signal to noise {snr:+.1}, \
         background {background:+.1}]"
    )
}

/// Segments under a title; nothing where there are none.
fn section(findings: &Findings, title: &str, segments: &[&TracedSegment], out: &mut String) -> std::fmt::Result {
    if segments.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    let width = segments.iter().map(|segment| findings.name(segment.rule).chars().count()).max().unwrap_or(0);
    let name = |segment: &TracedSegment| format!("{:<width$}  ", findings.name(segment.rule));
    segments.iter().try_for_each(|segment| writeln!(out, "{}", line(findings, segment, &name(segment))))
}

/// The segments whose evidence comes nearest to their thresholds or lies farthest above, in their order in time.
fn nearest(findings: &Findings, is_wanted: impl Fn(&TracedSegment) -> bool) -> Vec<&TracedSegment> {
    let mut segments: Vec<&TracedSegment> = findings.segments.iter().filter(|segment| is_wanted(segment)).collect();
    segments.sort_by(|a, b| nearness(findings, b).total_cmp(&nearness(findings, a)));
    segments.truncate(MOST_SEGMENTS);
    segments.sort_by_key(|segment| segment.bounds.onset.at);
    segments
}

/// A segment's evidence as a part of its threshold.
fn nearness(findings: &Findings, segment: &TracedSegment) -> f32 {
    segment.evidence / findings.rules[segment.rule].gate.threshold
}

/// One line: where a segment lies, its evidence, and what became of it.
fn line(findings: &Findings, segment: &TracedSegment, name: &str) -> String {
    let (from, to) = span(findings, (segment.bounds.onset.at, segment.bounds.offset.at));
    format!("  {from}–{to} s  {name}{:.3}: {}", segment.evidence, fate(findings, segment))
}

fn fate(findings: &Findings, segment: &TracedSegment) -> String {
    let gate = &findings.rules[segment.rule].gate;
    match segment.fate {
        Fate::PartOf { .. } if !findings.is_reported(segment.rule) => {
            format!("above its threshold {:.3}; {}", gate.threshold, findings.why_not[segment.rule])
        }
        Fate::PartOf { .. } => match findings.event_of(segment) {
            Some(event) => format!("part of the event {}", findings.name(event.rule)),
            None => "part of an event".to_owned(),
        },
        Fate::Below => {
            let enough = (segment.evidence * 1_000.0).floor() / 1_000.0;
            let parts = weighed(segment);
            format!("below its threshold {:.3}; a threshold of {enough:.3} would have made it an event{parts}", gate.threshold)
        }
        Fate::TooQuiet => format!(
            "too quiet: {:.1} dBFS, where min_level_dbfs asks for {:.1}",
            segment.level_dbfs,
            gate.min_level_dbfs.unwrap_or_default()
        ),
        Fate::TooFaint => format!(
            "too faint: {:.1} dB above the noise, where min_snr_db asks for {:.1}",
            segment.bounds.snr_db.unwrap_or_default(),
            gate.min_snr_db
        ),
        Fate::TooShort => format!("too short, where min_duration_ms asks for {}", gate.min_duration_ms),
        Fate::CoolingDown { until } => {
            format!("within cooldown_s after the event before, until {:.2} s", findings.seconds(until))
        }
        Fate::Overlapping => "within an event that has been reported already".to_owned(),
        Fate::Busy => "too many events of this label were open".to_owned(),
    }
}

/// The confirmed scores around a moment, every half second.
fn around(findings: &Findings, rule: usize, at_s: f64) -> String {
    let from_s = (at_s - 2.0).max(0.0);
    let score = |step: u32| findings.confirmed_at(rule, from_s + f64::from(step) * 0.5).map(|score| format!("{score:.3}"));
    (0..=8).filter_map(score).collect::<Vec<_>>().join(" ")
}

/// The numbers of a gate: its thresholds, and its other conditions where they ask for anything.
fn gates(gate: &Gate) -> String {
    let Gate {
        announce,
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
        (announce == Announce::Confirmed).then(|| "announced when confirmed".to_owned()),
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

/// A score, and whether it reaches its threshold.
fn against(score: f32, threshold: f32) -> String {
    let sign = if score >= threshold { "reaches" } else { "is below" };
    format!("{score:.3} {sign} {threshold:.3}")
}

/// A time span in seconds, in columns.
fn span(findings: &Findings, (from, to): (u64, u64)) -> (String, String) {
    (format!("{:>6.2}", findings.seconds(from)), format!("{:<6.2}", findings.seconds(to)))
}
