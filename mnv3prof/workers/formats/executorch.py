"""ExecuTorch's program, lowered to XNNPACK."""

from math import prod
from pathlib import Path
from typing import Any

from ...cost.counts import Dtype
from ...device.protocol import Placed, Planned
from . import Part, batches

WHAT = "ExecuTorch program lowered to XNNPACK; int8 by PT2E, static, per channel"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
CONVERTER = "executorch"
PACKAGES = ("torch", "executorch", "torchao")
SUFFIX = ".pte"
SLOW = True
PLANNED_DTYPES: tuple[Dtype, ...] = ("fp32",)

_BYTES = {"BOOL": 1, "BYTE": 1, "CHAR": 1, "HALF": 2, "BFLOAT16": 2, "LONG": 8, "DOUBLE": 8}
"""Bytes of an element by ExecuTorch's name of its dtype; of the others 4."""


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the part as a program, lowered to XNNPACK as far as possible."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(part.module, part.given)
    if dtype == "int8":
        program = torch.export.export(_quantized(program.module(), part), part.given)
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    file = folder / "part.pte"
    file.write_bytes(lowered.buffer)
    return file


def _quantized(module: Any, part: Part) -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(module, quantizer)
    for inputs in batches(part):
        prepared(*inputs)
    return convert_pt2e(prepared)


def planned(part: Part, dtype: Dtype) -> Planned:
    """Return the arena of ExecuTorch's own operators; XNNPACK's memory cannot be read."""
    import torch
    from executorch.exir import to_edge

    program = to_edge(torch.export.export(part.module, part.given)).to_executorch()
    plan = program.executorch_program.execution_plan[0]
    tensors = [value.val for value in plan.values if getattr(value.val, "allocation_info", None)]
    placed = (_placed(tensor) for tensor in tensors if tensor.sizes and 0 not in tensor.sizes)
    return Planned(sum(plan.non_const_buffer_sizes), tuple(placed))


def _placed(tensor: Any) -> Placed:
    at = tensor.allocation_info
    offset = at.memory_offset_low + (at.memory_offset_high << 32)
    each = _BYTES.get(tensor.scalar_type.name, 4)
    return Placed(tuple(tensor.sizes), offset, prod(tensor.sizes) * each)
