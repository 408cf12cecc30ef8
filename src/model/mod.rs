//! The model: from windows of features to one score a label.
//!
//! `manifest` reads what a model's folder says of itself, `labels` names its outputs, and `onnx` is the only place that names
//! ort; `kernels` computes what lies between its products. `relief` lets other threads take a share of the batches. Nothing here knows of sources, time or events.

pub mod error;
pub mod kernels;
pub mod labels;
pub mod manifest;
pub mod onnx;
pub mod relief;

pub use error::ModelError;
pub use labels::Labels;
pub use manifest::Model;
pub use onnx::Tagger;
