//! Events of labels that are announced when confirmed, and the property that holds for all.

use proptest::prelude::*;

use super::*;

/// A merger in which these labels are announced when confirmed, and all others at once.
fn waiting(labels: &[&str]) -> EventMerger {
    let tables: String = labels.iter().map(|label| format!("[labels.{label}]\nannounce = \"confirmed\"\n")).collect();
    merger_of(&format!("[defaults]\nannounce = \"at once\"\n[report]\n{ALL}\n{tables}"))
}

fn pending(onset: u64) -> EventSoFar {
    EventSoFar { is_confirmed: false, ..so_far(onset) }
}

/// The end of an event that was never confirmed.
fn refused(onset: u64) -> Step {
    Step::End { so_far: pending(onset), offset: Boundary { at: onset + 500, uncertainty: 50 }, reason: EndReason::Unconfirmed }
}

#[test]
fn an_event_that_waits_is_told_when_it_is_confirmed_and_its_start_says_when() {
    let mut merger = waiting(&["Dog"]);
    assert_eq!(tell(&mut merger, &[(1_100, 1, 0, Step::Start(pending(1_000)))]), Vec::<String>::new());
    assert_eq!(merger.reported_as(1, 0), None);
    let meter = LevelMeter::new(1_000);
    let mut found = Vec::new();
    for (now, step) in [(4_000, Step::Update(so_far(1_010))), (4_500, end(1_010, 1_500, EndReason::Decay))] {
        merger.push(now, std::iter::once((1, 0, step)), std::iter::empty(), |_, _| None, &meter, &mut found);
    }
    let told: Vec<_> = found.iter().map(|detection| *detection.step.so_far()).collect();
    assert!(
        matches!(found[0].step, Step::Start(_)) && matches!(found[1].step, Step::End { .. }) && found.len() == 2,
        "{found:?}"
    );
    assert!(told.iter().all(|so_far| so_far.announced == 4_000 && so_far.onset.at == 1_010 && so_far.is_confirmed), "{told:?}");
}

#[test]
fn an_event_that_waits_and_is_never_confirmed_is_never_told() {
    for last in [refused(1_000), Step::End { so_far: pending(1_000), offset: so_far(1_500).onset, reason: EndReason::Paused }] {
        let mut merger = waiting(&["Dog", "Animal"]);
        let steps = [
            (1_100, 1, 0, Step::Start(pending(1_000))),
            (1_200, 0, 1, Step::Start(pending(1_000))),
            (4_000, 1, 0, last),
            (4_000, 0, 1, last),
        ];
        assert_eq!(tell(&mut merger, &steps), Vec::<String>::new());
    }
}

#[test]
fn a_label_that_waits_takes_the_name_of_its_parent_s_event_when_it_is_confirmed() {
    let steps = [
        (1_100, 1, 0, Step::Start(pending(1_000))),
        (1_200, 2, 1, Step::Start(pending(1_000))),
        (3_000, 1, 0, Step::Update(so_far(1_000))),
        (4_000, 2, 1, Step::Update(so_far(1_000))),
        (5_000, 2, 1, end(1_000, 1_500, EndReason::Decay)),
    ];
    let told = ["0 Dog start []", "0 Dog update []", "0 Bark update [\"Dog\"]", "0 Bark end 1500 Decay [\"Dog\"]"];
    assert_eq!(tell(&mut waiting(&["Bark"]), &steps), told);
    // If it is not, the event never had its name.
    let steps = [steps[0], steps[1], steps[2], (4_000, 2, 1, refused(1_000)), (5_000, 1, 0, end(1_000, 1_500, EndReason::Decay))];
    assert_eq!(tell(&mut waiting(&["Bark"]), &steps), ["0 Dog start []", "0 Dog update []", "0 Dog end 1500 Decay []"]);
}

#[test]
fn a_label_that_announces_at_once_tells_the_event_of_one_that_waits() {
    let steps = [
        (1_100, 1, 0, Step::Start(pending(1_000))),
        (1_300, 2, 1, Step::Start(pending(1_000))),
        (4_000, 2, 1, refused(1_000)),
        (4_100, 1, 0, Step::Update(so_far(1_000))),
        (5_000, 1, 0, end(1_000, 1_500, EndReason::Decay)),
    ];
    let told = ["0 Bark start []", "0 Dog update [\"Bark\"]", "0 Dog end 1500 Decay []"];
    assert_eq!(tell(&mut waiting(&["Dog"]), &steps), told);
    let steps = [steps[0], steps[1], steps[2], (4_100, 1, 0, refused(1_000))];
    assert_eq!(tell(&mut waiting(&["Dog"]), &steps), ["0 Bark start []", "0 Bark end 1500 Unconfirmed []"]);
}

#[test]
fn a_part_that_has_begun_is_announced_as_its_rule_said_it_then() {
    let labels = Labels::new([("/m/1".to_owned(), "Dog".to_owned())], Vec::new());
    let rules = |announce: &str| {
        let config = format!("[defaults]\nannounce = {announce:?}\n[report]\nlabels = [\"Dog\"]");
        Raw::parse(&config, None).validate(&labels).unwrap().config.rules
    };
    let starts_at = |first: &str, second: &str| {
        let (mut merger, hierarchy, meter) = (EventMerger::new(1_000), LabelHierarchy::new(&labels), LevelMeter::new(1_000));
        merger.set_rules(&rules(first), &hierarchy);
        let mut found = Vec::new();
        for (number, onset) in [(0, 1_000), (1, 20_000)] {
            for (now, step) in [
                (onset + 100, Step::Start(pending(onset))),
                (onset + 3_000, Step::Update(so_far(onset))),
                (onset + 4_000, end(onset, onset + 500, EndReason::Decay)),
            ] {
                let steps = std::iter::once((0, number, step));
                merger.push(now, steps, std::iter::empty(), |_, _| None, &meter, &mut found);
                merger.replace_rules(&[Some(0)]);
                merger.set_rules(&rules(second), &hierarchy);
            }
        }
        let starts = found.iter().filter(|detection| matches!(detection.step, Step::Start(_)));
        starts.map(|detection| detection.step.so_far().announced).collect::<Vec<_>>()
    };
    assert_eq!(starts_at("at once", "confirmed"), [1_100, 23_000]);
    assert_eq!(starts_at("confirmed", "at once"), [4_000, 20_100]);
}

