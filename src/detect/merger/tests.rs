use proptest::prelude::*;

use super::*;
use crate::config::Raw;
use crate::detect::boundaries::Boundary;
use crate::model::Labels;
use crate::model::labels::Node;

const NAMES: [&str; 5] = ["Animal", "Dog", "Bark", "Howl", "Music"];

/// A merger for the labels of a report, which are all announced at once.
fn merger(report: &str) -> EventMerger {
    merger_of(&format!("[defaults]\nannounce = \"at once\"\n[report]\n{report}"))
}

fn merger_of(config: &str) -> EventMerger {
    let node = |index: usize, parents: &[&str]| Node {
        id: format!("/m/{index}"),
        name: NAMES[index].to_owned(),
        parents: parents.iter().map(|parent| (*parent).to_owned()).collect(),
    };
    // "/x/pets" is abstract: no label of the model.
    let pets = Node { id: "/x/pets".to_owned(), name: "Pets".to_owned(), parents: vec!["/m/0".to_owned()] };
    let nodes = vec![node(0, &[]), pets, node(1, &["/x/pets"]), node(2, &["/m/1"]), node(3, &["/m/1"]), node(4, &[])];
    let pairs = NAMES.iter().enumerate().map(|(index, name)| (format!("/m/{index}"), (*name).to_owned()));
    let labels = Labels::new(pairs, nodes);
    let labels = labels.with_alike(1, 4);
    let rules = Raw::parse(config, None).validate(&labels).unwrap().config.rules;
    let mut merger = EventMerger::new(1_000);
    merger.set_rules(&rules, &LabelHierarchy::new(&labels));
    merger
}

fn so_far(onset: u64) -> EventSoFar {
    let onset = Boundary { at: onset, uncertainty: 50 };
    EventSoFar {
        onset,
        score: 0.5,
        peak_score: 0.5,
        threshold: 0.2,
        announced: onset.at + 100,
        is_confirmed: true,
        quiet_from: None,
    }
}

fn end(onset: u64, offset: u64, reason: EndReason) -> Step {
    Step::End { so_far: so_far(onset), offset: Boundary { at: offset, uncertainty: 50 }, reason }
}

/// The detections of the steps `(now, rule, number, step)`, one line each.
fn tell(merger: &mut EventMerger, steps: &[(u64, usize, u64, Step)]) -> Vec<String> {
    let meter = LevelMeter::new(1_000);
    let mut detections = Vec::new();
    for (now, rule, number, step) in steps {
        merger.push(*now, std::iter::once((*rule, *number, *step)), std::iter::empty(), |_, _| None, &meter, &mut detections);
    }
    let line = |detection: &Detection| {
        let what = match detection.step {
            Step::Start(_) => "start".to_owned(),
            Step::Update(EventSoFar { quiet_from: Some(end), .. }) => format!("quiet from {}", end.at),
            Step::Update(_) => "update".to_owned(),
            Step::End { reason, offset, .. } => format!("end {} {reason:?}", offset.at),
        };
        let also: Vec<_> = detection.also.iter().map(|rule| NAMES[*rule]).collect();
        format!("{} {} {what} {also:?}", detection.event, NAMES[detection.rule])
    };
    detections.iter().map(line).collect()
}

const ALL: &str = "labels = [\"Animal\", \"Dog\", \"Bark\", \"Howl\", \"Music\"]";

#[test]
fn a_bark_is_one_event_with_its_most_specific_name() {
    let steps = [
        (1_100, 1, 0, Step::Start(so_far(1_000))),
        (1_200, 0, 1, Step::Start(so_far(1_000))),
        (1_300, 2, 2, Step::Start(so_far(1_000))),
        (4_000, 2, 2, end(1_000, 1_500, EndReason::Decay)),
        (4_100, 1, 1, end(1_000, 1_500, EndReason::Decay)),
        (4_200, 0, 0, end(1_000, 1_500, EndReason::Decay)),
    ];
    let told = tell(&mut merger(ALL), &steps);
    assert_eq!(told, ["0 Dog start []", "0 Bark update [\"Dog\", \"Animal\"]", "0 Bark end 1500 Decay [\"Dog\", \"Animal\"]"]);
}

