//! The shapes and types of a graph's tensors: what a graph takes and gives, compared with its manifest, and the scores of one
//! window among the numbers of an output.
//!
//! Converters export one network in many shapes. A graph may be made for a batch of one size, or for no batch; its numbers may have
//! 16 bits; its output may have frames. None of these is in the manifest, because the graph says it.

use half::f16;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueRef, ValueType};

use crate::model::ModelError;
use crate::model::manifest::{Axis, AxisName, Embedding, Model};

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// 32 bits.
    F32,
    /// 16 bits; they are converted on their way in and out.
    F16,
}

/// The number of windows that a graph takes in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    /// As many as are given.
    Any,
    /// This many; 1 for a graph without a batch dimension.
    Fixed(usize),
}

/// A graph's way to take windows.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The type of the input's numbers.
    pub number: Number,
    /// The number of windows in one call.
    pub batch: Batch,
}

/// The type and the dimensions of a tensor, −1 where they are free; `None` for anything but a tensor of f32 or f16.
pub(super) fn tensor(outlet: &Outlet) -> Option<(Number, Vec<i64>)> {
    match outlet.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => Some((Number::F32, shape.to_vec())),
        ValueType::Tensor { ty: TensorElementType::Float16, shape, .. } => Some((Number::F16, shape.to_vec())),
        _ => None,
    }
}

/// A shape for people.
pub fn describe(shape: &[i64]) -> String {
    let sizes: Vec<_> = shape.iter().map(|size| if *size < 0 { "any".to_owned() } else { size.to_string() }).collect();
    format!("[{}]", sizes.join(", "))
}

fn names(outlets: &[Outlet]) -> String {
    outlets.iter().map(|outlet| format!("{:?}", outlet.name())).collect::<Vec<_>>().join(", ")
}

impl Plan {
    /// Compares the graph's input and outputs with the manifest. `mels` and `lengths` are the sizes of the windows.
    pub fn of(
        session: &Session,
        model: &Model,
        embedding: Option<&Embedding>,
        mels: usize,
        lengths: &[usize],
    ) -> Result<Self, ModelError> {
        let wrong = |what: &str, expected: String, actual: String| ModelError::WrongShape {
            path: model.graph.clone(),
            what: what.to_owned(),
            expected,
            actual,
        };
        let (inputs, axes) = (session.inputs(), &model.input.shape);
        let [input] = inputs else {
            return Err(wrong("its inputs", format!("{:?} alone", model.input.name), names(inputs)));
        };
        if input.name() != model.input.name {
            return Err(wrong("its input", format!("{:?}", model.input.name), names(inputs)));
        }
        let size = |axis: &Axis| match axis {
            Axis::Fixed(size) => *size,
            Axis::Named(AxisName::Mels) => mels as i64,
            // A graph that is made for one length takes that length alone.
            Axis::Named(AxisName::Frames | AxisName::Samples) if lengths.len() == 1 => lengths[0] as i64,
            Axis::Named(_) => -1,
        };
        let expected: Vec<i64> = axes.iter().map(size).collect();
        let what = format!("the shape of its input {:?}", input.name());
        let Some((number, actual)) = tensor(input) else {
            return Err(wrong(&what, describe(&expected), "not a tensor of f32 or f16".to_owned()));
        };
        let fits = |((axis, expected), actual): ((&Axis, &i64), &i64)| match axis {
            Axis::Named(AxisName::Batch) => *actual != 0,
            _ => *actual < 0 || *expected == *actual,
        };
        if actual.len() != expected.len() || !axes.iter().zip(&expected).zip(&actual).all(fits) {
            return Err(wrong(&what, describe(&expected), describe(&actual)));
        }
        let place = axes.iter().position(|axis| *axis == Axis::Named(AxisName::Batch));
        let batch = match place.map(|place| actual[place]) {
            None => Batch::Fixed(1),
            Some(size) => usize::try_from(size).map_or(Batch::Any, Batch::Fixed),
        };
        // One row for whatever is given: the converter left the batch free and made the graph for one window all the same.
        let scores = session.outputs().iter().find(|output| output.name() == model.output.name).and_then(tensor);
        let has_one_row = scores.is_some_and(|(_, shape)| shape.len() > 1 && shape[0] == 1);
        let batch = if batch == Batch::Any && has_one_row { Batch::Fixed(1) } else { batch };
        let n_labels = model.n_own_labels();
        output(session, model, &model.output.name, n_labels, "its output", |actual| ModelError::WrongLabelCount {
            path: model.graph.clone(),
            expected: n_labels,
            actual,
        })?;
        if let Some(Embedding { name, size, .. }) = embedding {
            output(session, model, name, *size, "its output of the embedding", |actual| {
                wrong("the size of its embedding", size.to_string(), actual.to_string())
            })?;
        }
        Ok(Self { number, batch })
    }
}

