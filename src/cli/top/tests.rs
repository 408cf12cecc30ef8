//! The program without a terminal and without a daemon: lines and keys in, requests and pictures out.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::keys::{Act, press};
use super::palette::Palette;
use super::state::{Link, Mode, State};
use super::*;
use crate::publish::wire::{self, Line, OpenEvent, Top, TopLabel};

/// A program with a clock of its own, which has heard of the sources kitchen and porch.
struct Bench {
    state: State,
    now: Instant,
    hops: u64,
}

fn line(body: Body) -> Line {
    Line { v: wire::VERSION, seq: None, ts: Some("2026-11-20T08:30:46.120Z".to_owned()), body }
}

fn hello(sources: &[&str]) -> Line {
    let model = wire::ModelInfo { name: "ced-tiny".to_owned(), sha256: String::new(), labels: 527 };
    let sources = sources.iter().map(|source| (*source).to_owned()).collect();
    line(Body::Hello { version: "0.1.0".to_owned(), model, sources })
}

fn label(name: &str, score: f64, thresholds: Option<(f64, f64)>, why: &str, because: &str) -> TopLabel {
    TopLabel {
        label: name.to_owned(),
        slug: name.to_lowercase(),
        score,
        two_sided: thresholds.map(|_| score * 0.8),
        threshold: thresholds.map(|(threshold, _)| threshold),
        start_threshold: thresholds.map(|(_, start)| start),
        release: thresholds.map(|(threshold, _)| (threshold * 1e3).round() / 1e4),
        why: why.to_owned(),
        because: because.to_owned(),
    }
}

impl Bench {
    fn new(sources: &[&str]) -> Self {
        let now = Instant::now();
        let state = State::new(&hello(sources), 40, Duration::from_millis(200), TimeZone::UTC, now);
        Self { state, now, hops: 0 }
    }

    /// A minute of a kitchen in which somebody speaks every 15 seconds, now among them.
    fn kitchen() -> Self {
        let mut bench = Self::new(&["kitchen", "porch"]);
        for step in 1..=300u32 {
            let wave = ((step % 75) as f64 / 75.0 * std::f64::consts::TAU).cos();
            let speech = 0.002f64.powf(0.5 - wave / 2.0) * 0.9;
            bench.hear(vec![bench.top("kitchen", speech), bench.top("porch", 0.002)]);
            bench.pass(200);
        }
        bench.state.requests();
        bench
    }

    fn top(&self, source: &str, speech: f64) -> Top {
        let is_open = speech >= 0.14;
        let why = if is_open { ("open", "an event is open") } else { ("below", "below its start threshold: 0.018 of 0.140") };
        let open = OpenEvent {
            id: "x".to_owned(),
            label: "Speech".to_owned(),
            slug: "speech".to_owned(),
            onset: "2026-11-20T08:30:42.920Z".to_owned(),
            peak_score: 0.9,
            confirmed: true,
            also: vec!["Conversation".to_owned()],
        };
        Top {
            source: source.to_owned(),
            level_dbfs: -31.4,
            noise_floor_dbfs: -62.5,
            clipped_samples: if source == "porch" { 12 } else { 0 },
            hops: self.hops,
            hop_ms: 100,
            two_sided_lag_ms: 2_700,
            open: if is_open { vec![open] } else { vec![] },
            labels: vec![
                label("Speech", speech, Some((0.2, 0.14)), why.0, why.1),
                label("Conversation", 0.3, Some((0.2, 0.14)), "held", "the same sound is told as Speech"),
                label("Inside, small room", 0.1, None, "not_reported", "[report] does not name it"),
                label("Dog", 0.08, Some((0.3, 0.15)), "below", "below its start threshold: 0.080 of 0.150"),
                label("Bark", 0.06, Some((0.2, 0.05)), "cooling_down", "cooling down for another 12.3 s"),
                label("Glass", 0.03, Some((0.006, 0.004)), "too_quiet", "too quiet: -62.0 of -60.0 dBFS"),
                label(
                    "Smoke detector, smoke alarm",
                    0.004,
                    Some((0.1, 0.07)),
                    "below",
                    "below its start threshold: 0.004 of 0.070",
                ),
            ],
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.state.tick(self.now);
    }

    fn hear(&mut self, sources: Vec<Top>) {
        self.hops += 2;
        self.state.take(line(Body::Top { sources }), self.now);
    }

    fn take(&mut self, body: Body) {
        self.state.take(line(body), self.now);
    }

    fn press(&mut self, code: KeyCode) -> Option<Act> {
        press(&mut self.state, KeyEvent::new(code, KeyModifiers::NONE), self.now)
    }

    fn keys(&mut self, keys: &str) -> Option<Act> {
        keys.chars().map(|key| self.press(KeyCode::Char(key))).last().flatten()
    }

    /// What is asked for, beside the strongest labels and the health.
    fn asked(&mut self) -> Vec<String> {
        let asks = self.state.requests().into_iter().filter(|ask| !matches!(ask, Request::Top { .. } | Request::Status {}));
        asks.map(|ask| serde_json::to_string(&ask).unwrap()).collect()
    }

    fn message(&self) -> &str {
        self.state.message.as_ref().map(|message| message.text.as_str()).unwrap_or_default()
    }

    fn drawn(&self, width: u16, height: u16, palette: Palette) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(&self.state, palette, frame.buffer_mut())).unwrap();
        terminal
    }

    fn picture(&self, width: u16, height: u16) -> String {
        self.drawn(width, height, Palette::Plain).backend().to_string()
    }
}

