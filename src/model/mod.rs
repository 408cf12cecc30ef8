//! The model: from windows of features to one score a label.
//!
//! `manifest` reads what a model's folder says of itself, `labels` names its outputs, and `onnx` is the only place that names
//! ort; `kernels` computes what lies between its products. Nothing here knows of sources, time or events.

pub mod error;
pub mod hierarchy;
pub mod kernels;
pub mod labels;
pub mod manifest;
pub mod onnx;

pub use error::ModelError;
pub use labels::Labels;
pub use manifest::Model;
pub use onnx::Tagger;

/// The most hops that can be scored together.
pub const MAX_HOPS: usize = 64;
