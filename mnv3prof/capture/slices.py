"""A block of a captured program as a module of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Graph, GraphModule, Interpreter, Node

from ..graph.errors import InputError
from .export import storage_of


class Slicer:
    """Makes modules of parts of an exported program, and runs it up to their inputs."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.nodes = {node.name: node for node in program.graph.nodes}
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
                known = node.op != "output" and all(each in found for each in node.all_input_nodes)
            if known:
                found.add(node)
        return found

    def values(self, given: torch.Tensor, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """Run the program, and return copies of the tensors of these names."""
        runner = _Recorder(self.program.graph_module, set(names))
        places = [node.name for node in self.program.graph.nodes if node.op == "placeholder"]
        with torch.no_grad():
            runner.run(*(self.known.get(name, given) for name in places))
        return runner.seen

    def module(self, calls: Sequence[str], given: str, result: str) -> nn.Module:
        """Return the module that computes `result` from `given` by the program's calls.

        calls: names of consecutive nodes. Raises InputError if one is inside a region.
        """
        if not {*calls, given, result} <= {*self.nodes}:
            raise InputError(
                "a part of it runs in a region of another mode; expected a block that is one module"
            )
        own = self._with_constants({self.nodes[name] for name in calls} - {self.nodes[given]})
        graph, root = Graph(), nn.Module()
        made = {self.nodes[given]: graph.placeholder("x")}
        shared = {_memory(self.nodes[given])}
        for node in sorted(own - {self.nodes[given]}, key=lambda node: self.order[node]):
            if node.op == "placeholder":
                root.register_buffer(node.name, self.known[node.name])
                made[node] = graph.get_attr(node.name)
            else:
                made[node] = graph.node_copy(node, lambda each: made[each])
                if _memory(node) in shared:
                    made[node].target = _functional(node.target)
        graph.output(made[self.nodes[result]])
        return GraphModule(root, graph).eval()

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
            for each in (*node.all_input_nodes, *beside):
                if each in self.constant and each not in own:
                    own.add(each)
                    wanted.append(each)
        return own


class _Recorder(Interpreter):
    """Runs a program and keeps the values of some nodes."""

    def __init__(self, module: GraphModule, names: set[str]) -> None:
        super().__init__(module)
        self.names = names
        self.seen: dict[str, torch.Tensor] = {}

    def run_node(self, n: Node) -> Any:
        """Run a node, and keep a copy of its value if that is wanted."""
        value = super().run_node(n)
        if n.name in self.names:
            self.seen[n.name] = value.clone()
        return value


def _memory(node: Node) -> int:
    """Return the identity of the memory that a node's value is in, or of the node."""
    value = node.meta.get("val")
    return storage_of(value) if isinstance(value, torch.Tensor) else id(node)


def _functional(target: Any) -> Any:
    """Return the operator that does not write to its input: the inputs of a timed part are used again."""
    packet = getattr(target, "overloadpacket", None)
    name = packet.__name__ if packet else ""
    if not name.endswith("_") or name.endswith("__"):
        return target
    plain = getattr(torch.ops.aten, name.rstrip("_"), None)
    overloads: Mapping[str, Any] = {each: getattr(plain, each) for each in plain.overloads()} if plain else {}
    return overloads.get(target._overloadname, target)
