//! `mimid model`: foreign graphs in every shape become models, bad ones become a sentence, and the installed models are managed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::onnx::foreign::{Foreign, WEIGHTS, weights};
use crate::support::{failure, mimid, run, wav};

const MAP: &str = "index,mid,display_name\n0,/x/any,Any\n1,/x/loud,\"Loud, or so\"\n2,/x/deafening,Deafening\n";

/// A folder with a graph and a label map.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(graph: &[u8]) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write("graph.onnx", graph);
        desk.write("map.csv", MAP.as_bytes());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// `mimid model add` of the graph at 16 kHz. The models that are installed are those of the folder `models`.
    fn add(&self) -> Command {
        let mut command = self.model("add");
        command.arg(self.path("graph.onnx")).arg("--labels").arg(self.path("map.csv")).args(["--sample-rate", "16000"]);
        command
    }

    /// `mimid model` with a configuration of its own.
    fn model(&self, subcommand: &str) -> Command {
        let mut command = mimid();
        if !self.path("c.toml").exists() {
            self.write("c.toml", b"# mine\n[log]\nlevel = \"warn\"\n");
        }
        command.env("MIMID_MODELS", self.path("models")).args(["model", subcommand, "--config"]).arg(self.path("c.toml"));
        command
    }

    /// The events of a second of silence, one at about −3 dBFS, and one of silence, as label, onset and offset.
    fn scan(&self, model: &Path) -> Vec<(String, f64, f64)> {
        let mut samples = vec![0i16; 16_000];
        samples.extend((0..16_000).map(|i| if i % 2 == 0 { 23_170 } else { -23_170 }));
        samples.extend([0i16; 16_000]);
        self.write("x.wav", &wav(&samples, 16_000, 1));
        let config = format!("[model]\ndir = {model:?}\n[report]\npreset = \"all\"\n[defaults]\nthreshold = 0.5\n");
        self.write("scan.toml", config.as_bytes());
        let output =
            run(mimid().args(["scan", "--format", "tsv", "--config"]).arg(self.path("scan.toml")).arg(self.path("x.wav")));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let event = |line: &str| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells[3].to_owned(), cells[1].parse().unwrap(), cells[2].parse().unwrap())
        };
        String::from_utf8(output.stdout).unwrap().lines().skip(1).map(event).collect()
    }

    /// Adds the model, and returns what was said.
    fn added(&self, arguments: &[&str]) -> String {
        let output = run(self.add().args(arguments));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and the sentence of an attempt that fails and leaves nothing behind.
    fn refused(&self, command: &mut Command) -> (i32, String) {
        let (code, message) = failure(command);
        assert_eq!(message.lines().count(), 1, "{message}");
        let left = self.path("models").read_dir().map_or(0, |entries| entries.count());
        assert_eq!(left, 0, "something is left in the folder of models: {message}");
        (code, message.replace(self.folder.path().to_str().unwrap(), "F"))
    }
}

/// The model hears the loud second and nothing else.
fn hears(graph: &Foreign, arguments: &[&str]) -> String {
    let desk = Desk::new(&graph.graph());
    desk.write(WEIGHTS, &weights());
    let said = desk.added(arguments);
    assert!(said.contains("logits") && said.contains("a window of 500 ms takes "), "{said}");
    let events = desk.scan(&desk.path("models/graph"));
    let labels: Vec<&str> = events.iter().map(|(label, _, _)| label.as_str()).collect();
    assert_eq!(labels.len(), 2, "{graph:?}: {events:?}");
    assert!(labels.contains(&"Any") && labels.contains(&"Loud, or so"), "{graph:?}: {events:?}");
    for (label, onset, offset) in &events {
        assert!((onset - 1.0).abs() <= 0.3 && (offset - 2.0).abs() <= 0.3, "{graph:?}: {label} {onset} {offset}");
    }
    said
}

