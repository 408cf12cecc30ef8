//! `mimid tune --reviews`: finds thresholds from the marks of kept events and from their scores. It hears nothing, and reads the store alone.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::outcome::{assignments, gate_json, round, rounded};
use super::{Args, original};
use crate::cli::history::explained;
use crate::cli::{Failure, exit, load};
use crate::config::edit::{self, Assignment};
use crate::config::{Config, Loaded};
use crate::detect::rule::{Gate, Rule};
use crate::evaluate::matching::Counts;
use crate::publish::store::db::{DbError, Kind};
use crate::publish::store::history::{By, History, KeptEvent, Key, Order, Wanted, WantedOutcome};
use crate::publish::store::marks::{Mark, WantedMark};
use crate::publish::store::moment::moment;
use crate::publish::store::place;
use crate::tune::candidates::{self, MANNERS, USUAL};
use crate::tune::choose::Goal;
use crate::tune::reviews::{Advice, MIN_MARKS, MIN_RIGHT, Reviewed, Tally, Verdict, advise};

const DAY_MS: f64 = 86_400_000.0;
/// The events that are read at a time.
const PAGE: usize = 1_000;

/// The marks of a label or a group, and what they say.
struct Judged {
    name: String,
    /// The rule of the label; `None` where the configuration does not report it.
    rule: Option<Rule>,
    tally: Tally,
    advice: Advice,
    gate: Option<Gate>,
}

/// What was read.
struct Reviews {
    by_label: BTreeMap<String, Vec<Reviewed>>,
    /// The marks of events that another model heard.
    n_foreign: usize,
    /// The events of each label in that time, those without a mark too.
    events: BTreeMap<String, u64>,
    days: f64,
}

/// Tunes by the marks, and prints or writes the outcome.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Loaded { config, model, .. } = load(&args.config)?;
    let original = original(args)?;
    let reviews = read(args, &model.name)?;
    let judged: Vec<Judged> = reviews.by_label.iter().map(|(name, marks)| judge(name, marks, &reviews, &config, args)).collect();
    if judged.iter().all(|judged| judged.advice == Advice::TooFew) {
        return Err(Failure::new(too_few(&judged, reviews.n_foreign, &model.name), exit::FAILED));
    }
    let changed = || judged.iter().filter_map(|judged| Some((judged.rule.as_ref()?, judged.gate?)));
    let wanted: Vec<(&Rule, Gate)> = changed().collect();
    let assignments = assignments(&original, &wanted, &model.labels)?;
    let plan = original.plan(&assignments.concat(), &model.labels)?;
    let heading = heading(&judged, &reviews, args);
    let mut out = io::stdout().lock();
    match (args.write, args.json) {
        (false, false) => out.write_all(fragment(&heading, &judged, &assignments).as_bytes())?,
        (false, true) => as_json(&mut out, &judged, &reviews, args, None)?,
        (true, is_json) => {
            let diff = plan.diff();
            if is_json {
                io::stderr().write_all(diff.as_bytes())?;
            } else {
                let sentences: Vec<String> = judged.iter().map(Judged::sentence).collect();
                writeln!(out, "{heading}\n{}\n{diff}", sentences.join("\n"))?;
            }
            out.flush()?;
            let sentence = super::write(&plan)?;
            match is_json {
                true => as_json(&mut out, &judged, &reviews, args, Some(plan.path()))?,
                false => writeln!(out, "{sentence}")?,
            }
        }
    }
    Ok(out.flush()?)
}

