use super::*;
use crate::model::labels::SuitedThresholds;

fn sound(name: &str, sha256: &str) -> LearntSound {
    LearntSound {
        name: name.to_owned(),
        is_a: None,
        corrects: None,
        model_sha256: sha256.to_owned(),
        thresholds: SuitedThresholds { threshold: 0.5, start_threshold: 0.625, highest: None },
        head: Head { weights: (0..20).map(|i| i as f32 / 8.0 - 1.0).collect(), offset: -0.5 },
        examples: vec![Example { recording: "kettle \"one\".wav".to_owned(), embeddings: vec![0.25; 40] }],
        negatives: vec![Example { recording: "kitchen.flac".to_owned(), embeddings: vec![-0.5; 20] }],
    }
}

fn labels() -> Labels {
    Labels::new([("/m/a".to_owned(), "Alarm".to_owned()), ("/m/d".to_owned(), "Dog".to_owned())], Vec::new())
}

#[test]
fn a_sound_is_the_same_after_it_was_written_and_read_and_its_text_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let written = LearntSound { is_a: Some("Alarm".to_owned()), ..sound("Kettle", "ab") };
    let path = file::write(folder.path(), &written).unwrap();
    assert!(path.ends_with("kettle.toml"));
    assert_eq!(file::read(&path).unwrap(), written);
    assert_eq!(file::print(&file::read(&path).unwrap()), std::fs::read_to_string(&path).unwrap());
}

#[test]
fn heads_give_the_logistic_function_of_the_weighted_sum() {
    let sounds =
        [sound("Kettle", "ab"), LearntSound { head: Head { weights: vec![0.0; 20], offset: 0.0 }, ..sound("Gate", "ab") }];
    let (heads, mut scores) = (Heads::new(&sounds), [0.0; 2]);
    let embedding: Vec<f32> = (0..20).map(|i| if i % 2 == 0 { 0.5 } else { -0.25 }).collect();
    heads.score(&embedding, &mut scores);
    let sum: f64 = (0..20).map(|i| (f64::from(i) / 8.0 - 1.0) * if i % 2 == 0 { 0.5 } else { -0.25 }).sum::<f64>() - 0.5;
    assert!((f64::from(scores[0]) - 1.0 / (1.0 + (-sum).exp())).abs() < 1e-6, "{scores:?}");
    assert_eq!(scores[1], 0.5);
}

#[test]
fn a_correction_lowers_its_label_alone_and_never_by_more_than_it_may() {
    let correction = |weight: f32| LearntSound {
        corrects: Some(Corrects { label: "alarm".to_owned(), at_most: 3.0 }),
        head: Head { weights: vec![weight, 0.0], offset: 0.0 },
        ..sound("Telephone, not Alarm", "ab")
    };
    let lowered = |weight: f32| {
        let mut scores = [0.9, 0.9];
        Corrections::new(&[correction(weight)], &labels()).lower(&[1.0, 0.0], &mut scores);
        scores
    };
    let nine_to_one = (0.9f32 / 0.1).ln();
    for (weight, by) in [(-1.0, 0.0), (2.0, 2.0), (100.0, 3.0)] {
        let [alarm, dog] = lowered(weight);
        assert!((alarm - probability(nine_to_one - by)).abs() < 1e-5, "{weight}: {alarm}");
        assert_eq!(dog, 0.9);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = file::write(folder.path(), &correction(2.0)).unwrap();
    assert_eq!(file::read(&path).unwrap(), correction(2.0));
    assert!(Corrections::new(&[sound("Kettle", "ab")], &labels()).corrections.is_empty());
}

#[test]
fn a_folder_gives_the_sounds_that_suit_the_model_and_a_sentence_for_each_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let labels = labels();
    let suits = Suits { labels: &labels, sha256: "ab", embedding: Some(20) };
    assert!(
        matches!(read_folder(&folder.path().join("none"), &suits), (sounds, faults) if sounds.is_empty() && faults.is_empty())
    );
    for good in ["Kettle", "Gate"] {
        file::write(folder.path(), &sound(good, "ab")).unwrap();
    }
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("another.toml", &file::print(&sound("Whistle", "cd0123456789")));
    put("dog.toml", &file::print(&sound("Dog", "ab")));
    put("dogs.toml", &file::print(&sound("Dog!", "ab")));
    put("kettle_2.toml", &file::print(&sound("kettle", "ab")));
    put("parent.toml", &file::print(&LearntSound { is_a: Some("Alram".to_owned()), ..sound("Horn", "ab") }));
    put("torn.toml", "format = 1\nname = ");
    put("notes.txt", "no sound");
    std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
    let (sounds, faults) = read_folder(folder.path(), &suits);
    assert_eq!(sounds.iter().map(|sound| sound.name.as_str()).collect::<Vec<_>>(), ["Gate", "Kettle"]);
    let told: Vec<String> =
        faults.iter().map(|fault| fault.to_string().replace(&folder.path().display().to_string(), "F")).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    F/another.toml is not used: it was learnt with the model cd012345, and this one is ab; learn it again with `mimid learn`
    F/dog.toml is not used: the model has a label "Dog" of its own; rename the sound
    F/dogs.toml is not used: the model has a label "Dog" of its own; rename the sound
    F/folder.toml cannot be read (it is no file)
    F/kettle_2.toml is not used: another file holds the sound "kettle" already; remove one of the two
    F/parent.toml is not used: is_a: there is no label "Alram"; did you mean "Alarm"?
    F/torn.toml is torn, or no file of a learnt sound (line 2: string values must be quoted, expected literal string); learn the sound again, or remove the file
    "#);
    let none = Suits { embedding: None, ..suits };
    assert_eq!(read_folder(folder.path(), &none).0.len(), 0);
}

