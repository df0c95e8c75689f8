"""Each runtime: its dtypes, threads and idle threads; and devices that work asynchronously."""

import time
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from msgspec.structs import replace
from some import some
from subjects import RELATIVE, subject

from mnv3prof.bench.convert import convert, file_kind, loading
from mnv3prof.bench.schedule import BenchPlan, measure
from mnv3prof.bench.tolerances import TOLERANCES, how_wrong
from mnv3prof.device.agreement import errors
from mnv3prof.device.protocol import Classified, Classify, PartKey, Prepared, Sample
from mnv3prof.device.runtimes import Job
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.table import LastLayer, Row, Table
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Burst
from mnv3prof.source import read_table
from mnv3prof.workers.backends import backend, names, needs_pytorch, usable
from mnv3prof.workers.cache import default_folder
from mnv3prof.workers.formats import get_format, stored_dtype
from mnv3prof.workers.parts import make_parts
from mnv3prof.workers.torch_call import load_module
from mnv3prof.workers.worker import runtime_worker

SMALL = subject("small", 64)
_ROW = replace(read_table("large").rows[0], kernel=5)
FIRST = subject(replace(read_table("large"), rows=(_ROW,), last=16, classes=10))
"""Large up to its first block, whose output is the largest; it is built faster than all of Large. No other
test has such a block: blocks of equal structure share a converted file, with the weights of the first.
"""
HERE = [name for name in names() if name not in ("null", "cuda", "mps")]
GPUS = ["cuda", "mps"]


@pytest.mark.parametrize("name", HERE)
def test_every_runtime_of_this_system_is_here(name: str) -> None:
    """A missing runtime is a failure, not a skip."""
    found = usable(name)
    assert found.ok, found.reason
    assert found.version
    assert found.chip


@pytest.mark.parametrize(
    ("name", "dtype"), [(name, dtype) for name in HERE for dtype in backend(name).DTYPES if dtype != "fp32"]
)
def test_every_type_that_a_runtime_offers_runs(name: str, dtype: Any) -> None:
    """The CPU may lack fp16 and bf16, but not int8."""
    plan = BenchPlan(
        {"": SMALL},
        (PartKey("", "4"),),  # with squeeze-excite and stride
        (Target(backend=name, dtype=dtype),),
        default_folder(),
        0.2,
    )
    (timing,) = measure(plan)
    if timing.status == "unsupported":
        assert dtype != "int8"
        assert timing.reason == f"OpenVINO does not compute in {dtype} on this CPU"
        return
    assert (timing.status, timing.reason) == ("ok", "")
    assert 1e-6 < timing.rms_rel_err < TOLERANCES[dtype].rms  # type: ignore[operator] # rounded, not to nothing


@pytest.mark.parametrize("names", ["torchvision", "timm"])
def test_every_expression_of_a_table_runs_on_every_runtime(names: Any) -> None:
    """Names of torchvision with each block, of timm as a whole, but for the slowest converters."""
    table = (
        RELATIVE
        if names == "torchvision"
        else replace(RELATIVE, names=names, last=(LastLayer(16, form="conv", norm=True),))
    )
    found = subject(table, (50, 75))
    parts = found.graph.block_names if names == "torchvision" else (NET,)
    slow = ("executorch", "cpu-compile")
    on = ["onnxruntime"] if names == "torchvision" else [name for name in HERE if name not in slow]
    keys = tuple(PartKey("", part) for part in parts)
    plan = BenchPlan({"": found}, keys, tuple(Target(backend=name) for name in on), default_folder(), 1)
    timings = measure(plan)
    assert {(t.part, t.target.backend, t.status, t.reason) for t in timings if t.status != "ok"} == set()
    assert len(timings) == len(parts) * len(on)


@pytest.mark.parametrize("name", GPUS)
def test_a_gpu_runs_where_there_is_one(name: str) -> None:
    if not (found := usable(name)).ok:
        pytest.skip(found.reason)
    plan = BenchPlan(
        {"": SMALL}, (PartKey("", "1"), PartKey("", "net")), (Target(backend=name),), default_folder(), 1
    )
    assert {timing.status for timing in measure(plan)} == {"ok"}


def test_vulkan_runs_the_network_as_pytorch_does() -> None:
    plan = BenchPlan(
        {"": SMALL},
        tuple(PartKey("", p) for p in ("1", "4", "net")),
        (Target(backend="ncnn-vulkan"),),
        default_folder(),
        1,
    )
    for timing in measure(plan):
        assert (timing.status, timing.reason) == ("ok", "")
        assert timing.max_rel_err < 1e-4  # type: ignore[operator]


