//! What lies between two of the model's products of integers, in one pass over each token.
//!
//! A product gives integers; what each of a token's is worth is that token's *scale*, and a bias is added to them. The next product
//! takes bytes again, at a step that suits the token. Between them lies a layer normalisation, a GELU or the attention. ONNX Runtime's
//! own operators would go over the tokens six to ten times for that, and took more time than the products did.
//!
//! `models/encoder.py` defines the same operators in terms of ONNX's, and the graph carries those definitions. `model/onnx/operators.rs`
//! gives these kernels to ONNX Runtime; nothing here knows of it.
//!
//! Invariant: a token's bytes depend on nothing but the token, or its window; nothing here allocates once it has seen its longest window.

mod attention;
mod lanes;
mod tokens;

/// Which vectors the processor has.
pub use fearless_simd::Level;

pub use attention::{Attention, MAX_HEAD, MAX_TOKENS};
pub use tokens::{Gelu, Norm};

/// How many channels are computed side by side; the channels of a token are whole groups of so many.
pub const LANES: usize = lanes::LANES;

/// The integers that a product gave, `[tokens, channels]`, and what they are worth: a value is `integer · scale + bias`.
#[derive(Debug, Clone, Copy)]
pub struct Product<'a> {
    /// `[tokens, channels]`.
    pub integers: &'a [i32],
    /// `[tokens]`.
    pub scales: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
}

/// Where the tokens go that the next product takes.
#[derive(Debug)]
pub struct Quantized<'a> {
    /// `[tokens, channels]`.
    pub rounded: &'a mut [u8],
    /// What one of the next product's integers is worth, `[tokens]`.
    pub scales: &'a mut [f32],
}

#[cfg(test)]
mod tests;