/// Compares an output of the graph, `what`, with its name and the number of its values; another number is the error of `sized`.
fn output(
    session: &Session,
    model: &Model,
    name: &str,
    size: usize,
    what: &str,
    sized: impl Fn(usize) -> ModelError,
) -> Result<(), ModelError> {
    let wrong = |what: String, expected: String, actual: String| {
        Err(ModelError::WrongShape { path: model.graph.clone(), what, expected, actual })
    };
    let outputs = session.outputs();
    let Some(output) = outputs.iter().find(|output| output.name() == name) else {
        return wrong(what.to_owned(), format!("{name:?}"), names(outputs));
    };
    let Some((_, shape)) = tensor(output) else {
        let actual = format!("{:?}", output.dtype());
        return wrong(format!("the type of {what} {name:?}"), "a tensor of f32 or f16".to_owned(), actual);
    };
    // The size of the others shows when the graph has run.
    let may_be = |at: Option<usize>| at.and_then(|at| shape.get(at)).is_some_and(|actual| *actual < 0 || *actual == size as i64);
    match shape.last() {
        _ if may_be(shape.len().checked_sub(1)) || may_be(shape.len().checked_sub(2).filter(|_| shape.len() > 2)) => Ok(()),
        Some(actual) => Err(sized(usize::try_from(*actual).unwrap_or(0))),
        None => Err(sized(1)),
    }
}

/// The numbers of an output.
#[derive(Debug, Clone, Copy)]
enum Numbers<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

impl Numbers<'_> {
    fn len(self) -> usize {
        match self {
            Numbers::F32(numbers) => numbers.len(),
            Numbers::F16(numbers) => numbers.len(),
        }
    }

    fn at(self, index: usize) -> f32 {
        match self {
            Numbers::F32(numbers) => numbers[index],
            Numbers::F16(numbers) => numbers[index].to_f32(),
        }
    }
}

/// How the frames of a window become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// The highest, for scores: a window has what one of its frames has.
    Highest,
    /// The mean, for embeddings.
    Mean,
}

/// An output of a call, as the rows of its windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    numbers: Numbers<'a>,
    size: usize,
    frames: usize,
    /// Whether the frames are the last dimension.
    are_frames_last: bool,
}

/// Why an output is not rows of the expected size.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RowsError {
    /// It is no tensor of f32 or f16; the reason of ONNX Runtime.
    Type(String),
    /// It has this many numbers a window.
    Size(usize),
}

impl<'a> Rows<'a> {
    /// The rows of `batch` windows with `size` numbers each.
    pub fn of(value: &'a ValueRef<'_>, batch: usize, size: usize) -> Result<Self, RowsError> {
        let of_type = |error: ort::Error| RowsError::Type(error.to_string());
        let (shape, numbers) = match value.dtype() {
            ValueType::Tensor { ty: TensorElementType::Float16, .. } => {
                let (shape, numbers) = value.try_extract_tensor::<f16>().map_err(of_type)?;
                (shape, Numbers::F16(numbers))
            }
            _ => {
                let (shape, numbers) = value.try_extract_tensor::<f32>().map_err(of_type)?;
                (shape, Numbers::F32(numbers))
            }
        };
        Self::in_shape(shape, numbers, batch, size)
    }

    fn in_shape(shape: &[i64], numbers: Numbers<'a>, batch: usize, size: usize) -> Result<Self, RowsError> {
        let of_window = numbers.len() / batch.max(1);
        let is_whole = numbers.len() > 0 && numbers.len().is_multiple_of(batch.max(1) * size.max(1));
        let is_size = |place: Option<&i64>| place.is_some_and(|place| *place == size as i64);
        let (last, before) = (shape.last(), shape.iter().rev().nth(1));
        if is_whole && (is_size(last) || of_window == size) {
            return Ok(Self { numbers, size, frames: of_window / size.max(1), are_frames_last: false });
        }
        if is_whole && shape.len() > 2 && is_size(before) {
            return Ok(Self { numbers, size, frames: of_window / size.max(1), are_frames_last: true });
        }
        // A shape with frames is wrong in its last dimension, another one in all that a window has.
        let last = last.and_then(|last| usize::try_from(*last).ok()).unwrap_or(0);
        Err(RowsError::Size(if shape.len() > 2 { last } else { of_window }))
    }

