"""ExecuTorch with XNNPACK on the CPU."""

import tempfile
from math import prod
from pathlib import Path
from statistics import fmean

from ...cost.counts import Dtype
from ...record.operators import RuntimeOp
from ...record.plan import Held, RuntimePlan
from ..formats import Part
from . import Call, Job, Usable, installed

WHAT = "ExecuTorch (mobile runtime) with XNNPACK"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
FORMAT = "executorch"
ROOF = "cpu"
IMPORTS = ("torch", "executorch.extension.pybindings.portable_lib")

_ELEMENT_BYTES = 4
_OUTER = ("Method::", "Program::", "DELEGATE_CALL", "OPERATOR_CALL")
"""Events that hold others, which are counted themselves."""


def usable() -> Usable:
    """Where its package is installed."""
    return installed("executorch", "executorch")


def prepare(job: Job) -> Call:
    """A program from its file: one from bytes would have to keep them alive."""
    import torch
    from executorch.extension.pybindings import portable_lib

    torch.set_num_threads(job.threads)  # which copies what a program hands out
    portable_lib._unsafe_reset_threadpool(job.threads)
    module = portable_lib._load_for_executorch(str(job.model))
    inputs = (torch.from_numpy(job.given),)
    return lambda: module.forward(inputs)[0]


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """What ExecuTorch's event trace says of each operator, XNNPACK's own among them."""
    import torch
    from executorch.devtools import Inspector
    from executorch.extension.pybindings import portable_lib

    torch.set_num_threads(job.threads)
    portable_lib._unsafe_reset_threadpool(job.threads)
    module = portable_lib._load_for_executorch(str(job.model), enable_etdump=True)
    for _ in range(calls):
        module.forward((torch.from_numpy(job.given),))
    # XNNPACK's clock ticks in microseconds: their mean tells more than their median.
    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        trace = Path(folder) / "trace.etdp"
        module.write_etdump_result_to_file(str(trace), str(Path(folder) / "debug.bin"))
        blocks = Inspector(etdump_path=str(trace)).event_blocks
    return tuple(
        RuntimeOp(event.name, event.name, fmean(event.perf_data.raw[-calls:]) / 1e3)
        for block in blocks
        if block.name == "Execute"
        for event in block.events
        if event.perf_data and not event.name.startswith(_OUTER)
    )


def planned(part: Part, dtype: Dtype) -> RuntimePlan:
    """The memory that ExecuTorch plans for its own operators: XNNPACK would hide what it takes."""
    import torch
    from executorch.exir import to_edge

    if dtype != "fp32":
        return RuntimePlan("executorch", reason="its plan is read in fp32 only")
    program = to_edge(torch.export.export(part.module, (part.given,))).to_executorch()
    plan = program.executorch_program.execution_plan[0]
    tensors = [value.val for value in plan.values if getattr(value.val, "allocation_info", None)]
    held = (
        Held(
            tuple(tensor.sizes),
            tensor.allocation_info.memory_offset_low + (tensor.allocation_info.memory_offset_high << 32),
            prod(tensor.sizes) * _ELEMENT_BYTES,
        )
        for tensor in tensors
        if tensor.sizes and 0 not in tensor.sizes
    )
    return RuntimePlan("executorch", sum(plan.non_const_buffer_sizes), tuple(held))
