"""What runs in a process of its own: a runtime that times parts, a converter, the measuring of a roof."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from math import isfinite
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..cost.counts import Dtype
from ..record.operators import RuntimeOp
from ..record.plan import RuntimePlan
from ..record.run import NET, Roof, Subject
from ..record.target import Target
from ..record.timing import Burst, Status
from . import cache
from .backends import Backend, Call, Job, backend
from .clock import burst
from .formats import Part, Unsupported, form

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Tolerance(NamedTuple):
    """How far an output may be off eager's in fp32. rms: root mean square of the error by that of the
    output, for a part; net_rms: for the whole network, where the blocks' roundings add up; largest:
    the largest error by the largest magnitude.
    """

    rms: float
    net_rms: float
    largest: float


TOLERANCES: Final[dict[Dtype, Tolerance]] = {
    "fp32": Tolerance(5e-4, 5e-4, 3e-3),
    "fp16": Tolerance(0.005, 0.03, 0.03),
    "bf16": Tolerance(0.025, 0.15, 0.2),
    "int8": Tolerance(0.1, 0.4, 0.6),
}
"""About twice or more what right outputs were seen to be off, over the presets at 32 to 224 pixels. fp32:
3e-6, but 1.7e-4 (9e-4 at the largest) where MNN multiplies k×k convolutions by Winograd's method; fp16:
0.001 (net 0.008); bf16: 0.008 (0.06); int8: 0.044 (0.29), and 0.3 at the largest where a runtime cuts
ranges to fit the bulk. An output of zeros is 1 off."""

_SPIN: Final = "30000"
"""GNU OpenMP's threads look so often for work before they sleep, about 2 ms: 1000 would make calls of
two threads up to three times slower than an app's, the default of 9 ms would slow the next worker."""
_MEMORY_SHARE: Final = 0.9


Subjects = Mapping[str, Subject]
"""Networks by variant."""


class Setup(NamedTuple):
    """What all requests to a runtime's worker have in common."""

    subjects: Subjects
    target: Target


class FileKind(NamedTuple):
    """What a part is converted to: a format, with weights of a dtype, for so many images a call."""

    format: str
    dtype: Dtype
    batch: int

    def __str__(self) -> str:
        batch = [f"batch {self.batch}"] if self.batch > 1 else []
        return ", ".join([self.format, *([self.dtype] if self.dtype != "fp32" else []), *batch])


class Piece(NamedTuple):
    """A part of a variant: a block, the whole network, or the module at a path."""

    variant: str
    part: str


class Begin(NamedTuple):
    """Ask for the runtime to be imported, which is not part of loading a part."""


class Convert(NamedTuple):
    """Ask for a part's entry in the cache to be made."""

    piece: Piece
    key: str


class Prepare(NamedTuple):
    """Ask for a part to be made ready and run once. folder, file: where it stands, if converted."""

    piece: Piece
    folder: Path | None
    file: str


class Sample(NamedTuple):
    """Ask for a burst of so many seconds of a part that is ready."""

    piece: Piece
    seconds: float


class Profile(NamedTuple):
    """Ask for the time of each operator of a part."""

    prepare: Prepare
    calls: int


class PlanMemory(NamedTuple):
    """Ask for the arena that the runtime plans for a part."""

    piece: Piece


class MeasureRoof(NamedTuple):
    """Ask for a device's best rates."""

    device: str


class Prepared(NamedTuple):
    """A part is ready: how long it took, its first run, and how far its output is from PyTorch's."""

    load_s: float
    first_s: float
    max_abs_err: float | None
    max_rel_err: float | None
    rms_rel_err: float | None
    wrong: str


class Failed(NamedTuple):
    """A request that came to nothing, and why."""

    status: Status
    reason: str


def serve_runtime(setup: Setup, line: Connection) -> None:
    """Answer Begin with None, Prepare with Prepared, Sample with Burst, Profile with Ops, PlanMemory
    with RuntimePlan, or any with Failed.
    """
    runtime, target = backend(setup.target.backend), setup.target
    networks = _Networks(setup.subjects, target.batch)
    calls: dict[Piece, Call] = {}
    number: Counter[Piece] = Counter()

    def answer(request: Any) -> Prepared | Burst | tuple[RuntimeOp, ...] | RuntimePlan | None:
        if isinstance(request, Begin):
            for module in runtime.IMPORTS:
                import_module(module)
            return None
        if isinstance(request, Sample):
            number[request.piece] += 1
            return burst(calls[request.piece], request.seconds, number[request.piece])
        if isinstance(request, PlanMemory):
            return _planned(runtime, networks.part(request.piece), target.dtype)
        if isinstance(request, Profile):
            return _operators(runtime, _job(request.prepare, target, networks), request.calls)
        job = _job(request, target, networks)
        start = perf_counter()
        call = runtime.prepare(job)
        load_s = perf_counter() - start
        calls[request.piece] = call
        return _first_run(call, load_s, job)

    _serve(line, answer)


def serve_conversions(kind: FileKind, subjects: Subjects, folder: Path, line: Connection) -> None:
    """Answer Convert with the cache's Entry or Failed."""
    networks = _Networks(subjects, kind.batch)

    def answer(request: Convert) -> cache.Entry:
        part = networks.part(request.piece)
        return cache.keep(folder, request.key, lambda draft: _convert(kind, part, draft))

    _serve(line, answer)


def serve_roofs(dtype: Dtype, threads: int, line: Connection) -> None:
    """Answer MeasureRoof with a Roof or Failed."""
    from .roof import measure_roof

    def answer(request: MeasureRoof) -> Roof:
        return measure_roof(request.device, dtype, threads)

    _serve(line, answer)


