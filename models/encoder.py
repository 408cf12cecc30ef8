"""The encoder of ced-tiny, from the published weights to a graph that ONNX Runtime runs fast.  It reads and writes no files.

The published graph is one of many small operators with int8 weights behind DequantizeLinear.  Here its weights are taken out of it and
the same network is written anew: attention, Gelu and LayerNormalization are one operator each, and the products with weights take
integers.  The weights are the published int8 values, unchanged.  What goes into a product is rounded to 8 bits at a fixed step, which
activations.tsv holds for each product, so that a window's scores depend on nothing but the window.

Two rewritings keep the step small without touching a weight's value.  A channel that is often far larger than the others enters a
product divided by a small number, which the LayerNormalization before it (or the product that makes the values) does for nothing, and its
weights are multiplied by that number, in as many rows as int8 needs.  A channel of the feed-forward network that exceeds the range R
has copies: rounding saturates the channel at R, its first copy has a bias lower by R and holds what is above R, and so on.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

N_MELS, N_LABELS, N_BLOCKS, N_HEADS, WIDTH, PATCH = 64, 527, 12, 3, 192, 16
PRODUCTS = ("qkv", "proj", "fc1", "fc2")
INT8_MAX, UINT8_MAX = 127, 255
CONTRIB = "com.microsoft"
ENCODER, HEAD = "model.encoder.", "model.outputlayer."


class Weights:
    """The published constants by name.  What was int8 can be had as integers with their step, or as f32."""

    def __init__(self, model):
        constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.plain = constants
        self.quantised = {}
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in constants:
                integers, step, zero = (constants[name] for name in node.input)
                if step.ndim or zero != 0:
                    raise ValueError(f"{node.input[0]} is not quantised symmetrically with one step")
                self.quantised[node.output[0]] = (integers, step)
        # The weights of the products have no names of their own in the published graph, but they come in the network's order.
        order = [n.input[1] for n in model.graph.node if n.op_type == "MatMul" and n.input[1] in self.quantised]
        order = [name for name in order if self.quantised[name][0].shape[0] in (WIDTH, 4 * WIDTH)]
        if len(order) != N_BLOCKS * len(PRODUCTS):
            raise ValueError(f"there are {len(order)} products with weights, expected {N_BLOCKS * len(PRODUCTS)}")
        self.order = order

    def value(self, name):
        """A constant as f32."""
        if name in self.plain:
            return self.plain[name]
        integers, step = self.quantised[name + "_dq"]
        return integers.astype(np.float32) * step

    def product(self, block, name):
        """A product's int8 weights [inputs, outputs], their step, and its bias."""
        integers, step = self.quantised[self.order[block * len(PRODUCTS) + PRODUCTS.index(name)]]
        part = "attn" if name in ("qkv", "proj") else "mlp"
        return integers, step, self.value(f"{ENCODER}blocks.{block}.{part}.{name}.bias")

    def norm(self, name):
        return self.plain[name + ".weight"], self.plain[name + ".bias"]


class Activations:
    """How what goes into one product is rounded: x becomes clamp(round(x / step) + zero_point, 0, 255)."""

    def __init__(self, step, zero_point, channels):
        self.step, self.zero_point = np.float32(step), np.uint8(zero_point)
        # Channel to its divisor; before fc2, to how many copies carry it.
        self.channels = dict(channels)

    def divisors(self):
        divisors = np.ones(WIDTH, dtype=np.float32)
        for channel, divisor in self.channels.items():
            divisors[channel] = divisor
        return divisors


