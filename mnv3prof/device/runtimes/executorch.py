"""ExecuTorch with XNNPACK on the CPU."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from ..etdump import event_times, is_operator
from ..protocol import RuntimeOp
from . import Bind, Job

if TYPE_CHECKING:
    from . import Arrays, Call

WHAT = "ExecuTorch (mobile runtime) with XNNPACK"
DTYPES = ("fp32", "int8")
FORMAT = "executorch"
PACKAGE = "executorch"
PEAK = "cpu"
IMPORTS = ("torch", "executorch.extension.pybindings.portable_lib")


def load(job: Job) -> Bind:
    """Load the program from its file."""
    import torch
    from executorch.extension.pybindings import portable_lib

    torch.set_num_threads(job.threads)  # they copy the output
    portable_lib._unsafe_reset_threadpool(job.threads)
    module = portable_lib._load_for_executorch(str(job.model))

    def bind(given: Arrays) -> Call:
        inputs = tuple(map(torch.from_numpy, given))
        return lambda: module.forward(inputs)

    return bind


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the mean time of each operator from ExecuTorch's event trace."""
    import torch
    from executorch.extension.pybindings import portable_lib

    torch.set_num_threads(job.threads)
    portable_lib._unsafe_reset_threadpool(job.threads)
    module = portable_lib._load_for_executorch(str(job.model), enable_etdump=True)
    inputs = tuple(map(torch.from_numpy, job.given))
    for _ in range(calls):
        module.forward(inputs)
    # XNNPACK's times are whole microseconds, so their mean is more precise than their median.
    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        trace = Path(folder) / "trace.etdp"
        module.write_etdump_result_to_file(str(trace), str(Path(folder) / "debug.bin"))
        times = event_times(trace)
    return tuple(RuntimeOp(name, name, fmean(each[-calls:])) for name, each in times if is_operator(name))
