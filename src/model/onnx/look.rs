//! A look at a graph that has no manifest yet: its inputs and outputs, with their shapes.

use std::path::Path;

use super::{Runtime, one_line, shape};
use crate::model::ModelError;

/// A tensor that a graph takes or gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its dimensions, −1 where they are free; `None` for anything but numbers of 32 or 16 bits with a fraction.
    pub shape: Option<Vec<i64>>,
}

/// What a graph takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The inputs.
    pub inputs: Vec<Tensor>,
    /// The outputs.
    pub outputs: Vec<Tensor>,
}

impl std::fmt::Display for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.shape {
            Some(shape) => write!(f, "{:?} {}", self.name, shape::describe(shape)),
            None => write!(f, "{:?}, which is no tensor of f32 or f16", self.name),
        }
    }
}

/// The tensors in a row, for people.
pub fn list(tensors: &[Tensor]) -> String {
    tensors.iter().map(Tensor::to_string).collect::<Vec<_>>().join("; ")
}

impl Seen {
    /// Opens the graph in a file and looks at it.
    ///
    /// # Errors `Refused` where ONNX Runtime cannot open it.
    pub fn of(graph: &Path, runtime: &Runtime) -> Result<Self, ModelError> {
        let session = runtime
            .session(graph)
            .map_err(|error| ModelError::Refused { path: graph.into(), what: one_line(&error.to_string()) })?;
        let tensors = |outlets: &[ort::value::Outlet]| {
            let tensor = |outlet: &ort::value::Outlet| Tensor {
                name: outlet.name().to_owned(),
                shape: shape::tensor(outlet).map(|(_, shape)| shape),
            };
            outlets.iter().map(tensor).collect()
        };
        Ok(Self { inputs: tensors(session.inputs()), outputs: tensors(session.outputs()) })
    }
}
