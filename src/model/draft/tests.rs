use super::*;
use crate::model::manifest::LogMelParameters;

fn seen(input: &[i64], outputs: &[(&str, &[i64])]) -> Seen {
    let tensor = |name: &str, shape: &[i64]| Tensor { name: name.to_owned(), shape: Some(shape.to_vec()) };
    Seen { inputs: vec![tensor("x", input)], outputs: outputs.iter().map(|(name, shape)| tensor(name, shape)).collect() }
}

fn at(sample_rate_hz: u32) -> Asked {
    Asked { sample_rate_hz: Some(sample_rate_hz), ..Asked::default() }
}

fn spectrogram(n_mels: usize) -> Asked {
    let parameters = LogMelParameters { n_mels, ..LogMelParameters::of_ced() };
    Asked { log_mel: Some((parameters, String::new())), ..at(16_000) }
}

/// The shape, in the manifest's words, and the window and its hop in milliseconds.
fn drafted(input: &[i64], asked: &Asked) -> Result<(String, u32, u32), String> {
    let draft = Draft::of(&seen(input, &[("y", &[1, 3])]), asked, 3).map_err(|error| error.to_string())?;
    let manifest = draft.manifest(&Texts::default(), OutputKind::Logits);
    let shape = manifest.lines().find_map(|line| line.strip_prefix("shape = ")).unwrap().to_owned();
    Ok((shape, draft.window_ms, draft.hop_ms))
}

