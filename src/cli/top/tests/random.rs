//! Random events in random order: the state keeps its invariants, and every picture can be drawn.

use proptest::prelude::*;

use super::*;

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
                background: two_sided,
                threshold,
                start_threshold,
                release: None,
                why: why.into(),
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
                    thresholds: Thresholds { threshold, start_threshold: threshold, release: 0.0 },
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
