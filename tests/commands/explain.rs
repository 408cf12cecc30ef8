//! `mimid explain` on real sounds: the reasons for an event and for its absence, and the picture.

use std::path::Path;

use crate::support::{RINGTONE, VOICE, failure, mimid, run, voice_and_silence, wav};

fn explain(config: &str, file: &Path, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, config).unwrap();
    let output = run(mimid().arg("explain").arg(file).args(arguments).arg("--config").arg(&path));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace(path.to_str().unwrap(), "c.toml")
}

/// The voice in noise about 20 dB below it.
fn noisy_voice(folder: &Path) -> std::path::PathBuf {
    let bytes = std::fs::read(VOICE).unwrap();
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 22) as i16 - 512
    };
    let voice = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    let silence = std::iter::repeat_n(0, 96_000);
    let samples: Vec<i16> =
        silence.clone().chain(voice).chain(silence).map(|sample: i16| sample.saturating_add(noise())).collect();
    let path = folder.join("noisy.wav");
    std::fs::write(&path, wav(&samples, 48_000, 1)).unwrap();
    path
}

#[test]
fn a_voice_is_explained_with_the_scores_that_announced_and_confirmed_it() {
    let told = explain("", Path::new(VOICE), &[]);
    assert!(told.starts_with(&format!("{VOICE}, 1.4")), "{told}");
    let events = told.split("\n\n").nth(1).unwrap();
    let mut lines = events.lines();
    assert_eq!(lines.next(), Some("events: 1"));
    assert!(lines.next().is_some_and(|line| line.contains(" s  Speech  -") && line.ends_with(" dBFS")), "{told}");
    assert!(
        events.contains("      announced at 0.") && events.contains(" s: causal score 0.") && events.contains(" reaches 0.475"),
        "{told}"
    );
    assert!(events.contains("      evidence: 0.") && events.contains(" reaches 0.669 [log odds: confirmed score +"), "{told}");
}

#[test]
fn a_label_that_is_no_event_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let voice = voice_and_silence(folder.path());
    let speech = |config: &str| explain(config, &voice, &["--label", "speech"]);
    let high = speech("[labels.Speech]\nthreshold = 0.999");
    assert!(high.contains("Speech: threshold 0.999, start threshold 0.699, release 0.100"), "{high}");
    assert!(high.contains(": below its threshold 0.999; a threshold of 0."), "{high}");
    let quiet = speech("[labels.Speech]\nmin_level_dbfs = -10.0\nconfirm = \"2/3\"");
    assert!(quiet.contains(" dBFS, where min_level_dbfs asks for -10.0"), "{quiet}");
    assert!(quiet.contains("release 0.067, confirm 2/3, min_level_dbfs -10.0\n"), "{quiet}");
    assert!(speech("[labels.Speech]\nmin_duration_ms = 5000").contains("too short, where min_duration_ms asks for 5000"));
    let faint = explain("[labels.Speech]\nmin_snr_db = 30.0", &noisy_voice(folder.path()), &["--label", "Speech"]);
    assert!(faint.contains(": too faint: ") && faint.contains(" dB above the noise, where min_snr_db asks for 30.0"), "{faint}");
    let ignored = speech("[report]\nignore = [\"Speech\"]");
    assert!(ignored.contains("; [report] ignore leaves it out (c.toml:2)"), "{ignored}");
    assert!(ignored.contains("  not reported\n"), "{ignored}");
    let overview = explain("[report]\nlabels = [\"Bark\"]", &voice, &[]);
    assert!(overview.contains("events: 0\n"), "{overview}");
    let left_out =
        overview.split("segments of labels that the report leaves out, which would have been events\n").nth(1).unwrap();
    assert!(left_out.contains("Speech") && left_out.contains("; [report] does not name it (c.toml:2)"), "{overview}");
    assert!(explain("", &voice, &["--label", "Zing"]).contains("its evidence never rose above 0.002"));
}