#[test]
fn a_waveform_of_a_known_length_needs_no_word() {
    let asked = Asked::default();
    let batch = |window, hop| Ok((r#"["batch", "samples"]"#.to_owned(), window, hop));
    assert_eq!(drafted(&[1, 15_600], &asked), batch(975, 100));
    assert_eq!(drafted(&[-1, 15_600], &asked), batch(975, 100));
    assert_eq!(drafted(&[4, 144_000], &asked), batch(3_000, 300));
    assert_eq!(drafted(&[1, 320_000], &asked), batch(10_000, 1_000));
    assert_eq!(drafted(&[15_600], &asked), Ok((r#"["samples"]"#.to_owned(), 975, 100)));
    let told = drafted(&[1, 32_000], &asked).unwrap_err();
    assert_eq!(told, "the graph does not say its sample rate; name it with --sample-rate, in Hz");
    assert_eq!(drafted(&[1, 32_000], &at(32_000)), batch(1_000, 100));
}

#[test]
fn a_waveform_of_any_length_has_windows_of_a_second() {
    assert_eq!(drafted(&[-1], &at(16_000)), Ok((r#"["samples"]"#.to_owned(), 1_000, 100)));
    let asked = Asked { window_ms: Some(50), ..at(16_000) };
    assert_eq!(drafted(&[-1, 1, -1], &asked), Ok((r#"["batch", 1, "samples"]"#.to_owned(), 50, 50)));
    assert_eq!(drafted(&[1, -1, 1], &asked), Ok((r#"["batch", "samples", 1]"#.to_owned(), 50, 50)));
}

#[test]
fn the_bands_of_a_log_mel_are_told_from_its_frames() {
    let shape = |shape: &str, window| Ok((shape.to_owned(), window, 100));
    assert_eq!(drafted(&[-1, 1, 64, -1], &spectrogram(64)), shape(r#"["batch", 1, "mels", "frames"]"#, 1_000));
    assert_eq!(drafted(&[1, 101, 64], &spectrogram(64)), shape(r#"["batch", "frames", "mels"]"#, 1_000));
    assert_eq!(drafted(&[1, 97, 128, 1], &spectrogram(128)), shape(r#"["batch", "frames", "mels", 1]"#, 960));
    assert_eq!(drafted(&[64, 101], &spectrogram(64)), shape(r#"["mels", "frames"]"#, 1_000));
    assert_eq!(drafted(&[-1, -1, 1, -1], &spectrogram(64)), shape(r#"["batch", "mels", 1, "frames"]"#, 1_000));
    let told = drafted(&[1, 101, 64], &spectrogram(128)).unwrap_err();
    assert_eq!(told, r#"the graph takes "x" [1, 101, 64], which is no log-mel spectrogram of 128 bands"#);
    assert!(drafted(&[1, 64, 2, 101], &spectrogram(64)).is_err());
}

#[test]
fn what_the_graph_does_not_allow_is_one_sentence() {
    insta::assert_snapshot!(drafted(&[1, 1, 64, 97], &at(16_000)).unwrap_err(), @r#"the graph takes "x" [1, 1, 64, 97], which is no waveform; a log-mel spectrogram is defined by a file that is named with --log-mel"#);
    insta::assert_snapshot!(drafted(&[1, 32_768], &at(44_100)).unwrap_err(), @"the graph takes 32768 samples, which are no whole number of milliseconds at 44100 Hz; another --sample-rate may be the right one");
    insta::assert_snapshot!(drafted(&[1, 15_600], &Asked { window_ms: Some(960), ..Asked::default() }).unwrap_err(), @"the graph takes a window of 975 ms alone, and not one of 960 ms");
    insta::assert_snapshot!(drafted(&[1, 16_000], &at(7)).unwrap_err(), @"a sample rate of 7 Hz is out of range; it must be from 1000 to 192000");
    let two = Seen {
        inputs: vec![Tensor { name: "a".into(), shape: None }, Tensor { name: "b".into(), shape: Some(vec![-1]) }],
        outputs: Vec::new(),
    };
    insta::assert_snapshot!(Draft::of(&two, &Asked::default(), 3).unwrap_err().to_string(), @r#"the graph takes 2 inputs ("a", which is no tensor of f32 or f16; "b" [any]), and mimid gives one"#);
}

#[test]
fn the_scores_are_found_among_several_outputs() {
    let of = |outputs: &[(&str, &[i64])], asked: &Asked| {
        let draft = Draft::of(&seen(&[1, 15_600], outputs), asked, 521).map_err(|error| error.to_string())?;
        Ok::<_, String>((draft.output, draft.embedding))
    };
    let yamnet: [(&str, &[i64]); 3] = [("mel", &[96, 64]), ("embedding", &[1, 1_024]), ("scores", &[1, 521])];
    assert_eq!(of(&yamnet, &Asked::default()), Ok(("scores".to_owned(), None)));
    let asked = Asked { embedding: Some("embedding".to_owned()), ..Asked::default() };
    assert_eq!(of(&yamnet, &asked), Ok(("scores".to_owned(), Some(("embedding".to_owned(), 1_024)))));
    assert_eq!(of(&[("mel", &[96, 64]), ("scores", &[-1, -1])], &Asked::default()), Ok(("scores".to_owned(), None)));
    let two: [(&str, &[i64]); 2] = [("clip", &[1, 521]), ("frames", &[1, 10, 521])];
    insta::assert_snapshot!(of(&two, &Asked::default()).unwrap_err(), @r#"the graph has several outputs that may be the 521 scores ("clip" [1, 521]; "frames" [1, 10, 521]); name one with --output"#);
    assert_eq!(of(&two, &Asked { output: Some("frames".to_owned()), ..Asked::default() }).unwrap().0, "frames");
    insta::assert_snapshot!(of(&two, &Asked { output: Some("x".to_owned()), ..Asked::default() }).unwrap_err(), @r#"the graph has no output "x"; it gives "clip" [1, 521]; "frames" [1, 10, 521]"#);
    insta::assert_snapshot!(of(&[("scores", &[1, 527])], &Asked::default()).unwrap_err(), @r#"the label map has 521 labels, and no output of the graph has as many: "scores" [1, 527]"#);
}

#[test]
fn a_manifest_quotes_what_it_is_given() {
    let draft = Draft::of(&seen(&[1, 15_600], &[("y", &[1, 3])]), &Asked::default(), 3).unwrap();
    let texts = Texts { name: "a \"b\"", licence: "MIT", source: "x\\y", graph: ("m.onnx", "00".to_owned()), ..Texts::default() };
    let manifest: toml::Table = draft.manifest(&texts, OutputKind::Probabilities).parse().unwrap();
    assert_eq!((manifest["name"].as_str(), manifest["source"].as_str()), (Some("a \"b\""), Some("x\\y")));
    assert_eq!(manifest["output"]["kind"].as_str(), Some("probabilities"));
}