#[test]
fn batches_of_any_and_of_one_size_hear_the_same() {
    let said = hears(&Foreign::default(), &[]);
    assert!(said.contains(r#"takes "audio" [1, 8000]; gives "spectrum" [1, 8000]; "levels" [1, 3]"#), "{said}");
    hears(&Foreign { input: &[4, 8_000], output: &[4, 3], ..Foreign::default() }, &[]);
    hears(&Foreign { input: &[-1, 8_000], output: &[-1, 3], ..Foreign::default() }, &[]);
    hears(&Foreign { input: &[-1, 1, -1], samples: 2, output: &[-1, 1, 3], ..Foreign::default() }, &["--window-ms", "500"]);
    // The batch is free to the eye, and the graph is made for one window all the same.
    hears(&Foreign { input: &[-1, 8_000], levels: &[1, 3], output: &[-1, 3], ..Foreign::default() }, &[]);
}

#[test]
fn a_graph_without_a_batch_gives_a_row_or_frames() {
    hears(&Foreign { input: &[8_000], samples: 0, levels: &[3], output: &[3], ..Foreign::default() }, &[]);
    hears(&Foreign { input: &[8_000], cut: &[4, 2_000], output: &[4, 3], ..Foreign::default() }, &[]);
    hears(&Foreign { input: &[-1], cut: &[-1, 2_000], output: &[-1, 3], ..Foreign::default() }, &["--window-ms", "500"]);
}

#[test]
fn frames_of_a_batch_stand_before_or_behind_the_labels() {
    let frames = Foreign { input: &[-1, 8_000], cut: &[0, 4, 2_000], samples: 2, output: &[-1, 4, 3], ..Foreign::default() };
    hears(&frames, &[]);
    hears(&Foreign { order: &[0, 2, 1], output: &[-1, 3, 4], ..frames }, &["--output", "levels"]);
    hears(&Foreign { input: &[2, 8_000], output: &[2, 4, 3], ..frames }, &[]);
}

#[test]
fn numbers_of_16_bits_are_converted_on_their_way_in_and_out() {
    hears(&Foreign { is_half: true, ..Foreign::default() }, &[]);
    hears(&Foreign { is_half: true, input: &[3, 8_000], output: &[3, 3], ..Foreign::default() }, &[]);
    hears(
        &Foreign {
            is_half: true,
            input: &[-1, 8_000],
            cut: &[0, 4, 2_000],
            samples: 2,
            output: &[-1, 4, 3],
            ..Foreign::default()
        },
        &[],
    );
}

#[test]
fn weights_in_another_file_come_along_and_are_checked() {
    let graph = Foreign { is_external: true, ..Foreign::default() };
    hears(&graph, &[]);
    let desk = Desk::new(&graph.graph());
    let (code, message) = desk.refused(&mut desk.add());
    assert_eq!(code, 4);
    assert!(message.starts_with("mimid: F/graph.onnx: its weights are in F/weights.bin, which cannot be read"), "{message}");
    desk.write(WEIGHTS, &weights());
    desk.added(&[]);
    let copied = desk.path("models/graph").join(WEIGHTS);
    std::fs::write(&copied, [0; 12]).unwrap();
    let (code, message) = failure(desk.model("check").arg("graph"));
    assert!(code == 4 && message.contains("weights.bin is not the file that its manifest names"), "{message}");
    // Without the key no checksum would cover the file.
    std::fs::write(&copied, weights()).unwrap();
    let manifest = desk.path("models/graph/manifest.toml");
    let text = std::fs::read_to_string(&manifest).unwrap().replace("external_data = [", "external_data = []\n#");
    let text: String =
        text.lines().filter(|line| !line.starts_with("    {") && *line != "]").map(|line| format!("{line}\n")).collect();
    std::fs::write(&manifest, text).unwrap();
    let (code, message) = failure(desk.model("check").arg("graph"));
    assert!(
        code == 4 && message.ends_with("the graph has weights in the file \"weights.bin\", which external_data does not name"),
        "{message}"
    );
}

#[test]
fn what_cannot_become_a_model_is_one_sentence_and_leaves_nothing() {
    let graph = Foreign::default().graph();
    let desk = Desk::new(&graph);
    let told = |command: &mut Command| {
        let (code, message) = desk.refused(command);
        format!("{code} {message}")
    };
    let add = |graph: &str, map: &str| {
        let mut command = desk.model("add");
        command.arg(desk.path(graph)).arg("--labels").arg(desk.path(map)).args(["--sample-rate", "16000"]);
        command
    };
    desk.write("torn.onnx", &graph[..graph.len() / 2]);
    desk.write("made-up.onnx", b"this is not a graph");
    desk.write("two.csv", b"Any\nLoud\n");
    desk.write("twice.csv", b"Any\nLoud\nany\n");
    std::fs::create_dir(desk.path("folder")).unwrap();
    for torn in ["torn.onnx", "made-up.onnx"] {
        let told = told(&mut add(torn, "map.csv"));
        assert!(told.starts_with(&format!("4 mimid: ONNX Runtime cannot run F/{torn}: ")), "{told}");
    }
    insta::assert_snapshot!(told(&mut add("folder", "map.csv")), @"2 mimid: F/folder: this is a folder; name the file of the graph");
    insta::assert_snapshot!(told(&mut add("graph.onnx", "folder")), @"2 mimid: F/folder: this is a folder; name the file of the label map");
    insta::assert_snapshot!(told(&mut add("none.onnx", "map.csv")), @"2 mimid: F/none.onnx cannot be read (No such file or directory (os error 2))");
    insta::assert_snapshot!(told(&mut add("graph.onnx", "two.csv")), @r#"4 mimid: F/graph.onnx: the label map has 2 labels, and no output of the graph has as many: "spectrum" [1, 8000]; "levels" [1, 3]"#);
    insta::assert_snapshot!(told(&mut add("graph.onnx", "twice.csv")), @r#"2 mimid: F/twice.csv: line 3: "any" stands in line 1 already; two labels need two names"#);
    insta::assert_snapshot!(told(desk.add().args(["--name", "a/b"])), @r#"2 mimid: "a/b" cannot be a model's name; --name gives one of up to 64 letters, digits, dots, dashes and underscores"#);
    insta::assert_snapshot!(told(desk.add().args(["--kind", "probabilities"])).split(" and no ").last().unwrap(), @"probabilities; leave --kind out");
    insta::assert_snapshot!(told(desk.add().args(["--output", "spectrum"])), @"4 mimid: the graph F/graph.onnx gives 8000 scores a window, but the model has 3 labels");
    let no_sound = told(desk.add().arg("--sound").arg(desk.path("map.csv")));
    assert!(no_sound.starts_with("1 mimid: F/map.csv"), "{no_sound}");
    let mut unknown = desk.model("add");
    unknown.arg(desk.path("graph.onnx")).arg("--labels").arg(desk.path("map.csv"));
    insta::assert_snapshot!(told(&mut unknown), @"2 mimid: F/graph.onnx: the graph does not say its sample rate; name it with --sample-rate, in Hz");
    let pipe = desk.path("pipe.onnx");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    insta::assert_snapshot!(told(&mut add("pipe.onnx", "map.csv")), @"2 mimid: F/pipe.onnx: this is no file; name the file of the graph");
}

#[test]
fn a_model_is_listed_checked_chosen_and_removed() {
    let desk = Desk::new(&Foreign::default().graph());
    let said = desk.added(&["--licence", "CC-BY-NC-4.0", "--name", "mine", "--source", "https://example.org/mine"]);
    assert!(said.contains("licence: the model's licence is \"CC-BY-NC-4.0\", which does not allow commercial use"), "{said}");
    assert!(said.contains("`mimid model use mine`") && said.contains("`mimid tune`"), "{said}");
    let (code, message) = failure(desk.add().args(["--name", "mine"]));
    assert!(code == 2 && message.contains("there is a model there already; choose another --name or --to"), "{message}");
    let said = |subcommand: &str, arguments: &[&str]| {
        let output = run(desk.model(subcommand).args(arguments));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let line = format!("  mine\tCC-BY-NC-4.0\t{}\n", desk.path("models/mine").display());
    assert!(said("list", &[]).contains(&line));
    let checked = said("check", &["mine"]);
    assert!(
        checked.starts_with("the model mine is whole: 3 labels") && checked.contains("heard in beeps of 3 kHz: "),
        "{checked}"
    );
    // The configuration keeps its comments.
    let used = said("use", &["mine"]);
    assert!(used.contains("+[model]") && used.contains("`mimid tune` finds them next"), "{used}");
    let text = std::fs::read_to_string(desk.path("c.toml")).unwrap();
    let dir = desk.path("models/mine");
    // None of its labels is in the preset that is the default.
    assert_eq!(text, format!("# mine\n[log]\nlevel = \"warn\"\n\n[model]\ndir = {dir:?}\n\n[report]\npreset = \"all\"\n"));
    assert!(said("use", &["mine"]).ends_with("says that already\n"));
    assert!(said("list", &[]).contains(&line.replacen("  mine", "* mine", 1)));
    let (code, message) = failure(desk.model("remove").arg("mine"));
    assert!(code == 2 && message.contains("the configuration uses the model \"mine\""), "{message}");
    std::fs::write(desk.path("c.toml"), "").unwrap();
    assert!(said("remove", &["mine"]).ends_with("is removed\n"));
    assert!(!dir.exists());
    let (code, message) = failure(desk.model("use").arg("mine"));
    assert!(code == 4 && message.contains("there is no model \"mine\""), "{message}");
}

#[test]
fn the_names_of_audioset_bring_its_ids_and_its_ontology() {
    let desk = Desk::new(&Foreign::default().graph());
    desk.write("map.csv", b"Dog\nSmoke detector, smoke alarm\nKettle of mine\n");
    let mut command = desk.add();
    // The shipped model is installed beside it.
    command.env("MIMID_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).arg("--to").arg(desk.path("mine"));
    let output = run(&mut command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("with the ontology of ced-tiny"), "{said}");
    let labels = std::fs::read_to_string(desk.path("mine/labels.tsv")).unwrap();
    assert_eq!(
        labels,
        "id\tname\n/m/0bt9lr\tDog\n/m/01y3hg\tSmoke detector, smoke alarm\nown:2:kettle_of_mine\tKettle of mine\n"
    );
    desk.write("tree.toml", format!("[model]\ndir = {:?}\n", desk.path("mine")).as_bytes());
    let tree = run(mimid().args(["labels", "--tree", "--config"]).arg(desk.path("tree.toml")));
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("\n    Dog\n") || tree.contains("  Dog\n"), "{tree}");
    assert!(tree.contains("Kettle of mine\n"), "{tree}");
}

#[test]
fn a_log_mel_is_defined_by_a_file() {
    // The graph squares the levels that it is given; it takes 64 bands and 51 frames of 10 ms.
    let graph = Foreign { input: &[1, 51, 64], cut: &[1, 3_264], output: &[1, 3], ..Foreign::default() };
    let desk = Desk::new(&graph.graph());
    let (code, message) = desk.refused(&mut desk.add());
    assert!(
        code == 2 && message.contains("a log-mel spectrogram is defined by a file that is named with --log-mel"),
        "{message}"
    );
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny/manifest.toml");
    let output = run(desk.add().arg("--log-mel").arg(&manifest));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("input: the log-mel at 16000 Hz, a window of 500 ms every 100 ms"), "{said}");
    let made = std::fs::read_to_string(desk.path("models/graph/manifest.toml")).unwrap();
    assert!(made.contains(r#"shape = ["batch", "frames", "mels"]"#) && made.contains("n_mels = 64"), "{made}");
    desk.write("wrong.toml", b"n_mels = 64\n");
    let (code, message) = failure(desk.add().args(["--name", "other", "--log-mel"]).arg(desk.path("wrong.toml")));
    assert!(code == 2 && message.contains("wrong.toml: missing field"), "{message}");
}