class Device:
    """A device that returns at once and works for a known time, as a GPU does."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.until, self.waited = seconds, 0.0, 0

    def launch(self) -> None:
        self.until = max(self.until, time.perf_counter()) + self.seconds

    def wait(self) -> None:
        self.waited += 1
        while time.perf_counter() < self.until:
            pass


def _module_on(device: Any) -> Any:
    class Launches(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            device.launch()
            return x

    return Launches()


def _job(model: Any) -> Any:
    given = (np.ones((1, 2), np.float32),)
    return Job("1", model, given, given, "fp32", 1)


def test_a_call_returns_when_the_device_is_done() -> None:
    device = Device(0.005)
    job = _job(_module_on(device))
    call = load_module(job, wait=device.wait)(job.given)
    for _ in range(3):
        start = time.perf_counter()
        call()
        assert time.perf_counter() - start >= 0.005
    assert device.waited == 4  # once for the input's way there


def test_a_call_that_would_not_wait_would_be_seen() -> None:
    device = Device(0.05)
    job = _job(_module_on(device))
    call = load_module(job)(job.given)
    start = time.perf_counter()
    call()
    assert time.perf_counter() - start < 0.05


@pytest.mark.parametrize("name", GPUS)
def test_gpu_backends_wait_for_their_own_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend itself, with the CPU instead of the device."""
    device = Device(0.002)
    module = backend(name)
    monkeypatch.setattr(getattr(torch, name), "synchronize", device.wait)
    places: list[str] = []

    def load(job: Job, where: str, wait: Any) -> Any:
        places.append(where)
        return load_module(job, "cpu", wait)

    monkeypatch.setattr(module, "load_module", load)
    job = _job(_module_on(device))
    call = module.load(job)(job.given)
    start = time.perf_counter()
    call()
    assert places == [name]
    assert time.perf_counter() - start >= 0.002


@pytest.mark.parametrize(
    ("name", "threads"),
    [(name, threads) for name in HERE for threads in (1, 2) if (name, threads) != ("cpu-compile", 2)],
)
def test_a_worker_uses_the_processors_it_was_given_and_none_while_it_waits(
    name: str, threads: int, tmp_path: Path
) -> None:
    """PyTorch copies large outputs with its own number of threads, not the runtime's.

    Compiled code has the threads of eager PyTorch.
    """
    target, subjects, part = Target(backend=name, threads=threads), {"": FIRST}, PartKey("", "1")
    if kind := file_kind(target):
        convert({kind: (part,)}, subjects, default_folder())
    others = set(psutil.Process().children())
    with runtime_worker(target, subjects) as worker:
        prepared = worker.ask(loading(part, target, subjects, default_folder()), Prepared, 120)
        assert isinstance(prepared, Prepared)
        assert how_wrong(prepared, "fp32", part.part) == ""
        burst = worker.ask(Sample(part, 0.5), Burst, 120)
        assert isinstance(burst, Burst)
        if threads == 1 and name != "ncnn-vulkan":  # its device has its own
            assert some(burst.cpu_s) < 1.15 * burst.mean_s
        if threads == 1:
            _assert_other_images_are_answered(
                worker, loading(part, target, subjects, default_folder()), tmp_path
            )
        time.sleep(0.05)  # a burst's warm-up absorbs what a runtime spins this long
        (process,) = set(psutil.Process().children()) - others
        before = sum(process.cpu_times()[:2])
        time.sleep(1.0)
        assert sum(process.cpu_times()[:2]) - before <= 0.02
    assert not process.is_running()


