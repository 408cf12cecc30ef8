//! mimid's own operators for ONNX Runtime: they check the shapes of their tensors and hand them to `model/kernels`.
//!
//! A graph with these operators also carries their definitions in terms of ONNX's own (`models/encoder.py`), so that other tools
//! can run it as well.

use ort::error::{Error, Result};
use ort::operator::{BoxedKernel, ComputeContext, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput};
use ort::value::{PrimitiveTensorElementType, TensorElementType, TensorValueType, ValueRef, ValueRefMut};

use crate::model::kernels::{Attention, Gelu, LANES, Level, MAX_HEAD, MAX_TOKENS, Norm, Product, Quantized};

/// The operators' domain, as graphs name it.
const DOMAIN: &str = "mimid";

/// The domain with all operators, for a session.
pub fn domain() -> Result<OperatorDomain> {
    const X: TensorElementType = TensorElementType::Float32;
    const INTEGERS: TensorElementType = TensorElementType::Int32;
    const BYTES: TensorElementType = TensorElementType::Uint8;
    const INDICES: TensorElementType = TensorElementType::Int64;
    let norm = Own { name: "NormQuantize", inputs: &[X, X, X, INDICES, X], outputs: &[BYTES, X], kernel: norm };
    let add_norm = Own {
        name: "AddNormQuantize",
        inputs: &[X, INTEGERS, X, X, X, X, INDICES, X],
        outputs: &[X, BYTES, X],
        kernel: add_norm,
    };
    let gelu = Own { name: "GeluQuantize", inputs: &[INTEGERS, X, X, X], outputs: &[BYTES, X], kernel: gelu };
    let attention =
        Own { name: "AttentionQuantize", inputs: &[INTEGERS, X, X, INDICES, X], outputs: &[BYTES, X], kernel: attention };
    OperatorDomain::new(DOMAIN)?.add(norm)?.add(add_norm)?.add(gelu)?.add(attention)
}

/// An operator: its name, the types of its inputs and outputs, and the function that makes its kernel for a node.
struct Own {
    name: &'static str,
    inputs: &'static [TensorElementType],
    outputs: &'static [TensorElementType],
    kernel: fn(&KernelContext) -> Result<BoxedKernel<'static>>,
}

impl Operator for Own {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        self.inputs.iter().map(|kind| OperatorInput::required(*kind))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        self.outputs.iter().map(|kind| OperatorOutput::required(*kind))
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> Result<Self::Kernel<'attr>> {
        (self.kernel)(node)
    }
}

/// `x, gain, shift, order, weight_step` to `rounded, scales`.
fn norm(node: &KernelContext) -> Result<BoxedKernel<'static>> {
    let (mut norm, level) = (norm_of(node, 1)?, Level::new());
    Ok(Box::new(move |context: &ComputeContext| {
        let x = input(context, 0)?;
        let x = tensor::<f32>(&x)?;
        let tokens = whole(x.len(), norm.channels(), "x")?;
        let (mut rounded, mut scales) = (output(context, 0, [tokens, norm.rounded_len()])?, output(context, 1, [tokens])?);
        norm.run(level, x, Quantized { rounded: tensor_mut(&mut rounded)?, scales: tensor_mut(&mut scales)? });
        Ok(())
    }))
}

/// `x, product, scales, bias, gain, shift, order, weight_step` to `sum, rounded, scales`.
fn add_norm(node: &KernelContext) -> Result<BoxedKernel<'static>> {
    let (mut norm, level) = (norm_of(node, 4)?, Level::new());
    let bias = constant::<f32>(node, 3)?;
    expect(bias.len() == norm.channels(), "the bias has not the channels of the gain")?;
    Ok(Box::new(move |context: &ComputeContext| {
        let (x, integers, scales) = (input(context, 0)?, input(context, 1)?, input(context, 2)?);
        let (x, product) = (tensor::<f32>(&x)?, product(&integers, &scales, &bias)?);
        expect(x.len() == product.integers.len(), "x is not as large as the product")?;
        let tokens = product.scales.len();
        let mut sums = output(context, 0, [tokens, bias.len()])?;
        let (mut rounded, mut scales) = (output(context, 1, [tokens, norm.rounded_len()])?, output(context, 2, [tokens])?);
        let out = Quantized { rounded: tensor_mut(&mut rounded)?, scales: tensor_mut(&mut scales)? };
        norm.run_added(level, x, product, tensor_mut(&mut sums)?, out);
        Ok(())
    }))
}

/// `product, scales, bias, weight_step` to `rounded, scales`.
fn gelu(node: &KernelContext) -> Result<BoxedKernel<'static>> {
    let bias = constant::<f32>(node, 2)?;
    expect_groups(bias.len())?;
    let (mut gelu, level) = (Gelu::new(bias.len(), constant_number(node, 3)?), Level::new());
    Ok(Box::new(move |context: &ComputeContext| {
        let (integers, scales) = (input(context, 0)?, input(context, 1)?);
        let product = product(&integers, &scales, &bias)?;
        let tokens = product.scales.len();
        let (mut rounded, mut scales) = (output(context, 0, [tokens, bias.len()])?, output(context, 1, [tokens])?);
        gelu.run(level, product, Quantized { rounded: tensor_mut(&mut rounded)?, scales: tensor_mut(&mut scales)? });
        Ok(())
    }))
}

