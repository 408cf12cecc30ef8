//! The steps between two integer matrix products of the model, each in one pass over every token.
//!
//! A product gives integers. The value of an integer is the integer times the token's *scale*, plus a bias. The next product
//! takes bytes again, rounded at a step that suits the token. Between them lies a layer normalisation, a GELU or the attention.
//! ONNX Runtime's own operators would pass over the tokens six to ten times for that, and took more time than the products did.
//!
//! `models/encoder.py` defines the same operators in terms of ONNX's, and the graph carries those definitions.
//! `model/onnx/operators.rs` gives these kernels to ONNX Runtime; nothing here knows of it.
//!
//! Invariant: a token's bytes depend on nothing but the token, or its window; nothing is allocated once the longest window has
//! come.

mod attention;
mod lanes;
mod tokens;

/// The kind of vectors that the processor has.
pub use fearless_simd::Level;

pub use attention::{Attention, MAX_HEAD, MAX_TOKENS};
pub use tokens::{Gelu, Norm};

/// The number of channels that are computed side by side; the channels of a token are a multiple of it.
pub const LANES: usize = lanes::LANES;

/// The integers that a product gave, with their scales and bias: a value is `integer · scale + bias`.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// `[tokens, channels]`.
    pub integers: &'a [i32],
    /// `[tokens]`.
    pub scales: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
}

/// The tokens for the next product, rounded to bytes.
#[derive(Debug)]
pub struct Quantized<'a> {
    /// `[tokens, channels]`.
    pub rounded: &'a mut [u8],
    /// The scale of the next product's integers, `[tokens]`.
    pub scales: &'a mut [f32],
}

#[cfg(test)]
mod tests;
