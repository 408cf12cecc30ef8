//! The requests that keys send, and the effects of the daemon's answers.

use super::*;

#[test]
fn arrows_change_the_threshold_of_the_chosen_label_and_many_are_one_request() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Down);
    for _ in 0..3 {
        bench.press(KeyCode::Left);
    }
    press(&mut bench.state, KeyEvent::new(KeyCode::Right, KeyModifiers::SHIFT), bench.now);
    assert!(bench.picture(120, 36).contains("0.126*"), "it is shown at once: {}", bench.picture(120, 36));
    bench.pass(50);
    assert!(bench.asked().is_empty());
    bench.pass(50);
    assert_eq!(bench.asked(), [r#"{"op":"set","label":"Conversation","threshold":0.1261}"#]);
    bench.take(Body::Set {
        label: "Conversation".to_owned(),
        slug: "conversation".to_owned(),
        thresholds: Thresholds { threshold: 0.1261, start_threshold: 0.0883, release: 0.0126 },
    });
    assert_eq!(bench.message(), "Conversation: threshold 0.1261, start threshold 0.0883, release 0.0126");
    assert!(bench.picture(120, 36).contains("0.088"), "the daemon's numbers are shown");
    assert_eq!(bench.keys("q"), None);
    assert_eq!(bench.state.mode, Mode::Leaving);
    assert!(bench.picture(120, 36).contains("1 threshold is changed and not written"));
    assert_eq!(bench.keys("x"), None);
    assert_eq!((bench.keys("qw"), &bench.state.mode), (Some(Action::Propose), &Mode::Watch));
    bench.keys("u");
    bench.pass(100);
    let back = r#"{"op":"set","label":"Conversation","threshold":0.2,"start_threshold":0.14,"release":0.02}"#;
    assert_eq!(bench.asked(), [back]);
    assert_eq!(bench.keys("q"), Some(Action::Quit));
}

#[test]
fn a_label_without_a_threshold_has_none_to_change() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Down);
    bench.press(KeyCode::Down);
    bench.press(KeyCode::Right);
    assert_eq!(bench.message(), "Inside, small room has no threshold: [report] does not name it");
    bench.pass(500);
    assert!(bench.asked().is_empty());
    assert_eq!(bench.keys("w"), None);
    assert_eq!(bench.message(), "no threshold is changed, so there is nothing to write");
}

#[test]
fn a_refusal_is_a_sentence_and_the_change_is_gone() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    assert_eq!(bench.asked().len(), 1);
    // The requests before it are answered first.
    let tops = vec![bench.top("kitchen", 0.9), bench.top("porch", 0.002)];
    bench.hear(tops);
    let message = "only the daemon's own user, root and the members of the configured group may do this";
    bench.take(Body::Error { code: "forbidden".to_owned(), message: message.to_owned() });
    assert_eq!(bench.message(), message);
    assert_eq!(bench.state.changes.len(), 0);
    assert!(!bench.picture(120, 36).contains('*'));
}

#[test]
fn a_written_change_is_loaded_and_is_no_change_any_more() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    bench.asked();
    let thresholds = Thresholds { threshold: 0.2339, start_threshold: 0.1637, release: 0.0234 };
    bench.take(Body::Set { label: "Speech".to_owned(), slug: "speech".to_owned(), thresholds });
    bench.state.written(std::path::Path::new("/etc/mimid/config.toml"), bench.now);
    assert_eq!(bench.asked(), [r#"{"op":"reload"}"#]);
    assert_eq!(bench.state.changes.len(), 1);
    bench.take(Body::ConfigReloaded { changes: vec![] });
    assert_eq!(bench.message(), "/etc/mimid/config.toml is written and in force");
    assert_eq!(bench.state.changes.len(), 0);
    let mut top = bench.top("kitchen", 0.9);
    top.labels[0].threshold = Some(thresholds.threshold);
    let porch = bench.top("porch", 0.9);
    bench.hear(vec![top]);
    assert!(bench.message().ends_with("in force"));
    bench.hear(vec![porch]);
    assert!(bench.message().ends_with("in force"), "it is checked once");
    assert_eq!(bench.keys("q"), Some(Action::Quit));
}

#[test]
fn a_file_that_the_daemon_does_not_read_is_no_threshold_in_force() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    bench.state.written(std::path::Path::new("/home/ear/mimid.toml"), bench.now);
    bench.take(Body::ConfigReloaded { changes: vec![] });
    let tops = vec![bench.top("kitchen", 0.9), bench.top("porch", 0.002)];
    bench.hear(tops);
    let message = "/home/ear/mimid.toml is written, but the daemon does not read it; start it with --config /home/ear/mimid.toml";
    assert_eq!(bench.message(), message);
}