def divide(weights, channels):
    """Makes the divided channels whole again: the weights' rows multiplied, and for the rows that int8 cannot hold, further ones.

    Returns the weights and the channels that the further rows take.
    """
    rows, further, taken = weights.astype(np.int32), [], []
    for channel, divisor in sorted(channels.items()):
        most = max(1, INT8_MAX // max(1, int(np.abs(rows[channel]).max())))
        parts = [most] * (divisor // most) + ([divisor % most] if divisor % most else [])
        further += [rows[channel] * part for part in parts[1:]]
        taken += [channel] * len(parts[1:])
        rows[channel] = rows[channel] * parts[0]
    rows = np.concatenate([rows, *(row[None] for row in further)]).astype(np.int8)
    return rows, np.array(taken, dtype=np.int64)


def copies(channels, reach):
    """The channels that copies carry, and how much lower each copy's bias is."""
    pairs = [(channel, i * float(reach)) for channel, n in sorted(channels.items()) for i in range(1, n)]
    return np.array([channel for channel, _ in pairs], dtype=np.int64), np.array([lower for _, lower in pairs], dtype=np.float32)


class Builder:
    """Nodes and constants of the graph that is being written.  With `activations` None everything is f32, and `taps` gets for each
    product the name of the tensor that goes into it: that is what calibrate.py looks at."""

    def __init__(self, weights, activations=None):
        self.weights, self.activations = weights, activations
        self.nodes, self.constants, self.taps = [], {}, {}

    def constant(self, name, value):
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def norm(self, x, name, published, divisors=np.float32(1), epsilon=1e-6):
        gain, bias = self.weights.norm(published)
        inputs = [x, self.constant(published + ".weight", gain / divisors), self.constant(published + ".bias", bias / divisors)]
        return self.node("LayerNormalization", inputs, name, axis=-1, epsilon=epsilon)

    def rounded(self, x, name, a, taken=()):
        """`x` in 8 bits; the channels of `taken` once more at the end."""
        scale, zero = self.constant(name + ".step", a.step), self.constant(name + ".zero_point", a.zero_point)
        y = self.node("QuantizeLinear", [x, scale, zero], name + ".rounded")
        if len(taken):
            again = self.node("Gather", [y, self.constant(name + ".taken", taken)], name + ".again", axis=2)
            y = self.node("Concat", [y, again], name + ".input", axis=2)
        return [y, scale, zero]

    def product(self, x, name, integers, step, bias, a, taken=()):
        """x · weights + bias, in f32 where `a` is None."""
        self.taps[name] = x
        bias = self.constant(name + ".bias", bias)
        if a is None:
            y = self.node("MatMul", [x, self.constant(name + ".weight", integers.astype(np.float32) * step)], name + ".product")
            return self.node("Add", [y, bias], name)
        x, scale, zero = self.rounded(x, name, a, taken)
        weight, weight_step = self.constant(name + ".weight", integers), self.constant(name + ".weight_step", step)
        return self.node("MatMulIntegerToFloat", [x, weight, scale, weight_step, zero, "int8_zero", bias], name, domain=CONTRIB)

    def patches(self):
        """The log-mel as tokens [batch, tokens, WIDTH].  The batch norm's gain is laid on the log-mel, its shift and the convolution's
        bias into the table of positions, which is cut at the number of patches."""
        gain, bias, mean, variance = (self.weights.plain[f"{ENCODER}init_bn.{k}"].astype(np.float64) for k in ("weight", "bias", "running_mean", "running_var"))
        gain = gain / np.sqrt(variance + 1e-5)
        shift = (bias - mean * gain).reshape(N_MELS // PATCH, PATCH)
        kernel = self.weights.value(ENCODER + "patch_embed.proj.weight")
        integers, step = self.weights.quantised[ENCODER + "patch_embed.proj.weight_dq"]
        sums = integers.astype(np.int64).sum(axis=(1, 3))  # [WIDTH, PATCH]: integers, and added up in a fixed order below.
        positions = (self.weights.value(ENCODER + "time_pos_embed") + self.weights.value("alias")).astype(np.float64)
        positions += self.weights.plain[ENCODER + "patch_embed.proj.bias"].astype(np.float64)[None, :, None, None]
        for row in range(PATCH):
            positions += (sums[:, row, None] * float(step) * shift[None, :, row])[None, :, :, None]
        x = self.node("Mul", ["logmel", self.constant("gain", gain.astype(np.float32)[:, None])], "normed")
        x = self.node("Conv", [x, self.constant("kernel", kernel)], "patches", kernel_shape=[PATCH, PATCH], strides=[PATCH, PATCH])
        count = self.node("Shape", [x], "patch_count", start=3, end=4)
        x = self.node("Transpose", [x], "patches_last", perm=[0, 2, 3, 1])
        table = self.constant("positions", positions.transpose(0, 2, 3, 1).astype(np.float32))
        cut = [table, self.constant("first", np.array([0])), count, self.constant("time_axis", np.array([2]))]
        x = self.node("Add", [x, self.node("Slice", cut, "positions_cut")], "placed")
        return self.node("Reshape", [x, self.constant("token_shape", np.array([0, -1, WIDTH]))], "tokens")

    def attention(self, x, block, a_in, a_out):
        """Attention without its residual."""
        name, published = f"{block}.qkv", f"{ENCODER}blocks.{block}.norm1"
        integers, step, bias = self.weights.product(block, "qkv")
        steps = np.full(3 * WIDTH, step, dtype=np.float32)
        if a_in is None:
            x = self.taps[name] = self.norm(x, f"{block}.norm1", published)
            inputs = [x, self.constant(name + ".weight", integers.astype(np.float32) * step), self.constant(name + ".bias", bias)]
            x = self.node("Attention", inputs, f"{block}.attention", domain=CONTRIB, num_heads=N_HEADS)
            return self.product(x, f"{block}.proj", *self.weights.product(block, "proj"), None)
        # What the next product wants divided is divided in the values, the last third of the outputs.
        steps[2 * WIDTH:] /= a_out.divisors()
        bias = bias.copy()
        bias[2 * WIDTH:] /= a_out.divisors()
        x = self.norm(x, f"{block}.norm1", published, a_in.divisors())
        integers, taken = divide(integers, a_in.channels)
        x, scale, zero = self.rounded(x, name, a_in, taken)
        weight = [self.constant(f"{name}.{k}", v) for k, v in (("weight", integers), ("bias", bias))]
        inputs = [x, *weight, scale, self.constant(name + ".weight_step", steps), "", zero, self.constant(name + ".weight_zero", np.zeros(3 * WIDTH, np.int8))]
        x = self.node("QAttention", inputs, f"{block}.attention", domain=CONTRIB, num_heads=N_HEADS)
        integers, step, bias = self.weights.product(block, "proj")
        integers, taken = divide(integers, a_out.channels)
        return self.product(x, f"{block}.proj", integers, step, bias, a_out, taken)

    def feed_forward(self, x, block, a_in, a_out):
        """The feed-forward network without its residual."""
        integers, step, bias = self.weights.product(block, "fc1")
        integers_2, step_2, bias_2 = self.weights.product(block, "fc2")
        published, taken = f"{ENCODER}blocks.{block}.norm2", ()
        if a_in is None:
            x = self.norm(x, f"{block}.norm2", published)
        else:
            x = self.norm(x, f"{block}.norm2", published, a_in.divisors())
            integers, taken = divide(integers, a_in.channels)
            reach = (UINT8_MAX - int(a_out.zero_point)) * np.float64(a_out.step)
            copied, lower = copies(a_out.channels, reach)
            integers = np.concatenate([integers, integers[:, copied]], axis=1)
            bias = np.concatenate([bias, bias[copied] - lower])
            integers_2 = np.concatenate([integers_2, integers_2[copied]])
        x = self.product(x, f"{block}.fc1", integers, step, bias, a_in, taken)
        # The tanh form is within 0.0005 of the exact one, a small part of the step that follows, and costs less.
        x = self.node("Gelu" if a_out is None else "FastGelu", [x], f"{block}.gelu", domain=CONTRIB)
        return self.product(x, f"{block}.fc2", integers_2, step_2, bias_2, a_out)

    def network(self):
        self.constant("int8_zero", np.int8(0))
        rounding = lambda block, name: None if self.activations is None else self.activations[f"{block}.{name}"]
        x = self.patches()
        for block in range(N_BLOCKS):
            y = self.attention(x, block, rounding(block, "qkv"), rounding(block, "proj"))
            x = self.node("Add", [x, y], f"{block}.attended")
            y = self.feed_forward(x, block, rounding(block, "fc1"), rounding(block, "fc2"))
            x = self.node("Add", [x, y], f"{block}.out")
        x = self.norm(x, "norm", ENCODER + "norm")
        x = self.node("ReduceMean", [x, self.constant("token_axis", np.array([1]))], "mean", keepdims=0)
        x = self.norm(x, "head_norm", HEAD + "0", epsilon=1e-5)
        last = [self.constant(f"{HEAD}1.{k}", self.weights.value(f"{HEAD}1.{k}")) for k in ("weight", "bias")]
        x = self.node("Gemm", [x, *last], "logits", transB=1)
        return self.node("Sigmoid", [x], "scores")

    def model(self, also=()):
        """The finished model; `also` names tensors that are outputs as well."""
        self.network()
        used = {name for node in self.nodes for name in node.input}
        body = helper.make_graph(
            self.nodes,
            "ced-tiny",
            [helper.make_tensor_value_info("logmel", TensorProto.FLOAT, ["batch", 1, N_MELS, "frames"])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", N_LABELS])]
            + [helper.make_tensor_value_info(self.taps[name], TensorProto.FLOAT, None) for name in also],
            initializer=[numpy_helper.from_array(self.constants[name], name) for name in sorted(self.constants) if name in used],
        )
        opsets = [helper.make_opsetid("", 19), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(body, opset_imports=opsets, ir_version=9, producer_name="mimid")


def quantised(weights, activations):
    """The graph that is run."""
    return Builder(weights, activations).model()


def plain(weights, also=()):
    """The same network in f32: the ruler for the other one, and what calibrate.py looks into."""
    builder = Builder(weights)
    return builder.model(also), [builder.taps[name] for name in also]
