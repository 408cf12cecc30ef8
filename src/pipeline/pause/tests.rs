//! Nights, requests and clocks that are set, one after the other and at random.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::config::QuietHours;

const HOUR_S: i64 = 3_600;

/// The pauses of a daemon whose clocks are moved by hand.
struct Story {
    pauses: Pauses,
    hours: QuietHours,
    now: Now,
}

impl Story {
    fn at(time: &str) -> Self {
        let wall: Timestamp = time.parse().unwrap();
        let hours = QuietHours::parse(&["22:00-06:30".to_owned()]).0;
        Self { pauses: Pauses::default(), hours, now: Now { steady_ns: 5, wall_ns: wall.as_nanosecond() as i64 } }
    }

    fn quiet(&self) -> Option<Pause> {
        self.hours.pause(self.now.wall(), &TimeZone::UTC)
    }

    /// Time passes on both clocks.
    fn pass(&mut self, seconds: i64) -> &mut Self {
        self.now.steady_ns += seconds * 1_000_000_000;
        self.set_wall(seconds)
    }

    fn set_wall(&mut self, seconds: i64) -> &mut Self {
        self.now.wall_ns += seconds * 1_000_000_000;
        self
    }

    fn ask(&mut self, seconds: Option<f64>) -> &mut Self {
        self.pauses.ask(seconds, self.now);
        self
    }

    fn resume(&mut self) -> &mut Self {
        self.pauses.resume(self.quiet());
        self
    }

    /// The report at this moment: `-` is none.
    fn told(&mut self) -> String {
        let reason = |reason| if reason == PauseReason::Request { "request" } else { "quiet hours" };
        match self.pauses.look(self.now, self.quiet()) {
            None => "-".to_owned(),
            Some(PauseChange::Resumed(why)) => format!("resumed: {}", reason(why)),
            Some(PauseChange::Paused(Pause { reason: why, until })) => match until {
                None => format!("paused: {}", reason(why)),
                Some(until) => format!("paused: {} until {until}", reason(why)),
            },
        }
    }
}

#[test]
fn a_night_comes_and_goes_by_itself() {
    let mut story = Story::at("2026-11-20T21:00:00Z");
    assert_eq!(story.told(), "-");
    assert_eq!(story.pass(HOUR_S).told(), "paused: quiet hours until 2026-11-21T06:30:00Z");
    assert_eq!(story.pass(HOUR_S).told(), "-");
    assert_eq!(story.pass(8 * HOUR_S).told(), "resumed: quiet hours");
    assert_eq!(story.pass(HOUR_S).told(), "-");
}

#[test]
fn a_request_ends_when_it_said_whatever_the_wall_clock_shows() {
    let mut story = Story::at("2026-11-20T12:00:00Z");
    assert_eq!(story.ask(Some(600.0)).told(), "paused: request until 2026-11-20T12:10:00Z");
    assert_eq!(story.pauses.left(story.now), Some(Duration::from_secs(600)));
    assert_eq!(story.set_wall(HOUR_S).told(), "paused: request until 2026-11-20T13:10:00Z");
    assert_eq!(story.pass(599).told(), "-");
    assert_eq!(story.pass(1).told(), "resumed: request");
    assert_eq!(story.pauses.left(story.now), None);
}

#[test]
fn a_second_request_replaces_the_first_and_is_told() {
    let mut story = Story::at("2026-11-20T12:00:00Z");
    story.ask(Some(600.0)).told();
    assert_eq!(story.pass(60).ask(Some(60.0)).told(), "paused: request until 2026-11-20T12:02:00Z");
    assert_eq!(story.ask(Some(60.5)).told(), "-");
    assert_eq!(story.ask(None).told(), "paused: request");
    assert_eq!(story.pass(1_000 * HOUR_S).told(), "-");
    assert_eq!(story.resume().told(), "resumed: request");
}

#[test]
fn the_later_end_of_a_request_and_a_night_is_current() {
    let mut story = Story::at("2026-11-20T21:30:00Z");
    assert_eq!(story.ask(Some(3_600.0)).told(), "paused: request until 2026-11-20T22:30:00Z");
    assert_eq!(story.pass(1_800).told(), "paused: quiet hours until 2026-11-21T06:30:00Z");
    assert_eq!(story.ask(None).told(), "paused: request");
    // A request that has no end outlasts the night.
    assert_eq!(story.pass(12 * HOUR_S).told(), "-");
    assert_eq!(story.resume().told(), "resumed: request");
}

