//! The tagger of [`super`] in the shapes in which converters export graphs: batches of one size, numbers of 16 bits, frames, several
//! outputs, and weights in a file of their own.

use super::{bytes, constant, int, ints, model, node, number, varint};

/// The file that holds the weights of a graph with external data.
pub const WEIGHTS: &str = "weights.bin";

/// A graph to be written. A dimension of −1 is free.
#[derive(Debug, Clone, Copy)]
pub struct Foreign<'a> {
    /// The dimensions of the input.
    pub input: &'a [i64],
    /// The shape into which the input is brought, in which 0 keeps a dimension and −1 is what is left; empty for its own.
    pub cut: &'a [i64],
    /// The dimension that holds the samples of a window or a frame, of those of `cut`.
    pub samples: u64,
    /// The shape into which the levels are brought; empty for their own.
    pub levels: &'a [i64],
    /// The order of the dimensions of the levels; empty for their own.
    pub order: &'a [u64],
    /// The dimensions of the output, as the graph declares them.
    pub output: &'a [i64],
    /// Whether the numbers of the input and the output have 16 bits.
    pub is_half: bool,
    /// Whether the weights are in [`WEIGHTS`].
    pub is_external: bool,
}

impl Default for Foreign<'_> {
    fn default() -> Self {
        Self {
            input: &[1, 8_000],
            cut: &[],
            samples: 1,
            levels: &[],
            order: &[],
            output: &[1, 3],
            is_half: false,
            is_external: false,
        }
    }
}

/// The bytes of [`WEIGHTS`]: the scale of each label.
pub fn weights() -> Vec<u8> {
    [200.0f32; 3].iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn shape(name: &str, sizes: &[i64]) -> Vec<u8> {
    let sizes_packed: Vec<u8> = sizes.iter().flat_map(|size| varint(*size as u64)).collect();
    [number(1, sizes.len() as u64), number(2, 7), bytes(7, sizes_packed), bytes(8, name)].concat()
}

fn tensor(name: &str, kind: u64, sizes: &[i64]) -> Vec<u8> {
    let size =
        |(at, size): (usize, &i64)| bytes(1, if *size < 0 { bytes(2, format!("{name}_{at}")) } else { number(1, *size as u64) });
    let sizes: Vec<u8> = sizes.iter().enumerate().flat_map(size).collect();
    [bytes(1, name), bytes(2, bytes(1, [number(1, kind), bytes(2, sizes)].concat()))].concat()
}

fn external(name: &str) -> Vec<u8> {
    let pair = bytes(13, [bytes(1, "location"), bytes(2, WEIGHTS)].concat());
    [number(1, 3), number(2, 1), bytes(8, name), pair, number(14, 1)].concat()
}

impl Foreign<'_> {
    /// The graph's file. Its second output is none of scores, and comes first.
    pub fn graph(&self) -> Vec<u8> {
        let (kind, mut last) = (if self.is_half { 10 } else { 1 }, "levels_0");
        let mut parts = vec![bytes(2, "foreign")];
        let mut add = |kind: &str, inputs: &[&str], output: &str, attribute: Vec<u8>| {
            parts.push(bytes(1, node(kind, inputs, output, attribute)));
        };
        add("Cast", &["audio"], "sound", int("to", 1));
        match self.cut {
            [] => add("Identity", &["sound"], "cut", Vec::new()),
            _ => add("Reshape", &["sound", "cut_shape"], "cut", Vec::new()),
        }
        add("Mul", &["cut", "cut"], "squares", Vec::new());
        add("ReduceMean", &["squares"], "mean", ints("axes", self.samples));
        add("Mul", &["mean", "scale"], "scaled", Vec::new());
        add("Add", &["scaled", "bias"], "levels_0", Vec::new());
        if !self.order.is_empty() {
            let order: Vec<u8> = self.order.iter().flat_map(|place| number(8, *place)).collect();
            add("Transpose", &[last], "levels_1", bytes(5, [bytes(1, "perm"), number(20, 7), order].concat()));
            last = "levels_1";
        }
        if !self.levels.is_empty() {
            add("Reshape", &[last, "levels_shape"], "levels_2", Vec::new());
            last = "levels_2";
        }
        add("Cast", &[last], "levels", int("to", kind));
        add("Identity", &["squares"], "spectrum", Vec::new());
        parts.push(bytes(5, constant("bias", &[-4.0, -20.0, -200.0])));
        parts.push(bytes(5, if self.is_external { external("scale") } else { constant("scale", &[200.0; 3]) }));
        parts.push(bytes(5, shape("cut_shape", self.cut)));
        parts.push(bytes(5, shape("levels_shape", self.levels)));
        parts.push(bytes(11, tensor("audio", kind, self.input)));
        let spectrum = vec![-1; if self.cut.is_empty() { self.input.len() } else { self.cut.len() }];
        parts.push(bytes(12, tensor("spectrum", 1, &spectrum)));
        parts.push(bytes(12, tensor("levels", kind, self.output)));
        model(&parts.concat())
    }
}