#[test]
fn what_is_no_sounds_file_is_told() {
    let text = file::print(&sound("Kettle", "ab"));
    assert!(file::parse(text.as_bytes()).is_ok());
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("name = \"Kettle\"", "name = \" Kettle\""),
        ("name = \"Kettle\"", "name = \"\\u001b[31m\""),
        ("name = \"Kettle\"", "name = \"Ket\\u202etle\""),
        ("threshold = 0.5", "threshold = 0.0"),
        ("start_threshold = 0.625", "start_threshold = nan"),
        ("size = 20", "size = 21"),
        ("size = 20", "size = 1"),
        ("offset = -0.5", "offset = inf"),
        ("offset = -0.5", "offset = 1e16"),
        ("model_sha256 = \"ab\"", "model_sha256 = \"\""),
        ("model_sha256 = \"ab\"", "model_sha256 = \"\\u001b[31m\""),
        ("format = 1", "\"\\u001b[31m\" = 1\nformat = 1"),
        ("offset = -0.5", "offset = -0.5\nother = 1"),
        ("weights = \"", "weights = \"AAAA"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert!(changed != text, "{from}");
        let fault = file::parse(changed.as_bytes()).unwrap_err();
        assert!(!fault.is_empty() && !fault.contains(char::is_control), "{fault}");
    }
    assert!(file::parse(b"\xff").is_err());
}

#[test]
fn a_sound_is_written_to_where_it_lies_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = file::write(folder.path(), &sound("Kettle", "ab")).unwrap();
    let renamed = folder.path().join("a.toml");
    std::fs::rename(&path, &renamed).unwrap();
    assert_eq!(file::write(folder.path(), &sound("Kettle", "cd")).unwrap(), renamed);
    assert!(!path.exists() && file::read(&renamed).unwrap().model_sha256 == "cd");
    // A name may give the same file name; a torn file is in nobody's way.
    file::write(folder.path(), &sound("Pot", "ab")).unwrap();
    let refused = file::write(folder.path(), &sound("Pot!", "ab")).unwrap_err().to_string();
    assert!(
        refused.ends_with("pot.toml holds the sound \"Pot\" already; give this one another name, or forget that one first"),
        "{refused}"
    );
    std::fs::write(folder.path().join("horn.toml"), "format = ").unwrap();
    file::write(folder.path(), &sound("Horn", "ab")).unwrap();
    assert_eq!(file::find(folder.path(), "Horn"), Some(folder.path().join("horn.toml")));
}

#[test]
fn numbers_beyond_a_float_of_16_bits_become_the_largest_there_is() {
    let large = Example { recording: "a".to_owned(), embeddings: vec![1e9; 20] };
    let written = LearntSound { examples: vec![large], ..sound("Kettle", "ab") };
    let read = file::parse(file::print(&written).as_bytes()).unwrap();
    assert_eq!(read.examples[0].embeddings, file::rounded(&[1e9; 20]));
    assert!(read.examples[0].embeddings.iter().all(|number| *number == 65_504.0));
}

#[test]
fn the_greatest_weights_give_scores_that_are_numbers() {
    let size = 4_096;
    let heads = [1.0, -1.0]
        .map(|sign| LearntSound { head: Head { weights: vec![sign * 1e15; size], offset: 1e15 }, ..sound("Kettle", "ab") });
    let written = file::print(&LearntSound { examples: Vec::new(), negatives: Vec::new(), ..heads[0].clone() });
    assert!(file::parse(written.as_bytes()).is_ok());
    for embedding in [vec![1e6; size], vec![-1e6; size], (0..size).map(|i| if i % 2 == 0 { 1e6 } else { -1e6 }).collect()] {
        let mut scores = [f32::NAN; 2];
        Heads::new(&heads).score(&embedding, &mut scores);
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
    }
}