#[test]
fn a_screen_of_120_by_36() {
    insta::assert_snapshot!(Bench::kitchen().picture(120, 36), @r#"
    "mimid 0.1.0  ced-tiny   1 kitchen    2 porch                                                                            "
    "████████████┃██████████████████████▎╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  -31.4 dBFS       noise floor -62.5                          "
    "-80          -60           -40           -20             0                                                              "
    "                                                                                                                        "
    "   label                    last minute       score   start  2-sided  thresh   why                                      "
    "▸● Speech                   ⣿⣦⣦⣿⣿⣦⣦⣿⣿⣦⣦⣿⣿⣦⣦⣿  0.900   0.140    0.720   0.200   an event is open                         "
    " ○ Conversation             ⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.300   0.140    0.240   0.200   the same sound is told as Speech         "
    "   Inside, small room       ⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.100                            [report] does not name it                "
    "   Dog                      ⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦  0.080   0.150    0.064   0.300   below its start threshold: 0.080 of 0.150"
    "   Bark                     ⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.060   0.050    0.048   0.200   cooling down for another 12.3 s          "
    "   Glass                    ⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤  0.030  0.0040    0.024  0.0060   too quiet: -62.0 of -60.0 dBFS           "
    "   Smoke detector, smoke a… ⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦  0.004   0.070    0.003   0.100   below its start threshold: 0.004 of 0.070"
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "Speech   an event is open                                                ─ score 0.900   ▒ 2-sided 0.720   release 0.020"
    "    1 ⠒⠢⣀              ⢀⡤⡴⡤⣀⠔⠒⠑⠢⣀              ⢀⡤⡴⡤⣀⠔⠒⠑⠢⣀              ⢀⡤⡴⡤⣀⠔⠒⠑⠢⣀              ⢀⡤⡴ ⣀⠔⠊                  "
    "      ⣀⡀⣀⡣⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣴⡫⣪⡪⣾⡫⣳⡀⣀⡀⣀⡣⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣴⡫⣪⡪⣾⡫⣳⡀⣀⡀⣀⡣⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣴⡫⣪⡪⣾⡫⣳⡀⣀⡀⣀⡣⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣀⡀⣴⡫⣪⡪⣔⡁⣀⡀ threshold 0.200  "
    "  0.1 ⡒  ⠒⠱⡀⠒  ⠒  ⠒ ⢀⡾⡪⡪⣺⡾⡪⡺⡪⡪⡖  ⠒⠱⡀⠒  ⠒  ⠒ ⢀⡾⡪⡪⣺⡾⡪⡺⡪⡪⡖  ⠒⠱⡀⠒  ⠒  ⠒ ⢀⡾⡪⡪⣺⡾⡪⡺⡪⡪⡖  ⠒⠱⡀⠒  ⠒  ⠒ ⢀⡾⡪⡪⣺⡾ ⠒   start 0.140      "
    "      ⡪⡂   ⠸⡀      ⢀⡪⡪⡪⣪⡾⡪⡪⡪⡪⡪⡪⡂   ⠸⡀      ⢀⡪⡪⡪⣪⡾⡪⡪⡪⡪⡪⡪⡂   ⠸⡀      ⢀⡪⡪⡪⣪⡾⡪⡪⡪⡪⡪⡪⡂   ⠸⡀      ⢀⡪⡪⡪⣪⡾⡪                      "
    "      ⡪⡪⣂   ⠘⢄    ⠠⡪⡪⡪⣪⡪⡪⡪⡪⡪⡪⡪⡪⡪⣂   ⠘⢄    ⠠⡪⡪⡪⣪⡪⡪⡪⡪⡪⡪⡪⡪⡪⣂   ⠘⢄    ⠠⡪⡪⡪⣪⡪⡪⡪⡪⡪⡪⡪⡪⡪⣂   ⠘⢄    ⠠⡪⡪⡪⣪⡪⡪⡪                      "
    " 0.01 ⡪⡪⡪⡣⡀  ⠈⢢  ⡠⡫⡪⡪⡪⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡣⡀  ⠈⢢  ⡠⡫⡪⡪⡪⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡣⡀  ⠈⢢  ⡠⡫⡪⡪⡪⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡣⡀  ⠈⢢  ⡠⡫⡪⡪⡪⡫⡪⡪⡪                      "
    "      ⡪⡪⡪⡪⡲⣀   ⢣⣴⡪⡪⣪⡾⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡲⣀   ⢣⣴⡪⡪⣪⡾⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡲⣀   ⢣⣴⡪⡪⣪⡾⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡲⣀   ⢣⣴⡪⡪⣪⡾⡫⡪⡪⡪⡪                      "
    "0.001 ⡪⡪⡪⡪⡪⡪⡳⡲⡲⡫⡪⡫⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡳⡲⡲⡫⡪⡫⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡳⡲⡲⡫⡪⡫⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡳⡲⡲⡫⡪⡫⡫⡪⡪⡪⡪⡪⡪⡪                      "
    "      -60 s                 -45 s                   -30 s                   -15 s                  now                  "
    "                                                                                                                        "
    "open events                                                                                                             "
    " ● Speech                   since 08:30:42 (3.2 s)   peak 0.900   confirmed   also Conversation                         "
    "                                                                                                                        "
    "                                                                                                                        "
    "↑↓ label   ←→ threshold   w write   u take back   p pause   ? keys   q end                                              "
    "#);
}

#[test]
fn a_screen_of_60_by_20() {
    insta::assert_snapshot!(Bench::kitchen().picture(60, 20), @r#"
    "mimid 0.1.0  ced-tiny   1 kitchen    2 porch                "
    "█████████┃███████████████▌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  -31.4 dBFS      "
    "                                                            "
    "   label            minute     score  thresh   why          "
    "▸● Speech           ⣧⣾⣿⣦⣿⣦⣿⣧⣾  0.900   0.200   open         "
    " ○ Conversation     ⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.300   0.200   held         "
    "   Inside, small r… ⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.100           not reported "
    "   Dog              ⣦⣦⣦⣦⣦⣦⣦⣦⣦  0.080   0.300   below        "
    "   Bark             ⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.060   0.200   cooling down "
    "   Glass            ⣤⣤⣤⣤⣤⣤⣤⣤⣤  0.030  0.0060   too quiet    "
    "   Smoke detector,… ⣦⣦⣦⣦⣦⣦⣦⣦⣦  0.004   0.100   below        "
    "                                                            "
    "Speech   an event is open                                   "
    "    1 ⣑⣄⣀⡀⣀⡀⣴⣲⣎⡑⣄⡀⣀⡀⣀⡴⣲⣎⣑⣄⣀⡀⣀⡀⣴⣲⣎⡑⣄⡀⣀⡀⣀⡴⣢⡊ threshold 0.200  "
    "  0.1 ⣋⠈⢆⠉ ⡬⣫⡫⡪⣋⠈⢆⠉ ⡬⣫⡫⡪⣋⠈⢆⠉ ⡬⣫⡫⡪⣋⠈⢆⠉ ⡬⣫⡃  start 0.140      "
    " 0.01 ⡪⣂⠈⢆⡨⣪⡯⡪⡪⡪⣂⠈⢆⡨⣪⡯⡪⡪⡪⣂⠈⢆⡨⣪⡯⡪⡪⡪⣂⠈⢆⡨⣪⡯⡂                   "
    "0.001 ⡪⡪⡢⡼⡺⡫⡪⡪⡪⡪⡪⡢⡼⡺⡫⡪⡪⡪⡪⡪⡢⡼⡺⡫⡪⡪⡪⡪⡪⡢⡼⡺⡫⡪⡂                   "
    "      -60 s  -45 s    -30 s    -15 s   now                  "
    "open Speech (3.2 s)                                         "
    "↑↓ label  ←→ threshold  ? keys  q end                       "
    "#);
}

#[test]
fn a_screen_of_40_by_10() {
    insta::assert_snapshot!(Bench::kitchen().picture(40, 10), @r#"
    "mimid   1 kitchen    2 porch            "
    "████┃████████▍╌╌╌╌╌╌╌╌  -31.4 dBFS      "
    "   label                  score  thresh "
    "▸● Speech                 0.900   0.200 "
    " ○ Conversation           0.300   0.200 "
    "   Inside, small room     0.100         "
    "   Dog                    0.080   0.300 "
    "   Bark                   0.060   0.200 "
    "open Speech (3.2 s)                     "
    "↑↓ label  ←→ threshold  ? keys  q end   "
    "#);
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    assert!(Bench::kitchen().picture(39, 10).contains("this window is too small"));
    assert!(Bench::kitchen().picture(1, 1).contains('…'));
}

#[test]
fn colour_is_used_as_far_as_the_terminal_has_it() {
    use ratatui::style::Color;
    let colours = |palette| {
        let terminal = Bench::kitchen().drawn(120, 36, palette);
        let cells = terminal.backend().buffer().content().iter();
        cells.map(|cell| cell.fg).filter(|colour| *colour != Color::Reset).collect::<Vec<_>>()
    };
    assert!(colours(Palette::Plain).is_empty());
    assert!(
        !colours(Palette::Ansi).is_empty() && colours(Palette::Ansi).iter().all(|colour| !matches!(colour, Color::Indexed(_)))
    );
    assert!(colours(Palette::Indexed).iter().any(|colour| matches!(colour, Color::Indexed(_))));
}

#[test]
fn a_source_that_clips_is_named_in_red() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Tab);
    let terminal = bench.drawn(120, 36, Palette::Ansi);
    let bad = terminal.backend().buffer().content().iter().filter(|cell| cell.fg == ratatui::style::Color::Red);
    let text: String = bad.map(|cell| cell.symbol()).collect();
    assert!(text.contains("clipping: 12 samples"), "{text}");
    assert!(bench.picture(40, 10).contains("clips"));
}

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
        threshold: 0.1261,
        start_threshold: 0.0883,
        release: 0.0126,
    });
    assert_eq!(bench.message(), "Conversation: threshold 0.1261, start threshold 0.0883, release 0.0126");
    assert!(bench.picture(120, 36).contains("0.088"), "the daemon's numbers are shown");
    assert_eq!(bench.keys("q"), None);
    assert_eq!(bench.state.mode, Mode::Leaving);
    assert!(bench.picture(120, 36).contains("1 threshold is changed and not written"));
    assert_eq!(bench.keys("x"), None);
    assert_eq!((bench.keys("qw"), &bench.state.mode), (Some(Act::Propose), &Mode::Watch));
    bench.keys("u");
    bench.pass(100);
    let back = r#"{"op":"set","label":"Conversation","threshold":0.2,"start_threshold":0.14,"release":0.02}"#;
    assert_eq!(bench.asked(), [back]);
    assert_eq!(bench.keys("q"), Some(Act::Quit));
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
    assert_eq!(bench.message(), "no threshold is changed: there is nothing to write");
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
fn what_is_written_is_loaded_and_is_no_change_any_more() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    bench.asked();
    let (threshold, start_threshold, release) = (0.2339, 0.1637, 0.0234);
    bench.take(Body::Set { label: "Speech".to_owned(), slug: "speech".to_owned(), threshold, start_threshold, release });
    bench.state.written(std::path::Path::new("/etc/mimid/config.toml"), bench.now);
    assert_eq!(bench.asked(), [r#"{"op":"reload"}"#]);
    assert_eq!(bench.state.changes.len(), 1);
    bench.take(Body::ConfigReloaded { changes: vec![] });
    assert_eq!(bench.message(), "/etc/mimid/config.toml is written and in force");
    assert_eq!(bench.state.changes.len(), 0);
    assert_eq!(bench.keys("q"), Some(Act::Quit));
}

#[test]
fn what_somebody_else_loads_undoes_what_is_not_written() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    let (threshold, start_threshold, release) = (0.2339, 0.1637, 0.0234);
    bench.take(Body::Set { label: "Speech".to_owned(), slug: "speech".to_owned(), threshold, start_threshold, release });
    let tops = vec![bench.top("kitchen", 0.9), bench.top("porch", 0.002)];
    bench.hear(tops);
    assert!(bench.message().starts_with("Speech was set by somebody else"), "{}", bench.message());
    assert_eq!(bench.state.changes.len(), 0);
}

