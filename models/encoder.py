"""The encoder of ced-tiny, from the published weights to a graph that ONNX Runtime runs fast.  It reads and writes no files.

The published graph is one of many small operators with int8 weights behind DequantizeLinear.  Here its weights are taken out of it and
the same network is written anew: attention, Gelu and LayerNormalization are one operator each, and the products with weights take
integers.  The weights are the published int8 values, unchanged.  What goes into a product is rounded to 8 bits, and by nothing but
itself, so that a window's scores do not depend on its batch: before the attention at a step that is fixed for each block (QAttention
takes one number), everywhere else each token at a step of its own, from the token's highest value.

A channel that is often far larger than the others would make that step coarse for all.  Behind a LayerNormalization it is divided by a
small whole number, which that does for nothing; its row of weights is multiplied by the number, in as many rows as int8 needs.  So
no weight's value is touched here either.  The steps and the divisors are those of roundings.tsv, which calibrate.py writes.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

N_MELS, N_LABELS, N_BLOCKS, N_HEADS, WIDTH, PATCH = 64, 527, 12, 3, 192, 16
INT8_MAX = 127
N_BANDS = N_MELS // PATCH
PRODUCTS = ("qkv", "proj", "fc1", "fc2")
GELU_LOWEST, ZERO_AFTER_GELU = -0.17, 20
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


class Rounding:
    """How what goes into one product is rounded: at a fixed step, or with `step` None each token at its own; and the divided channels."""

    def __init__(self, step=None, divided=()):
        self.step, self.divided = step, dict(divided)

    def divisors(self):
        divisors = np.ones(WIDTH, dtype=np.float32)
        for channel, divisor in self.divided.items():
            divisors[channel] = divisor
        return divisors

    def multiplied(self, weight):
        """The weights with the divided channels' rows multiplied; what int8 cannot hold of them lies in further rows at the end.  And
        the channels of the further rows."""
        rows, further, channels = weight.astype(np.int32), [], []
        for channel, divisor in sorted(self.divided.items()):
            most = INT8_MAX // max(1, int(np.abs(rows[channel]).max()))
            parts = [most] * (divisor // most) + ([divisor % most] if divisor % most else [])
            further += [rows[channel] * part for part in parts[1:]]
            channels += [channel] * (len(parts) - 1)
            rows[channel] *= parts[0]
        rows = np.concatenate([rows, *(row[None] for row in further)])
        return rows.astype(np.int8), np.array(channels, dtype=np.int64)


class Builder:
    """Nodes and constants of the graph that is being written, in which tokens are rows, [batch · tokens, channels].  `roundings` holds
    one for each product; with None everything is f32."""

    def __init__(self, weights, roundings=None):
        self.weights, self.roundings = weights, roundings
        self.nodes, self.constants = [], {}

    def constant(self, name, value):
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def rounding(self, name):
        return Rounding() if self.roundings is None else self.roundings[name]

    def norm(self, x, name, published, divisors=np.float32(1), epsilon=1e-6):
        inputs = [x, *(self.constant(f"{published}.{k}", self.weights.plain[f"{published}.{k}"] / divisors) for k in ("weight", "bias"))]
        return self.node("LayerNormalization", inputs, name, axis=-1, epsilon=epsilon)

    def with_further(self, x, name, channels, axis):
        """`x` with some channels once more at the end."""
        if not len(channels):
            return x
        again = self.node("Gather", [x, self.constant(name + ".further", channels)], name + ".again", axis=axis)
        return self.node("Concat", [x, again], name + ".input", axis=axis)

    def integer_weight(self, name, weight, step):
        """The weights, their step and their zero point.  Two products that share a zero point are refused by ONNX Runtime where it makes
        the weights unsigned, as it is asked to on processors without VNNI."""
        values = (("weight", weight), ("weight_step", step), ("weight_zero", np.int8(0)))
        return [self.constant(f"{name}.{kind}", value) for kind, value in values]

    def product(self, x, name, weight, step, bias):
        """x · weight + bias.  The bias of fc1 is left to the Gelu that follows."""
        bias = self.constant(name + ".bias", bias)
        if self.roundings is None:
            y = self.node("MatMul", [x, self.constant(name + ".weight", weight.astype(np.float32) * step)], name + ".product")
        else:
            # Gelu never goes below GELU_LOWEST, so almost the whole range can lie above zero behind it.
            after_gelu = name.endswith("fc2")
            zero, reach = ("zero_after_gelu", 255 - ZERO_AFTER_GELU) if after_gelu else ("zero", INT8_MAX)
            size = x if after_gelu else self.node("Abs", [x], name + ".size")
            highest = self.node("ReduceMax", [size, "last_axis"], name + ".highest", keepdims=1)
            steps = self.node("Mul", [highest, self.constant(f"one_of_{reach}", np.float32(1 / reach))], name + ".steps")
            if after_gelu:
                steps = self.node("Max", [steps, self.constant("least_step", np.float32(-GELU_LOWEST / ZERO_AFTER_GELU))], name + ".steps_used")
            flat = self.node("Reshape", [steps, "flat"], name + ".flat_steps")
            x = self.node("QuantizeLinear", [x, flat, zero + "_points"], name + ".rounded", axis=0)
            weight, further = self.rounding(name).multiplied(weight)
            x = self.with_further(x, name, further, axis=1)
            weight, step, weight_zero = self.integer_weight(name, weight, step)
            y = self.node("MatMulIntegerToFloat", [x, weight, "one", step, zero, weight_zero], name + ".product", domain=CONTRIB)
            y = self.node("Mul", [y, steps], name + ".scaled")
        return y if name.endswith("fc1") else self.node("Add", [y, bias], name)

    def patches(self):
        """The log-mel as tokens.  The batch norm's gain is laid on the log-mel, its shift and the convolution's bias into the table of
        positions, which is cut at the number of patches."""
        gain, bias, mean, variance = (self.weights.plain[f"{ENCODER}init_bn.{k}"].astype(np.float64) for k in ("weight", "bias", "running_mean", "running_var"))
        gain = gain / np.sqrt(variance + 1e-5)
        shift = (bias - mean * gain).reshape(N_BANDS, PATCH)
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
        return self.node("Reshape", [x, "rows"], "tokens")

    def sizes(self):
        """What the rest of the graph takes from the input's shape: the shapes of tokens by window and by band, and a zero point for each token."""
        batch = self.node("Shape", ["logmel"], "batch_size", start=0, end=1)
        for name, sizes in (("by_window", [-1, WIDTH]), ("by_band", [N_BANDS, -1, WIDTH])):
            self.node("Concat", [batch, self.constant(name + "_sizes", np.array(sizes))], name, axis=0)
        if self.roundings is not None:
            count = self.node("Shape", ["tokens"], "token_count", start=0, end=1)
            for zero in ("zero", "zero_after_gelu"):
                self.node("Expand", [zero, count], zero + "_points")

    def attention(self, x, block):
        """Attention without its residual."""
        name = f"{block}.qkv"
        weight, step, bias = self.weights.product(block, "qkv")
        bias = self.constant(name + ".bias", bias)
        rounding = self.rounding(name)
        x = self.norm(x, f"{block}.norm1", f"{ENCODER}blocks.{block}.norm1", rounding.divisors())
        if self.roundings is None:
            x = self.node("Reshape", [x, "by_window"], name + ".by_window")
            inputs = [x, self.constant(name + ".weight", weight.astype(np.float32) * step), bias]
            x = self.node("Attention", inputs, f"{block}.attention", domain=CONTRIB, num_heads=N_HEADS)
        else:
            fixed = self.constant(name + ".step", np.float32(rounding.step))
            weight, further = rounding.multiplied(weight)
            x = self.node("QuantizeLinear", [x, fixed, "zero"], name + ".rounded")
            x = self.node("Reshape", [x, "by_window"], name + ".by_window")
            x = self.with_further(x, name, further, axis=2)
            weight, step, weight_zero = self.integer_weight(name, weight, step)
            inputs = [x, weight, bias, fixed, step, "", "zero", weight_zero]
            x = self.node("QAttention", inputs, f"{block}.attention", domain=CONTRIB, num_heads=N_HEADS)
        x = self.node("Reshape", [x, "rows"], f"{block}.attention_rows")
        return self.product(x, f"{block}.proj", *self.weights.product(block, "proj"))

    def feed_forward(self, x, block):
        """The feed-forward network without its residual."""
        divisors = self.rounding(f"{block}.fc1").divisors()
        x = self.norm(x, f"{block}.norm2", f"{ENCODER}blocks.{block}.norm2", divisors)
        x = self.product(x, f"{block}.fc1", *self.weights.product(block, "fc1"))
        # The tanh form is within 0.0005 of the exact one, a small part of the step that follows, and costs less.
        gelu = "BiasGelu" if self.roundings is None else "FastGelu"
        x = self.node(gelu, [x, f"{block}.fc1.bias"], f"{block}.gelu", domain=CONTRIB)
        return self.product(x, f"{block}.fc2", *self.weights.product(block, "fc2"))

    def network(self):
        self.constant("one", np.float32(1))
        self.constant("zero", np.uint8(128))
        self.constant("zero_after_gelu", np.uint8(ZERO_AFTER_GELU))
        self.constant("rows", np.array([-1, WIDTH]))
        self.constant("flat", np.array([-1]))
        self.constant("last_axis", np.array([1]))
        x = self.patches()
        self.sizes()
        for block in range(N_BLOCKS):
            y = self.attention(x, block)
            x = self.node("Add", [x, y], f"{block}.attended")
            y = self.feed_forward(x, block)
            x = self.node("Add", [x, y], f"{block}.out")
        x = self.norm(x, "norm", ENCODER + "norm")
        # Over all tokens at once ReduceMean adds up in another order for one window than for several.
        x = self.node("Reshape", [x, "by_band"], "norm_by_band")
        x = self.node("ReduceMean", [x, "time_axis"], "band_means", keepdims=0)
        bands = [f"band_{band}" for band in range(N_BANDS)]
        self.nodes.append(helper.make_node("Split", [x], bands, axis=1, num_outputs=N_BANDS))
        x = self.node("Reshape", [self.node("Mean", bands, "mean"), "rows"], "mean_rows")
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
            + [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in also],
            initializer=[numpy_helper.from_array(self.constants[name], name) for name in sorted(self.constants) if name in used],
        )
        opsets = [helper.make_opsetid("", 19), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(body, opset_imports=opsets, ir_version=9, producer_name="mimid")


def quantised(weights, roundings):
    """The graph that is run.  `roundings` has one for each product by its name, as "0.qkv"."""
    return Builder(weights, roundings).model()


def plain(weights, also=()):
    """The same network in f32: the ruler for the other one, and what calibrate.py looks into."""
    return Builder(weights).model(also)
