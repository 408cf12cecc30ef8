//! What `mimid learn` reads: the file of a learnt sound, and the bank of a model.

use mimid::learn::bank;
use mimid::learn::check::fit;
use mimid::learn::fit::Others;
use mimid::model::Labels;
use mimid::model::learnt::{Suits, file, read_folder};

use super::memory;

/// The sizes of the embeddings that the bytes are read with as a bank.
const SIZES: [usize; 3] = [1, 2, 192];
/// The most recordings that a sound is fitted from, so that no input takes long.
const MOST: usize = 12;

/// Reads the bytes as a sound's file and as a bank: each fault is one line, all numbers are finite, a sound that is taken is written back the
/// same, and what is learnt from a bank is a sound that can be written.
pub fn learnt(bytes: &[u8]) {
    memory::within(64, || {
        sound(bytes);
        if let Ok(text) = std::str::from_utf8(bytes) {
            SIZES.into_iter().for_each(|size| learn(text, size));
        }
    });
}

fn sound(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let sound = match file::parse(bytes) {
        Ok(sound) => sound,
        Err(fault) => {
            assert!(!fault.is_empty() && !fault.contains(char::is_control), "{fault:?}");
            return;
        }
    };
    let size = sound.head.weights.len();
    for embeddings in sound.examples.iter().chain(&sound.negatives).map(|example| &example.embeddings) {
        assert!(embeddings.len() % size == 0 && embeddings.iter().all(|number| number.is_finite()));
        assert!(embeddings.chunks(size).all(|embedding| !sound.head.log_odds(embedding).is_nan()));
    }
    assert_eq!(file::parse(file::print(&sound).as_bytes()).as_ref(), Ok(&sound));
    let path = file::write(folder.path(), &sound).expect("room for temporary files");
    assert_eq!(path.parent(), Some(folder.path()));
    assert_eq!(file::find(folder.path(), &sound.name), Some(path));
    let labels = Labels::new([("/m/0", "Dog"), ("/m/1", "Bark")].map(|(id, name)| (id.to_owned(), name.to_owned())), Vec::new());
    let (sounds, faults) =
        read_folder(folder.path(), &Suits { labels: &labels, sha256: &sound.model_sha256, embedding: Some(size) });
    assert_eq!(sounds.len() + faults.len(), 1);
    assert!(faults.iter().all(|fault| !fault.to_string().contains(char::is_control)), "{faults:?}");
}

fn learn(text: &str, size: usize) {
    let recordings = match bank::read(text, size) {
        Ok(recordings) => recordings,
        Err(fault) => {
            assert!(fault.starts_with("line ") && !fault.contains(char::is_control), "{fault:?}");
            return;
        }
    };
    assert!(recordings.iter().all(|recording| !recording.embeddings.is_empty() && recording.embeddings.len() % size == 0));
    let all: Vec<&[f32]> = recordings.iter().take(MOST).map(|recording| recording.embeddings.as_slice()).collect();
    for n_sound in [1, 3] {
        let (sound, others) = all.split_at(n_sound.min(all.len()));
        let fitted = fit(sound, &Others::new(Vec::new(), others.to_vec(), size));
        let head = fitted.discriminant.head(fitted.boundary);
        assert!(head.weights.iter().chain([&head.offset]).all(|number| number.is_finite() && number.abs() <= 1e15), "{head:?}");
        assert!(fitted.left_out.iter().flatten().all(|score| (0.0..=1.0).contains(score)), "{fitted:?}");
    }
}
