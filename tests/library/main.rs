//! The library: the engine with a real ONNX Runtime, the lines of the protocol, every parser of foreign bytes.

mod engine;
mod formats;
mod fuzz;
mod kernels;
#[path = "../support/mod.rs"]
mod support;
mod wire;
