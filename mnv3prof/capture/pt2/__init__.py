"""Networks in archives of torch.export (.pt2), read without PyTorch.

torch.export.load can run code that is in an archive. Here only its description of the program is read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import msgspec

from ...graph.bounds import MOST_ELEMENTS
from ...graph.errors import InputError, about, quote
from ...graph.graph import Graph, Shape, Tensor
from ...record.atomic import read_file
from ..lower import MOST_CALLS, lower
from ..names import Names, Paths, capped
from ..program import DIVIDES, WRAPPERS, Call, Program, Ref, refs
from .archive import EXPECTED, Inner, Meta, Module, Node, Signature, Stored, described
from .symbols import Symbols

MOST_BYTES: Final = 2**31 - 1
_DEEPEST: Final = 10
"""Maximum number of regions within each other."""
_LONGEST_STACK: Final = 20_000
_DEEPEST_MODULE: Final = 100
_MOST_AXES: Final = 64
_MOST_OPERANDS: Final = 1_000_000
_DAMAGE: Final = (
    *(LookupError, TypeError, ValueError, ArithmeticError),
    *(AttributeError, RecursionError, MemoryError, StopIteration),
)
"""What reading a description that is not as expected can raise."""
_VIEWS: Final = frozenset(
    (
        *DIVIDES,
        *("view", "_unsafe_view", "permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "expand_as"),
        *("slice", "select", "narrow", "unflatten", "view_as", "detach", "alias", "movedim", "moveaxis"),
        *("swapaxes", "swapdims", "diagonal", "view_as_real", "view_as_complex", "real", "imag", "numpy_T"),
        *("mT", "adjoint", "broadcast_to", "as_strided", "unfold", "lift_fresh", "positive"),
    )
)
"""Operators whose output is in the memory of their input."""
_MAY_VIEW: Final = ("flatten", "reshape", "reshape_as", "contiguous", "to", "type_as")
"""Operators whose output is in the memory of their input if no element has to move or change."""


def read_pt2(path: Path, where: str, name: str, shapes: Sequence[Shape] = ()) -> Graph:
    """Return the graph of an archive of torch.export, called `name`. Raises InputError about `where`.

    shapes: as of read_program.
    """
    program = read_program(path, where, name, shapes)
    with about(where):
        try:
            return lower(program).graph
        except InputError:
            raise
        except _DAMAGE:
            raise InputError(
                "the sizes in its program do not fit; expected what torch.export wrote"
            ) from None


def read_program(path: Path, where: str, name: str, shapes: Sequence[Shape] = ()) -> Program:
    """Return the program of an archive of torch.export, called `name`. Raises InputError about `where`.

    shapes: one per input, without the batch, for inputs whose sizes are symbolic; the last sizes are enough.
    """
    data = read_file(path, MOST_BYTES, EXPECTED)
    with about(where):
        try:
            return _Reader(*described(data), name, shapes).program()
        except InputError:
            raise
        except (*_DAMAGE, msgspec.MsgspecError):
            raise InputError(f"its program is damaged; {EXPECTED}") from None


class _Reader:
    """Walks the program. calls: those met. shapes, values: of all tensors by name."""

    def __init__(
        self, module: Module, stored: Mapping[str, Stored], name: str, given: Sequence[Shape]
    ) -> None:
        self.module, self.stored, self.name, self.given = module, stored, name, given
        self.symbols = Symbols(module.ranges)
        self.names, self.paths = Names(), Paths()
        self.first: dict[tuple[Any, ...], Tensor] = {}
        """Name and shape of each weight, by its place: a tied one has several names."""
        self.calls: list[Call] = []
        self.shapes: dict[str, Shape] = {}
        self.values: dict[str, Meta] = {}
        self.weights: dict[str, Tensor] = {}
        self.inputs: list[Tensor] = []
        self.operands = 0

    def program(self) -> Program:
        """Return the program. Raises InputError."""
        graph, signature = self.module.graph, self.module.signature
        self._fix_symbols(graph, signature)
        known = {name: name for name in self._placeholders(graph, signature)}
        self._walk(graph, known, "")
        given = [spec["user_output"]["arg"] for spec in signature.output_specs if "user_output" in spec]
        outputs = tuple(known[name] for name in refs([_value(each) for each in given]))
        if not outputs:
            raise InputError("its program returns no tensor; expected a network")
        defined = {call.name for call in self.calls} | {tensor.name for tensor in self.inputs}
        constants = frozenset(self.shapes) - defined - set(self.weights)
        calls = tuple(self.calls)
        return Program(self.name, tuple(self.inputs), calls, outputs, self.weights, constants, self.shapes)

    def _fix_symbols(self, graph: Inner, signature: Signature) -> None:
        """Take the symbols of symbolic sizes from the shapes that are given."""
        names = [
            spec["user_input"]["arg"]["as_tensor"]["name"]
            for spec in signature.input_specs
            if "as_tensor" in spec.get("user_input", {}).get("arg", {})
        ]
        sizes = {name: graph.tensor_values[name].sizes for name in names}
        if all("as_int" in size for each in sizes.values() for size in each):
            return
        if self.given and len(self.given) != len(names):
            raise InputError(f"it has {len(names)} inputs; expected as many sizes, not {len(self.given)}")
        for n, name in enumerate(names):
            self.symbols.fix(name, sizes[name], self.given[n] if self.given else ())

    def _placeholders(self, graph: Inner, signature: Signature) -> Iterator[str]:
        """Yield the names of what the program is given; those of inputs first are noted as such."""
        for spec in signature.input_specs:
            ((kind, given),) = spec.items()
            name = given["arg"].get("as_tensor", {}).get("name") if kind == "user_input" else None
            if kind in ("parameter", "buffer", "tensor_constant"):
                name = given["arg"]["name"]
            if name is None:
                continue
            shape = self._define(name, graph.tensor_values[name], f"input {quote(name)}")
            if kind == "user_input":
                if len(shape) > 3 and shape[0] > 1:
                    raise InputError(f"input {quote(name)} has a batch of {shape[0]}; expected 1")
                self.inputs.append(Tensor(name, shape))
            elif kind == "parameter":
                self.weights[name] = self._weight(given["parameter_name"], shape)
            yield name

    def _weight(self, name: str, shape: Shape) -> Tensor:
        stored = self.stored.get(name)
        place = (stored.path_name, repr(stored.tensor_meta.get("storage_offset")), shape) if stored else name
        if (place,) not in self.first:
            self.first[place,] = Tensor(self.names.unique(name), shape)
        return self.first[place,]

    def _define(self, name: str, value: Meta, what: str) -> Shape:
        """Note a tensor, and return its shape. Raises InputError if a size is symbolic."""
        if name in self.shapes:
            raise InputError(f"tensor {quote(name)} is written twice; expected unique names")
        if any("as_int" not in size for size in (*value.sizes, *value.strides)):
            sizes, strides = (
                [{"as_int": self.symbols.value(size)} for size in each]
                for each in (value.sizes, value.strides)
            )
            value = Meta(sizes, strides, value.dtype)
        shape = tuple(size["as_int"] for size in value.sizes)
        if None in shape:
            raise InputError(f"{what} has no size that the file states; export it with fixed sizes")
        if len(shape) > _MOST_AXES or not all(type(size) is int and size >= 0 for size in shape):
            raise InputError(
                f"{what} has the size {quote(shape)}; expected at most {_MOST_AXES} integers from 0"
            )
        if prod(shape) > MOST_ELEMENTS:
            raise InputError(f"{what} has the size {quote(shape)}; expected at most 2^40 elements")
        self.shapes[name], self.values[name] = shape, value
        return shape

    def _walk(self, graph: Inner, known: dict[str, str], scope: str) -> None:
        """Read a graph. known: the program's name of each tensor that is there, by its name in the graph."""
        if len(self.calls) + len(graph.nodes) > MOST_CALLS:
            raise InputError(
                f"it has {len(graph.nodes):,} operations or more; expected at most {MOST_CALLS:,}"
            )
        inputs = [
            [_value(each.arg) for each in node.inputs if "as_graph" not in each.arg] for node in graph.nodes
        ]
        read = set(refs(inputs)).union(refs([_value(each) for each in graph.outputs]))
        for node in graph.nodes:
            target = node.target.removeprefix("torch.ops.")
            if target.startswith("higher_order."):
                self._open(node, target.removeprefix("higher_order."), known, scope)
            elif names := refs([_value(each) for each in node.outputs]):
                self._call(node, target, names, graph, known, scope, read)

    def _call(
        self,
        node: Node,
        target: str,
        names: Sequence[str],
        graph: Inner,
        known: dict[str, str],
        scope: str,
        read: set[str],
    ) -> None:
        """Add a call: one for each view if there are several, else the first output and views of it."""
        arguments = {each.name: _renamed(_value(each.arg), known) for each in node.inputs}
        modules = _stack(node.metadata.get("nn_module_stack", ""))
        stack = tuple((self.paths.shown(path), kind) for path, kind in modules)
        divides = _base(target) in DIVIDES
        self.operands += len(refs(list(arguments.values()))) * len(names)
        if self.operands > _MOST_OPERANDS:
            raise InputError(f"its operations have too many operands; expected at most {_MOST_OPERANDS:,}")
        first = f"{scope}{names[0]}"
        for n, name in enumerate(names):
            if n and name not in read:
                continue
            new = f"{scope}{name}"
            shape = self._define(
                new, graph.tensor_values[name], f"the output {quote(name)} of {quote(target)}"
            )
            if n and not divides:
                call = Call(new, "aten.select.int", {"self": Ref(first)}, shape, first, stack)
            else:
                call = Call(new, target, arguments, shape, self._owner(new, target, arguments), stack)
            self.calls.append(call)
            known[name] = new

    def _owner(self, name: str, target: str, arguments: Mapping[str, Any]) -> str:
        """Return the tensor in whose memory a call writes, "" if that is new."""
        base = _base(target)
        source = next(iter(refs(list(arguments.values()))), "")
        if not source or base in _VIEWS:
            return source
        given, out = self.values[source], self.values[name]
        if base in _MAY_VIEW:
            moves = _is_dense(given) < _is_dense(out)
            return "" if moves or given.dtype != out.dtype else source
        return source if base.endswith("_") and not base.startswith("_") else ""

    def _open(self, node: Node, kind: str, known: dict[str, str], scope: str) -> None:
        """Read a region that only changes a mode. Raises InputError for another operator of graphs."""
        if kind not in WRAPPERS or scope.count("/") >= _DEEPEST:
            raise InputError(f"its operator {quote(kind)} depends on data; expected a network that does not")
        at = next(n for n, each in enumerate(node.inputs) if "as_graph" in each.arg)
        inner = msgspec.convert(node.inputs[at].arg["as_graph"]["graph"], Inner)
        places = refs([_value(each) for each in inner.inputs])
        given = refs([_value(each.arg) for each in node.inputs[at + 1 :]])
        inside = {place: known[name] for place, name in zip(places, given, strict=True)}
        self._walk(inner, inside, f"{scope}{len(self.calls)}/")
        results = refs([_value(each) for each in inner.outputs])
        outputs = refs([_value(each) for each in node.outputs])
        known |= {name: inside[result] for name, result in zip(outputs, results, strict=True)}