#[test]
fn an_event_that_waits_for_other_labels_ends_before_the_next_sound_of_its_label_begins() {
    let steps = [
        (1_100, 1, 0, Step::Start(so_far(1_000))),
        // The event waits for its parent, which is not confirmed yet, when the next bark begins.
        (1_200, 0, 1, Step::Start(pending(1_000))),
        (1_900, 1, 0, end(1_000, 1_500, EndReason::Decay)),
        (2_600, 1, 2, Step::Start(so_far(2_500))),
        (4_000, 0, 1, end(1_000, 1_600, EndReason::Decay)),
        (5_600, 1, 2, end(2_500, 2_900, EndReason::Decay)),
    ];
    let told = tell(&mut merger(ALL), &steps);
    assert_eq!(
        told,
        [
            "0 Dog start []",
            "0 Dog update [\"Animal\"]",
            "0 Dog end 1500 Decay [\"Animal\"]",
            "2 Dog start []",
            "2 Dog end 2900 Decay []"
        ]
    );
}

proptest! {
    #[test]
    fn whatever_the_parts_starts_and_ends_pair_and_what_waits_is_never_taken_back(
        // For each part: its rule, when it begins, whether and when it is confirmed, when it ends, and whether it is then refused.
        parts in prop::collection::vec((0usize..5, 0u64..9, prop::option::of(1u64..6), 1u64..20, any::<bool>()), 1..12),
        waits in prop::collection::vec(any::<bool>(), 5),
    ) {
        let waits: Vec<&str> = NAMES.iter().zip(waits).filter(|(_, waits)| *waits).map(|(name, _)| *name).collect();
        let mut merger = waiting(&waits);
        let mut steps = Vec::new();
        // Of one rule the tracker tells one event at a time.
        let (mut parts, mut free_from) = (parts, [0; 5]);
        parts.sort_by_key(|(_, begins, ..)| *begins);
        parts.retain(|(rule, begins, _, lasts, _)| {
            let is_free = *begins >= free_from[*rule];
            free_from[*rule] = if is_free { begins + lasts + 1 } else { free_from[*rule] };
            is_free
        });
        for (number, (rule, begins, confirmed, lasts, refused)) in parts.iter().enumerate() {
            let (onset, number) = (1_000 + begins * 1_000, number as u64);
            let confirmed = confirmed.filter(|after| after < lasts);
            steps.push((onset, *rule, number, Step::Start(pending(onset))));
            steps.extend(confirmed.map(|after| (onset + after * 1_000, *rule, number, Step::Update(so_far(onset)))));
            let now = onset + lasts * 1_000;
            // The rare event that was confirmed and then refused is among them.
            let last = match (confirmed, refused) {
                (Some(_), false) => end(onset, now, EndReason::Decay),
                (Some(_), true) => end(onset, now, EndReason::Unconfirmed),
                (None, _) => Step::End { so_far: pending(onset), offset: so_far(now).onset, reason: EndReason::Unconfirmed },
            };
            steps.push((now, *rule, number, last));
        }
        steps.sort_by_key(|(now, ..)| *now);
        let meter = LevelMeter::new(1_000);
        let (mut found, mut seen) = (Vec::new(), 0);
        let mut open: Vec<u64> = Vec::new();
        let mut names: Vec<(u64, usize)> = Vec::new();
        for (now, rule, number, step) in steps {
            merger.push(now, std::iter::once((rule, number, step)), std::iter::empty(), |_, _| None, &meter, &mut found);
            for Detection { rule, event, step, also, .. } in &found[seen..] {
                match step {
                    Step::Start(so_far) => {
                        prop_assert!(!open.contains(event));
                        prop_assert_eq!(so_far.announced, now);
                        open.push(*event);
                    }
                    Step::Update(_) => prop_assert!(open.contains(event)),
                    Step::End { .. } => {
                        prop_assert!(open.contains(event));
                        open.retain(|other| other != event);
                    }
                }
                prop_assert!(!also.contains(rule));
                // No event begins under a name that another one has.
                names.retain(|(other, _)| other != event);
                if matches!(step, Step::Start(_)) {
                    prop_assert!(names.iter().all(|(_, name)| name != rule), "{}", NAMES[*rule]);
                }
                if !matches!(step, Step::End { .. }) {
                    names.push((*event, *rule));
                }
                let so_far = step.so_far();
                let is_refused = matches!(step, Step::End { reason: EndReason::Unconfirmed, .. });
                prop_assert!(!waits.contains(&NAMES[*rule]) || (so_far.is_confirmed && !is_refused), "{} {:?}", NAMES[*rule], step);
            }
            seen = found.len();
        }
        let now = 40_000;
        merger.push(now, std::iter::empty(), std::iter::empty(), |_, _| None, &meter, &mut found);
        merger.finish(now, &meter, &mut found);
        for Detection { event, .. } in &found[seen..] {
            open.retain(|other| other != event);
        }
        prop_assert!(open.is_empty(), "{:?}", open);
    }
}
