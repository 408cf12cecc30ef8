//! The tracker on scripted and on random curves of scores: the causal score comes at once, the confirmed one a few hops later.

use proptest::prelude::*;

use super::*;
use crate::detect::boundaries::SegmentBounds;
use crate::detect::rule::Announce;
use crate::detect::segments::{Segment, SegmentFinder};
use crate::detect::standing::Fate;

/// Ten hops a second at 1,000 samples a second, so that times are milliseconds.
const HOP: u64 = 100;
/// The delay of the confirmed score in hops.
const LAG: usize = 10;

fn gate() -> Gate {
    Gate {
        announce: Announce::AtOnce,
        threshold: 0.5,
        release: 0.05,
        start_threshold: 0.5,
        confirm_k: 1,
        confirm_n: 1,
        min_duration_ms: 0,
        max_duration_ms: None,
        hangover_ms: 300,
        cooldown_ms: 0,
        min_level_dbfs: None,
        min_snr_db: 0.0,
    }
}

/// A tracker and the segment finder that feeds it.
struct Run {
    tracker: Tracker,
    finder: SegmentFinder,
    next: u64,
    hops: u64,
    confirmed: VecDeque<f32>,
    /// The estimated age of the onset when a sound is announced, in hops.
    back: u64,
    /// Whether the segments that end are as loud and as clear as the rule asks for.
    ends_well: (bool, bool),
    said: Vec<(u64, Step)>,
    /// The time at which each step was reported.
    times: Vec<u64>,
}

impl Run {
    fn new(gate: Gate) -> Self {
        let (tracker, finder) = (Tracker::new(gate, HOP, 1_000), SegmentFinder::new(0.12, 0.3, gate.release));
        let (confirmed, said, times) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { tracker, finder, next: 0, hops: 0, confirmed, back: 1, ends_well: (true, true), said, times }
    }

    fn push(&mut self, causal: f32, confirmed: f32) {
        self.hops += 1;
        let now = self.hops * HOP;
        let Self { tracker, finder, next, back, ends_well, said, .. } = self;
        let mut emit = |told: TrackerStep| said.push(told);
        let began = || Boundary { at: now.saturating_sub(*back * HOP), uncertainty: HOP };
        tracker.push_causal(CausalScore { now, score: causal, is_loud: true }, began, next, &mut emit);
        self.confirmed.push_back(confirmed);
        if self.confirmed.len() > LAG {
            let found = finder.push(self.confirmed.pop_front().unwrap());
            let placed = |segment: Segment| {
                let boundary = |value: u64| Boundary { at: value * HOP, uncertainty: HOP };
                let bounds = SegmentBounds { onset: boundary(segment.onset), offset: boundary(segment.offset), snr_db: None };
                PlacedSegment { bounds, evidence: segment.peak, is_loud: true, is_clear: true }
            };
            let until = now - LAG as u64 * HOP;
            let (is_loud, is_clear) = *ends_well;
            let closed = found.closed.map(|segment| PlacedSegment { is_loud, is_clear, ..placed(segment) });
            tracker.push_confirmed(now, until, closed, found.open.map(placed), next, &mut emit);
        }
        self.times.resize(self.said.len(), now);
    }

    /// Silence that is long enough for every event to end.
    fn rest(&mut self) {
        (0..(RETURN_BRIDGE_MS + 5_000) / HOP + LAG as u64).for_each(|_| self.push(0.0, 0.0));
    }

    fn finish(&mut self) {
        let now = self.hops * HOP;
        let said = &mut self.said;
        self.tracker.finish(now, EndReason::Shutdown, &mut |told| said.push(told));
        self.times.resize(self.said.len(), now);
    }

    fn lines(&self) -> Vec<String> {
        self.said.iter().zip(&self.times).map(|((event, step), now)| format!("{now}: {event} {}", describe(step))).collect()
    }
}

/// What is told of the ends of events, without when.
fn ends(told: &[String]) -> Vec<&str> {
    told.iter().filter_map(|line| Some(line.split_once(" end ")?.1)).collect()
}

