//! Learnt sounds with heads that are made up, for the engine and what it costs.

use mimid::model::Model;
use mimid::model::labels::SuitedThresholds;
use mimid::model::learnt::{Head, LearntSound, file};

/// A sound with this head, which no model has learnt yet.
pub fn sound(name: &str, head: Head) -> LearntSound {
    LearntSound {
        name: name.to_owned(),
        is_a: None,
        corrects: None,
        model_sha256: String::new(),
        thresholds: SuitedThresholds { threshold: 0.5, start_threshold: 0.6, highest: None },
        head,
        examples: Vec::new(),
        negatives: Vec::new(),
    }
}

/// A number of sounds with different heads of `size` numbers, none of which is ever heard.
pub fn silent(n_sounds: usize, size: usize) -> Vec<LearntSound> {
    let weight = |sound: usize, at: usize| ((sound * 31 + at * 17) % 101) as f32 / 1_000.0 - 0.05;
    let head = |sound| Head { weights: (0..size).map(|at| weight(sound, at)).collect(), offset: -60.0 };
    (0..n_sounds).map(|at| sound(&format!("Sound {at}"), head(at))).collect()
}

/// Has a model take up these sounds, by way of their files.
pub fn take_up(model: &mut Model, sounds: &[LearntSound]) {
    let folder = tempfile::tempdir().unwrap();
    for sound in sounds {
        file::write(folder.path(), &LearntSound { model_sha256: model.sha256.clone(), ..sound.clone() }).unwrap();
    }
    let faults = model.take_up_sounds(folder.path());
    assert!(faults.is_empty() && model.sounds.len() == sounds.len(), "{faults:?}");
}