def _serve(line: Connection, answer: Callable[[Any], Any]) -> None:
    with suppress(EOFError, OSError):  # the parent has gone
        while True:
            request = line.recv()
            try:
                found = answer(request)
            except Unsupported as finding:
                found = Failed("unsupported", str(finding))
            except Exception as error:  # whatever a runtime does wrong is a row
                found = Failed("crashed", _in_a_line(error))
            line.send(found)


def begin() -> None:
    """What every worker does before it loads anything: be silent, modest, and gone with its parent."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends its workers
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's others spin for 50 ms from its import on
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.default_folder() / "inductor"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    _end_with_the_parent()
    _limit_memory()


def _end_with_the_parent() -> None:
    """A parent that is killed cannot end a worker that hangs."""
    import threading
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent:

        def watch() -> None:
            wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _limit_memory() -> None:
    """A part that takes all memory ends its worker, not the machine's other processes."""
    with suppress(ImportError):  # there is no such limit on Windows
        import resource

        import psutil

        most = int(_MEMORY_SHARE * psutil.virtual_memory().available)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _in_a_line(error: Exception) -> str:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}".rstrip(": ")[:200]


class _Networks:
    """The parts that were asked for, each made with its network when it is the first one of it."""

    def __init__(self, subjects: Subjects, batch: int) -> None:
        self.subjects, self.batch = subjects, batch
        self.made: dict[str, dict[str, Part]] = {}

    def part(self, piece: Piece) -> Part:
        from .parts import block_parts, inner_part, make_network

        variant, name = piece
        subject = self.subjects[variant]
        if variant not in self.made:
            self.made[variant] = {NET: make_network(subject, self.batch)}
        made = self.made[variant]
        if name not in made and subject.graph.block(name):
            made |= block_parts(made[NET])
        elif name not in made:
            made[name] = inner_part(made[NET], name)
        return made[name]


def _operators(runtime: Backend, job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    profiler = getattr(runtime, "operators", None)
    if profiler is None:
        raise Unsupported("the runtime tells nothing of its operators")
    found: tuple[RuntimeOp, ...] = profiler(job, calls)
    return found


def _planned(runtime: Backend, part: Part, dtype: Dtype) -> RuntimePlan:
    import torch

    planner = getattr(runtime, "planned", None)
    if planner is None:
        raise Unsupported("the runtime's memory plan cannot be read")
    with torch.no_grad():
        found: RuntimePlan = planner(part, dtype)
    return found


def _job(request: Prepare, target: Target, networks: _Networks) -> Job:
    import numpy as np

    name = request.piece.part
    if request.folder is None:
        part = networks.part(request.piece)
        given, expected = part.given.numpy(), part.expected.numpy()
        return Job(name, part.module, given, expected, target.dtype, target.threads)
    given, expected = (np.load(request.folder / f"{which}.npy") for which in ("given", "expected"))
    return Job(name, request.folder / request.file, given, expected, target.dtype, target.threads)


def _convert(kind: FileKind, part: Part, folder: Path) -> tuple[Path, float]:
    import numpy as np
    import torch

    start = perf_counter()
    with torch.no_grad():
        main = form(kind.format).convert(part, kind.dtype, folder)
    seconds = perf_counter() - start
    np.save(folder / "given.npy", part.given.numpy())
    np.save(folder / "expected.npy", part.expected.numpy())
    return main, seconds


class _Errors(NamedTuple):
    """How far an output is off: at most, the same by the largest expected magnitude, and root mean
    square by root mean square.
    """

    absolute: float
    largest: float
    rms: float


def _first_run(call: Call, load_s: float, job: Job) -> Prepared:
    start = perf_counter()
    output = call()
    first_s = perf_counter() - start
    off = _errors(_array(output), job.expected)
    wrong = _how_wrong(off, TOLERANCES[job.dtype], job.part == NET)
    return Prepared(
        load_s, first_s, _finite(off.absolute), _finite(off.largest), _finite(off.rms), wrong
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _how_wrong(off: _Errors, allowed: Tolerance, is_net: bool) -> str:
    """What is wrong with the output, or "" where nothing is."""
    rms = allowed.net_rms if is_net else allowed.rms
    if not isfinite(off.largest):
        return "its output is not finite where PyTorch's is"
    if off.largest > allowed.largest:
        what, limit, to = off.largest, allowed.largest, "largest magnitude"
    elif off.rms > rms:
        what, limit, to = off.rms, rms, "root mean square"
    else:
        return ""
    return f"its output is {what:.2g} off PyTorch's, relative to its {to} ({limit:g} allowed)"


def _array(output: Any) -> "NDArray[Any]":
    import numpy as np

    if hasattr(output, "detach"):
        output = output.detach().float().cpu().numpy()
    return np.asarray(output)


def _errors(output: "NDArray[Any]", expected: "NDArray[Any]") -> _Errors:
    """Raises ValueError for an output of another shape."""
    import numpy as np

    if output.shape != expected.shape:
        raise ValueError(f"the output's shape is {output.shape}, PyTorch's {expected.shape}")
    error, wanted = output.astype(np.float64) - expected, expected.astype(np.float64)
    absolute, largest = (float(np.max(np.abs(values))) for values in (error, wanted))
    rms, wanted_rms = (float(np.sqrt(np.mean(values**2))) for values in (error, wanted))
    return _Errors(
        absolute, absolute / largest if largest else absolute, rms / wanted_rms if wanted_rms else rms
    )
