"""Capture of a module: its graph, and what its memory is in eager mode."""

from collections.abc import Sequence
from typing import Any

import torch
from msgspec.structs import replace
from torch import nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils._pytree import tree_leaves

from ..graph.errors import InputError
from ..graph.graph import Graph
from .eager import simulated
from .export import exported, program_of
from .lower import Lowered, lower
from .reference import copy_without_data, described


def capture(module: nn.Module, inputs: Sequence[torch.Tensor], name: str) -> Graph:
    """Return the graph of a module for inputs of batch 1, whose values are not used. Raises InputError.

    The module is not changed, but put into inference mode.
    """
    try:
        graph = lowered(module, inputs, name)[0].graph
    except InputError:
        # Code for the CPU makes tensors there, which cannot be combined with those on "meta".
        module = copy_without_data(module, "cpu")
        inputs = [torch.empty_like(each, device="cpu") for each in inputs]
        graph = lowered(module, inputs, name)[0].graph
    try:
        return replace(graph, eager=simulated(module, inputs, graph.layers))
    except Exception as error:
        raise InputError(f"{name}: cannot run without values: {described(error)}") from None


def lowered(module: nn.Module, inputs: Sequence[torch.Tensor], name: str) -> tuple[Lowered, Any]:
    """Return the graph of a module and the exported program. Raises InputError."""
    try:
        found = exported(module, inputs)
    except GuardOnDataDependentSymNode:
        raise InputError(
            f"{name}: what it computes depends on its input's values; expected a part that does not, "
            f"e.g. {name}:backbone"
        ) from None
    except Exception as error:
        raise InputError(
            f"{name}: cannot be captured with the input {_sizes(inputs)}: {described(error)}"
        ) from None
    program = program_of(found, name)
    if not any(isinstance(each, torch.Tensor) or each for each in tree_leaves(program.outputs)):
        raise InputError(f"{name}: returns no tensor; expected a network")
    return lower(program), found


def _sizes(inputs: Sequence[torch.Tensor]) -> str:
    return ", ".join("×".join(map(str, each.shape[1:])) or "1" for each in inputs)
