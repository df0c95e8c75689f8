"""A captured program: the calls of ATen operators in execution order."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..graph.graph import Shape, Tensor

WRAPPERS: Final = ("wrap_with_autocast", "wrap_with_set_grad_enabled")
"""Operators of regions that only change a mode."""
DIVIDES: Final = ("split", "split_with_sizes", "chunk", "tensor_split", "unbind", "hsplit", "vsplit")
"""Operators whose outputs are views of their input."""


class Ref(NamedTuple):
    """An operand that is a tensor, by its name in the program."""

    name: str


class Call(NamedTuple):
    """A call of an operator.

    target: e.g. "aten.conv2d.default". arguments: by their name in the operator's schema; tensors are Refs.
    shape: of the (first) output, with the batch. storage: the tensor in whose memory it is, or "". stack:
    path and class of the open modules, from the outermost, without the network itself.
    """

    name: str
    target: str
    arguments: Mapping[str, Any]
    shape: Shape
    storage: str
    stack: tuple[tuple[str, str], ...]

    @property
    def base(self) -> str:
        """The operator's name without namespace, overload and the underscore of an in-place one."""
        return self.target.split(".")[1].rstrip("_") if "." in self.target else self.target

    @property
    def writes(self) -> bool:
        """True if the operator writes to its first operand."""
        name = self.target.split(".")[1] if "." in self.target else ""
        return name.endswith("_") and not name.endswith("__")

    @property
    def path(self) -> str:
        """Path of the module that makes the call; "" for the network itself."""
        return self.stack[-1][0] if self.stack else ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the operands, each once."""
        return tuple(dict.fromkeys(refs(list(self.arguments.values()))))


class Program(NamedTuple):
    """A captured program.

    inputs: with the batch. weights: parameters by the name of the tensor in the program. constants: other
    tensors that are known before the network runs. shapes: of all tensors, with the batch.
    """

    name: str
    inputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Tensor]
    constants: frozenset[str]
    shapes: Mapping[str, Shape]


def refs(value: object) -> list[str]:
    """Return the names of the tensors in a nested argument."""
    if isinstance(value, Ref):
        return [value.name]
    if isinstance(value, (list, tuple)):
        return [name for each in value for name in refs(each)]
    return []