#[test]
fn a_moment_is_explained_with_the_scores_then_and_the_event_afterwards() {
    let at = explain("", Path::new(VOICE), &["--at", "0.8"]);
    let speech = at.split("\n\n").find(|part| part.starts_with("  Speech\n")).unwrap_or_else(|| panic!("{at}"));
    assert!(speech.contains("causal score: 0.") && speech.contains(" reaches 0.475"), "{at}");
    assert!(speech.contains("      evidence: 0.") && speech.contains(" reaches 0.669"), "{at}");
    assert!(speech.contains("evidence every 0.5 s from 0.0 s on: 0."), "{at}");
    assert!(speech.contains("at that moment: announced, not yet confirmed"), "{at}");
    assert!(speech.contains("afterwards: Speech 0.") && speech.contains(" was confirmed"), "{at}");
    // A label that is named is explained even where its scores are low.
    let bark = explain("[report]\nlabels = [\"Speech\", \"Bark\"]", Path::new(VOICE), &["--at", "0.8", "--label", "Bark"]);
    assert!(bark.contains("at that moment: below its start threshold"), "{bark}");
}

#[test]
fn the_picture_is_an_svg_or_a_png() {
    let folder = tempfile::tempdir().unwrap();
    let (svg, png) = (folder.path().join("p.svg"), folder.path().join("p.png"));
    explain("", Path::new(RINGTONE), &["--plot", svg.to_str().unwrap()]);
    let text = std::fs::read_to_string(&svg).unwrap();
    let tree = resvg::usvg::Tree::from_str(&text, &resvg::usvg::Options::default()).unwrap();
    assert!(tree.size().width() > 1_000.0);
    for part in ["phone-incoming-call.oga", "Ringtone", "Spectrogram", "data:image/png;base64,"] {
        assert!(text.contains(part), "{part}");
    }
    explain(
        "",
        Path::new(RINGTONE),
        &["--plot", png.to_str().unwrap(), "--at", "0.5", "--label", "Speech", "--label", "Telephone"],
    );
    let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&png).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let shape = reader.next_frame(&mut pixels).unwrap();
    assert!(shape.width > 2_000 && shape.height > 1_000);
    // It shows more than one colour.
    assert!(pixels.iter().any(|pixel| *pixel != pixels[0]));
}

#[test]
fn what_cannot_be_explained_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let truncated = folder.path().join("truncated.wav");
    let voice = std::fs::read(VOICE).unwrap();
    std::fs::write(&truncated, &voice[..voice.len() / 2]).unwrap();
    let of = |file: &str, arguments: &[&str]| failure(mimid().arg("explain").arg(file).args(arguments));
    assert_eq!(of("/nonexistent.wav", &[]), (1, "mimid: /nonexistent.wav: there is no such file".to_owned()));
    assert_eq!(
        of(VOICE, &["--label", "Speach"]),
        (2, "mimid: there is no label \"Speach\"; did you mean \"Speech\"?".to_owned())
    );
    assert_eq!(
        of(VOICE, &["--plot", "picture.gif"]),
        (2, "mimid: picture.gif names no picture format; give --plot a file that ends in .svg or .png".to_owned())
    );
    let missing = folder.path().join("missing/p.svg");
    let (code, sentence) = of(VOICE, &["--plot", missing.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(sentence.starts_with(&format!("mimid: {} cannot be written: ", missing.display())), "{sentence}");
    let (code, sentence) = of(VOICE, &["--at", "99"]);
    assert_eq!((code, sentence.ends_with("before the moment 99 s")), (2, true), "{sentence}");
    for wrong in ["-1", "nan", "soon"] {
        let (code, sentence) = of(VOICE, &[&format!("--at={wrong}")]);
        assert_eq!((code, sentence.contains("it must be a number of seconds, 0 or more")), (2, true), "{sentence}");
    }
    let output = run(mimid().arg("explain").arg(&truncated));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is truncated; what it holds was scanned"));
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("truncated.wav, 0.7"));
}
