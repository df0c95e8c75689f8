"""A node of an ONNX graph."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...graph.errors import quote


class Node(NamedTuple):
    """A node of an ONNX graph; "" is an input or output that is left out. Texts in attributes are bytes."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Name and operator as a message has them; an unnamed node is called by what it writes."""
        return f"node {quote(self.name or next(iter(self.outputs), ''))} ({self.op[:40]})"

    def operand(self, number: int) -> str:
        """Return the name of an input, "" if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else ""