    /// Writes the row of a window into `row`, which has its size.
    pub fn copy(&self, window: usize, pool: Pool, row: &mut [f32]) {
        let first = window * self.frames * self.size;
        if let (1, Numbers::F32(numbers)) = (self.frames, self.numbers) {
            return row.copy_from_slice(&numbers[first..first + self.size]);
        }
        let (by_frame, by_place) = if self.are_frames_last { (1, self.frames) } else { (self.size, 1) };
        for (place, value) in row.iter_mut().enumerate() {
            let of_frames = (0..self.frames).map(|frame| self.numbers.at(first + frame * by_frame + place * by_place));
            *value = match pool {
                Pool::Highest => of_frames.fold(f32::NEG_INFINITY, f32::max),
                Pool::Mean => of_frames.sum::<f32>() / self.frames as f32,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of all windows, or the wrong size.
    fn rows(shape: &[i64], batch: usize, size: usize, pool: Pool) -> Result<Vec<Vec<f32>>, RowsError> {
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|number: i64| number as f32).collect();
        let halves: Vec<f16> = numbers.iter().map(|number| f16::from_f32(*number)).collect();
        let copied = |numbers| {
            let rows = Rows::in_shape(shape, numbers, batch, size)?;
            let row = |window| {
                let mut row = vec![f32::NAN; size];
                rows.copy(window, pool, &mut row);
                row
            };
            Ok((0..batch).map(row).collect::<Vec<_>>())
        };
        let (whole, half) = (copied(Numbers::F32(&numbers)), copied(Numbers::F16(&halves)));
        assert_eq!(whole, half);
        whole
    }

    #[test]
    fn every_shape_of_scores_gives_one_row_a_window() {
        let one = vec![vec![0.0, 1.0, 2.0]];
        for shape in [&[3][..], &[1, 3], &[1, 1, 3], &[1, 3, 1], &[3, 1]] {
            assert_eq!(rows(shape, 1, 3, Pool::Highest), Ok(one.clone()), "{shape:?}");
        }
        let two = vec![vec![0.0, 1.0, 2.0], vec![3.0, 4.0, 5.0]];
        assert_eq!(rows(&[2, 3], 2, 3, Pool::Highest), Ok(two.clone()));
        assert_eq!(rows(&[2, 1, 3], 2, 3, Pool::Mean), Ok(two));
    }

    #[test]
    fn the_highest_of_the_frames_is_the_windows_score_and_their_mean_its_embedding() {
        assert_eq!(rows(&[4, 3], 1, 3, Pool::Highest), Ok(vec![vec![9.0, 10.0, 11.0]]));
        assert_eq!(rows(&[4, 3], 1, 3, Pool::Mean), Ok(vec![vec![4.5, 5.5, 6.5]]));
        let two = Ok(vec![vec![3.0, 4.0, 5.0], vec![9.0, 10.0, 11.0]]);
        assert_eq!(rows(&[2, 2, 3], 2, 3, Pool::Highest), two);
        assert_eq!(rows(&[4, 3], 2, 3, Pool::Highest), two);
        // The frames last: label 0 has 0 and 1.
        assert_eq!(rows(&[2, 3, 2], 2, 3, Pool::Highest), Ok(vec![vec![1.0, 3.0, 5.0], vec![7.0, 9.0, 11.0]]));
    }

    #[test]
    fn another_number_of_scores_is_told_by_window() {
        assert_eq!(rows(&[2, 4], 2, 3, Pool::Highest), Err(RowsError::Size(4)));
        assert_eq!(rows(&[4], 1, 3, Pool::Highest), Err(RowsError::Size(4)));
        assert_eq!(rows(&[1, 5, 4], 1, 3, Pool::Highest), Err(RowsError::Size(4)));
        // One row for two windows is no batch.
        assert_eq!(rows(&[1, 3], 2, 3, Pool::Highest), Err(RowsError::Size(1)));
        assert_eq!(rows(&[0, 3], 1, 3, Pool::Highest), Err(RowsError::Size(0)));
    }
}
