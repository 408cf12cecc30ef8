use super::*;
use crate::config::Raw;
use crate::detect::boundaries::Boundary;
use crate::model::Labels;
use crate::model::labels::Node;

mod waiting;

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
    assert_eq!(
        told,
        [
            "0 Dog start []",
            "0 Dog update [\"Animal\"]",
            "0 Bark update [\"Dog\", \"Animal\"]",
            "0 Bark end 1500 Decay [\"Dog\", \"Animal\"]"
        ]
    );
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
    assert_eq!(
        tell(&mut merger(ALL), &steps),
        ["0 Bark start []", "0 Bark update [\"Dog\"]", "0 Dog update [\"Bark\"]", "0 Dog end 1500 Decay []"]
    );
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
    assert_eq!(
        tell(&mut merger(ALL), &steps),
        ["0 Dog start []", "0 Dog update [\"Music\"]", "0 Music end 1500 Decay [\"Dog\"]"]
    );
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

#[test]
fn a_further_label_is_told_at_once_and_labels_that_come_together_once() {
    let mut merger = merger(ALL);
    let meter = LevelMeter::new(1_000);
    let mut found = Vec::new();
    let mut push = |now, steps: &[(usize, u64, Step)]| {
        merger.push(now, steps.iter().copied(), std::iter::empty(), |_, _| None, &meter, &mut found);
    };
    push(1_100, &[(2, 0, Step::Start(so_far(1_000)))]);
    push(1_200, &[(1, 1, Step::Start(so_far(1_000))), (0, 2, Step::Start(so_far(1_000)))]);
    // Of a label that the event has already, nothing is told.
    push(1_300, &[(1, 1, end(1_000, 1_300, EndReason::Decay))]);
    push(1_400, &[(1, 3, Step::Start(so_far(1_350)))]);
    let told: Vec<_> = found.iter().map(|detection| (detection.rule, detection.also.clone())).collect();
    assert_eq!(told, [(2, vec![]), (2, vec![1, 0])]);
}