/// `product, scales, bias, n_windows, weight_step` to `rounded, scales`, with the attribute `n_heads`.
fn attention(node: &KernelContext) -> Result<BoxedKernel<'static>> {
    let bias = constant::<f32>(node, 2)?;
    let heads = node.get::<i64>("n_heads").and_then(|heads| usize::try_from(heads).ok()).filter(|heads| *heads > 0);
    let heads = heads.ok_or_else(|| Error::new("the attention says no number of heads"))?;
    let channels = whole(bias.len(), 3, "the bias")?;
    let head = whole(channels, heads, "a token's channels")?;
    expect_groups(head)?;
    expect(head <= MAX_HEAD, "a head of the attention has too many channels")?;
    let (mut attention, level) = (Attention::new(heads, channels, constant_number(node, 4)?), Level::new());
    Ok(Box::new(move |context: &ComputeContext| {
        let (integers, scales, windows) = (input(context, 0)?, input(context, 1)?, input(context, 3)?);
        let (product, windows) = (product(&integers, &scales, &bias)?, tensor::<i64>(&windows)?);
        let windows = windows.first().and_then(|windows| usize::try_from(*windows).ok()).unwrap_or(0);
        let tokens = product.scales.len();
        let in_window = whole(tokens, windows, "the number of tokens")?;
        expect((1..=MAX_TOKENS).contains(&in_window), "a window has no tokens, or too many")?;
        let (mut rounded, mut scales) = (output(context, 0, [tokens, channels])?, output(context, 1, [tokens])?);
        attention.run(
            level,
            product,
            in_window,
            Quantized { rounded: tensor_mut(&mut rounded)?, scales: tensor_mut(&mut scales)? },
        );
        Ok(())
    }))
}

/// The normalisation by the inputs `gain, shift, order, weight_step` from `first` on.
fn norm_of(node: &KernelContext, first: usize) -> Result<Norm> {
    let (gain, shift) = (constant::<f32>(node, first)?, constant::<f32>(node, first + 1)?);
    let order: Vec<usize> =
        constant::<i64>(node, first + 2)?.iter().map(|channel| usize::try_from(*channel).unwrap_or(usize::MAX)).collect();
    expect_groups(gain.len())?;
    expect(shift.len() == gain.len(), "the shift has not the channels of the gain")?;
    let (every, further) = order.split_at_checked(gain.len()).unwrap_or_default();
    expect(!every.is_empty() && every.iter().copied().eq(0..gain.len()), "the order does not begin with every channel")?;
    expect(further.iter().all(|channel| *channel < gain.len()), "the order has a channel that there is not")?;
    Ok(Norm::new(&gain, &shift, further.to_vec(), constant_number(node, first + 3)?))
}

/// The product of two inputs and a known bias.
fn product<'a>(integers: &'a ValueRef, scales: &'a ValueRef, bias: &'a [f32]) -> Result<Product<'a>> {
    let product = Product { integers: tensor(integers)?, scales: tensor(scales)?, bias };
    let fits = product.integers.len() == product.scales.len() * bias.len();
    expect(fits, "the product is not as large as its scales and its bias")?;
    Ok(product)
}

/// The number of parts of `size` in `whole`; an error names `what` where they do not divide it.
fn whole(whole: usize, size: usize, what: &str) -> Result<usize> {
    if size == 0 || !whole.is_multiple_of(size) {
        return Err(Error::new(format!("{what} cannot be divided into parts of {size}")));
    }
    Ok(whole / size)
}

fn expect(holds: bool, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::new(otherwise)) }
}

fn expect_groups(channels: usize) -> Result<()> {
    expect(channels > 0, "there are no channels")?;
    whole(channels, LANES, "the channels").map(drop)
}

fn input<'a>(context: &'a ComputeContext, index: usize) -> Result<ValueRef<'a>> {
    context.input(index)?.ok_or_else(|| Error::new("an input is missing"))
}

fn output<'a, const N: usize>(context: &'a ComputeContext, index: usize, shape: [usize; N]) -> Result<ValueRefMut<'a>> {
    context.output(index, shape.map(|size| size as i64))?.ok_or_else(|| Error::new("an output is missing"))
}

fn tensor<'a, T: PrimitiveTensorElementType>(value: &'a ValueRef) -> Result<&'a [T]> {
    Ok(value.try_extract_tensor()?.1)
}

fn tensor_mut<'a, T: PrimitiveTensorElementType>(value: &'a mut ValueRefMut) -> Result<&'a mut [T]> {
    Ok(value.try_extract_tensor_mut()?.1)
}

/// An input that is a constant of the graph.
fn constant<T: PrimitiveTensorElementType + Copy + std::fmt::Debug>(node: &KernelContext, index: usize) -> Result<Vec<T>> {
    let value = node.constant_input::<TensorValueType<T>>(index)?;
    Ok(value.extract_tensor().1.to_vec())
}

/// An input that is one number and a constant of the graph.
fn constant_number(node: &KernelContext, index: usize) -> Result<f32> {
    constant::<f32>(node, index)?.first().copied().ok_or_else(|| Error::new("a number is missing"))
}