#[test]
fn a_change_that_is_not_written_is_lost_when_another_client_sets_the_threshold() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    let thresholds = Thresholds { threshold: 0.2339, start_threshold: 0.1637, release: 0.0234 };
    bench.take(Body::Set { label: "Speech".to_owned(), slug: "speech".to_owned(), thresholds });
    let tops = vec![bench.top("kitchen", 0.9), bench.top("porch", 0.002)];
    bench.hear(tops);
    assert!(bench.message().starts_with("Speech was set by another client"), "{}", bench.message());
    assert_eq!(bench.state.changes.len(), 0);
}

#[test]
fn a_daemon_that_is_gone_leaves_its_picture_and_one_that_comes_is_told_of_the_changes() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    bench.asked();
    bench.state.lost("the daemon closed the connection");
    let picture = bench.picture(120, 36);
    assert!(picture.contains("no daemon") && picture.contains("trying again: the daemon closed the connection"), "{picture}");
    assert!(picture.contains("Conversation") && picture.contains("0.234*"));
    bench.press(KeyCode::Right);
    bench.pass(60_000);
    assert!(bench.state.requests().is_empty());
    bench.state.connected(&hello(&["kitchen"]), bench.now);
    assert_eq!(bench.state.link, Link::Up);
    let asked = bench.asked();
    assert!(asked[0].starts_with(r#"{"op":"subscribe""#));
    assert_eq!(asked[1], r#"{"op":"set","label":"Speech","threshold":0.2716}"#);
}

#[test]
fn a_daemon_that_is_silent_is_said_to_be() {
    let mut bench = Bench::kitchen();
    bench.pass(200);
    bench.pass(3_000);
    assert_eq!(bench.state.link, Link::Silent(3));
    assert!(bench.picture(60, 20).contains("no answer for 3 s"));
    assert!(bench.state.next().is_some_and(|next| next > bench.now), "nothing is asked twice, and nobody is kept busy");
    let tops = vec![bench.top("kitchen", 0.9), bench.top("porch", 0.002)];
    bench.hear(tops);
    bench.pass(1);
    assert_eq!(bench.state.link, Link::Up);
}

#[test]
fn sources_come_and_go_and_the_shown_one_stays() {
    let mut bench = Bench::kitchen();
    bench.keys("2");
    let tops = vec![bench.top("attic", 0.1), bench.top("kitchen", 0.1), bench.top("porch", 0.1)];
    bench.hear(tops);
    assert_eq!((bench.state.shown, bench.state.source().unwrap().name.as_str()), (2, "porch"));
    bench.press(KeyCode::Tab);
    assert_eq!(bench.state.shown, 0);
    bench.press(KeyCode::BackTab);
    bench.keys("9");
    assert_eq!(bench.state.shown, 2);
    let tops = vec![bench.top("attic", 0.1)];
    bench.hear(tops);
    assert_eq!(bench.state.shown, 0);
    bench.hear(vec![]);
    assert!(bench.picture(120, 36).contains("no sound has been heard yet"));
}

#[test]
fn a_pause_asks_nothing_and_changes_nothing() {
    let mut bench = Bench::kitchen();
    bench.keys("p");
    let before = bench.picture(120, 36);
    assert!(before.contains("paused"));
    let tops = vec![bench.top("kitchen", 0.001), bench.top("porch", 0.9)];
    bench.hear(tops);
    assert_eq!(bench.picture(120, 36), before);
    bench.state.requests();
    bench.pass(5_000);
    assert!(!bench.state.requests().contains(&Request::Top { k: 40 }));
    bench.keys("p");
    bench.pass(0);
    assert!(bench.state.requests().contains(&Request::Top { k: 40 }));
}
