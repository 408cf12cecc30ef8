//! Pictures of the screen.

use ratatui::style::Color;

use super::*;

#[test]
fn a_screen_of_120_by_36() {
    insta::assert_snapshot!(Bench::kitchen().picture(120, 36), @r#"
    "mimid 0.1.0  ced-tiny   1 kitchen    2 porch                                                                            "
    "████████████┃██████████████████████▎╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  -31.4 dBFS       noise floor -62.5                          "
    "-80          -60           -40           -20             0                                                              "
    "                                                                                                                        "
    "   label                    last minute      causal   start  confirmed  thresh   why                                    "
    "▸● Speech                   ⣿⣦⣦⣿⣿⣦⣦⣿⣿⣦⣦⣿⣿⣦⣦⣿  0.900   0.140      0.720   0.200   an event is open                       "
    " ○ Conversation             ⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.300   0.140      0.240   0.200   the same sound is reported as Speech   "
    "   Inside, small room       ⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.100                              [report] does not name it              "
    "   Dog                      ⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦  0.080   0.150      0.064   0.300   below its start threshold              "
    "   Bark                     ⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶  0.060   0.050      0.048   0.200   cooling down for another 12.3 s        "
    "   Glass                    ⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤⣤  0.030  0.0040      0.024  0.0060   too quiet: -62.0 dBFS, must be -60.0   "
    "   Smoke detector, smoke a… ⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦⣦  0.004   0.070      0.003   0.100   below its start threshold              "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "                                                                                                                        "
    "Speech   an event is open                                             ─ causal 0.900   ▒ confirmed 0.720   release 0.020"
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
    "                                                                                                                        "
    "↑↓ label   ←→ threshold   w write   u undo   p pause   ? keys   q end                                                   "
    "#);
}

#[test]
fn a_screen_of_60_by_20() {
    insta::assert_snapshot!(Bench::kitchen().picture(60, 20), @r#"
    "mimid 0.1.0  ced-tiny   1 kitchen    2 porch                "
    "█████████┃███████████████▌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  -31.4 dBFS      "
    "                                                            "
    "   label            minute    causal  thresh   why          "
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
    "   label                 causal  thresh "
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
    let bad = terminal.backend().buffer().content().iter().filter(|cell| cell.fg == Color::Red);
    let text: String = bad.map(|cell| cell.symbol()).collect();
    assert!(text.contains("clipping: 12 samples"), "{text}");
    assert!(bench.picture(40, 10).contains("clips"));
}

#[test]
fn the_keys_have_a_page() {
    let mut bench = Bench::kitchen();
    bench.keys("?");
    insta::assert_snapshot!(bench.picture(60, 20), @r#"
    "Keys                                                        "
    "                                                            "
    "Up, Down       choose a label (also k, j; Page Up, Page Dow…"
    "Home           choose the label on top from now on          "
    "Left, Right    lower or raise its threshold (also -, +); wi…"
    "u              undo the change of its threshold             "
    "w              show the change of the configuration file, t…"
    "Tab, 1 … 9     show another source                          "
    "p              pause the picture, or go on                  "
    "Ctrl-L         draw the screen again                        "
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
fn names_of_the_daemon_cannot_control_the_terminal() {
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