@cache
def _block_1() -> Any:
    """Two other images, and the index of the largest output of each, by PyTorch itself."""
    part = make_parts(FIRST)["1"]
    images = torch.randn(2, *part.given[0].shape[1:], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return images.numpy(), tuple(part.module(images.clone()).flatten(1).argmax(1).tolist())


def _assert_other_images_are_answered(worker: Any, ready: Any, folder: Path) -> None:
    images, expected = _block_1()
    np.save(folder / "images.npy", images)
    fields = (ready.part, ready.folder, ready.main, ready.dtype, ready.threads)
    answer = worker.ask(Classify(*fields, str(folder / "images.npy")), Classified, 120)
    assert answer == Classified(expected)


def test_more_blocks_than_dynamo_keeps_by_itself_are_all_compiled() -> None:
    """Without fullgraph it would silently run the ninth one in eager mode."""
    rows = tuple(Row(8 + n, 8, 3, 1, False, "RE") for n in range(9))  # each is compiled by itself
    net = subject(Table(name="nine rows", stem=8, rows=rows, last=8, classes=2), 32)
    parts = tuple(PartKey("", str(row)) for row in range(1, 10))
    timings = measure(
        BenchPlan({"": net}, parts, (Target(backend="cpu-compile"),), default_folder(), budget_s=0.5)
    )
    assert [(timing.status, timing.reason) for timing in timings] == [("ok", "")] * len(parts)


def test_formats_are_converted_in_the_types_they_have() -> None:
    assert stored_dtype("onnx", "int8") == "int8"
    assert stored_dtype("ncnn", "fp16") == "fp32"
    for name in names():
        if backend(name).FORMAT:
            assert "fp32" in get_format(backend(name).FORMAT).DTYPES


PYPROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", names())
def test_each_backend_that_needs_more_than_pytorch_is_an_extra_of_the_same_name(name: str) -> None:
    assert (name in EXTRAS) == (bool(backend(name).PACKAGE) and not needs_pytorch(name))
    assert not any(package.startswith("torch>") for package in EXTRAS.get(name, ()))  # it is always there


def test_extras_hold_what_they_promise() -> None:
    assert EXTRAS["light"] == ["mnv3prof[onnxruntime,openvino,ncnn,mnn]"]
    assert EXTRAS["runtimes"] == ["mnv3prof[light,litert,executorch]"]
    (tests_own,) = (entry for entry in EXTRAS["test"] if entry.startswith("mnv3prof["))
    assert "runtimes" in tests_own
    needing = {name for name in names() if name in EXTRAS}
    assert needing == {"onnxruntime", "openvino", "ncnn", "ncnn-vulkan", "mnn", "litert", "executorch"}
    assert all(EXTRAS.values())


@pytest.mark.parametrize(
    ("off", "part", "says"),
    [
        ((1.0, 0.3, 0.043), "1", ""),
        ((1.0, 0.3, 0.11), "1", "0.11 off the reference's, relative to its root mean square (0.1 allowed)"),
        ((1.0, 0.3, 0.29), NET, ""),
        ((1.0, 0.3, 0.41), NET, "0.41 off the reference's, relative to its root mean square (0.4 allowed)"),
        ((1.0, 0.61, 0.05), "1", "0.61 off the reference's, relative to its largest magnitude (0.6 allowed)"),
        ((None, None, None), "1", "its output is not finite where PyTorch's is"),
    ],
)
def test_how_far_an_output_in_8_bits_may_be_off(off: tuple[Any, ...], part: Any, says: str) -> None:
    found = how_wrong(Prepared(0.0, 0.0, *off), "int8", part)
    assert says in found
    assert bool(found) is bool(says)


def test_errors_by_hand() -> None:
    expected = np.array([3.0, -4.0], np.float32)  # a root mean square of 5 / sqrt 2
    assert errors(np.array([3.0, -3.0]), expected) == pytest.approx((1, 1 / 4, 1 / 5))
    assert errors(np.zeros(2), expected) == pytest.approx((4, 1, 1))
    with pytest.raises(ValueError, match="shape"):
        errors(np.zeros(3), expected)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_whole_network_in_8_bits_is_right_where_few_pixels_are_left(name: str) -> None:
    """At 64 x 64 the last blocks have 2 x 2 pixels; ranges of other images gave errors of 50 %."""
    parts = tuple(PartKey("", part) for part in ("8", "head", "net"))
    plan = BenchPlan({"": SMALL}, parts, (Target(backend=name, dtype="int8"),), default_folder(), 0.2)
    for timing in measure(plan):
        assert (timing.status, timing.reason) == ("ok", "")
        assert timing.rms_rel_err < (0.25 if timing.part == "net" else 0.05)  # type: ignore[operator]


def test_activations_look_like_a_trained_networks() -> None:
    for part in make_parts(subject("large", 64)).values():
        largest = part.expected[0].abs().max().item()
        assert torch.isfinite(part.expected[0]).all()
        assert 1e-3 < largest < 1e3  # far from fp16's 65,504, and from denormals
