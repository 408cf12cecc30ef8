//! The errors of models and of ONNX Runtime, one sentence each.

use std::path::PathBuf;

use crate::text::did_you_mean;

/// The reason why a model, or the ONNX Runtime that it needs, cannot be used. Trying again helps none of them.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The model's folder is in none of the searched places.
    #[error("there is no model {name:?}{hint} (looked for its manifest.toml in {}); run `make setup`, or set dir under [model]", list(.searched), hint = did_you_mean(.suggestion.as_deref()))]
    NoFolder {
        /// The name or path asked for.
        name: String,
        /// The nearest name of an installed model.
        suggestion: Option<String>,
        /// The searched folders.
        searched: Vec<PathBuf>,
    },
    /// A file of the model cannot be read.
    #[error("the model's file {} cannot be read ({error}); run `make setup` to get it again", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// The manifest breaks its format.
    #[error("the manifest {} is wrong: {what}", .path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// The fault, with its line.
        what: String,
    },
    /// A table of labels breaks its format.
    #[error("line {line} of {} is wrong: {what}", .path.display())]
    BadTable {
        /// The table.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The fault.
        what: String,
    },
    /// A file is another one than the manifest names.
    #[error("{} is not the file that its manifest names: sha256 is {actual}, expected {expected}; run `make setup` to get it again", .path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// The value in the manifest.
        expected: String,
        /// The value of the file.
        actual: String,
    },
    /// The graph has other inputs or outputs than the manifest says.
    #[error("the graph {} does not fit its manifest: {what} is {actual}, expected {expected}", .path.display())]
    WrongShape {
        /// The graph.
        path: PathBuf,
        /// The input or output.
        what: String,
        /// The value in the manifest.
        expected: String,
        /// The value of the graph.
        actual: String,
    },
    /// The graph gives another number of scores than there are labels.
    #[error("the graph {} gives {actual} scores a window, but the model has {expected} labels", .path.display())]
    WrongLabelCount {
        /// The graph.
        path: PathBuf,
        /// The number of labels in the model's folder.
        expected: usize,
        /// The number of scores that the graph gives.
        actual: usize,
    },
    /// libonnxruntime is in none of the searched places.
    #[error("libonnxruntime was not found (looked for {}); run `make setup`, or set runtime under [model] or MIMID_ONNXRUNTIME to its path", list(.searched))]
    NoRuntime {
        /// The searched paths.
        searched: Vec<PathBuf>,
    },
    /// The file exists but cannot be loaded as libonnxruntime.
    #[error("{} cannot be used as ONNX Runtime: {what}", .path.display())]
    BadRuntime {
        /// The library.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// ONNX Runtime refused the graph, or failed to run it.
    #[error("ONNX Runtime cannot run {}: {what}", .path.display())]
    Refused {
        /// The graph.
        path: PathBuf,
        /// The message of ONNX Runtime.
        what: String,
    },
    /// A helper thread ended without giving its batch back.
    #[error("a thread of the inference has ended without giving its scores back; start mimid again")]
    Lost,
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