#[test]
fn a_daemon_that_is_gone_leaves_its_picture_and_one_that_comes_is_told_of_the_changes() {
    let mut bench = Bench::kitchen();
    bench.press(KeyCode::Right);
    bench.pass(100);
    bench.asked();
    bench.state.lost("it closed the connection");
    let picture = bench.picture(120, 36);
    assert!(picture.contains("no daemon") && picture.contains("trying again: it closed the connection"), "{picture}");
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
    assert!(bench.picture(120, 36).contains("nothing has been heard yet"));
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

#[test]
fn the_keys_have_a_page() {
    let mut bench = Bench::kitchen();
    bench.keys("?");
    insta::assert_snapshot!(bench.picture(60, 20), @r#"
    "Keys                                                        "
    "                                                            "
    "Up, Down       choose a label (also k, j; Page Up, Page Dow…"
    "Home           choose whatever is on top                    "
    "Left, Right    lower or raise its threshold (also -, +); wi…"
    "u              take its change back                         "
    "w              show what would be written to the configurat…"
    "Tab, 1 … 9     another source                               "
    "p              let the picture stand still, or go on        "
    "Ctrl-L         draw everything anew                         "
    "Ctrl-Z         stop until the shell says fg                 "
    "q, Esc, Ctrl-C end                                          "
    "?              this page                                    "
    "*              marks a threshold that is changed and not wr…"
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "                                                            "
    "any key goes back                                           "
    "#);
    bench.keys("x");
    assert_eq!(bench.state.mode, Mode::Watch);
}

#[test]
fn names_of_the_daemon_do_not_rule_the_terminal() {
    let mut bench = Bench::new(&["kit\u{1b}[2Jchen"]);
    let mut top = bench.top("kit\u{1b}[2Jchen", 0.9);
    top.labels[0].label = "Spe\u{7}ech".to_owned();
    top.labels[0].because = "be\ncause\u{9b}31m".to_owned();
    top.open[0].also = vec!["Con\u{0}v".to_owned()];
    bench.hear(vec![top]);
    bench.take(Body::SourceLost { source: "kit\u{1b}[2Jchen".to_owned(), reason: "gone\r\n".to_owned() });
    for (width, height) in [(120, 36), (60, 20), (40, 10)] {
        let terminal = bench.drawn(width, height, Palette::Indexed);
        let cells = terminal.backend().buffer().content();
        assert!(cells.iter().all(|cell| !cell.symbol().chars().any(char::is_control)));
    }
}

fn some_top() -> impl Strategy<Value = Top> {
    let number = prop_oneof![Just(0.0), Just(1.0), Just(1e300), Just(-1.0), 0.0f64..1.0];
    let maybe = proptest::option::of(0.0f64..1.0);
    let why = prop_oneof![Just("open"), Just("held"), Just("below"), Just("too_quiet"), Just(""), Just("耳")];
    let labels = proptest::collection::vec((0..6u8, number, maybe.clone(), maybe.clone(), maybe, why), 0..12);
    (0..3u8, -200.0f64..50.0, -200.0f64..50.0, 0..3u64, 0..2_000u64, 0..300u32, 0..9_000u64, labels).prop_map(
        |(source, level_dbfs, noise_floor_dbfs, clipped_samples, hops, hop_ms, two_sided_lag_ms, labels)| {
            let labels = labels.into_iter().map(|(name, score, two_sided, threshold, start_threshold, why)| TopLabel {
                label: format!("label {name}"),
                slug: String::new(),
                score,
                two_sided,
                threshold,
                start_threshold,
                release: None,
                why: why.to_owned(),
                because: why.repeat(30),
            });
            Top {
                source: format!("source {source}"),
                level_dbfs,
                noise_floor_dbfs,
                clipped_samples,
                hops,
                hop_ms,
                two_sided_lag_ms,
                open: vec![],
                labels: labels.collect(),
            }
        },
    )
}

#[derive(Debug, Clone)]
enum Random {
    Key(KeyCode, KeyModifiers),
    Tops(Vec<Top>),
    Set(f64),
    Error,
    Reloaded,
    Lost,
    Connected,
    Pass(u64),
    Draw(u16, u16),
}

fn random() -> impl Strategy<Value = Random> {
    use KeyCode::*;
    let codes = [Up, Down, Left, Right, Home, PageUp, PageDown, Tab, BackTab, Esc, Char('u'), Char('w'), Char('p'), Char('?')];
    let code = prop_oneof![proptest::sample::select(codes.to_vec()), any::<char>().prop_map(Char)];
    let modifiers = prop_oneof![Just(KeyModifiers::NONE), Just(KeyModifiers::SHIFT), Just(KeyModifiers::CONTROL)];
    prop_oneof![
        6 => (code, modifiers).prop_map(|(code, modifiers)| Random::Key(code, modifiers)),
        3 => proptest::collection::vec(some_top(), 0..3).prop_map(Random::Tops),
        1 => (0.0f64..1.0).prop_map(Random::Set),
        1 => Just(Random::Error),
        1 => Just(Random::Reloaded),
        1 => Just(Random::Lost),
        1 => Just(Random::Connected),
        2 => (0..3_000u64).prop_map(Random::Pass),
        2 => (0..130u16, 0..45u16).prop_map(|(width, height)| Random::Draw(width, height)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_comes_there_is_a_picture_and_the_choice_is_one_of_its_rows(happenings in proptest::collection::vec(random(), 1..80)) {
        let mut bench = Bench::new(&["source 0", "source 1"]);
        for happening in happenings {
            match happening {
                Random::Key(code, modifiers) => {
                    press(&mut bench.state, KeyEvent::new(code, modifiers), bench.now);
                }
                Random::Tops(tops) => bench.take(Body::Top { sources: tops }),
                Random::Set(threshold) => bench.take(Body::Set {
                    label: "label 1".to_owned(),
                    slug: String::new(),
                    threshold,
                    start_threshold: threshold,
                    release: 0.0,
                }),
                Random::Error => bench.take(Body::Error { code: String::new(), message: "no".to_owned() }),
                Random::Reloaded => bench.take(Body::ConfigReloaded { changes: vec![] }),
                Random::Lost => bench.state.lost("gone"),
                Random::Connected => bench.state.connected(&hello(&["source 1", "source 2"]), bench.now),
                Random::Pass(ms) => bench.pass(ms),
                Random::Draw(width, height) => {
                    bench.picture(width.max(1), height.max(1));
                }
            }
            bench.state.tick(bench.now);
            prop_assert!(bench.state.next().is_none_or(|next| next > bench.now), "{:?}", bench.state.next());
            let state = &bench.state;
            prop_assert!(state.shown < state.sources.len().max(1));
            for source in &state.sources {
                let (rows, chosen) = (source.rows().len(), source.chosen_row());
                prop_assert!(chosen < rows || (rows == 0 && source.chosen().is_none()));
            }
            for (_, threshold) in state.changes.all() {
                prop_assert!((0.0..=1.0).contains(&threshold));
            }
        }
        for (width, height) in [(120, 36), (60, 20), (40, 10)] {
            bench.picture(width, height);
        }
    }
}
