//! A tiny tagger on waveforms, written as ONNX by hand, in a model folder of its own.
//!
//! Its three logits are 200 · the window's mean square − (4, 20, 200): `Any`, `Loud` and `Deafening` begin at −17, −10 and 0
//! dBFS.

pub mod foreign;

use std::path::Path;

use sha2::{Digest, Sha256};

/// A field in Protocol Buffers' wire format that holds a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that holds bytes, text or another message.
fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.as_ref().len() as u64), value.as_ref().to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn node(kind: &str, inputs: &[&str], output: &str, attribute: Vec<u8>) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| bytes(1, input)).collect::<Vec<_>>();
    [inputs, bytes(2, output), bytes(4, kind), attribute].concat()
}

fn constant(name: &str, values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [number(1, 1), number(1, values.len() as u64), number(2, 1), bytes(4, data), bytes(8, name)].concat()
}

fn tensor(name: &str, second: Vec<u8>) -> Vec<u8> {
    let shape = [bytes(1, bytes(2, "batch")), bytes(1, second)].concat();
    let kind = bytes(1, [number(1, 1), bytes(2, shape)].concat());
    [bytes(1, name), bytes(2, kind)].concat()
}

fn ints(name: &str, value: u64) -> Vec<u8> {
    bytes(5, [bytes(1, name), number(20, 7), number(8, value)].concat())
}

fn int(name: &str, value: u64) -> Vec<u8> {
    bytes(5, [bytes(1, name), number(20, 2), number(3, value)].concat())
}

/// The graph, with `n_labels` outputs.
pub fn graph(n_labels: usize) -> Vec<u8> {
    model(&[loudness(n_labels, "levels"), ends(n_labels)].concat())
}

/// The same graph, which gives an embedding as well, `scaled`: 200 · the mean square, once for each label.
pub fn graph_with_embedding(n_labels: usize) -> Vec<u8> {
    let embedding = bytes(12, tensor("scaled", number(1, n_labels as u64)));
    model(&[loudness(n_labels, "levels"), ends(n_labels), embedding].concat())
}

/// The same graph with three outputs, but an inference of a window with a mean square of 0.5 or more never returns: its loop
/// takes more steps than there are nanoseconds in a century.
pub fn stuck_graph() -> Vec<u8> {
    let scalar = |name: &str, kind: u64| [bytes(1, name), bytes(2, bytes(1, [number(1, kind), bytes(2, "")].concat()))].concat();
    let body = [
        bytes(1, node("Identity", &["goes_on"], "still_goes_on", Vec::new())),
        bytes(1, node("Identity", &["carried"], "still_carried", Vec::new())),
        bytes(2, "round"),
        bytes(11, scalar("round", 7)),
        bytes(11, scalar("goes_on", 9)),
        bytes(11, scalar("carried", 1)),
        bytes(12, scalar("still_goes_on", 9)),
        bytes(12, scalar("still_carried", 1)),
    ]
    .concat();
    let body = bytes(5, [bytes(1, "body"), number(20, 5), bytes(6, body)].concat());
    let stuck = [
        bytes(1, node("ReduceMax", &["mean"], "loudest", int("keepdims", 0))),
        bytes(1, node("Add", &["loudest", "loudest"], "twice", Vec::new())),
        bytes(1, node("Floor", &["twice"], "whole", Vec::new())),
        bytes(1, node("Mul", &["whole", "century"], "rounds", Vec::new())),
        bytes(1, node("Cast", &["rounds"], "trips", int("to", 7))),
        bytes(1, node("Loop", &["trips", "", "whole"], "came_round", body)),
        bytes(1, node("Add", &["quiet", "came_round"], "levels", Vec::new())),
        bytes(5, constant("century", &[4e18])),
    ];
    model(&[loudness(3, "quiet"), stuck.concat(), ends(3)].concat())
}

/// The nodes from the audio to one level for each label.
fn loudness(n_labels: usize, output: &str) -> Vec<u8> {
    let bias: Vec<f32> = [-4.0, -20.0, -200.0].into_iter().cycle().take(n_labels).collect();
    [
        bytes(1, node("Mul", &["audio", "audio"], "squares", Vec::new())),
        bytes(1, node("ReduceMean", &["squares"], "mean", ints("axes", 1))),
        bytes(1, node("Mul", &["mean", "scale"], "scaled", Vec::new())),
        bytes(1, node("Add", &["scaled", "bias"], output, Vec::new())),
        bytes(5, constant("scale", &vec![200.0; n_labels])),
        bytes(5, constant("bias", &bias)),
    ]
    .concat()
}

/// The inputs and outputs of the graph.
fn ends(n_labels: usize) -> Vec<u8> {
    let (input, output) = (tensor("audio", bytes(2, "samples")), tensor("levels", number(1, n_labels as u64)));
    [bytes(2, "loudness"), bytes(11, input), bytes(12, output)].concat()
}

/// Makes a tiny model with the labels of the shipped one in `folder`, and returns its configuration. A daemon with it keeps up on
/// any machine. No label is reported by itself.
pub fn cheap(folder: &Path) -> String {
    let labels = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny/labels.tsv")).unwrap();
    self::folder(folder, &graph(labels.lines().count() - 1), &labels, |manifest| manifest);
    format!(
        "[model]\ndir = {folder:?}\n[report]\nlabels = [\"Dog\", \"Cat\"]\n[defaults]\nthreshold = 1.0\nstart_threshold = 1.0\n"
    )
}

fn model(graph: &[u8]) -> Vec<u8> {
    [number(1, 8), bytes(7, graph), bytes(8, number(2, 17))].concat()
}

pub const LABELS: &str = "id\tname\n/x/any\tAny\n/x/loud\tLoud\n/x/deafening\tDeafening\n";

/// Makes a model folder with this graph and these labels. `change` may spoil its manifest.
pub fn folder(folder: &Path, graph: &[u8], labels: &str, change: impl Fn(String) -> String) {
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    std::fs::write(folder.join("model.onnx"), graph).unwrap();
    std::fs::write(folder.join("labels.tsv"), labels).unwrap();
    let manifest = format!(
        "format = 1\nname = \"loudness\"\nlicence = \"MIT\"\nsource = \"tests\"\nfile = \"model.onnx\"\nsha256 = \"{}\"\nlabels = \"labels.tsv\"\n\
         labels_sha256 = \"{}\"\n\n[input]\nkind = \"waveform\"\nname = \"audio\"\nshape = [\"batch\", \"samples\"]\nsample_rate_hz = 16000\n\n\
         [output]\nname = \"levels\"\nkind = \"logits\"\n\n[detection]\nwindows_ms = [500, 1000]\nhop_ms = 100\ndelta = 0.1\nmedian = 3\nextent = 0.2\nvalley = 0.3\n",
        hash(graph),
        hash(labels.as_bytes())
    );
    std::fs::write(folder.join("manifest.toml"), change(manifest)).unwrap();
}