def _base(target: str) -> str:
    """Return the operator's name without namespace and overload."""
    return target.split(".")[1] if "." in target else target


def _value(given: Mapping[str, Any]) -> Any:
    """Return an argument as Python has it, with a Ref for each tensor."""
    ((kind, value),) = given.items()
    if kind in ("as_tensor", "as_optional_tensor", "as_optional_tensors", "as_tensors", "as_nested_tensors"):
        return _tensors(value)
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return _number(value)
    if kind in ("as_sym_ints", "as_sym_bools", "as_sym_floats"):
        return [_number(each) for each in value]
    if kind == "as_float":
        return float(value)
    return None if kind in ("as_none", "as_graph", "as_custom_obj", "as_device") else value


def _tensors(value: Any) -> Any:
    """Return Refs in place of tensors."""
    if isinstance(value, list):
        return [_tensors(each) for each in value]
    if "name" in value:
        return Ref(str(value["name"]))
    return _tensors(value["as_tensor"]) if "as_tensor" in value else None


def _number(value: Mapping[str, Any]) -> Any:
    """Return a number that could have been symbolic, None if it is."""
    ((kind, number),) = value.items()
    return None if kind == "as_name" else number


def _renamed(value: Any, known: Mapping[str, str]) -> Any:
    """Return an argument with the program's names of tensors."""
    if isinstance(value, Ref):
        return Ref(known[value.name])
    return [_renamed(each, known) for each in value] if isinstance(value, list) else value


def _is_dense(value: Meta) -> bool:
    """Return True if the elements are in order without gaps."""
    step = 1
    for size, stride in zip(reversed(value.sizes), reversed(value.strides), strict=True):
        if size["as_int"] != 1 and stride.get("as_int") != step:
            return False
        step *= size["as_int"]
    return True


def _stack(text: Any) -> tuple[tuple[str, str], ...]:
    """Return path and class of the open modules; "@2" marks a module's second call."""
    if not isinstance(text, str) or len(text) > _LONGEST_STACK:
        return ()
    # A path can have a slice's commas, in parentheses; that of the network itself is empty.
    entries = (re.findall(r"(?:\([^()]*\)|[^,()])+", entry) for entry in text.split(";")[:_DEEPEST_MODULE])
    found = ((entry[1].partition("@")[0], entry[2]) for entry in entries if len(entry) == 3)
    return tuple((path, capped(kind)) for path, kind in found if path)
