"""ONNX operators with multiply-accumulates, and their formulas."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Final, NamedTuple

from ...graph.errors import InputError, quote
from ...graph.graph import Geometry, Shape
from ...graph.ops import convolution
from .fits import require_convolution, require_gemm, require_letters, require_recurrent
from .node import Node

Shapes = Mapping[str, Shape]


class Found(NamedTuple):
    """The operation of a node, as a Layer has it.

    operands: the inputs that can be weights, in the order of Layer.weights; None: all. kernel: the shape of
    the first of them in PyTorch's order, () if it is as in the file.
    """

    op: str
    geometry: Geometry | None = None
    contraction: int = 0
    known_macs: int | None = None
    operands: tuple[str, ...] | None = None
    kernel: Shape = ()
    products: int = 0


Rule = Callable[[Node, Shapes], Found]


def window(node: Node, kernel: Shape, given: Shape, out: Shape, groups: int = 1) -> Geometry:
    """Return the window of a convolution or pool that reads shape `given` and writes `out`."""
    if 0 in out:
        raise InputError(f"{node.title}: its window does not fit its input; expected an output")
    axes = len(kernel)
    stride, dilation = (tuple(node.attributes.get(key) or (1,) * axes) for key in ("strides", "dilations"))
    pads = tuple(node.attributes.get("pads") or (0,) * 2 * axes)
    sides = tuple(zip(pads[:axes], pads[axes:], strict=True))
    auto = node.attributes.get("auto_pad", b"NOTSET")
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        each = zip(given[2:], out[2:], kernel, stride, dilation, strict=True)
        total = [max(0, (o - 1) * s + d * (k - 1) + 1 - i) for i, o, k, s, d in each]
        less_more = [(n // 2, n - n // 2) for n in total]
        sides = tuple(pair if auto == b"SAME_UPPER" else pair[::-1] for pair in less_more)
    return Geometry(kernel, stride, sides, dilation, groups)


def _optional(node: Node, number: int, shapes: Shapes) -> Shape | None:
    """Return the shape of an operand, None if it is left out."""
    return shapes[name] if (name := node.operand(number)) else None


def _conv(given: int, weight: int, bias: int) -> Rule:
    def rule(node: Node, shapes: Shapes) -> Found:
        kernel, source = shapes[node.inputs[weight]], shapes[node.inputs[given]]
        groups = node.attributes.get("group", 1)
        require_convolution(node, kernel, source, _optional(node, bias, shapes))
        geometry = window(node, kernel[2:], source, shapes[node.outputs[0]], groups)
        op = convolution(kernel[1] * groups, groups, kernel[2:])
        operands = (node.inputs[weight], node.operand(bias))
        return Found(op, geometry, prod(kernel[1:]), None, operands)

    return rule


def _deformable(node: Node, shapes: Shapes) -> Found:
    """The MACs of a convolution; the interpolation has no price."""
    return _conv(0, 1, 3)(node, shapes)._replace(op="deformconv")


def _transposed(node: Node, shapes: Shapes) -> Found:
    source, kernel = (shapes[name] for name in node.inputs[:2])
    pads_alone = node.attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
    groups = node.attributes.get("group", 1)
    require_convolution(node, kernel, source, _optional(node, 2, shapes))
    geometry = window(node, kernel[2:], source, source, groups) if pads_alone else None
    operands = (node.inputs[1], node.operand(2))
    return Found("conv_transpose", geometry, 0, prod(source) * prod(kernel[1:]), operands)


def _gemm(node: Node, shapes: Shapes) -> Found:
    first, second = (shapes[name] for name in node.inputs[:2])
    depth = first[0] if node.attributes.get("transA") else first[1]
    kernel = second if node.attributes.get("transB") else second[::-1]
    require_gemm(node, kernel[0], prod(first) // max(1, depth), _optional(node, 2, shapes))
    return Found("linear", None, depth, None, (node.inputs[1], node.operand(2), node.inputs[0]), kernel)


def _matmul(first: int, second: int) -> Rule:
    def rule(node: Node, shapes: Shapes) -> Found:
        names = (node.inputs[second], node.inputs[first])
        factor = shapes[names[0]]
        kernel = (*factor[:-2], *factor[:-3:-1])
        op = "linear" if len(factor) == 2 else "matmul"
        return Found(op, None, shapes[names[1]][-1], None, names, kernel)

    return rule


def _einsum(node: Node, shapes: Shapes) -> Found:
    """A letter of the output is a loop, and one of both operands unless of size 1 in one of them.

    Others are summed first. Without a letter of both that is summed, elements are multiplied alone.
    """
    equation = node.attributes.get("equation", b"").decode("utf-8", "replace").replace(" ", "")
    if len(node.inputs) == 1:
        return Found("einsum", None, 0, 0)
    terms = equation.partition("->")[0].split(",")
    fits = [len(term) for term in terms] == [len(shapes[name]) for name in node.inputs]
    if len(node.inputs) > 2 or "." in equation or not fits:
        raise InputError(
            f"{node.title}: {quote(equation)} has no formula; expected two operands without an ellipsis"
        )
    sizes: dict[str, int] = {}
    least: dict[str, int] = {}
    for term, name in zip(terms, node.inputs, strict=True):
        for letter, size in zip(term, shapes[name], strict=True):
            require_letters(node, sizes, letter, size)
            least[letter] = min(least.get(letter, size), size)
            sizes[letter] = max(sizes.get(letter, 1), size)
    once = [letter for letter in sizes if (terms[0] + terms[1]).count(letter) == 1]
    output = equation.partition("->")[2] if "->" in equation else "".join(once)
    both = {letter for letter in sizes if all(letter in term for term in terms)}
    loops = [letter for letter in sizes if letter in output or (letter in both and least[letter] > 1)]
    found = prod(sizes[letter] for letter in loops)
    macs, products = (found, 0) if both - {*output} else (0, found)
    return Found("einsum", None, 0, macs, node.inputs[::-1], (), products)


def _recurrent(node: Node, shapes: Shapes) -> Found:
    """Gates × hidden × (input + hidden) per step and direction: the elements of both kernels."""
    source = shapes[node.inputs[0]]
    require_recurrent(node, source, (shapes[node.inputs[1]], shapes[node.inputs[2]]))
    steps = prod(source[:2])
    kernels = prod(shapes[node.inputs[1]]) + prod(shapes[node.inputs[2]])
    operands = (*node.inputs[1:3], node.operand(3), node.operand(7))
    return Found(_gated(node), None, 0, steps * kernels, operands)


def _gated(node: Node) -> str:
    """Return the operation of a recurrent layer: the usual activations alone have a price."""
    name, given = node.op.lower(), [each.lower() for each in node.attributes.get("activations", ())]
    directions = 2 if node.attributes.get("direction") == b"bidirectional" else 1
    changed = node.operand(7) or node.attributes.get("input_forget") or "clip" in node.attributes
    if name == "rnn" and given == [b"relu"] * directions:
        return "rnn_relu" if not changed else "rnn_variant"
    return name if not changed and given in ([], _USUAL[name] * directions) else f"{name}_variant"


_USUAL: Final = {"lstm": [b"sigmoid", b"tanh", b"tanh"], "gru": [b"sigmoid", b"tanh"], "rnn": [b"tanh"]}
"""Activations of a recurrent layer, in each direction."""


def _attention(node: Node, shapes: Shapes) -> Found:
    """Scores and weighted values: L · S · (E + Ev) for each head of the query."""
    query, key, value = (shapes[name] for name in node.inputs[:3])
    heads, rows, steps = node.attributes.get("q_num_heads", 1), query[-2], key[-2]
    inner, outer = query[-1], value[-1]
    if len(query) == 4:
        heads = query[1]
    else:
        inner, outer = query[-1] // heads, value[-1] // node.attributes.get("kv_num_heads", heads)
    if past := node.operand(4):
        steps += shapes[past][-2]
    macs = query[0] * heads * rows * steps * (inner + outer)
    return Found("attention", None, inner + outer, macs, ())


PRODUCTS: Final[dict[str, Rule]] = {
    "Conv": _conv(0, 1, 2),
    "ConvInteger": _conv(0, 1, 4),
    "QLinearConv": _conv(0, 3, 8),
    "DeformConv": _deformable,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matmul(0, 1),
    "MatMulInteger": _matmul(0, 1),
    "QLinearMatMul": _matmul(0, 3),
    "Einsum": _einsum,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "Attention": _attention,
}
"""Products, by ONNX's name."""