/// Reads the marks of the time that is asked for.
fn read(args: &Args, model: &str) -> Result<Reviews, Failure> {
    let path = args.store.clone().unwrap_or_else(place::to_read);
    let failed = |error: DbError| Failure::new(explained(&path, &error), exit::FAILED);
    let (now, zone) = (Timestamp::now(), TimeZone::system());
    let since = args.since.as_deref().map(|text| moment(text, now, &zone)).transpose();
    let since = since.map_err(|wrong| Failure::new(format_args!("--since: {wrong}"), exit::USAGE))?;
    let history = History::open(&path).map_err(failed)?;
    let mut wanted = Wanted { from: since, marked: WantedMark::Marked, ..Wanted::default() };
    let (mut reviews, mut after, mut first) =
        (Reviews { by_label: BTreeMap::new(), n_foreign: 0, events: BTreeMap::new(), days: 0.0 }, None, None);
    loop {
        let page = history.page(&wanted, Order::Oldest, after, PAGE).map_err(failed)?;
        for kept in &page {
            first = first.or(Some(kept.event.onset));
            if *kept.model != *model {
                reviews.n_foreign += 1;
            } else if let Some(reviewed) = reviewed(kept) {
                reviews.by_label.entry(kept.event.subject.name.clone()).or_default().push(reviewed);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.cursor),
            _ => break,
        }
    }
    let Some(first) = first else { return Ok(reviews) };
    // What was marked is a part of what was heard since the first that is.
    let from = since.unwrap_or(first);
    wanted = Wanted { from: Some(from), outcome: WantedOutcome::Confirmed, marked: WantedMark::Any, ..wanted };
    let unheard: i64 = history
        .gaps(from, now)
        .map_err(failed)?
        .iter()
        .filter(|gap| gap.source.is_none())
        .map(|gap| gap.until.unwrap_or(now).min(now).as_millisecond() - gap.from.max(from).as_millisecond())
        .sum();
    reviews.days = ((now.as_millisecond() - from.as_millisecond() - unheard) as f64 / DAY_MS).max(0.0);
    let counts = match history.count(&wanted, &[By::Label], &zone) {
        Err(error) if error.kind == Kind::Unknown => Ok(BTreeMap::new()),
        counts => counts.map_err(failed),
    };
    reviews.events = counts?
        .into_iter()
        .filter_map(|(keys, tally)| match keys.into_iter().next() {
            Some(Key::Text(label)) => Some((label, tally.events)),
            _ => None,
        })
        .collect();
    Ok(reviews)
}

/// What the mark of an event says of its own label; `None` where the event was neither confirmed nor taken back.
fn reviewed(kept: &KeptEvent) -> Option<Reviewed> {
    let is_taken_back = kept.reason == Some(crate::event::EndReason::Unconfirmed);
    if !is_taken_back && !kept.event.is_confirmed {
        return None;
    }
    let verdict = match kept.mark.as_ref()?.mark {
        Mark::Right => Verdict::Right,
        Mark::Wrong => Verdict::Wrong,
        Mark::Other(_) => Verdict::Other,
    };
    Some(Reviewed {
        verdict,
        score: (!is_taken_back).then_some(kept.event.peak_score.into()),
        threshold: kept.event.threshold.into(),
        onset_s: kept.event.onset.as_second(),
    })
}

fn judge(name: &str, marks: &[Reviewed], reviews: &Reviews, config: &Config, args: &Args) -> Judged {
    let rule = config.rules.iter().find(|rule| rule.subject.name == name).cloned();
    let tally = Tally::of(marks);
    let in_force =
        rule.as_ref().map_or_else(|| marks.last().map_or(0.5, |last| last.threshold), |rule| rule.gate.threshold.into());
    let goal = match args.false_alarms_per_day {
        None => Goal::F1,
        Some(per_day) => {
            // Only so much of what was heard is marked, and only so much of the budget is theirs.
            let n_marked = marks.iter().filter(|marked| marked.score.is_some()).count() as f64;
            let part = n_marked / (reviews.events.get(name).copied().unwrap_or(0) as f64).max(n_marked).max(1.0);
            Goal::FalseAlarms(per_day * reviews.days * part)
        }
    };
    let advice = advise(marks, in_force, goal);
    let gate = match (&advice, &rule) {
        (Advice::Chosen(choice), Some(rule)) if choice.nearest.is_some() => {
            Some(candidates::gate(&rule.gate, rounded(choice.threshold), MANNERS[USUAL]))
        }
        _ => None,
    };
    Judged { name: name.to_owned(), rule, tally, advice, gate }
}

/// The sentence where no label has enough marks.
fn too_few(judged: &[Judged], n_foreign: usize, model: &str) -> String {
    let n: usize = judged.iter().map(|judged| judged.tally.all()).sum();
    let most = judged.iter().max_by_key(|judged| judged.tally.all());
    let most = most.map_or_else(String::new, |judged| format!(", the most of {:?}, {}", judged.name, judged.marks()));
    let foreign =
        if n_foreign > 0 { format!(" (and {n_foreign} of events that another model than {model} heard)") } else { String::new() };
    format!(
        "there are {}{most}{foreign}, which says too little: a label needs at least {MIN_MARKS} marks, and {MIN_RIGHT} of them right; \
         make some with `mimid review` or on the page",
        count(n, "mark")
    )
}

fn heading(judged: &[Judged], reviews: &Reviews, args: &Args) -> String {
    let goal = match args.false_alarms_per_day {
        None => "the best F1".to_owned(),
        Some(1.0) => "the best recall with at most 1 false alarm a day".to_owned(),
        Some(per_day) => format!("the best recall with at most {per_day} false alarms a day"),
    };
    let n: usize = judged.iter().map(|judged| judged.tally.all()).sum();
    let foreign = match reviews.n_foreign {
        0 => String::new(),
        n => format!("; {n} of events that another model heard do not count"),
    };
    format!("mimid tune: {goal}, by {} ({:.1} days){foreign}", count(n, "mark"), reviews.days)
}

