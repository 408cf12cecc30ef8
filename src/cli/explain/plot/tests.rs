//! Whole pictures: for any input the SVG can be parsed, is of bounded size, and shows its content.

use proptest::prelude::*;
use resvg::usvg::{Options, Tree};

use super::raster::PlotError;
use super::*;

const NOTHING: Spectrogram = Spectrogram { frames: &[], n_bands: 0, frame_s: 0.01, first_frame_s: 0.0, band_hz: &[] };

fn empty(title: &str) -> Picture<'_> {
    Picture { title, from_s: 0.0, to_s: 10.0, spectrogram: NOTHING, panels: Vec::new(), events: Vec::new(), moment_s: None }
}

fn panel<'a>(label: &'a str, confirmed: &'a [(f64, f32)]) -> Panel<'a> {
    Panel { label, hop_s: 0.1, causal: &[], confirmed, threshold: 0.25, start_threshold: 0.4, note: "" }
}

fn dog(onset_s: f64) -> Mark<'static> {
    Mark { label: "Dog", onset_s, offset_s: onset_s + 1.0, score: 0.87 }
}

/// Parses a picture as SVG and returns its height.
fn read(svg: &str) -> f32 {
    let size = Tree::from_str(svg, &Options::default()).unwrap().size();
    assert_eq!(size.width(), WIDTH as f32);
    size.height()
}

#[test]
fn an_empty_picture_says_so() {
    let picture = svg(&Picture { panels: vec![panel("Dog", &[])], ..empty("silence.wav") });
    read(&picture);
    for said in ["silence.wav", "0.00 to 10.00 s, no events", "no sound in this time span", "no scores in this time span"] {
        assert!(picture.contains(said), "{said:?} is not in {picture}");
    }
}

#[test]
fn a_picture_shows_its_content() {
    let frames = [-60.0; 2_000];
    let spectrogram = Spectrogram { frames: &frames, n_bands: 2, frame_s: 0.01, first_frame_s: 0.0, band_hz: &[100.0, 1_000.0] };
    let scores: Vec<_> = (0..100).map(|hop| (f64::from(hop) * 0.1, 0.2)).collect();
    let panels = vec![Panel { note: "not reported", ..panel("Dog", &scores) }];
    let picture = svg(&Picture { panels, spectrogram, events: vec![dog(2.0)], moment_s: Some(4.0), ..empty("garden.wav") });
    read(&picture);
    for shown in
        ["1 event", ">0.87<", ">0.25<", ">0.4<", ">not reported<", ">4.00 s<", ">100 Hz<", ">1 kHz<", " dB<", "data:image/png"]
    {
        assert!(picture.contains(shown), "{shown:?} is not in {picture}");
    }
}

#[test]
fn a_moment_outside_of_the_axis_is_not_drawn() {
    let with = |moment_s| svg(&Picture { moment_s, ..empty("a.wav") });
    assert_eq!(with(Some(11.0)), with(None));
    assert_eq!(with(Some(f64::NAN)), with(None));
    assert_ne!(with(Some(9.0)), with(None));
}

#[test]
fn labels_without_a_row_of_their_own_share_one() {
    let names: Vec<_> = (0..40).map(|label| format!("Label {label}")).collect();
    let events = names.iter().map(|label| Mark { label, ..dog(3.0) }).collect();
    let picture = svg(&Picture { events, ..empty("a.wav") });
    assert!(picture.contains("29 more labels") && picture.contains("40 events"));
    assert!(read(&picture) < 800.0);
}

#[test]
fn an_hour_of_scores_and_events_is_not_large() {
    let scores: Vec<_> = (0..36_000).map(|hop| (f64::from(hop) * 0.1, 1.0 / (1 + hop % 977) as f32)).collect();
    let panels = vec![Panel { causal: &scores, ..panel("Dog", &scores) }; 6];
    let events = (0..3_600).map(|second| dog(f64::from(second))).collect();
    let picture = svg(&Picture { to_s: 3_600.0, panels, events, ..empty("hour.wav") });
    read(&picture);
    assert!(picture.len() < 500_000, "{} bytes", picture.len());
}

