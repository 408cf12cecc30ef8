//! Another tagger: it needs only a model folder and no change of code. Also the faults of such a folder and of ONNX Runtime.

use std::path::Path;
use std::process::Command;

use crate::support::{failure, mimid, onnx, run, wav};

/// `mimid scan` of a second of silence, then a second at about −3 dBFS, then silence, with the model in `folder`.
fn scan(folder: &Path) -> Command {
    let mut samples = vec![0i16; 16_000];
    samples.extend((0..16_000).map(|i| if i % 2 == 0 { 23_170 } else { -23_170 }));
    samples.extend([0i16; 16_000]);
    std::fs::write(folder.join("x.wav"), wav(&samples, 16_000, 1)).unwrap();
    std::fs::write(
        folder.join("c.toml"),
        format!("[model]\ndir = {folder:?}\n[report]\npreset = \"all\"\n[defaults]\nthreshold = 0.5"),
    )
    .unwrap();
    let mut command = mimid();
    command.args(["scan", "--format", "tsv", "--config"]).arg(folder.join("c.toml")).arg(folder.join("x.wav"));
    command
}

#[test]
fn a_waveform_model_with_three_labels_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    onnx::folder(folder.path(), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
    let output = run(&mut scan(folder.path()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split('\t').skip(1).collect()).collect();
    let of = |label: &str| events.iter().filter(|event| event[2] == label).collect::<Vec<_>>();
    // A mean square of 0.5 over the whole window is 200 · 0.5 = 100: above 4 and 20, below 200.
    for label in ["Any", "Loud"] {
        let [event] = of(label)[..] else { panic!("{label}: {text}") };
        let (onset, offset): (f64, f64) = (event[0].parse().unwrap(), event[1].parse().unwrap());
        assert!((onset - 1.0).abs() <= 0.3 && (offset - 2.0).abs() <= 0.3, "{text}");
    }
    assert!(of("Deafening").is_empty(), "{text}");
    let labels = run(mimid().arg("labels").arg("--config").arg(folder.path().join("c.toml")));
    assert_eq!(String::from_utf8(labels.stdout).unwrap().lines().count(), 3);
}

/// The exit code and the sentence for a spoilt model folder.
fn spoilt(graph: &[u8], labels: &str, change: impl Fn(String) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    onnx::folder(folder.path(), graph, labels, change);
    let (code, message) = failure(&mut scan(folder.path()));
    assert_eq!(code, 4, "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    message.replace(folder.path().to_str().unwrap(), "F")
}

#[test]
fn what_is_wrong_with_a_model_folder_is_one_sentence() {
    let graph = onnx::graph(3);
    let same = |manifest: String| manifest;
    insta::assert_snapshot!(spoilt(&graph, onnx::LABELS, |m| m.replace("sha256 = \"", "sha256 = \"00")).split(" is ").next().unwrap(), @"mimid: F/model.onnx");
    insta::assert_snapshot!(spoilt(&graph, onnx::LABELS, |m| m.replace("format = 1", "format = 9")), @"mimid: the manifest F/manifest.toml is wrong: format is 9, but this program reads format 1");
    insta::assert_snapshot!(spoilt(&graph, onnx::LABELS, |m| m.replace("kind = \"logits\"", "kind = \"odds\"")), @"mimid: the manifest F/manifest.toml is wrong: line 18: unknown variant `odds`, expected `probabilities` or `logits`");
    insta::assert_snapshot!(spoilt(&graph, onnx::LABELS, |m| m.replace("\"audio\"", "\"sound\"")), @r#"mimid: the graph F/model.onnx does not fit its manifest: its input is "audio", expected "sound""#);
    insta::assert_snapshot!(spoilt(&graph, onnx::LABELS, |m| m.replace("[\"batch\", \"samples\"]", "[\"batch\", 1, \"samples\"]")), @r#"mimid: the graph F/model.onnx does not fit its manifest: the shape of its input "audio" is [any, any], expected [any, 1, any]"#);
    insta::assert_snapshot!(spoilt(&graph, onnx::LABELS, |m| m.replace("\"levels\"", "\"scores\"")), @r#"mimid: the graph F/model.onnx does not fit its manifest: its output is "levels", expected "scores""#);
    insta::assert_snapshot!(spoilt(&onnx::graph(4), onnx::LABELS, same), @"mimid: the graph F/model.onnx gives 4 scores a window, but the model has 3 labels");
    assert!(spoilt(b"this is not a graph", onnx::LABELS, same).starts_with("mimid: ONNX Runtime cannot run F/model.onnx: "));
    assert!(spoilt(&graph[..graph.len() / 2], onnx::LABELS, same).starts_with("mimid: ONNX Runtime cannot run F/model.onnx: "));
    assert!(spoilt(&graph, "id\tname\n/x/any\t\n", same).contains("line 2 of F/labels.tsv is wrong: a label without a name"));
}

#[test]
fn a_model_that_is_not_there_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (code, message) = failure(&mut scan(folder.path()));
    assert_eq!(code, 4);
    assert!(message.starts_with("mimid: there is no model "), "{message}");
    assert!(message.ends_with("run `make setup`, or set dir under [model]"), "{message}");
}

#[test]
fn a_runtime_that_cannot_be_used_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    onnx::folder(folder.path(), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
    let with = |library: &Path| {
        let (code, message) = failure(scan(folder.path()).env("MIMID_ONNXRUNTIME", library));
        assert_eq!((code, message.lines().count()), (4, 1), "{message}");
        message
    };
    assert!(
        with(Path::new("/nonexistent/lib.so"))
            .starts_with("mimid: libonnxruntime was not found (looked for /nonexistent/lib.so)")
    );
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(with(&text).contains("cannot be used as ONNX Runtime"));
    // Libraries of another kind, and of another age, are made on the spot.
    let library = |name: &str, source: &str| {
        let (c, so) = (folder.path().join(format!("{name}.c")), folder.path().join(format!("{name}.so")));
        std::fs::write(&c, source).unwrap();
        assert!(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&so).arg(&c).status().unwrap().success());
        so
    };
    assert!(with(&library("other", "int other;")).contains("does not export `OrtGetApiBase`"));
    let old = "static const char *version(void) { return \"1.10.0\"; }
        static const void *api(unsigned v) { return 0; }
        static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
        const void *OrtGetApiBase(void) { return &base; }";
    assert!(with(&library("old", old)).contains("got '1.10.0'"));
}
