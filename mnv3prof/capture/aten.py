"""ATen operators: their operation in graph.ops, and the MACs of products.

An operator is a product with a formula, or in the list of operators without multiply-accumulates, or
unknown: then its MACs have no price.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final, NamedTuple

from ..graph.graph import Geometry, Shape
from ..graph.ops import convolution
from .program import DRAWS, FLEX, Call, Ref, draws

Shapes = Mapping[str, Shape]


class Operation(NamedTuple):
    """The operation of a call, as a Layer has it; `weights` are operands in the order of Layer.weights."""

    op: str
    geometry: Geometry | None = None
    contraction: int = 0
    known_macs: int | None = None
    weights: tuple[str, ...] = ()
    products: int = 0


_CALLED: Final = {
    "view": "view reshape _unsafe_view permute transpose t squeeze unsqueeze expand expand_as slice select "
    "narrow chunk split split_with_sizes tensor_split unbind unflatten view_as reshape_as contiguous detach "
    "alias movedim moveaxis swapaxes swapdims unfold diagonal real imag view_as_real view_as_complex "
    "as_strided numpy_T mT adjoint lift_fresh_copy lift_fresh to type_as broadcast_to hsplit vsplit positive "
    "resolve_conj _to_copy",
    "dropout": "dropout feature_dropout alpha_dropout feature_alpha_dropout",
    "batch_norm": "native_batch_norm cudnn_batch_norm _native_batch_norm_legit_no_training",
    "layer_norm": "native_layer_norm",
    "group_norm": "native_group_norm",
    "swish": "silu",
    "hardtanh": "clamp clip",
    "avg_pool": "mean adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
    "max_pool": "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    "max": "amax logsumexp",
    "min": "amin",
    "variance": "var std var_mean std_mean",
    "vector_norm": "norm linalg_vector_norm linalg_norm",
    "maximum": "clamp_min threshold",
    "minimum": "clamp_max",
    "sub": "rsub subtract",
    "div": "divide true_divide floor_divide",
    "mul": "multiply",
    "pow": "square float_power",
    "log": "log2 log10 log1p",
    "exp": "exp2 expm1",
    "mod": "remainder fmod",
    "compare": "eq ne lt le gt ge isnan isinf isfinite",
    "logical": "logical_and logical_or logical_not logical_xor bitwise_and bitwise_or "
    "bitwise_not bitwise_xor __and __or __xor",
    "where": "masked_fill",
    "softmax": "_softmax",
    "log_softmax": "_log_softmax",
    "concat": "cat concatenate stack hstack vstack dstack column_stack",
    "gather": "index index_select take take_along_dim masked_select index_put tril triu scatter "
    "slice_scatter select_scatter index_copy",
    "repeat": "repeat_interleave tile",
    "sort": "topk argsort",
    "pixel_shuffle": "pixel_unshuffle channel_shuffle native_channel_shuffle",
    "fill": "zeros ones full empty zero new_zeros new_ones new_full new_empty zeros_like ones_like full_like "
    "empty_like eye scalar_tensor",
    "range": "arange linspace meshgrid",
    "upsample_nearest": "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
    "_upsample_nearest_exact2d",
    "upsample_bilinear": "upsample_bilinear2d _upsample_bilinear2d_aa",
    "upsample_bicubic": "upsample_bicubic2d _upsample_bicubic2d_aa",
    "random": " ".join(DRAWS),
    "batch_stat_norm": "_native_batch_norm_legit _native_batch_norm_legit_functional",
    "copy": "clone reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d "
    "replication_pad3d",
}
"""Names in ATen of operations without multiply-accumulates, beside their own."""
_NAMES: Final = {name: op for op, names in _CALLED.items() for name in names.split()}

ALLOCATES: Final = frozenset(name for name in _NAMES if name.startswith("new_") or name.endswith("_like"))
"""What reads only the shape and dtype of its input."""
PASSES_ON: Final = frozenset(
    (*_CALLED["dropout"].split(), "alias", "detach", "lift_fresh_copy", "lift_fresh")
)
"""What returns its input in eager mode without training, though a new tensor is recorded."""


def operation(call: Call, shapes: Shapes) -> Operation:
    """Return the operation of a call."""
    base = call.base
    if not call.target.startswith("aten."):
        return Operation(call.target.rpartition(".")[0] or call.target)
    if rule := _PRODUCTS.get(base):
        found = rule(call, shapes)
        return found._replace(op=f"{found.op}{_DROPPED}") if draws(call) else found
    if base in _CALLED["dropout"].split() and draws(call):
        return Operation(_ACTIVE.get(base, f"{base}{_DROPPED}"))
    if base in _BATCH_NORMS and _on_batch(call):
        return Operation("batch_stat_norm")
    if base in ("hardtanh", "clamp", "clip"):
        bounds = [call.arguments.get(key, usual) for key, usual in _BOUNDS[base]]
        return Operation("relu6" if bounds == [0, 6] else "relu" if bounds == [0, None] else "hardtanh")
    if base == "gelu" and call.arguments.get("approximate") == "tanh":
        return Operation("gelu_tanh")
    if base in ("pad", "constant_pad_nd"):
        return Operation("pad" if _pads_a_map(call) else "copy")
    if base in ("avg_pool1d", "avg_pool2d", "avg_pool3d"):
        return Operation("avg_pool", _window(call))
    if base.startswith("max_pool"):
        return Operation("max_pool", _window(call))
    return Operation(_NAMES.get(base, base))


_DROPPED: Final = " with dropout"
"""Marks an operation without a price for what it drops."""
_ACTIVE: Final = {"dropout": "active_dropout", "alpha_dropout": "active_alpha_dropout"}
_BATCH_NORMS: Final = ("batch_norm", "native_batch_norm", "cudnn_batch_norm")


def _on_batch(call: Call) -> bool:
    """True for batch norm on the statistics of its input, which no weights can be folded with."""
    given = call.arguments
    return bool(given.get("training")) or given.get("running_mean") is None


_BOUNDS: Final = {
    "hardtanh": (("min_val", -1), ("max_val", 1)),
    "clamp": (("min", None), ("max", None)),
    "clip": (("min", None), ("max", None)),
}


def _pads_a_map(call: Call) -> bool:
    """True for zeros around the axes of an image, which a convolution can pad itself."""
    pads, value = call.arguments.get("pad", ()), call.arguments.get("value")
    spatial = len(pads) <= 2 * (len(call.shape) - 2)
    constant = call.arguments.get("mode", "constant") == "constant" and not value
    return constant and spatial and all(type(each) is int and each >= 0 for each in pads)


def _conv(call: Call, shapes: Shapes) -> Operation:
    kernel, weights = _weight_of(call, shapes)
    if call.arguments.get("transposed"):
        return _transposed(call, shapes)
    axes, groups = len(kernel) - 2, call.arguments.get("groups", 1)
    geometry = _geometry(call, kernel[2:], axes, groups)
    op = convolution(kernel[1] * groups, groups, kernel[2:])
    return Operation(op, geometry, prod(kernel[1:]), None, weights)


def _transposed(call: Call, shapes: Shapes) -> Operation:
    kernel, weights = _weight_of(call, shapes)
    geometry = _geometry(call, kernel[2:], len(kernel) - 2, call.arguments.get("groups", 1))
    macs = prod(shapes[call.arguments["input"].name]) * prod(kernel[1:])
    return Operation("conv_transpose", geometry, 0, macs, weights)


def _weight_of(call: Call, shapes: Shapes) -> tuple[Shape, tuple[str, ...]]:
    """Return the weight's shape, and the names of weight and bias."""
    operands = [call.arguments.get(key) for key in ("weight", "bias")]
    names = tuple(each.name for each in operands if isinstance(each, Ref))
    return shapes[names[0]], names