#[test]
fn a_png_has_twice_the_size() {
    let picture = svg(&empty("a.wav"));
    let height = read(&picture);
    match png(&picture) {
        Ok(image) => {
            let reader = ::png::Decoder::new(std::io::Cursor::new(image)).read_info().unwrap();
            assert_eq!((reader.info().width, reader.info().height), (2 * WIDTH as u32, 2 * height as u32));
        }
        // On a machine without fonts, no other error is right.
        Err(error) => assert!(matches!(error, PlotError::NoFont), "{error}"),
    }
}

/// The picture without its spectrogram, whose base64 may contain anything, "NaN" too.
fn without_image(svg: &str) -> String {
    let Some((before, image)) = svg.split_once("data:image/png;base64,") else { return svg.to_owned() };
    let (_, after) = image.split_once('"').unwrap();
    format!("{before}{after}")
}

/// Numbers of all kinds, mostly valid ones.
fn seconds() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..100.0, 1 => any::<f64>(), 1 => prop::num::f64::ANY]
}

fn score() -> impl Strategy<Value = f32> {
    prop_oneof![4 => 0.0f32..1.0, 1 => prop::num::f32::ANY]
}

fn curve() -> impl Strategy<Value = Vec<(f64, f32)>> {
    let sorted = (0.001..1.0, prop::collection::vec(score(), 0..2_000))
        .prop_map(|(hop_s, scores)| scores.into_iter().enumerate().map(|(hop, score)| (hop as f64 * hop_s, score)).collect());
    prop_oneof![sorted, prop::collection::vec((seconds(), score()), 0..50)]
}

type Labelled = (String, f64, Vec<(f64, f32)>, Vec<(f64, f32)>, f32, f32);
type Sound = (Vec<f32>, usize, f64, f64, Vec<f64>);

fn labelled() -> impl Strategy<Value = Labelled> {
    (any::<String>(), seconds(), curve(), curve(), score(), score())
}

fn sound() -> impl Strategy<Value = Sound> {
    let decibel = prop_oneof![4 => -90.0f32..0.0, 1 => prop::num::f32::ANY];
    (prop::collection::vec(decibel, 0..500), 0usize..70, seconds(), seconds(), prop::collection::vec(seconds(), 0..70))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_picture_can_be_read_and_is_bounded(
        title in any::<String>(),
        (from_s, to_s) in (seconds(), seconds()),
        moment_s in prop::option::of(seconds()),
        (frames, n_bands, frame_s, first_frame_s, band_hz) in sound(),
        labelled in prop::collection::vec(labelled(), 0..6),
        marks in prop::collection::vec((0usize..6, seconds(), seconds(), score()), 0..300),
    ) {
        let panels: Vec<_> = labelled
            .iter()
            .map(|(label, hop_s, causal, confirmed, threshold, start_threshold)| Panel {
                label, hop_s: *hop_s, causal, confirmed, threshold: *threshold, start_threshold: *start_threshold, note: label,
            })
            .collect();
        let name = |label: usize| panels.get(label).map_or("Dog", |panel| panel.label);
        let events = marks
            .iter()
            .map(|(label, onset_s, offset_s, score)| Mark {
                label: name(*label), onset_s: *onset_s, offset_s: *offset_s, score: *score,
            })
            .collect();
        let spectrogram = Spectrogram { frames: &frames, n_bands, frame_s, first_frame_s, band_hz: &band_hz };
        let picture = svg(&Picture { title: &title, from_s, to_s, spectrogram, panels, events, moment_s });
        prop_assert!(read(&picture) < 2_000.0);
        prop_assert!(picture.len() < 600_000, "{} bytes", picture.len());
        let drawn = without_image(&picture);
        prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf\""), "{picture}");
        prop_assert!(picture.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
