"""Capture of a module by torch.export."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import nn
from torch.export import ExportedProgram, export
from torch.export.graph_signature import InputKind
from torch.fx import Node

from ..graph.errors import InputError
from ..graph.graph import Shape, Tensor
from .names import Names, Paths, capped
from .program import BRANCHES, DIVIDES, FLEX, WRAPPERS, Call, Program, Ref


def exported(module: nn.Module, inputs: Sequence[torch.Tensor]) -> ExportedProgram:
    """Export a module, called without gradients, with the parts of its attention as operators."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return _exported(module, inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _exported(module: nn.Module, inputs: Sequence[torch.Tensor]) -> ExportedProgram:
    with torch.no_grad():
        return export(module.eval().requires_grad_(False), tuple(inputs), strict=False)


def is_mapped(found: ExportedProgram) -> bool:
    """Return True for a program with calls inside of torch.vmap, whose tensors lack an axis."""
    return any(getattr(node.target, "__name__", "") == "_add_batch_dim" for node in found.graph.nodes)


_PLAIN: Final = ("_operator", "builtins", "math", "sympy", "torch")
"""Modules of functions on numbers and tuples; those of torch itself are torch.sym_max and the like."""


def storage_of(value: torch.Tensor) -> int:
    """Return the identity of a tensor's memory; one inside of vmap has none that can be seen."""
    try:
        return int(value.untyped_storage()._cdata)
    except NotImplementedError:
        return id(value)


def program_of(found: ExportedProgram, name: str) -> Program:
    """Return the calls of an exported program. Raises InputError for one that branches on data."""
    reader = _Reader(found, name)
    outputs = reader.walk(found.graph_module, {})
    inputs = tuple(Tensor(node, reader.shapes[node]) for node in reader.inputs)
    constants = frozenset(reader.shapes) - {call.name for call in reader.calls} - set(reader.inputs)
    return Program(
        name, inputs, tuple(reader.calls), tuple(outputs), reader.weights,
        constants - set(reader.weights), reader.shapes, reader.buffers,
    )  # fmt: skip