fn fragment(heading: &str, judged: &[Judged], assignments: &[Vec<Assignment>]) -> String {
    let mut text = format!("# {heading}\n");
    let mut assignments = assignments.iter();
    for judged in judged {
        text.push_str(&format!("\n# {}\n", judged.sentence()));
        if let Some(set) = judged.gate.and_then(|_| assignments.next()) {
            text.push_str(&edit::fragment(set));
        }
    }
    text
}

impl Judged {
    fn marks(&self) -> String {
        let Tally { right, wrong, other } = self.tally;
        format!("{right} right, {wrong} wrong, {other} another sound")
    }

    fn sentence(&self) -> String {
        let (name, marks) = (&self.name, self.marks());
        let begin = format!("{name}: {marks}");
        let left_out = if self.rule.is_some() { "" } else { "; [report] leaves it out, so nothing is set for it" };
        let choice = match &self.advice {
            Advice::TooFew => return format!("{begin}; too few to say anything{left_out}"),
            Advice::NoneRight(highest) => {
                let above = highest
                    .map(|highest| format!(", or set a threshold above {highest:.3}, the highest of them"))
                    .unwrap_or_default();
                return format!(
                    "{begin}; nothing says how high a real one scores: leave it out with [report] ignore{above}{left_out}"
                );
            }
            Advice::Chosen(choice) => choice,
        };
        let numbers = match (&self.rule, &self.gate) {
            (Some(rule), Some(gate)) => format!(
                "threshold {:.3} → {:.3}, start threshold {:.3} → {:.3}",
                rule.gate.threshold, gate.threshold, rule.gate.start_threshold, gate.start_threshold
            ),
            (Some(rule), None) => format!("threshold {:.3} stays", rule.gate.threshold),
            (None, _) => format!("threshold {:.3} would be right", choice.threshold),
        };
        let figures = |counts: Counts| {
            format!(
                "F1 {:.3} with {} and {}",
                counts.f1(),
                count(counts.missed as usize, "missed"),
                count(counts.false_alarms as usize, "false alarm")
            )
        };
        let mut figured = figures(choice.before);
        if choice.after != choice.before {
            figured += &format!(" → {}", figures(choice.after));
        }
        let (low, high) = choice.interval;
        let interval = if low.is_nan() {
            String::new()
        } else {
            format!("; in 9 of 10 such sets of marks the best lies from {low:.3} to {high:.3}")
        };
        format!("{begin}; {numbers}; {figured}{interval}{left_out}")
    }

    fn json(&self) -> Value {
        let Tally { right, wrong, other } = self.tally;
        let in_force = self.rule.as_ref().map(|rule| &rule.gate);
        let (advice, choice) = match &self.advice {
            Advice::TooFew => ("too_few", None),
            Advice::NoneRight(_) => ("none_right", None),
            Advice::Chosen(choice) if choice.nearest.is_some() => ("set", Some(choice)),
            Advice::Chosen(choice) => ("stays", Some(choice)),
        };
        json!({
            "label": self.name,
            "right": right,
            "wrong": wrong,
            "other": other,
            "reported": self.rule.is_some(),
            "advice": advice,
            "changed": self.gate.is_some(),
            "best_between": choice.filter(|choice| !choice.interval.0.is_nan()).map(|choice| [round(choice.interval.0), round(choice.interval.1)]),
            "before": choice.map(|choice| gate_json(in_force, choice.before)),
            "after": choice.map(|choice| gate_json(self.gate.as_ref().or(in_force), choice.after)),
        })
    }
}

fn as_json(
    out: &mut impl Write,
    judged: &[Judged],
    reviews: &Reviews,
    args: &Args,
    written: Option<&std::path::Path>,
) -> io::Result<()> {
    let report = json!({
        "version": 1,
        "goal": if args.false_alarms_per_day.is_some() { "false_alarms" } else { "f1" },
        "false_alarms_per_day": args.false_alarms_per_day,
        "marks": judged.iter().map(|judged| judged.tally.all()).sum::<usize>(),
        "marks_of_other_models": reviews.n_foreign,
        "days": round(reviews.days),
        "labels": judged.iter().map(Judged::json).collect::<Vec<_>>(),
        "written": written,
    });
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 || what == "missed" { "" } else { "s" };
    format!("{n} {what}{plural}")
}
