"""Functions that a file defines, and branches that it always takes, put into its graph."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from ...graph.errors import InputError, quote

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto

MOST_NODES: Final = 50_000
_BYTES_OF_A_NODE: Final = 2**31 // MOST_NODES
"""A node with stored data counts as several: a function's data is there once for each of its calls."""
_DEEPEST: Final = 50
"""Maximum number of functions that call each other."""


def inlined(model: "ModelProto") -> "ModelProto":
    """Return the model without functions of its own, and without branches whose condition is stored.

    Raises InputError for functions that call themselves, or whose calls are too many.
    """
    if model.functions:
        model = _without_functions(model)
    if any(node.op_type == "If" for node in model.graph.node):
        _Branches(model.graph).take()
    return model


def _without_functions(model: "ModelProto") -> "ModelProto":
    from onnx import inliner

    called = _Sizes(model.functions)
    if sum(called.of(node, 0) for node in model.graph.node) > MOST_NODES:
        raise InputError(f"the calls of its functions have more than {MOST_NODES:,} nodes; expected fewer")
    try:
        found = inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"its functions cannot be inlined ({error})") from None
    known = {_called(function.domain, function.name) for function in model.functions}
    if left := next((node for node in found.graph.node if _called(node.domain, node.op_type) in known), None):
        raise InputError(
            f"its function {quote(left.op_type)} is of another opset than the network; expected it inlined"
        )
    return found


def _called(domain: str, name: str) -> tuple[str, str]:
    return ("" if domain == "ai.onnx" else domain), name


class _Sizes:
    """The number of nodes of calls."""

    def __init__(self, functions: Iterable["FunctionProto"]) -> None:
        self._functions = {_called(each.domain, each.name): each for each in functions}
        self._known: dict[tuple[str, str], int] = {}

    def of(self, node: "NodeProto", depth: int) -> int:
        """Return the number of nodes that a call becomes, those of its graphs included."""
        name = _called(node.domain, node.op_type)
        if depth > _DEEPEST:
            raise InputError(f"its function {quote(name[1])} calls itself, or is too deep")
        inner = sum(self.of(each, depth + 1) for graph in _graphs(node) for each in graph.node)
        if name not in self._functions:
            return 1 + inner
        if name not in self._known:
            nodes = self._functions[name].node
            self._known[name] = sum(
                self.of(each, depth + 1) + each.ByteSize() // _BYTES_OF_A_NODE for each in nodes
            )
        return self._known[name] + inner


def _graphs(node: "NodeProto") -> Iterator["GraphProto"]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


class _Branches:
    """Puts the nodes of branches into a graph."""

    def __init__(self, graph: "GraphProto") -> None:
        self.graph = graph
        self.stored: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        self.taken = {name for node in graph.node for name in node.output} | {*self.stored}
        self.nodes: list[NodeProto] = []

    def take(self) -> None:
        """Replace each If whose condition is stored by the nodes of its branch."""
        for node in self.graph.node:
            self._add(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _add(self, node: "NodeProto") -> None:
        branch = self._branch(node)
        if branch is None:
            self._note(node)
            self.nodes.append(node)
            return
        names = self._names(node, branch)
        for tensor in branch.initializer:
            tensor.name = names[tensor.name]
            self.stored[tensor.name] = tensor
            self.graph.initializer.append(tensor)
        made = {name for each in branch.node for name in each.output}
        for each in branch.node:
            _rename(each, names)
            self._add(each)
        for value, name in zip(branch.output, node.output, strict=False):
            if value.name not in made or names[value.name] != name:
                self._identity(names.get(value.name, value.name), name)

    def _names(self, node: "NodeProto", branch: "GraphProto") -> dict[str, str]:
        """Return the name in the graph of each tensor that a branch defines: an output has the If's."""
        outputs = {value.name: name for value, name in zip(branch.output, node.output, strict=False)}
        made = [name for each in branch.node for name in each.output if name]
        names = {name: outputs[name] for name in made if outputs.get(name)}
        for name in (*(tensor.name for tensor in branch.initializer), *made):
            if name not in names:
                names[name] = self._unique(name)
        return names

    def _unique(self, name: str) -> str:
        count, found = 1, name
        while found in self.taken:
            count += 1
            found = f"{name}#{count}"
        self.taken.add(found)
        return found

    def _branch(self, node: "NodeProto") -> "GraphProto | None":
        """Return the branch that an If always takes, None if that is not known."""
        condition = self.stored.get(node.input[0]) if node.op_type == "If" and len(node.input) == 1 else None
        taken = None if condition is None else _truth(condition)
        if taken is None or node.domain not in ("", "ai.onnx"):
            return None
        wanted = "then_branch" if taken else "else_branch"
        return next((each.g for each in node.attribute if each.name == wanted and each.HasField("g")), None)

    def _note(self, node: "NodeProto") -> None:
        """Note what a Constant stores."""
        if node.op_type == "Constant" and len(node.output) == 1:
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.HasField("t"):
                    self.stored[node.output[0]] = attribute.t

    def _identity(self, source: str, name: str) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [source], [name]))


def _truth(tensor: "TensorProto") -> bool | None:
    """Return the value of a tensor of one boolean in the file, None for any other."""
    if tensor.data_type != tensor.BOOL or tensor.data_location == tensor.EXTERNAL or set(tensor.dims) - {1}:
        return None
    data: Iterable[int] = tensor.raw_data or tensor.int32_data
    values = list(data)
    return bool(values[0]) if len(values) == 1 else None


def _rename(node: "NodeProto", names: Mapping[str, str]) -> None:
    """Rename tensors in a node, and in the graphs inside of it."""
    for field in (node.input, node.output):
        for n, name in enumerate(field):
            field[n] = names.get(name, name)
    for graph in _graphs(node):
        for inner in graph.node:
            _rename(inner, names)
        for value in graph.output:
            value.name = names.get(value.name, value.name)
