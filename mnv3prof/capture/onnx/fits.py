"""What the operands of products must be like: ONNX Runtime finds a part of it out only when it runs."""

from collections.abc import Mapping

from ...graph.errors import InputError
from ...graph.graph import Shape
from .node import Node

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def require_convolution(node: Node, kernel: Shape, source: Shape, bias: Shape | None) -> None:
    """Raise InputError if the weight or bias of a convolution is not for its input.

    kernel: output channels, input channels per group, window; of a transposed one input channels, output
    channels per group, window.
    """
    groups, transposed = node.attributes.get("group", 1), node.op == "ConvTranspose"
    read = kernel[0] if transposed else kernel[1] * groups
    if len(source) != len(kernel) or groups < 1 or source[1] != read or kernel[0] % groups:
        _refuse(node, f"its weight is {_text(kernel)} in {groups} groups and its input {_text(source)}")
    stated = tuple(node.attributes.get("kernel_shape") or kernel[2:])
    if stated != kernel[2:]:
        _refuse(node, f"it states the kernel {_text(stated)} and its weight has {_text(kernel[2:])}")
    _require_bias(node, kernel[1] * groups if transposed else kernel[0], bias)


def require_gemm(node: Node, columns: int, rows: int, bias: Shape | None) -> None:
    """Raise InputError if the bias of a Gemm is not for its output of so many rows and columns."""
    pairs = zip((bias or ())[::-1], (columns, rows), strict=False)
    if bias is not None and (len(bias) > 2 or any(size not in (1, wanted) for size, wanted in pairs)):
        _refuse(node, f"its bias is {_text(bias)} and its output {rows}x{columns}")


def require_letters(node: Node, sizes: Mapping[str, int], letter: str, size: int) -> None:
    """Raise InputError if a letter of an Einsum has had another size than this one, neither of which is 1."""
    if sizes.get(letter, 1) not in (1, size) and size != 1:
        _refuse(node, f"its axis {letter!r} is {sizes[letter]} in one operand and {size} in another")


def require_recurrent(node: Node, source: Shape, kernels: tuple[Shape, Shape]) -> None:
    """Raise InputError if the weights of a recurrent layer are not for its input and its hidden size."""
    hidden = node.attributes.get("hidden_size", kernels[1][-1] if kernels[1] else 0)
    directions = 2 if node.attributes.get("direction") == b"bidirectional" else 1
    rows = _GATES[node.op] * hidden
    if kernels != ((directions, rows, source[-1] if source else 0), (directions, rows, hidden)):
        _refuse(
            node,
            f"its weights are {' and '.join(map(_text, kernels))}, its input {_text(source)} and its hidden "
            f"size {hidden}",
        )


def _require_bias(node: Node, channels: int, bias: Shape | None) -> None:
    if bias is not None and bias != (channels,):
        _refuse(node, f"its bias is {_text(bias)} and its output has {channels} channels")


def _refuse(node: Node, what: str) -> None:
    raise InputError(f"{node.title}: {what}; expected sizes that fit")


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"
