"""The encoder of ced-tiny, from the published weights to a graph that ONNX Runtime runs fast.  It reads and writes no files.

The published graph is one of many small operators with int8 weights behind DequantizeLinear.  Here its weights are taken out of it and
the same network is written anew.  The products with weights take integers, and are ONNX Runtime's; what lies between two of them is one
operator of mimid's own, which makes of the integers that one product gives those that the next one takes.  What each of these operators
does is written down in the graph itself, as a function of ONNX's operators, so that whatever runs ONNX runs the graph; mimid
has a kernel for each (src/model/kernels).

The weights are the published int8 values, unchanged.  What goes into a product is rounded to 8 bits, and by nothing but itself, so that a
window's scores do not depend on its batch: each token at a step of its own, from the token's highest value.

A channel that is often far larger than the others would make that step coarse for all.  Behind a LayerNormalization it is divided by a
small whole number, which that does for nothing; its row of weights is multiplied by the number, in as many rows as int8 needs.  So
no weight's value is touched here either.  The divisors are those of roundings.tsv, which tools/calibrate.py writes.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper, parser

N_MELS, N_LABELS, N_BLOCKS, N_HEADS, WIDTH, PATCH = 64, 527, 12, 3, 192, 16
INT8_MAX = 127
N_BANDS = N_MELS // PATCH
PRODUCTS = ("qkv", "proj", "fc1", "fc2")
BEHIND_NORM = {"qkv": "norm1", "fc1": "norm2"}
OPSET = 19
CONTRIB, OWN = "com.microsoft", "mimid"
ENCODER, HEAD = "model.encoder.", "model.outputlayer."
#: The name of the numbers before the last layer, which are an output as well.
EMBEDDING = "embedding"

#: What mimid's operators do.  `scales` says for each token what one of the integers that a product gave is worth.
FUNCTIONS = [
    """
    Scaled (product, scales, bias) => (y) {
        value = Cast <to = 1> (product)
        last = Constant <value_ints = [-1]> ()
        by_token = Unsqueeze (scales, last)
        scaled = Mul (value, by_token)
        y = Add (scaled, bias)
    }""",
    """
    Round (x, steps, zero, weight_step) => (rounded, scales) {
        count = Shape (steps)
        zeros = Expand (zero, count)
        rounded = QuantizeLinear <axis = 0> (x, steps, zeros)
        scales = Mul (steps, weight_step)
    }""",
    """
    Quantize (x, weight_step) => (rounded, scales) {
        size = Abs (x)
        last = Constant <value_ints = [-1]> ()
        highest = ReduceMax <keepdims = 0> (size, last)
        reach = Constant <value_float = 127.0> ()
        steps = Div (highest, reach)
        zero = Constant <value = uint8 {128}> ()
        rounded, scales = mimid.Round (x, steps, zero, weight_step)
    }""",
    """
    NormQuantize (x, gain, shift, order, weight_step) => (rounded, scales) {
        normed = LayerNormalization <axis = -1, epsilon = 0.000001> (x, gain, shift)
        once, scales = mimid.Quantize (normed, weight_step)
        rounded = Gather <axis = 1> (once, order)
    }""",
    """
    AddNormQuantize (x, product, scales, bias, gain, shift, order, weight_step) => (sum, rounded, new_scales) {
        y = mimid.Scaled (product, scales, bias)
        sum = Add (x, y)
        rounded, new_scales = mimid.NormQuantize (sum, gain, shift, order, weight_step)
    }""",
    # GELU never goes below -0.17, so almost the whole range of the integers can lie above zero.
    """
    GeluQuantize (product, scales, bias, weight_step) => (rounded, new_scales) {
        x = mimid.Scaled (product, scales, bias)
        y = com.microsoft.Gelu (x)
        last = Constant <value_ints = [-1]> ()
        highest = ReduceMax <keepdims = 0> (y, last)
        reach = Constant <value_float = 235.0> ()
        wanted = Div (highest, reach)
        least = Constant <value_float = 0.0085> ()
        steps = Max (wanted, least)
        zero = Constant <value = uint8 {20}> ()
        rounded, new_scales = mimid.Round (y, steps, zero, weight_step)
    }""",
    f"""
    AttentionQuantize <n_heads> (product, scales, bias, n_windows, weight_step) => (rounded, new_scales) {{
        qkv = mimid.Scaled (product, scales, bias)
        split = Constant <value_ints = [-1, 3, {N_HEADS}, {WIDTH // N_HEADS}]> ()
        sizes = Concat <axis = 0> (n_windows, split)
        by_head = Reshape (qkv, sizes)
        heads_first = Transpose <perm = [2, 0, 3, 1, 4]> (by_head)
        q, k, v = Split <axis = 0, num_outputs = 3> (heads_first)
        k_turned = Transpose <perm = [0, 1, 2, 4, 3]> (k)
        likeness = MatMul (q, k_turned)
        root = Constant <value_float = {(WIDTH // N_HEADS) ** 0.5}> ()
        scaled = Div (likeness, root)
        weights = Softmax <axis = -1> (scaled)
        heads = MatMul (weights, v)
        tokens_first = Transpose <perm = [0, 1, 3, 2, 4]> (heads)
        rows = Constant <value_ints = [-1, {WIDTH}]> ()
        attended = Reshape (tokens_first, rows)
        rounded, new_scales = mimid.Quantize (attended, weight_step)
    }}""",
]


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


class Divided:
    """The channels of a LayerNormalization that are divided, with their divisors."""

    def __init__(self, channels=()):
        self.channels = dict(channels)

    def divisors(self):
        divisors = np.ones(WIDTH, dtype=np.float32)
        for channel, divisor in self.channels.items():
            divisors[channel] = divisor
        return divisors

    def multiplied(self, weight):
        """The weights with the divided channels' rows multiplied; what int8 cannot hold of them lies in further rows at the end.  And
        the channels of the further rows."""
        rows, further, channels = weight.astype(np.int32), [], []
        for channel, divisor in sorted(self.channels.items()):
            most = INT8_MAX // max(1, int(np.abs(rows[channel]).max()))
            parts = [most] * (divisor // most) + ([divisor % most] if divisor % most else [])
            further += [rows[channel] * part for part in parts[1:]]
            channels += [channel] * (len(parts) - 1)
            rows[channel] *= parts[0]
        rows = np.concatenate([rows, *(row[None] for row in further)])
        return rows.astype(np.int8), channels


class Builder:
    """Nodes and constants of the graph that is being written, in which tokens are rows, [batch · tokens, channels]."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes, self.constants = [], {}

    def constant(self, name, value):
        self.constants[name] = np.ascontiguousarray(value)
        return name

    def node(self, operator, inputs, outputs, **attributes):
        """A node; what it gives is returned as it was named, by one name or several."""
        self.nodes.append(helper.make_node(operator, inputs, [outputs] if isinstance(outputs, str) else outputs, **attributes))
        return outputs

    def norm(self, name, published, divisors=np.float32(1)):
        """Gain and shift of a LayerNormalization."""
        return [self.constant(f"{name}.{kind}", self.weights.plain[f"{published}.{kind}"] / divisors) for kind in ("weight", "bias")]

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

    def blocks(self, x):
        """The blocks, from tokens to tokens."""
        raise NotImplementedError

    def network(self):
        self.constant("rows", np.array([-1, WIDTH]))
        x = self.patches()
        batch = self.node("Shape", ["logmel"], "batch_size", start=0, end=1)
        self.node("Concat", [batch, self.constant("by_band_sizes", np.array([N_BANDS, -1, WIDTH]))], "by_band", axis=0)
        x = self.blocks(x)
        x = self.node("LayerNormalization", [x, *self.norm("norm", ENCODER + "norm")], "norm", axis=-1, epsilon=1e-6)
        # Over all tokens at once ReduceMean adds up in another order for one window than for several.
        x = self.node("Reshape", [x, "by_band"], "norm_by_band")
        x = self.node("ReduceMean", [x, "time_axis"], "band_means", keepdims=0)
        bands = self.node("Split", [x], [f"band_{band}" for band in range(N_BANDS)], axis=1, num_outputs=N_BANDS)
        x = self.node("Reshape", [self.node("Mean", bands, "mean"), "rows"], "mean_rows")
        x = self.node("LayerNormalization", [x, *self.norm("head_norm", HEAD + "0")], EMBEDDING, axis=-1, epsilon=1e-5)
        last = [self.constant(f"{HEAD}1.{k}", self.weights.value(f"{HEAD}1.{k}")) for k in ("weight", "bias")]
        x = self.node("Gemm", [x, *last], "logits", transB=1)
        return self.node("Sigmoid", [x], "scores")

    def model(self, also=()):
        """The finished model; `also` names tensors that are outputs as well.  The second output is the embedding."""
        self.network()
        used = {name for node in self.nodes for name in node.input}
        body = helper.make_graph(
            self.nodes,
            "ced-tiny",
            [helper.make_tensor_value_info("logmel", TensorProto.FLOAT, ["batch", 1, N_MELS, "frames"])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", N_LABELS]), helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["batch", WIDTH])]
            + [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in also],
            initializer=[numpy_helper.from_array(self.constants[name], name) for name in sorted(self.constants) if name in used],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1), helper.make_opsetid(OWN, 1)]
        return helper.make_model(body, opset_imports=opsets, ir_version=9, producer_name="mimid", functions=self.functions())

    def functions(self):
        """The definitions of the operators that are not ONNX's nor ONNX Runtime's."""
        return []


class Quantised(Builder):
    """The blocks with integers.  `divided` holds the divided channels of each LayerNormalization by the product behind it."""

    def __init__(self, weights, divided):
        super().__init__(weights)
        self.divided = divided

    def functions(self):
        opsets = f'<domain: "{OWN}", opset_import: ["": {OPSET}, "{CONTRIB}": 1, "{OWN}": 1]>'
        return [parser.parse_function(opsets + text) for text in FUNCTIONS]

    def own(self, operator, inputs, name, **attributes):
        """One of mimid's operators, which gives a product's tokens and what one of its integers is worth."""
        return self.node(operator, inputs, [f"{name}.rounded", f"{name}.scales"], domain=OWN, **attributes)

    def weight_step(self, block, product):
        return self.constant(f"{block}.{product}.weight_step", np.atleast_1d(self.weights.product(block, product)[1]))

    def product(self, rounded, scales, block, product):
        """The integers that a product gives, what they are worth, and its bias, which has still to be added."""
        name = f"{block}.{product}"
        weight, _, bias = self.weights.product(block, product)
        if product in BEHIND_NORM:
            weight = self.divided[name].multiplied(weight)[0]
        # Two products that share a zero point are refused by ONNX Runtime where it makes the weights unsigned, as it is asked to on
        # processors without VNNI.
        constants = [self.constant(f"{name}.{kind}", value) for kind, value in (("weight", weight), ("weight_zero", np.int8(0)))]
        zero = "zero_after_gelu" if product == "fc2" else "zero"
        integers = self.node("MatMulInteger", [rounded, constants[0], zero, constants[1]], name)
        return [integers, scales, self.constant(f"{name}.bias", bias)]

    def normed(self, block, product):
        """What the LayerNormalization before a product takes: gain, shift, in which order its channels go into the product, and the
        step of that one's weights."""
        name = f"{block}.{BEHIND_NORM[product]}"
        divided = self.divided[f"{block}.{product}"]
        further = divided.multiplied(self.weights.product(block, product)[0])[1]
        order = self.constant(f"{name}.order", np.array([*range(WIDTH), *further]))
        return [*self.norm(name, f"{ENCODER}blocks.{name}", divided.divisors()), order, self.weight_step(block, product)]

    def add_norm(self, x, product, block, behind):
        """The sum of the residual and a product, and what the product `behind` takes."""
        name = f"{block}.{BEHIND_NORM[behind]}"
        outputs = [f"{name}.sum", f"{name}.rounded", f"{name}.scales"]
        return self.node("AddNormQuantize", [x, *product, *self.normed(block, behind)], outputs, domain=OWN)

    def blocks(self, x):
        self.constant("zero", np.uint8(128))
        self.constant("zero_after_gelu", np.uint8(20))
        tokens = self.own("NormQuantize", [x, *self.normed(0, "qkv")], "0.norm1")
        for block in range(N_BLOCKS):
            inputs = [*self.product(*tokens, block, "qkv"), "batch_size", self.weight_step(block, "proj")]
            tokens = self.own("AttentionQuantize", inputs, f"{block}.attention", n_heads=N_HEADS)
            x, *tokens = self.add_norm(x, self.product(*tokens, block, "proj"), block, "fc1")
            inputs = [*self.product(*tokens, block, "fc1"), self.weight_step(block, "fc2")]
            tokens = self.own("GeluQuantize", inputs, f"{block}.gelu")
            last = self.product(*tokens, block, "fc2")
            if block + 1 < N_BLOCKS:
                x, *tokens = self.add_norm(x, last, block + 1, "qkv")
        return self.node("Add", [x, self.node("Scaled", last, "last", domain=OWN)], "out")


class Plain(Builder):
    """The blocks in f32."""

    def normed(self, x, block, norm):
        name = f"{block}.{norm}"
        return self.node("LayerNormalization", [x, *self.norm(name, f"{ENCODER}blocks.{name}")], name, axis=-1, epsilon=1e-6)

    def product(self, x, block, product):
        """x · weight, and the bias."""
        name = f"{block}.{product}"
        weight, step, bias = self.weights.product(block, product)
        weight = self.constant(f"{name}.weight", weight.astype(np.float32) * step)
        return [x, weight], self.constant(f"{name}.bias", bias)

    def blocks(self, x):
        self.node("Concat", ["batch_size", self.constant("by_window_sizes", np.array([-1, WIDTH]))], "by_window", axis=0)
        for block in range(N_BLOCKS):
            y = self.node("Reshape", [self.normed(x, block, "norm1"), "by_window"], f"{block}.by_window")
            inputs, bias = self.product(y, block, "qkv")
            y = self.node("Attention", [*inputs, bias], f"{block}.attention", domain=CONTRIB, num_heads=N_HEADS)
            inputs, bias = self.product(self.node("Reshape", [y, "rows"], f"{block}.attention_rows"), block, "proj")
            y = self.node("Add", [self.node("MatMul", inputs, f"{block}.proj"), bias], f"{block}.proj_biased")
            x = self.node("Add", [x, y], f"{block}.attended")
            inputs, bias = self.product(self.normed(x, block, "norm2"), block, "fc1")
            y = self.node("BiasGelu", [self.node("MatMul", inputs, f"{block}.fc1"), bias], f"{block}.gelu", domain=CONTRIB)
            inputs, bias = self.product(y, block, "fc2")
            y = self.node("Add", [self.node("MatMul", inputs, f"{block}.fc2"), bias], f"{block}.fc2_biased")
            x = self.node("Add", [x, y], f"{block}.out")
        return x


def quantised(weights, divided):
    """The graph that is run.  `divided` has the divided channels by the name of the product behind them, as "0.qkv"."""
    return Quantised(weights, divided).model()


def plain(weights, also=()):
    """The same network in f32: the ruler for the other one, and what tools/calibrate.py looks into."""
    return Plain(weights).model(also)
