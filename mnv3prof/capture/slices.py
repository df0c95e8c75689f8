"""A block of a captured program as a module of its own."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Graph, GraphModule, Interpreter, Node

from ..graph.errors import InputError
from .aten import ALLOCATES
from .export import storage_of

Tensors = tuple[torch.Tensor, ...]


class Slice(NamedTuple):
    """A part of a program. calls: of operators, in order. given, results: tensors that it reads and hands on.

    All are named as the calls of capture.program.
    """

    calls: Sequence[str]
    given: Sequence[str]
    results: Sequence[str]


class Slicer:
    """Makes modules of parts of an exported program, and runs it to have their inputs and outputs."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.nodes = {node.name: node for node in program.graph.nodes}
        self.items = _items(program)
        self.order = {node: n for n, node in enumerate(program.graph.nodes)}
        specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
        self.users = [name for name, spec in specs.items() if spec.kind is InputKind.USER_INPUT]
        known = {**program.state_dict, **program.constants}
        self.known = {name: known[str(specs[name].target)] for name in specs if name not in self.users}
        self.constant = self._constants()

    def _constants(self) -> set[Node]:
        """Return the nodes that depend on weights and constants alone."""
        found: set[Node] = set()
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                known = node.name in self.known
            else:
                known = node.op != "output" and (
                    _allocates(node) or all(each in found for each in node.all_input_nodes)
                )
            if known:
                found.add(node)
        return found

    def values(self, inputs: Tensors, part: Slice) -> tuple[Tensors, Tensors]:
        """Run the program, and return copies of what a part is given there, and of what it hands on."""
        own = sorted(self._own(part), key=lambda node: self.order[node])
        ends = self._tensors(part.given), self._tensors(part.results)
        runner = _Recorder(self.program.graph_module, own, ends)
        known = {**self.known, **dict(zip(self.users, (each.clone() for each in inputs), strict=True))}
        places = [node.name for node in self.program.graph.nodes if node.op == "placeholder"]
        with torch.no_grad():
            runner.run(*(known[name] for name in places))
        return runner.given, runner.results

    def module(self, part: Slice) -> nn.Module:
        """Return the module that computes the results of a part by the program's calls.

        Raises InputError if one is inside a region.
        """
        own, given = self._own(part), self._tensors(part.given)
        graph, root = Graph(), nn.Module()
        made = {node: graph.placeholder(f"x{n or ''}") for n, node in enumerate(given)}
        for name, node in zip(part.given, given, strict=True):
            made |= dict.fromkeys(self.items.get(name, ()), made[node])
        shared = {_memory(node) for node in made}
        for node in sorted(self._with_constants(own) - {*made}, key=lambda node: self.order[node]):
            if node.op == "placeholder":
                root.register_buffer(node.name, self.known[node.name])
                made[node] = graph.get_attr(node.name)
            else:
                if node.op == "get_attr":
                    setattr(root, str(node.target), getattr(self.program.graph_module, str(node.target)))
                made[node] = _filled(graph, node) or graph.node_copy(node, lambda each: made[each])
                if _memory(node) in shared and not _allocates(node):
                    made[node].target = _functional(node.target)
        results = tuple(made[node] for node in self._tensors(part.results))
        graph.output(results[0] if len(results) == 1 else results)
        return GraphModule(root, graph).eval()

    def _tensors(self, names: Sequence[str]) -> list[Node]:
        """Return the node whose value each tensor is: an item, of a call with several outputs."""
        return [self.items[name][0] if name in self.items else self.nodes[name] for name in names]

    def _own(self, part: Slice) -> set[Node]:
        """Return the nodes of a part's calls. Raises InputError if one is inside a region."""
        names = [name.partition(".")[0] for name in part.calls]
        if not {*names, *(name.partition(".")[0] for name in (*part.given, *part.results))} <= {*self.nodes}:
            raise InputError(
                "a part of it runs in a region of another mode; expected a block that is one module"
            )
        items = [item for name in part.calls for item in self.items.get(name, ())]
        return {*(self.nodes[name] for name in names), *items} - {*self._tensors(part.given)}

    def _with_constants(self, nodes: set[Node]) -> set[Node]:
        """Add what the nodes read that depends on weights alone, and what writes to its memory."""
        wanted, own = list(nodes), set(nodes)
        by_memory: dict[int, list[Node]] = {}
        for node in self.constant:
            by_memory.setdefault(_memory(node), []).append(node)
        while wanted:
            node = wanted.pop()
            beside = (
                by_memory.get(_memory(node), ()) if node in self.constant and node.op != "placeholder" else ()
            )
            for each in (*(() if _allocates(node) else node.all_input_nodes), *beside):
                if each in self.constant and each not in own:
                    own.add(each)
                    wanted.append(each)
        return own


class _Recorder(Interpreter):
    """Runs a program, and copies the inputs of a part before it runs, and its outputs after.

    A call of the part that reads only a shape can come before its inputs.
    """

    def __init__(
        self, module: GraphModule, own: Sequence[Node], ends: tuple[Sequence[Node], Sequence[Node]]
    ) -> None:
        super().__init__(module)
        self.own, self.last, self.ends = {node.name for node in own}, own[-1].name, ends
        self.given: Tensors = ()
        self.results: Tensors = ()

    def run_node(self, n: Node) -> Any:
        """Run a node, and copy what is wanted before or after it."""
        if not self.given and n.name in self.own and all(node in self.env for node in self.ends[0]):
            self.given = tuple(self.env[node].clone() for node in self.ends[0])
        value = super().run_node(n)
        if n.name == self.last:
            self.results = tuple((value if node is n else self.env[node]).clone() for node in self.ends[1])
        return value


def _items(program: ExportedProgram) -> dict[str, list[Node]]:
    """Return the nodes that are an output of a call with several, by the name of the tensor."""
    found: dict[str, list[Node]] = {}
    for node in program.graph.nodes:
        if node.target is operator.getitem:
            source, place = node.args
            found.setdefault(f"{source.name}.{place}" if place else source.name, []).append(node)
    return found


def _memory(node: Node) -> int:
    """Return the identity of the memory that a node's value is in, or of the node."""
    value = node.meta.get("val")
    return storage_of(value) if isinstance(value, torch.Tensor) else id(node)


def _allocates(node: Node) -> bool:
    """Return True for a node that reads only the shape and dtype of its input."""
    packet = getattr(node.target, "overloadpacket", None)
    return packet is not None and packet.__name__ in ALLOCATES


def _filled(graph: Graph, node: Node) -> Node | None:
    """Return what makes the tensor of a node that reads only a shape, None for another node."""
    if not _allocates(node):
        return None
    value, name = node.meta["val"], node.target.overloadpacket.__name__  # type: ignore[union-attr]
    fill: Any = 1 if "ones" in name else 0
    if "full" in name:
        fill = node.kwargs.get("fill_value", node.args[-1])
    options = {"dtype": value.dtype, "device": torch.device("cpu")}
    return graph.call_function(torch.ops.aten.full.default, (list(value.shape), fill), options)


def _functional(target: Any) -> Any:
    """Return the operator that does not write to its input: the inputs of a timed part are used again."""
    packet = getattr(target, "overloadpacket", None)
    name = packet.__name__ if packet else ""
    if not name.endswith("_") or name.endswith("__"):
        return target
    plain = getattr(torch.ops.aten, name.rstrip("_"), None)
    overloads: Mapping[str, Any] = {each: getattr(plain, each) for each in plain.overloads()} if plain else {}
    return overloads.get(target._overloadname, target)
