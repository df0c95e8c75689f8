"""A captured program: the calls of ATen operators in execution order."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..graph.graph import Shape, Tensor

WRAPPERS: Final = ("wrap_with_autocast", "wrap_with_set_grad_enabled")
"""Operators of regions that only change a mode."""
BRANCHES: Final = ("cond", "while_loop")
"""Operators of regions that run by the values of tensors."""
FLEX: Final = "flex_attention"
"""The operator of attention with a function of its scores and a mask of blocks."""
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
    tensors that are known before the network runs. shapes: of all tensors, with the batch. buffers: names of
    those of them that the network has one for.
    """

    name: str
    inputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Tensor]
    constants: frozenset[str]
    shapes: Mapping[str, Shape]
    buffers: Mapping[str, str] = {}


def refs(value: object) -> list[str]:
    """Return the names of the tensors in a nested argument."""
    if isinstance(value, Ref):
        return [value.name]
    if isinstance(value, (list, tuple)):
        return [name for each in value for name in refs(each)]
    return []


DRAWS: Final = (
    "bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal",
    "normal_functional", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
    "randperm", "uniform",
)  # fmt: skip
"""Operators that draw random numbers."""
_DRAWS_IF: Final = {
    **dict.fromkeys(
        ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout"),
        ("p", "train"),
    ),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), ("dropout", "train")),
    **dict.fromkeys(("rrelu", "rrelu_with_noise"), ("training",)),
    "scaled_dot_product_attention": ("dropout_p",),
}
"""Operators that draw random numbers if all these arguments are true."""
_SETS: Final = ("copy", "fill", "zero", "index_put", "index_copy", "scatter", "masked_fill", "masked_scatter")
"""Operators that write what does not depend on what was there."""


def varying(program: Program) -> dict[str, str]:
    """Return the calls whose output differs from one run of the network to the next, and why.

    They draw random numbers, or read such numbers, or a buffer that changes, without any input between.
    """
    changed = _changed_buffers(program)
    found: dict[str, str] = {}
    running = {tensor.name for tensor in program.inputs}
    for call in program.calls:
        known = (found[name] for name in call.reads if name in found and name not in running)
        buffers = (changed[name] for name in (*call.reads, call.storage) if name in changed)
        drawn = f"draws random numbers ({call.base}): its output differs from call to call"
        why = drawn if draws(call) else next(known, "") or next(buffers, "")
        if why:
            found[call.name] = why
        if not running.isdisjoint(call.reads) and not call.base.endswith("_like"):
            running.add(call.name)
    return found


def draws(call: Call) -> bool:
    """Return True for a call that draws random numbers, e.g. dropout that is active."""
    switches = _DRAWS_IF.get(call.base)
    return call.base in DRAWS or (bool(switches) and all(map(call.arguments.get, switches or ())))


def _changed_buffers(program: Program) -> dict[str, str]:
    """Return the buffers that a run changes by what is in them, and what to say about each."""
    changed: dict[str, str] = {}
    owners = {call.name: call.storage for call in program.calls if call.storage}
    behind: dict[str, set[str]] = {}
    for call in program.calls:
        own, *others = list(call.arguments.values()) or [None]
        read = refs(others if call.writes and call.base in _SETS else [own, *others])
        sources = {owners.get(name, name) for name in read}
        behind[call.name] = sources.union(*(behind.get(name, ()) for name in read))
        written = call.storage or next(iter(call.reads), "")
        if call.writes and written in program.constants and written in behind[call.name]:
            name = program.buffers.get(written, written)
            changed[written] = f"changes its buffer {name}: its output differs from call to call"
    return changed
