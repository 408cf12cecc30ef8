//! The model: from windows of features to one score a label.
//!
//! `manifest` reads the manifest of a model's folder, `labels` names the outputs, `hierarchy` relates the labels, and `onnx`
//! opens and runs the graph; it alone names ort. `kernels` computes the steps between two matrix products of the graph, and
//! `learnt` the scores of learnt sounds, which are labels behind the model's own. For foreign models, `map` reads label maps,
//! `external` finds the files with a graph's weights, and `draft` drafts the manifest. Nothing here knows of sources, time or
//! events.

pub mod draft;
pub(crate) mod error;
pub mod external;
pub mod hierarchy;
pub(crate) mod kernels;
pub mod labels;
pub mod learnt;
pub mod manifest;
pub mod map;
pub(crate) mod odds;
pub mod onnx;

pub use error::ModelError;
pub use labels::Labels;
pub use manifest::Model;
pub use onnx::{Scores, Tagger};

/// The most hops that are scored together in one pass.
pub(crate) const MAX_HOPS: usize = 64;