#[test]
fn a_request_to_resume_holds_for_the_rest_of_the_night_and_not_for_the_next() {
    let mut story = Story::at("2026-11-20T23:00:00Z");
    story.told();
    assert_eq!(story.resume().told(), "resumed: request");
    assert_eq!(story.pass(7 * HOUR_S).told(), "-");
    // A pause within it is no other night.
    assert_eq!(story.ask(Some(60.0)).told(), "paused: request until 2026-11-21T06:01:00Z");
    assert_eq!(story.pass(60).told(), "resumed: request");
    assert_eq!(story.pass(HOUR_S).told(), "-");
    assert_eq!(story.pass(15 * HOUR_S).told(), "paused: quiet hours until 2026-11-22T06:30:00Z");
}

#[test]
fn a_machine_that_slept_from_one_night_to_the_next_is_quiet() {
    let mut story = Story::at("2026-11-20T23:00:00Z");
    story.told();
    story.resume().told();
    assert_eq!(story.pass(24 * HOUR_S).told(), "paused: quiet hours until 2026-11-22T06:30:00Z");
}

#[test]
fn other_quiet_hours_begin_anew() {
    let mut story = Story::at("2026-11-20T23:00:00Z");
    story.told();
    story.resume().told();
    story.hours = QuietHours::parse(&["20:00-05:00".to_owned()]).0;
    story.pauses.forget_resumption();
    assert_eq!(story.told(), "paused: quiet hours until 2026-11-21T05:00:00Z");
    story.hours = QuietHours::default();
    assert_eq!(story.told(), "resumed: quiet hours");
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Ask(Option<u32>),
    Resume,
    Pass(i64),
    SetWall(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        prop::option::of(1u32..50_000).prop_map(Deed::Ask),
        Just(Deed::Resume),
        (1i64..40_000).prop_map(Deed::Pass),
        (-100_000i64..100_000).prop_map(Deed::SetWall),
    ]
}

/// The events so far, each with its moment and the quiet hours that lasted then.
type History = Vec<(Deed, Now, Option<Pause>)>;

/// Whether nothing may be heard at the last moment of a history, told from all of it.
fn is_paused(history: &History) -> bool {
    let (_, now, quiet) = *history.last().unwrap();
    let last_request = history.iter().rev().find(|(deed, ..)| matches!(deed, Deed::Ask(_) | Deed::Resume));
    let is_asked = match last_request {
        Some((Deed::Ask(None), ..)) => true,
        Some((Deed::Ask(Some(seconds)), at, _)) => now.steady_ns < at.steady_ns + i64::from(*seconds) * 1_000_000_000,
        _ => false,
    };
    // The newest request to resume counts as long as it has been quiet ever since, and was not yet past the end that it was then.
    let since = history.iter().rposition(|(deed, ..)| matches!(deed, Deed::Resume));
    let is_overridden = since.is_some_and(|since| {
        let end = history[since].2.and_then(|night| night.until);
        history[since..].iter().all(|(_, now, quiet)| quiet.is_some() && end.is_none_or(|end| now.wall() < end))
    });
    is_asked || (quiet.is_some() && !is_overridden)
}

proptest! {
    #[test]
    fn nothing_is_heard_when_requests_and_quiet_hours_say_so_and_every_change_is_told_once(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut story = Story::at("2026-11-20T20:00:00Z");
        let (mut history, mut told) = (History::new(), None);
        for deed in deeds {
            match deed {
                Deed::Ask(seconds) => story.ask(seconds.map(f64::from)),
                Deed::Resume => story.resume(),
                Deed::Pass(seconds) => story.pass(seconds),
                Deed::SetWall(seconds) => story.set_wall(seconds),
            };
            history.push((deed, story.now, story.quiet()));
            match story.pauses.look(story.now, story.quiet()) {
                Some(PauseChange::Paused(pause)) => {
                    prop_assert!(told.replace(pause) != Some(pause));
                }
                Some(PauseChange::Resumed(_)) => prop_assert!(told.take().is_some()),
                None => {}
            }
            prop_assert_eq!(story.pauses.current(), told);
            prop_assert_eq!(told.is_some(), is_paused(&history), "{:?}", history);
            prop_assert!(told.and_then(|pause| pause.until).is_none_or(|until| until > story.now.wall()));
            // Asked again at the same moment, it has nothing to add.
            prop_assert_eq!(story.pauses.look(story.now, story.quiet()), None);
        }
    }
}