#[test]
fn an_event_is_quiet_with_the_part_that_names_it_and_a_second_after_its_start_at_the_soonest() {
    let quiet = |onset| EventSoFar { quiet_from: Some(Boundary { at: 1_500, uncertainty: 50 }), ..so_far(onset) };
    let steps = [
        (1_100, 1, 0, Step::Start(so_far(1_000))),
        (1_200, 2, 1, Step::Start(so_far(1_000))),
        (1_900, 2, 1, Step::Update(quiet(1_000))),
        (2_050, 4, 2, Step::Start(so_far(2_000))),
        (2_100, 4, 2, Step::Update(so_far(2_000))),
        (2_800, 2, 1, Step::Update(so_far(1_000))),
        (4_000, 2, 1, end(1_000, 1_500, EndReason::Decay)),
        (4_100, 1, 0, end(1_000, 3_000, EndReason::Decay)),
    ];
    insta::assert_snapshot!(tell(&mut merger(ALL), &steps).join("\n"), @r#"
    0 Dog start []
    0 Bark update ["Dog"]
    2 Music start []
    2 Music update []
    0 Bark quiet from 1500 ["Dog"]
    0 Bark update ["Dog"]
    0 Bark end 1500 Decay ["Dog"]
    "#);
}

#[test]
fn unrelated_labels_are_events_of_their_own() {
    let steps = [
        (1_100, 2, 0, Step::Start(so_far(1_000))),
        (1_100, 4, 1, Step::Start(so_far(1_000))),
        (1_100, 3, 2, Step::Start(so_far(1_000))),
    ];
    assert_eq!(tell(&mut merger(ALL), &steps), ["0 Bark start []", "1 Music start []", "2 Howl start []"]);
}

#[test]
fn a_child_that_is_not_confirmed_leaves_the_event_to_its_parent() {
    let steps = [
        (1_100, 2, 0, Step::Start(so_far(1_000))),
        (1_100, 1, 1, Step::Start(so_far(1_000))),
        (3_000, 2, 0, end(1_000, 1_500, EndReason::Unconfirmed)),
        (4_000, 1, 1, end(1_000, 1_500, EndReason::Decay)),
    ];
    assert_eq!(tell(&mut merger(ALL), &steps), ["0 Bark start []", "0 Dog update [\"Bark\"]", "0 Dog end 1500 Decay []"]);
}

#[test]
fn a_parent_that_goes_on_long_after_its_child_is_an_event_of_its_own() {
    let steps = [
        (1_100, 0, 0, Step::Start(so_far(1_000))),
        (1_100, 2, 1, Step::Start(so_far(1_000))),
        (4_000, 2, 1, end(1_000, 1_500, EndReason::Decay)),
        (8_000, 4, 2, Step::Start(so_far(7_900))),
        (20_000, 0, 0, end(1_000, 17_000, EndReason::Decay)),
    ];
    let told = tell(&mut merger(ALL), &steps);
    assert_eq!(
        told,
        [
            "0 Animal start []",
            "0 Bark update [\"Animal\"]",
            "0 Bark end 1500 Decay [\"Animal\"]",
            "2 Music start []",
            "0 Animal start []",
            "0 Animal end 17000 Decay []"
        ]
    );
}

#[test]
fn alike_labels_are_one_event_with_the_surest_name() {
    let (sure, unsure) = (EventSoFar { peak_score: 0.9, ..so_far(1_000) }, EventSoFar { peak_score: 0.3, ..so_far(1_000) });
    let ended = |so_far| Step::End { so_far, offset: Boundary { at: 1_500, uncertainty: 50 }, reason: EndReason::Decay };
    let steps = [
        (1_100, 1, 0, Step::Start(unsure)),
        (1_200, 4, 1, Step::Start(sure)),
        (4_000, 1, 0, ended(unsure)),
        (4_100, 4, 1, ended(sure)),
    ];
    assert_eq!(tell(&mut merger(ALL), &steps), ["0 Dog start []", "0 Music end 1500 Decay [\"Dog\"]"]);
}

#[test]
fn an_event_ends_when_nothing_can_change_its_name_any_more() {
    let pending = EventSoFar { is_confirmed: false, ..so_far(1_000) };
    let steps = [
        (1_100, 1, 0, Step::Start(so_far(1_000))),
        (1_200, 2, 1, Step::Start(pending)),
        (4_000, 1, 0, end(1_000, 1_500, EndReason::Decay)),
        (
            4_700,
            2,
            1,
            Step::End { so_far: pending, offset: Boundary { at: 1_500, uncertainty: 50 }, reason: EndReason::Unconfirmed },
        ),
    ];
    let mut merger = merger(ALL);
    assert_eq!(tell(&mut merger, &steps[..3]), ["0 Dog start []", "0 Bark update [\"Dog\"]", "0 Bark quiet from 1500 [\"Dog\"]"]);
    assert_eq!(tell(&mut merger, &steps[3..]), ["0 Dog end 1500 Decay []"]);
}

#[test]
fn a_parent_that_heard_only_the_end_of_a_sound_is_no_event() {
    let parent = |onset| [(4_500, 1, 1, Step::Start(so_far(onset))), (5_000, 1, 1, end(onset, onset + 300, EndReason::Decay))];
    let child = [(1_100, 2, 0, Step::Start(so_far(1_000))), (4_000, 2, 0, end(1_000, 1_500, EndReason::Decay))];
    let told = tell(&mut merger(ALL), &[child, parent(1_700)].concat());
    assert_eq!(told, ["0 Bark start []", "0 Bark end 1500 Decay []"]);
    // Later it is another sound.
    assert_eq!(tell(&mut merger(ALL), &[child, parent(2_600)].concat()).len(), 4);
    // After an event that was taken back it is the sound itself.
    let refused = [child[0], (4_000, 2, 0, end(1_000, 1_500, EndReason::Unconfirmed))];
    assert_eq!(tell(&mut merger(ALL), &[refused, parent(1_700)].concat()).len(), 4);
}

#[test]
fn another_sound_of_an_alike_label_is_another_event_even_while_the_first_waits_for_its_confirmation() {
    let meter = LevelMeter::new(1_000);
    for (heard_until, n_events) in [(1_500, 2), (4_000, 1)] {
        let (mut merger, mut found) = (merger(ALL), Vec::new());
        for (rule, number, onset) in [(1, 0, 1_000), (4, 1, 4_500)] {
            let start = std::iter::once((rule, number, Step::Start(so_far(onset))));
            merger.push(onset + 100, start, std::iter::empty(), |_, _| Some(heard_until), &meter, &mut found);
        }
        let starts = found.iter().filter(|detection| matches!(detection.step, Step::Start(_)));
        assert_eq!(starts.count(), n_events, "{heard_until}");
    }
}

#[test]
fn a_label_that_is_nearly_sure_is_named_beside_the_event_of_an_alike_one() {
    let meter = LevelMeter::new(1_000);
    let (mut merger, mut found) = (merger(ALL), Vec::new());
    let start = (1, 0, Step::Start(so_far(1_000)));
    merger.push(1_100, std::iter::once(start), std::iter::empty(), |_, _| None, &meter, &mut found);
    // Music is alike to Dog, Bark is below it; one of them was heard before the event.
    let beside = [(4, (1_000, 1_400)), (2, (100, 800))];
    merger.push(
        4_000,
        std::iter::once((1, 0, end(1_000, 1_500, EndReason::Decay))),
        beside.into_iter(),
        |_, _| None,
        &meter,
        &mut found,
    );
    assert_eq!(found.last().unwrap().also, [4]);
}

#[test]
fn without_merging_every_label_is_an_event() {
    let steps = [(1_100, 1, 0, Step::Start(so_far(1_000))), (1_100, 2, 1, Step::Start(so_far(1_000)))];
    assert_eq!(tell(&mut merger("preset = \"all\"\nmerge = false"), &steps), ["0 Dog start []", "1 Bark start []"]);
}

#[test]
fn a_label_s_score_is_no_lower_than_those_below_it() {
    let labels = Labels::new(
        [("/a", "Animal"), ("/b", "Bark")].map(|(id, name)| (id.to_owned(), name.to_owned())),
        vec![Node { id: "/b".to_owned(), name: "Bark".to_owned(), parents: vec!["/a".to_owned()] }],
    );
    let hierarchy = LabelHierarchy::new(&labels);
    for (scores, expected) in [([0.1, 0.7], [0.7, 0.7]), ([0.8, 0.2], [0.8, 0.2])] {
        let mut propagated = [0.0; 2];
        hierarchy.propagate_to_ancestors(&scores, &mut propagated);
        assert_eq!(propagated, expected);
    }
    for (starts, expected) in [([0.1, 0.7], [0.1, 0.1]), ([0.8, 0.2], [0.8, 0.2])] {
        let mut lowest = [0.0; 2];
        hierarchy.propagate_to_descendants(&starts, &mut lowest);
        assert_eq!(lowest, expected);
    }
}

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
    assert_eq!(told, ["0 Dog start []", "0 Dog end 1500 Decay [\"Animal\"]", "2 Dog start []", "2 Dog end 2900 Decay []"]);
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