def _geometry(call: Call, kernel: Shape, axes: int, groups: int) -> Geometry:
    stride, dilation = (_each(call.arguments.get(key, 1), axes) for key in ("stride", "dilation"))
    padding = call.arguments.get("padding", 0)
    if isinstance(padding, str):
        total = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        sides = tuple((each // 2, each - each // 2) for each in total)
    else:
        sides = tuple((each, each) for each in _each(padding, axes))
    return Geometry(kernel, stride, sides, dilation, groups)


def _window(call: Call) -> Geometry:
    given = call.arguments["kernel_size"]
    axes = int(call.base.rstrip("d")[-1]) if call.base[-1] == "d" else len(given)
    kernel = _each(given, axes)
    stride = _each(call.arguments.get("stride") or list(kernel), axes)
    padding = tuple((each, each) for each in _each(call.arguments.get("padding", 0), axes))
    return Geometry(kernel, stride, padding, _each(call.arguments.get("dilation", 1), axes))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * axes if len(values) == 1 else values


def _linear(call: Call, shapes: Shapes) -> Operation:
    kernel, weights = _weight_of(call, shapes)
    return Operation("linear", None, kernel[-1], None, weights)


def _matmul(first: str, *others: str) -> Callable[[Call, Shapes], Operation]:
    def rule(call: Call, shapes: Shapes) -> Operation:
        names = tuple(call.arguments[key].name for key in others if isinstance(call.arguments.get(key), Ref))
        return Operation("matmul", None, shapes[call.arguments[first].name][-1], None, names)

    return rule


def _dot(call: Call, shapes: Shapes) -> Operation:
    macs = prod(shapes[call.arguments["self"].name])
    return Operation("matmul", None, 0, macs)


def _attention(call: Call, shapes: Shapes) -> Operation:
    """Scores and weighted values: L · S · (E + Ev) for each head of the query."""
    query, key, value = (shapes[call.arguments[name].name] for name in ("query", "key", "value"))
    macs = prod(query[:-1]) * key[-2] * (query[-1] + value[-1])
    return Operation("attention", None, query[-1] + value[-1], macs)


def _flex(call: Call, shapes: Shapes) -> Operation:
    """Attention; no price is known for a function of scores, nor for a mask that leaves blocks out."""
    found = _attention(call, shapes)
    if not call.arguments["dense"]:
        return Operation(FLEX)
    return found if call.arguments["plain"] else found._replace(op=FLEX)


def _einsum(call: Call, shapes: Shapes) -> Operation:
    """Two operands at a time are contracted; letters that nothing needs later are summed, before the product
    where they are in one operand only, or of size 1 in the other. Two operands without a letter to sum are
    multiplied element by element.

    Without a path they are taken from left to right; a path has the places of both, and their product is put
    behind the other operands (ATen, Linear.cpp, einsum).
    """
    terms, output = _letters(
        str(call.arguments["equation"]), [shapes[t.name] for t in call.arguments["tensors"]]
    )
    path, macs, products = list(call.arguments.get("path") or ()), 0, 0
    while len(terms) > 1:
        first, second = sorted(path[:2] or (0, 1))
        two = terms.pop(second), terms.pop(first)
        needed = {*output, *(letter for term in terms for letter in term)}
        sizes = {letter: max(term.get(letter, 1) for term in two) for letter in (*two[1], *two[0])}
        loops = [letter for letter in sizes if letter in needed or min(t.get(letter, 1) for t in two) > 1]
        if any(letter not in needed for letter in two[0] if letter in two[1]):
            macs += prod(sizes[letter] for letter in loops)
        else:
            products += prod(sizes[letter] for letter in loops)
        terms.insert(len(terms) if path else 0, {name: sizes[name] for name in sizes if name in needed})
        path = path[2:]
    return Operation("einsum", None, 0, macs, (), products)


def _letters(equation: str, shapes: Sequence[Shape]) -> tuple[list[dict[str, int]], list[str]]:
    """Return the size of each letter by operand, and the output's letters; "..." has numbers for letters."""
    inputs, _, result = equation.replace(" ", "").partition("->")
    terms = []
    for text, shape in zip(inputs.split(","), shapes, strict=True):
        before, dots, after = text.partition("...")
        free = len(shape) - len(before) - len(after)
        letters = [*before, *(str(n) for n in range(free, 0, -1)), *after] if dots else [*text]
        terms.append({letter: max(size, 1) for letter, size in zip(letters, shape, strict=True)})
    every = [letter for term in terms for letter in term]
    if "->" not in equation:
        return terms, [letter for letter in every if every.count(letter) == 1 or letter.isdecimal()]
    return terms, [
        *result.replace("...", ""),
        *(letter for letter in every if letter.isdecimal() and "..." in result),
    ]


def _recurrent(op: str) -> Callable[[Call, Shapes], Operation]:
    """Gates × (input + hidden) × hidden per step, layer and direction."""

    def rule(call: Call, shapes: Shapes) -> Operation:
        params = [each.name for each in call.arguments.get("params", call.arguments.get("weights", ()))]
        kernels = [shapes[name] for name in params if len(shapes[name]) == 2]
        given = shapes[call.arguments["input"].name]
        steps = prod(given[:-1])
        return Operation(op, None, 0, steps * sum(map(prod, kernels)), tuple(params))

    return rule


def _cell(op: str) -> Callable[[Call, Shapes], Operation]:
    """A step of a recurrent layer: input and hidden state times their weights."""

    def rule(call: Call, shapes: Shapes) -> Operation:
        names = [call.arguments.get(key) for key in ("w_ih", "w_hh", "b_ih", "b_hh")]
        weights = tuple(each.name for each in names if isinstance(each, Ref))
        rows = prod(shapes[call.arguments["input"].name][:-1])
        macs = rows * sum(prod(shapes[name]) for name in weights if len(shapes[name]) == 2)
        return Operation(op, None, 0, macs, weights)

    return rule


def _summed_batches(call: Call, shapes: Shapes) -> Operation:
    first, second = (shapes[call.arguments[key].name] for key in ("batch1", "batch2"))
    return Operation("matmul", None, 0, prod(first) * second[-1])


def _tensordot(call: Call, shapes: Shapes) -> Operation:
    """An axis whose partner has size 1 is summed before the product."""
    sides = (
        [shapes[call.arguments[side].name][axis] for axis in call.arguments[f"dims_{side}"]]
        for side in ("self", "other")
    )
    return Operation("matmul", None, prod(map(min, *sides)))


def _bilinear(call: Call, shapes: Shapes) -> Operation:
    kernel, weights = _weight_of(call, shapes)
    rows = prod(call.shape[:-1])
    return Operation("bilinear", None, 0, rows * (prod(kernel) + kernel[0] * kernel[2]), weights)


_PRODUCTS: Final[dict[str, Callable[[Call, Shapes], Operation]]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _conv),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    "linear": _linear,
    **dict.fromkeys(("mm", "bmm"), _matmul("self", "mat2")),
    "matmul": _matmul("self", "other"),
    "addmm": _matmul("mat1", "mat2", "self"),
    "baddbmm": _matmul("batch1", "batch2", "self"),
    "mv": _dot,
    "dot": _dot,
    **dict.fromkeys(("scaled_dot_product_attention",), _attention),
    FLEX: _flex,
    "einsum": _einsum,
    "lstm": _recurrent("lstm"),
    "gru": _recurrent("gru"),
    "rnn_tanh": _recurrent("rnn"),
    "rnn_relu": _recurrent("rnn_relu"),
    "bilinear": _bilinear,
    "lstm_cell": _cell("lstm"),
    "gru_cell": _cell("gru"),
    "rnn_tanh_cell": _cell("rnn"),
    "rnn_relu_cell": _cell("rnn_relu"),
    "inner": _matmul("self", "other"),
    "addbmm": _summed_batches,
    "tensordot": _tensordot,
}
"""Products, by ATen's name."""
