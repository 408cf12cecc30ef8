//! Why a model, or the ONNX Runtime that it needs, cannot be used: one sentence each.

use std::path::PathBuf;

use crate::text::did_you_mean;

/// Why a model, or the ONNX Runtime that it needs, cannot be used. None of them is helped by trying again.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The model's folder is in none of the places that are looked in.
    #[error("there is no model {name:?}{hint} (looked for its manifest.toml in {}); run `make setup`, or set dir under [model]", list(.searched), hint = did_you_mean(.suggestion.as_deref()))]
    NoFolder {
        /// The name or path asked for.
        name: String,
        /// The nearest name of a model that is there.
        suggestion: Option<String>,
        /// The folders that were looked in.
        searched: Vec<PathBuf>,
    },
    /// A file of the model cannot be read.
    #[error("the model's file {} cannot be read ({error}); run `make setup` to get it again", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The manifest is not what it should be.
    #[error("the manifest {} is wrong: {what}", .path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong, with the line.
        what: String,
    },
    /// A table of labels is not what it should be.
    #[error("line {line} of {} is wrong: {what}", .path.display())]
    BadTable {
        /// The table.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A file is not the one that the manifest was written for.
    #[error("{} is not the file that its manifest names: sha256 is {actual}, expected {expected}; run `make setup` to get it again", .path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// What the manifest says.
        expected: String,
        /// What the file has.
        actual: String,
    },
    /// The graph's inputs or outputs are not what the manifest says.
    #[error("the graph {} does not fit its manifest: {what} is {actual}, expected {expected}", .path.display())]
    WrongShape {
        /// The graph.
        path: PathBuf,
        /// Which input or output.
        what: String,
        /// What the manifest says.
        expected: String,
        /// What the graph has.
        actual: String,
    },
    /// The graph does not give one score a label.
    #[error("the graph {} gives {actual} scores a window, but its labels are {expected}", .path.display())]
    WrongLabelCount {
        /// The graph.
        path: PathBuf,
        /// How many labels the model's folder names.
        expected: usize,
        /// How many scores the graph gives.
        actual: usize,
    },
    /// libonnxruntime is in none of the places that are looked in.
    #[error("libonnxruntime was not found (looked for {}); run `make setup`, or set runtime under [model] or MIMID_ONNXRUNTIME to its path", list(.searched))]
    NoRuntime {
        /// The files that were looked for.
        searched: Vec<PathBuf>,
    },
    /// The file is there but cannot be used as libonnxruntime.
    #[error("{} cannot be used as ONNX Runtime: {what}", .path.display())]
    BadRuntime {
        /// The library.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// ONNX Runtime refused the graph, or failed to run it.
    #[error("ONNX Runtime cannot run {}: {what}", .path.display())]
    Refused {
        /// The graph.
        path: PathBuf,
        /// What ONNX Runtime said.
        what: String,
    },
    /// A thread that scored windows has ended without a word.
    #[error("a thread of the inference has ended without giving its scores back; start mimid again")]
    Lost,
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
