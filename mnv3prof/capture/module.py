"""Capture of a module: its graph, and what its memory is in eager mode."""

import inspect
import io
import re
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, Final

import torch
from msgspec.structs import replace
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from ..graph.errors import InputError, one_line, quote
from ..graph.graph import Eager, Graph
from .eager import reads_own_values, simulated
from .export import exported, is_mapped, program_of
from .lower import Lowered, lower
from .reference import copy_without_data, described, line_of, quiet, said

_DEPENDS: Final = (GuardOnDataDependentSymNode, DataDependentOutputException)


def capture(module: nn.Module, inputs: Sequence[torch.Tensor], name: str, assumed: str = "") -> Graph:
    """Return the graph of a module for inputs of batch 1, whose values are not used. Raises InputError.

    The module is not changed, but put into inference mode. assumed: what to say about the inputs' shapes.
    """
    _require_eager(module, name)
    _require_as_many(module, len(inputs), name)
    with quiet():
        try:
            graph = lowered(module, inputs, name, assumed)[0].graph
        except InputError:
            # Code for the CPU makes tensors there, which cannot be combined with those on "meta".
            module = copy_without_data(module, "cpu")
            inputs = [torch.empty_like(each, device="cpu") for each in inputs]
            graph = lowered(module, inputs, name, assumed)[0].graph
        try:
            with redirect_stdout(io.StringIO()):  # its prints were shown
                eager = simulated(module, inputs, graph.layers)
        except _DEPENDS as error:
            raise _refused(error, module, inputs, name, name) from None
        except BaseException as error:
            eager = Eager((), (), one_line(f"it cannot be simulated: {described(error)}"))
        return replace(graph, eager=eager)


def lowered(
    module: nn.Module, inputs: Sequence[torch.Tensor], name: str, assumed: str = ""
) -> tuple[Lowered, Any]:
    """Return the graph of a module and the exported program. Raises InputError."""
    try:
        with redirect_stderr(io.StringIO()):  # on an error, torch.export prints the graph
            found = exported(module, inputs)
            if is_mapped(found):
                found = found.run_decompositions({})
    except BaseException as error:
        given = f"{_sizes(inputs)}{f' ({assumed})' if assumed else ''}"
        what = f"{name}: cannot be captured with the input {given}"
        raise _refused(error, module, inputs, what, name) from None
    program = program_of(found, name)
    if not any(isinstance(each, torch.Tensor) or each for each in tree_leaves(program.outputs)):
        raise InputError(f"{name}: returns no tensor; expected a network")
    return lower(program), found


def _refused(
    error: BaseException, module: nn.Module, inputs: Sequence[torch.Tensor], what: str, name: str
) -> InputError:
    """Return what to raise for an exception of a capture. what: its message begins with."""
    text = said(error)
    if isinstance(error, _DEPENDS) and reads_own_values(module, inputs):
        causal = "_detect_is_causal_mask" in "".join(traceback.format_tb(error.__traceback__))
        expected = (
            "is_causal=True or False where its encoder or decoder is called with a mask"
            if causal
            else "code that does not read them"
        )
        return InputError(
            f"{name}: what it computes depends on the values of a tensor of its own{line_of(error)}, and a "
            f"capture has none; expected {expected}"
        )
    if isinstance(error, _DEPENDS) or "call_function cond(" in text:
        part = f", e.g. {name}:backbone" if hasattr(module, "backbone") else ""
        return InputError(
            f"{name}: what it computes depends on its input's values{line_of(error)}; expected a part that "
            f"does not{part}"
        )
    if unknown := re.search(r"<class '(?:\w+\.)*(\w+)'> in output, which is not a known", text):
        return InputError(
            f"{name}: returns a {unknown[1]}; expected tensors, or tuples, lists or dicts of them"
        )
    if "argument #1 'indices'" in text and "Long" in text:
        return InputError(f"{what}: an embedding reads integers; expected an input such as [5]:int64")
    if path := _shadowed(module):
        return InputError(
            f"{name}: its module {quote(path)} has the name of a method or attribute of its parent; expected "
            "another name"
        )
    return InputError(f"{what}: {described(error)}")


def _shadowed(module: nn.Module) -> str:
    """Return the path of a module that its parent hides by an attribute of its class, "" without one."""
    for path, each in module.named_modules():
        for name, _ in each.named_children():
            if hasattr(type(each), name):
                return f"{path}.{name}".lstrip(".")
    return ""


def _require_as_many(module: nn.Module, count: int, name: str) -> None:
    """Raise InputError if forward() cannot be called with so many inputs."""
    try:
        signature = inspect.signature(module.forward)
        signature.bind(*range(count))
    except TypeError:
        parameters = signature.parameters.values()
    except ValueError:  # it has no signature
        return
    else:
        return
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each.name for each in parameters if each.default is each.empty and each not in places]
    if by_name := [each for each in needed if signature.parameters[each].kind.name == "KEYWORD_ONLY"]:
        raise InputError(
            f"{name}: forward needs {quote(by_name[0])} by name; expected positional inputs only"
        )
    least, most = sum(each.default is each.empty for each in places), len(places)
    takes = f"{least}{f' to {most}' if most > least else ''} input{'s' * (most != 1)}"
    names = ", ".join(each.name for each in places)
    raise InputError(
        f"{name}: forward({names}) takes {takes}, and the input names {count}; expected the shape of each, "
        "by comma"
    )


def _require_eager(module: nn.Module, name: str) -> None:
    """Raise InputError for a kind of module that torch.export does not take."""
    kinds: dict[str, Any] = {
        "a ScriptModule": torch.jit.ScriptModule,
        "a DataParallel": (nn.DataParallel, nn.parallel.DistributedDataParallel),
    }
    for path, each in module.named_modules():
        if any(map(is_lazy, each.parameters(recurse=False))):
            what = f"its module {quote(path)} has" if path else "has"
            raise InputError(f"{name}: {what} no weights before its first call; expected it after a call")
        for kind, classes in kinds.items():
            if isinstance(each, classes):
                what = f"its module {quote(path)} is" if path else "is"
                raise InputError(f"{name}: {what} {kind}; expected the eager module that it was made from")
        if ".quantized" in type(each).__module__ and "qat" not in type(each).__module__:
            raise InputError(
                f"{name}: its module {quote(path)} is quantized; expected the network of floats, or a file"
            )


def _sizes(inputs: Sequence[torch.Tensor]) -> str:
    return ", ".join(
        ("×".join(map(str, each.shape[1:])) or "1")
        + ("" if each.dtype is torch.float32 else f" of {str(each.dtype).removeprefix('torch.')}")
        for each in inputs
    )