class _Reader:
    """Walks graphs. calls: those met. shapes: of all tensors. owners: the first tensor of each storage."""

    def __init__(self, found: ExportedProgram, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.shapes: dict[str, Shape] = {}
        self.owners: dict[int, str] = {}
        self.given = {spec.arg.name: spec for spec in found.graph_signature.input_specs}
        self.inputs: list[str] = []
        self.weights: dict[str, Tensor] = {}
        self.state = found.state_dict
        self.buffers: dict[str, str] = {}
        self.names, self.paths = Names(), Paths()
        self.first: dict[int, Tensor] = {}
        """Name and shape of each weight, by its identity: a tied one has several names."""

    def walk(self, graph: torch.fx.GraphModule, known: Mapping[str, Any]) -> list[str]:
        """Read a graph; known: the values of its placeholders in an inner one. Return its outputs."""
        values: dict[Node, Any] = {}
        placeholders = iter(known.values())
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                values[node] = next(placeholders) if known else self._placeholder(node)
            elif node.op == "get_attr":
                values[node] = self._attribute(graph, node)
            elif node.op == "output":
                return _names(values, node.args[0])
            else:
                values[node] = self._call(graph, node, values)
        return []

    def _placeholder(self, node: Node) -> Ref:
        spec, value = self.given[node.name], node.meta["val"]
        if isinstance(value, torch.Tensor):
            self._own(node.name, value)
            if spec.kind is InputKind.USER_INPUT:
                self.inputs.append(node.name)
            elif spec.kind is InputKind.PARAMETER:
                weight = self.state.get(str(spec.target))
                if id(weight) not in self.first:
                    name = self.names.unique(str(spec.target))
                    self.first[id(weight)] = Tensor(name, tuple(value.shape))
                self.weights[node.name] = self.first[id(weight)]
            elif spec.kind is InputKind.BUFFER:
                self.buffers[node.name] = capped(str(spec.target))
        return Ref(node.name)

    def _attribute(self, graph: torch.fx.GraphModule, node: Node) -> Any:
        """Return an inner graph, or the reference of a constant tensor."""
        found = graph
        for part in str(node.target).split("."):
            found = getattr(found, part)
        if isinstance(found, torch.Tensor):
            self._own(node.name, found)
            return Ref(node.name)
        return found

    def _call(self, graph: torch.fx.GraphModule, node: Node, values: Mapping[Node, Any]) -> Any:
        target = node.target
        args, kwargs = _resolved(values, node.args), _resolved(values, node.kwargs)
        if isinstance(target, torch._ops.HigherOrderOperator):
            if str(target) == FLEX:
                return self._several(node, node.meta["val"], f"aten.{FLEX}", _flex_arguments(args))
            return self._open(str(target), args)
        if not isinstance(target, torch._ops.OpOverload):
            if (getattr(target, "__module__", "") or "") not in _PLAIN:
                called = getattr(target, "__name__", target)
                raise InputError(f"{self.name}: calls {called} of torch.func, which is not counted")
            return _python(target, args)
        value = node.meta.get("val")
        names = [argument.name for argument in target._schema.arguments]
        arguments = {**dict(zip(names, args, strict=False)), **kwargs}
        if isinstance(value, torch.Tensor):
            self._add(node, node.name, value, str(target), arguments)
            return Ref(node.name)
        if isinstance(value, (list, tuple)):
            return self._several(node, value, str(target), arguments)
        return value

    def _several(
        self, node: Node, value: Sequence[Any], target: str, arguments: Mapping[str, Any]
    ) -> list[Any]:
        """Add a call with several outputs: one call for each view, else the first output and views of it."""
        parts = target.split(".")[1] in DIVIDES
        used = {int(user.args[1]) for user in node.users if len(user.args) > 1 and type(user.args[1]) is int}
        results: list[Any] = [None] * len(value)
        for n, each in enumerate(value):
            if not isinstance(each, torch.Tensor) or (n and n not in used):
                continue
            name = f"{node.name}.{n}" if n else node.name
            if parts or not n:
                self._add(node, name, each, target, arguments)
            else:
                self._add(node, name, each, "aten.select.int", {"self": Ref(node.name)}, node.name)
            results[n] = Ref(name)
        return results

    def _open(self, name: str, args: Sequence[Any]) -> list[Any]:
        """Read a region that only changes a mode. Raises InputError for another operator of graphs."""
        if name in BRANCHES:
            raise InputError(
                f"{self.name}: {name} depends on data; expected a network that always does the same"
            )
        if name not in WRAPPERS:
            raise InputError(f"{self.name}: calls {name}, which is not counted; expected other operators")
        at = next(n for n, each in enumerate(args) if isinstance(each, torch.fx.GraphModule))
        inner = args[at]
        places = [node.name for node in inner.graph.nodes if node.op == "placeholder"]
        known = dict(zip(places, args[at + 1 :], strict=True))
        return [Ref(each) for each in self.walk(inner, known or {"": None})]

    def _add(
        self,
        node: Node,
        name: str,
        value: torch.Tensor,
        target: str,
        arguments: Mapping[str, Any],
        owner: str = "",
    ) -> None:
        storage = owner or self._own(name, value)
        if owner:
            self.shapes[name] = tuple(value.shape)
        self.calls.append(Call(name, target, arguments, self.shapes[name], storage, self._stack(node)))

    def _stack(self, node: Node) -> tuple[tuple[str, str], ...]:
        """Return path and class of the open modules; "@2" marks a module's second call."""
        stack = node.meta.get("nn_module_stack") or {}
        found = [(self.paths.shown(path.partition("@")[0]), str(kind)) for path, kind in stack.values()]
        return tuple((path, kind) for path, kind in found if path)

    def _own(self, name: str, value: torch.Tensor) -> str:
        """Note the shape of a tensor, and return the first tensor in its memory, "" if it is that."""
        if any(not isinstance(size, int) for size in value.shape):
            raise InputError(f"{self.name}: the shape of {name} depends on data; expected fixed shapes")
        self.shapes[name] = tuple(value.shape)
        first = self.owners.setdefault(storage_of(value), name)
        return "" if first == name else first


def _flex_arguments(args: Sequence[Any]) -> dict[str, Any]:
    """Return the arguments of an attention with a function of its scores.

    plain: it returns the scores as they are. dense: the mask is one block, so that none is left out.
    """
    query, key, value, score, mask, *_ = args
    known = [each for each in (*mask, *args[7:]) if isinstance(each, (Ref, list))]
    plain = not any(node.op == "call_function" for node in score.graph.nodes)
    dense = [each for each in mask if type(each) is int][:2] == [1, 1]
    return {"query": query, "key": key, "value": value, "others": known, "plain": plain, "dense": dense}


def _resolved(values: Mapping[Node, Any], given: Any) -> Any:
    """Replace nodes in nested arguments by their values."""
    if isinstance(given, Node):
        return values[given]
    if isinstance(given, (list, tuple)):
        return [_resolved(values, each) for each in given]
    if isinstance(given, Mapping):
        return {key: _resolved(values, each) for key, each in given.items()}
    return given


def _python(target: Any, args: Sequence[Any]) -> Any:
    """Return the value of a function of Python: an item of several outputs, or arithmetic on sizes."""
    try:
        return target(*args)
    except (TypeError, ValueError, ArithmeticError):
        return None


def _names(values: Mapping[Node, Any], given: Any) -> list[str]:
    return [each.name for each in _flat(_resolved(values, given)) if isinstance(each, Ref)]


def _flat(given: Any) -> Iterator[Any]:
    if isinstance(given, list):
        for each in given:
            yield from _flat(each)
    else:
        yield given