fn describe(step: &Step) -> String {
    let ms = |boundary: &Boundary| boundary.at;
    match step {
        Step::Start(so_far) => format!("start {}", ms(&so_far.onset)),
        Step::Update(EventSoFar { quiet_from: Some(end), .. }) => format!("quiet from {}", end.at),
        Step::Update(so_far) => format!("update {}", so_far.peak_score),
        Step::End { so_far, offset, reason } => format!("end {}-{} {reason:?}", ms(&so_far.onset), ms(offset)),
    }
}

/// The steps of a curve that serves as both scores: `(value, hops)`, one after the other.
fn track(gate: Gate, curve: &[(f32, usize)]) -> Vec<String> {
    let mut run = Run::new(gate);
    for (value, hops) in curve {
        (0..*hops).for_each(|_| run.push(*value, *value));
    }
    run.finish();
    run.lines()
}

#[test]
fn an_event_is_announced_at_once_and_ended_when_the_confirmed_score_has_come() {
    let curve = [(0.0, 5), (0.9, 5), (0.0, 30)];
    insta::assert_snapshot!(track(gate(), &curve).join("\n"), @r"
    600: 0 start 500
    1600: 0 update 0.9
    2100: 0 quiet from 1000
    2400: 0 end 500-1000 Decay
    ");
}

#[test]
fn what_no_segment_confirms_is_taken_back_once() {
    let mut run = Run::new(gate());
    for hop in 0..40 {
        let causal = if (5..25).contains(&hop) { 0.9 } else { 0.0 };
        run.push(causal, 0.2);
    }
    assert_eq!(run.lines(), ["600: 0 start 500", "2100: 0 end 500-2100 Unconfirmed"]);
}

#[test]
fn what_only_the_confirmed_score_finds_is_reported_late() {
    let mut run = Run::new(gate());
    for hop in 0..40 {
        run.push(0.3, if (5..9).contains(&hop) { 0.9 } else { 0.0 });
    }
    assert_eq!(run.lines(), ["1600: 0 start 500", "2300: 0 end 500-900 Decay"]);
}

#[test]
fn as_many_windows_as_asked_for_confirm() {
    let gate = Gate { confirm_k: 2, confirm_n: 3, ..gate() };
    let curve = [(0.0, 5), (0.9, 5), (0.0, 30)];
    assert_eq!(track(gate, &curve)[0], "700: 0 start 600");
}

#[test]
fn a_gap_is_bridged_and_a_longer_one_is_not() {
    let short = [(0.0, 5), (0.9, 5), (0.0, 3), (0.9, 5), (0.0, 30)];
    assert_eq!(ends(&track(gate(), &short)), ["500-1800 Decay"]);
    let long = [(0.0, 5), (0.9, 5), (0.0, 8), (0.9, 5), (0.0, 30)];
    let told = track(gate(), &long);
    insta::assert_snapshot!(told.join("\n"), @r"
    600: 0 start 500
    1600: 0 update 0.9
    2100: 0 quiet from 1000
    2400: 0 end 500-1000 Decay
    2900: 1 start 1800
    3400: 1 quiet from 2300
    3700: 1 end 1800-2300 Decay
    ");
}

#[test]
fn one_event_is_told_at_a_time_and_the_next_one_only_if_it_is_confirmed() {
    let mut run = Run::new(gate());
    // The second and the third sound are announced while the first is open; the confirmed score bears out the first and the third.
    for (causal, confirmed, hops) in
        [(0.0, 0.0, 5), (0.9, 0.9, 5), (0.0, 0.0, 6), (0.9, 0.1, 2), (0.0, 0.0, 6), (0.9, 0.9, 5), (0.0, 0.0, 40)]
    {
        (0..hops).for_each(|_| run.push(causal, confirmed));
    }
    insta::assert_snapshot!(run.lines().join("\n"), @r"
    600: 0 start 500
    1600: 0 update 0.9
    2100: 0 quiet from 1000
    2400: 0 end 500-1000 Decay
    2500: 2 start 2400
    3500: 2 update 0.9
    4000: 2 quiet from 2900
    4300: 2 end 2400-2900 Decay
    ");
}

#[test]
fn a_long_sound_bridges_longer_gaps_and_does_not_flicker() {
    // Rain with longer and longer gaps: a fifth of the duration so far is bridged.
    let rain = [(0.9, 80), (0.0, 12), (0.9, 80), (0.0, 30), (0.9, 80), (0.0, 50), (0.9, 80), (0.0, 200)];
    assert_eq!(ends(&track(gate(), &rain)), ["0-41200 Decay"]);
    // The same pauses in a short sound part it.
    let calls = [(0.9, 10), (0.0, 12), (0.9, 10), (0.0, 30), (0.9, 10), (0.0, 60)];
    assert_eq!(track(gate(), &calls).iter().filter(|line| line.contains("start")).count(), 3);
}

#[test]
fn a_sound_that_comes_back_within_minutes_is_one_event_from_then_on() {
    // Speech of 15 s each, 60 s apart: the first two are told one by one, and the pauses of the third are bridged.
    let speech = [(0.9, 150), (0.0, 600)].repeat(5);
    let told = track(gate(), &[speech.as_slice(), &[(0.0, 500)]].concat());
    assert_eq!(ends(&told), ["0-15000 Decay", "75000-90000 Decay", "150000-315000 Decay"]);
    // Short sounds never are, nor is one that comes back after a long time.
    let starts = |curve: &[(f32, usize)]| track(gate(), curve).iter().filter(|line| line.contains("start")).count();
    assert_eq!(starts(&[(0.9, 40), (0.0, 60)].repeat(20)), 20);
    assert_eq!(starts(&[(0.9, 300), (0.0, 6_000), (0.9, 50), (0.0, 600), (0.9, 50), (0.0, 600)]), 3);
}

#[test]
fn a_short_event_is_never_told_of() {
    let gate = Gate { min_duration_ms: 800, ..gate() };
    assert!(track(gate, &[(0.0, 5), (0.9, 5), (0.0, 30)]).is_empty());
    assert_eq!(
        track(gate, &[(0.0, 5), (0.9, 12), (0.0, 30)]),
        ["2300: 0 start 500", "2800: 0 quiet from 1700", "3100: 0 end 500-1700 Decay"]
    );
}

#[test]
fn a_long_event_is_renewed_without_a_gap() {
    let gate = Gate { max_duration_ms: Some(2_000), cooldown_ms: 60_000, ..gate() };
    let told = track(gate, &[(0.0, 5), (0.9, 45), (0.0, 40)]);
    assert_eq!(
        told,
        [
            "600: 0 start 500",
            "1600: 0 update 0.9",
            "3500: 0 end 500-2500 MaxDuration",
            "3500: 1 start 2500",
            "5500: 1 end 2500-4500 MaxDuration",
            "5500: 2 start 4500",
            "6100: 2 quiet from 5000",
            "6400: 2 end 4500-5000 Decay"
        ]
    );
}

#[test]
fn a_cool_down_keeps_the_label_quiet() {
    let gate = Gate { cooldown_ms: 5_000, ..gate() };
    let told = track(gate, &[(0.9, 5), (0.0, 30), (0.9, 5), (0.0, 50), (0.9, 5), (0.0, 30)]);
    assert_eq!(told.iter().filter(|line| line.contains("start")).collect::<Vec<_>>(), ["100: 0 start 0", "9100: 1 start 9000"]);
}

#[test]
fn a_sound_that_pauses_is_quiet_until_it_goes_on() {
    // A hundred hops bridge twenty.
    let told = track(gate(), &[(0.9, 100), (0.0, 17), (0.9, 5), (0.0, 50)]);
    insta::assert_snapshot!(told.join("\n"), @r"
    100: 0 start 0
    1100: 0 update 0.9
    11100: 0 quiet from 10000
    11800: 0 update 0.9
    13300: 0 quiet from 12200
    15700: 0 end 0-12200 Decay
    ");
    // A pause that is shorter than the delay of the confirmed score is not told.
    let told = track(gate(), &[(0.9, 100), (0.0, 8), (0.9, 5), (0.0, 50)]);
    assert_eq!(told.iter().filter(|line| line.contains("quiet")).count(), 1, "{told:#?}");
}

#[test]
fn a_rising_peak_is_told_at_most_once_a_second_and_the_confirmation_at_once() {
    let curve = [(0.0, 5), (0.6, 5), (0.8, 2), (0.9, 10), (0.0, 30)];
    let told = track(gate(), &curve);
    assert_eq!(told.iter().filter(|line| line.contains("update")).count(), 3, "{told:#?}");
}

#[test]
fn the_standing_says_why_there_is_no_event() {
    let mut run = Run::new(Gate { confirm_k: 2, confirm_n: 3, cooldown_ms: 5_000, min_duration_ms: 150, ..gate() });
    assert_eq!(run.tracker.standing(), Standing::Below);
    run.push(0.4, 0.0);
    assert_eq!(run.tracker.standing(), Standing::Below);
    run.push(0.8, 0.0);
    assert_eq!(run.tracker.standing(), Standing::Confirming { hits: 1 });
    run.push(0.8, 0.0);
    // The onset is estimated one hop ago.
    assert_eq!(run.tracker.standing(), Standing::TooShort);
    run.tracker.set_gate(Gate { cooldown_ms: 5_000, ..gate() }, 1_000, 300, &mut |_| {});
    run.push(0.8, 0.9);
    assert_eq!(run.tracker.standing(), Standing::Open { event: 0, is_confirmed: false });
    (0..LAG).for_each(|_| run.push(0.0, 0.0));
    assert_eq!(run.tracker.standing(), Standing::Open { event: 0, is_confirmed: true });
    (0..LAG).for_each(|_| run.push(0.0, 0.0));
    assert!(!run.tracker.is_active());
    run.push(0.8, 0.0);
    assert_eq!(run.tracker.standing(), Standing::CoolingDown { until: 400 + 5_000 });
    // Once no segment confirms an announced event, the same sound is refused.
    let mut run = Run::new(gate());
    (0..20).for_each(|_| run.push(0.8, 0.0));
    assert_eq!(run.tracker.standing(), Standing::Refused);
    run.tracker.push_causal(CausalScore { now: 2_100, score: 0.8, is_loud: false }, || unreachable!(), &mut 9, &mut |_| {});
    assert_eq!(run.tracker.standing(), Standing::TooQuiet);
}

#[test]
fn another_threshold_ends_only_what_it_would_not_have_told() {
    let open = |confirmed: f32| {
        let mut run = Run::new(gate());
        (0..LAG + 3).for_each(|_| run.push(0.8, confirmed));
        run
    };
    let set = |run: &mut Run, gate: Gate| {
        let (now, said) = (run.hops * HOP, &mut run.said);
        run.tracker.set_gate(gate, 1_000, now, &mut |told| said.push(told));
        run.times.resize(run.said.len(), now);
    };
    let raised = Gate { threshold: 0.7, ..gate() };
    let mut run = open(0.6);
    set(&mut run, raised);
    insta::assert_snapshot!(run.lines().join("\n"), @r"
    100: 0 start 0
    1100: 0 update 0.6
    1300: 0 end 0-1300 Paused
    ");
    // One with a higher peak goes on, and ends as it would have.
    let mut run = open(0.9);
    set(&mut run, raised);
    (0..3 * LAG).for_each(|_| run.push(0.0, 0.0));
    insta::assert_snapshot!(run.lines().join("\n"), @r"
    100: 0 start 0
    1100: 0 update 0.9
    2400: 0 quiet from 1300
    2700: 0 end 0-1300 Decay
    ");
    // A lower threshold begins an event at the next hop.
    let mut run = Run::new(gate());
    run.push(0.3, 0.3);
    set(&mut run, Gate { threshold: 0.2, start_threshold: 0.2, ..gate() });
    run.push(0.3, 0.3);
    insta::assert_snapshot!(run.lines().join("\n"), @"200: 0 start 100");
}

#[test]
fn what_became_of_each_segment_is_said() {
    let gate = Gate { cooldown_ms: 1_000, min_duration_ms: 150, ..gate() };
    let mut tracker = Tracker::new(gate, HOP, 1_000);
    let mut refine = |onset: u64, offset: u64, peak: f32, is_loud: bool, is_clear: bool| {
        let boundary = |at: u64| Boundary { at, uncertainty: HOP };
        let bounds = SegmentBounds { onset: boundary(onset), offset: boundary(offset), snr_db: None };
        let placed = PlacedSegment { bounds, evidence: peak, is_loud, is_clear };
        tracker.push_confirmed(offset + 5_000, offset + 1_000, Some(placed), None, &mut 7, &mut |_| {})
    };
    assert_eq!(refine(100, 300, 0.4, true, true), Some(Fate::Below));
    assert_eq!(refine(400, 600, 0.8, false, true), Some(Fate::TooQuiet));
    assert_eq!(refine(400, 600, 0.8, true, false), Some(Fate::TooFaint));
    assert_eq!(refine(700, 800, 0.8, true, true), Some(Fate::TooShort));
    assert_eq!(refine(1_000, 2_000, 0.8, true, true), Some(Fate::PartOf { event: 7 }));
    assert_eq!(refine(2_900, 3_200, 0.8, true, true), Some(Fate::CoolingDown { until: 3_000 }));
    assert_eq!(refine(3_100, 3_400, 0.8, true, true), Some(Fate::PartOf { event: 7 }));
}

proptest! {
    #[test]
    fn whatever_the_scores_starts_and_ends_pair_and_time_goes_on(
        pieces in prop::collection::vec((0.0f32..=1.0, 0.0f32..=1.0, 1usize..40, 0u64..40, any::<(bool, bool)>()), 0..30),
        noise in prop::collection::vec(0.0f32..=1.0, 1..50),
        threshold in 0.05f32..=1.0, start in 0.05f32..=1.0, k in 1usize..4, more in 0usize..4,
        min in 0u64..3_000, max in prop::option::of(1u64..9_000), hangover in 0u64..4_000, cooldown in 0u64..5_000,
        stops in prop::collection::vec(0usize..300, 0..3),
    ) {
        let gate = Gate {
            threshold, start_threshold: start, release: threshold * 0.1, confirm_k: k, confirm_n: k + more, min_duration_ms: min,
            max_duration_ms: max, hangover_ms: hangover, cooldown_ms: cooldown, ..gate()
        };
        let mut run = Run::new(gate);
        let mut seen = 0;
        let mut open: Vec<(u64, EventSoFar)> = Vec::new();
        let mut ended: Vec<(u64, u64)> = Vec::new();
        let mut check = |run: &Run, seen: &mut usize| {
            let now = run.hops * HOP;
            for (event, step) in &run.said[*seen..] {
                let so_far = *step.so_far();
                assert!((0.0..=1.0).contains(&so_far.peak_score) && so_far.onset.at <= now, "{step:?} at {now}");
                match step {
                    Step::Start(_) => {
                        assert!(open.iter().all(|(other, _)| other != event) && open.len() < MOST_OPEN);
                        open.push((*event, so_far));
                    }
                    Step::Update(_) => {
                        assert!(open.iter().any(|(other, _)| other == event), "an update of nothing");
                        assert!(so_far.quiet_from.is_none_or(|end| so_far.is_confirmed && end.at < now), "{step:?} at {now}");
                    }
                    Step::End { offset, reason, .. } => {
                        let at = open.iter().position(|(other, _)| other == event).expect("an end without its start");
                        open.remove(at);
                        assert!(offset.at > so_far.onset.at, "an event without length");
                        if *reason == EndReason::Decay {
                            // Confirmed events of one label do not lie in each other.
                            assert!(so_far.peak_score >= threshold, "{so_far:?}");
                            assert!(offset.at - so_far.onset.at >= min.min(HOP), "{step:?}");
                            assert!(ended.iter().all(|(from, to)| so_far.onset.at >= *to || offset.at <= *from), "{step:?} {ended:?}");
                            ended.push((so_far.onset.at, offset.at));
                        }
                        if let (EndReason::MaxDuration, Some(max)) = (reason, max) {
                            assert_eq!(offset.at - so_far.onset.at, max.max(HOP));
                        }
                    }
                }
            }
            *seen = run.said.len();
        };
        for (index, (causal, confirmed, hops, back, ends_well)) in pieces.iter().enumerate() {
            (run.back, run.ends_well) = (*back, *ends_well);
            for hop in 0..*hops {
                let wobble = noise[(index + hop) % noise.len()];
                run.push(causal * wobble, confirmed * wobble);
                check(&run, &mut seen);
            }
            if stops.contains(&index) {
                run.finish();
                run.finder = SegmentFinder::new(0.12, 0.3, gate.release);
                check(&run, &mut seen);
            }
        }
        // No event outlives its sound: there may be none again for hours that would end it.
        run.rest();
        check(&run, &mut seen);
        prop_assert!(!run.tracker.is_active(), "{:?}", run.tracker.open);
        prop_assert!(open.is_empty(), "a start without an end");
    }
}
