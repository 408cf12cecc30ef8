use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::*;
use crate::model::labels::SuitedThresholds;
use crate::model::learnt::{Head, LearntSound, file};

const LABELS: &[u8] = b"id\tname\n/x/any\tAny\n/x/loud\tLoud\n";
const GRAPH: &[u8] = b"a graph that nobody opens";

/// A folder with a model that gives embeddings of two numbers, a configuration, and learnt sounds.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(home.path("model")).unwrap();
        home.put("model/labels.tsv", LABELS);
        home.put("model/graph.onnx", GRAPH);
        let manifest = format!(
            "format = 1\nname = \"m\"\nlicence = \"MIT\"\nsource = \"tests\"\nfile = \"graph.onnx\"\nsha256 = \"{}\"\nlabels = \
             \"labels.tsv\"\nlabels_sha256 = \"{}\"\n[input]\nkind = \"waveform\"\nname = \"audio\"\nshape = [\"batch\", \
             \"samples\"]\nsample_rate_hz = 16000\n[output]\nname = \"levels\"\nkind = \"logits\"\n[output.embedding]\nname = \
             \"embedding\"\nsize = 2\n[detection]\nwindows_ms = [500]\nhop_ms = 100\ndelta = 0.1\nmedian = 3\nextent = 0.2\nvalley = \
             0.3\n",
            hash(GRAPH),
            hash(LABELS)
        );
        home.put("model/manifest.toml", manifest.as_bytes());
        home.configure("");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn configure(&self, more: &str) {
        let model = self.path("model");
        self.put("c.toml", format!("[model]\ndir = {model:?}\n[report]\nlabels = [\"Any\"]\n{more}").as_bytes());
    }

    fn learn(&self, name: &str, weight: f32) -> PathBuf {
        file::write(&self.path("sounds"), &sound(name, weight)).unwrap()
    }

    fn load(&self, running: Option<&Loaded>) -> Result<Loaded, LoadError> {
        let running = running.map(|loaded| Running { settings: &loaded.config.model, model: &loaded.model });
        load(Some(&self.path("c.toml")), running)
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sound(name: &str, weight: f32) -> LearntSound {
    LearntSound {
        name: name.to_owned(),
        is_a: None,
        corrects: None,
        model_sha256: hash(GRAPH),
        thresholds: SuitedThresholds { threshold: 0.5, start_threshold: 0.6, highest: None },
        head: Head { weights: vec![weight, 0.0], offset: 0.0 },
        examples: Vec::new(),
        negatives: Vec::new(),
    }
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.model.sounds.iter().map(|sound| sound.name.as_str()).collect()
}

/// Whether the model was taken over from the one before.
fn is_reused(new: &Loaded, old: &Loaded) -> bool {
    Arc::ptr_eq(&new.model.sounds, &old.model.sounds)
}

#[test]
fn a_reload_takes_the_running_model_over_until_a_learnt_sound_changes() {
    let home = Home::new();
    let none = home.load(None).unwrap();
    let path = home.learn("Kettle", 1.0);
    let one = home.load(Some(&none)).unwrap();
    assert!(!is_reused(&one, &none) && names(&one) == ["Kettle"] && one.config.rules.len() == 2, "{:?}", one.config.rules);
    // The same file, though written again, changes nothing; nor does a file that is no sound.
    home.learn("Kettle", 1.0);
    home.put("sounds/notes.txt", b"no sound");
    let same = home.load(Some(&one)).unwrap();
    assert!(is_reused(&same, &one) && same.warnings.is_empty() && same.config.rules.len() == 2, "{:?}", same.warnings);
    // Other weights, another sound, one less.
    home.learn("Kettle", 2.0);
    let changed = home.load(Some(&one)).unwrap();
    assert!(!is_reused(&changed, &one) && changed.model.sounds[0].head.weights == [2.0, 0.0]);
    home.learn("Gate", 1.0);
    let two = home.load(Some(&changed)).unwrap();
    assert_eq!(names(&two), ["Gate", "Kettle"]);
    assert!(is_reused(&home.load(Some(&two)).unwrap(), &two));
    std::fs::remove_file(path).unwrap();
    assert_eq!(names(&home.load(Some(&two)).unwrap()), ["Gate"]);
    std::fs::remove_dir_all(home.path("sounds")).unwrap();
    assert_eq!(names(&home.load(Some(&two)).unwrap()), [""; 0]);
}

#[test]
fn a_file_that_cannot_be_used_is_told_at_each_reload_and_costs_nothing_but_its_sound() {
    let home = Home::new();
    home.learn("Gate", 1.0);
    let path = home.learn("Kettle", 1.0);
    home.configure("include = [\"kettle\"]\n[labels.Kettle]\nthreshold = 0.7\n[labels.Gate]\nthreshold = 0.8\n[[hooks]]\nname = \"phone\"\non = [\"Kettle\"]\nexec = [\"true\"]\n");
    let before = home.load(None).unwrap();
    std::fs::write(&path, "name = ").unwrap();
    let sentences = |loaded: &Loaded| {
        let told: Vec<String> = loaded.warnings.iter().map(Fault::to_string).collect();
        told.join("\n").replace(home.0.path().to_str().unwrap(), "F")
    };
    let torn = home.load(Some(&before)).unwrap();
    assert_eq!(names(&torn), ["Gate"]);
    let told = sentences(&torn);
    assert!(told.contains("F/sounds/kettle.toml is torn, or no file of a learnt sound (line 1: "), "{told}");
    for (key, name) in [("report.include", "kettle"), ("labels.\"Kettle\"", "Kettle"), ("on", "Kettle")] {
        let warned = format!("{key}: the learnt sound {name:?} is left out, because its file cannot be used");
        assert!(told.contains(&warned), "{warned}: {told}");
    }
    // The model goes on as it is, and the file is told of all the same.
    let again = home.load(Some(&torn)).unwrap();
    assert!(is_reused(&again, &torn));
    assert_eq!(sentences(&again), told);
    // A file that becomes unusable while the model runs is told of as well.
    home.put("sounds/horn.toml", b"");
    home.configure("ignore = [\"Horn\"]");
    let horn = home.load(Some(&torn)).unwrap();
    assert!(is_reused(&horn, &torn) && sentences(&horn).contains("F/sounds/horn.toml is torn"), "{}", sentences(&horn));
    // A sound that is forgotten is a label no more, and to name it is a fault.
    std::fs::remove_file(home.path("sounds/horn.toml")).unwrap();
    assert!(home.load(Some(&torn)).unwrap_err().sentences().concat().contains("there is no label \"Horn\""));
}
