"""The counters' conventions, recovered by running the tools."""

import ctypes
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from random_tables import small_sizes, tables
from torch import nn

from mnv3prof.cost import counters
from mnv3prof.cost.conventions import COUNTERS, Reading, counted_as, counter, reconcile
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.modules import HardSigmoid, activation_module
from mnv3prof.mobilenetv3.network import build
from mnv3prof.source import read_table

PUBLISHED = {
    "torch": 433_179_520,
    "calflops-macs": 216_589_760,
    "calflops-flops": 444_944_056,
    "ptflops-aten": 216_597_120,
    "ptflops-pytorch": 231_316_416,
    "torchinfo": 216_621_520,
    "torchprofile": 221_591_992,
    "fvcore": 226_033_824,
    "thop": 234_838_456,
    "onnx-tool": 232_570_144,
}


def _readings(table: Any, graph: Any) -> Any:
    return counters.readings(partial(build, table), graph)


def test_published_figures_of_large_are_printed_and_explained() -> None:
    table = read_table("large")
    graph = expand(table)
    found = reconcile(graph, _readings(table, graph))
    assert {tool.reading.tool: tool.reading.printed for tool in found.tools} == PUBLISHED
    assert {tool.reading.tool: tool.explained for tool in found.tools} == PUBLISHED
    assert found.holds


@given(tables, small_sizes)
@settings(max_examples=12)
def test_nothing_is_left_unexplained_on_random_tables(table: Any, size: Any) -> None:
    graph = expand(table, size)
    found = reconcile(graph, _readings(table, graph))
    assert [(tool.reading.tool, tool.reading.reason, tool.remainder) for tool in found.tools] == [
        (name, "", 0) for name in COUNTERS
    ]


class _Multiply(nn.Module):
    """A squeeze-excite multiply: x · s, s of shape (N, C, 1, 1)."""

    def __init__(self, channels: Any) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(1, channels, 1, 1))

    def forward(self, x: Any) -> Any:
        return x * self.scale


class _Add(nn.Module):
    """A residual add, in place as in the network."""

    def __init__(self, channels: Any) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Any) -> Any:
        result = self.convolution(x)
        result += x
        return result


class _Flat(nn.Module):
    """A linear layer over a (N, C, 1, 1) image."""

    def __init__(self, channels: Any, bias: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 9, bias=bias)

    def forward(self, x: Any) -> Any:
        return self.linear(torch.flatten(x, 1))


def _after_convolution(module: Any) -> Any:
    """The operation behind a 1×1 convolution (some tools refuse a network without parameters, and
    onnx-tool's exporter folds batch norm into the convolution before it)."""

    def make(channels: Any) -> Any:
        return nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), module(channels))

    return make


def _elements(channels: Any, height: Any, width: Any) -> Any:
    return channels * height * width


def _strided(channels: Any, height: Any, width: Any) -> Any:
    return 7 * channels * 9 * -(-height // 2) * -(-width // 2)


# term: (module of one operation more than the base module, base module, quantity of the term)
# for channels C and an image of C × H × W.
OPERATIONS: dict[str, tuple[Any, Any, Any]] = {
    "conv": (lambda c: nn.Conv2d(c, 7, 3, 2, 1, bias=False), None, _strided),
    "depthwise": (
        lambda c: nn.Conv2d(c, c, 5, 1, 2, groups=c, bias=False),
        None,
        lambda c, h, w: c * 25 * h * w,
    ),
    "pointwise": (lambda c: nn.Conv2d(c, 7, 1, bias=False), None, lambda c, h, w: 7 * c * h * w),
    "conv_bias": (
        lambda c: nn.Conv2d(c, 7, 1),
        lambda c: nn.Conv2d(c, 7, 1, bias=False),
        lambda c, h, w: 7 * h * w,
    ),
    "normed_bias": (
        lambda c: nn.Sequential(nn.Conv2d(c, 7, 1), nn.BatchNorm2d(7)),
        lambda c: nn.Sequential(nn.Conv2d(c, 7, 1, bias=False), nn.BatchNorm2d(7)),
        lambda c, h, w: 7 * h * w,
    ),
    "batch_norm": (nn.BatchNorm2d, nn.Identity, _elements),
    "relu": (lambda c: nn.ReLU(), nn.Identity, _elements),
    "relu6": (lambda c: nn.ReLU6(), nn.Identity, _elements),
    "hardswish": (lambda c: activation_module("HS"), nn.Identity, _elements),
    "hardswish_relu6": (lambda c: activation_module("HS-RELU6"), nn.Identity, _elements),
    "hardswish_clamp": (lambda c: activation_module("HS-CLAMP"), nn.Identity, _elements),
    "swish": (lambda c: activation_module("SW"), nn.Identity, _elements),
    "hardsigmoid": (lambda c: nn.Hardsigmoid(), nn.Identity, _elements),
    "hardsigmoid_relu6": (lambda c: HardSigmoid(), nn.Identity, _elements),
    "sigmoid": (lambda c: nn.Sigmoid(), nn.Identity, _elements),
    "mul": (_Multiply, nn.Identity, _elements),
}
IMAGES = [(3, 6, 5), (8, 4, 4), (5, 1, 9)]


def _figures(module: Any, image: Any) -> Any:
    """What each tool prints for `module`, each on a fresh copy, as the product runs it."""
    import copy

    printed: dict[Any, Any] = {}
    for tool in counters._tools():
        with counters._quiet(), counters._unpatched(), torch.no_grad():
            values = tool.read(copy.deepcopy(module).eval(), image.clone())
        printed |= dict(zip(tool.FIGURES, map(int, values), strict=True))
    return printed


@pytest.fixture(scope="module")
def recovered() -> Any:
    """For each term, each tool's coefficient at each image size: the rise over the base module."""
    found: dict[Any, Any] = {}
    for term, (with_it, without_it, quantity) in OPERATIONS.items():
        for c, h, w in IMAGES:
            image = torch.rand(1, c, h, w)
            if without_it is None:
                rise, base = _figures(nn.Sequential(with_it(c)), image), dict.fromkeys(COUNTERS, 0)
            elif term in ("conv_bias", "normed_bias"):
                rise, base = (_figures(nn.Sequential(make(c)), image) for make in (with_it, without_it))
            else:
                rise, base = (_figures(_after_convolution(make)(c), image) for make in (with_it, nn.Identity))
            for tool in COUNTERS:
                found.setdefault((term, tool), []).append(
                    ((rise[tool] - base[tool]), (c, h, w), quantity(c, h, w))
                )
    return found


@pytest.mark.parametrize("tool", COUNTERS)
@pytest.mark.parametrize("term", OPERATIONS)
def test_coefficients_are_what_one_operation_costs(recovered: Any, term: Any, tool: Any) -> None:
    coefficients = COUNTERS[tool].coefficients
    for rise, (channels, _, _), quantity in recovered[term, tool]:
        by_channel = coefficients.get("batch_norm_channels", 0) * channels if term == "batch_norm" else 0
        assert rise == coefficients.get(term, 0) * quantity + by_channel


@pytest.mark.parametrize(("channels", "height", "width"), IMAGES)
def test_pooling_is_counted_by_what_it_reads_and_writes(channels: Any, height: Any, width: Any) -> None:
    image = torch.rand(1, channels, height, width)
    rise = _figures(_after_convolution(lambda _: nn.AdaptiveAvgPool2d(1))(channels), image)
    base = _figures(_after_convolution(nn.Identity)(channels), image)
    for tool in COUNTERS:
        found = COUNTERS[tool].coefficients
        read, written = channels * height * width, channels
        assert rise[tool] - base[tool] == found.get("pool_in", 0) * read + found.get("pool_out", 0) * written


@pytest.mark.parametrize("channels", [3, 16])
def test_linear_layers_and_their_bias(channels: int) -> None:
    image = torch.rand(1, channels, 1, 1)
    bare, biased = (_figures(_Flat(channels, bias), image) for bias in (False, True))
    for tool in COUNTERS:
        found = COUNTERS[tool].coefficients
        assert bare[tool] == found["linear"] * 9 * channels
        assert biased[tool] - bare[tool] == found.get("linear_bias", 0) * 9


@pytest.mark.parametrize(("channels", "height", "width"), IMAGES)
def test_residual_adds(channels: Any, height: Any, width: Any) -> None:
    image = torch.rand(1, channels, height, width)
    rise = _figures(_Add(channels), image)
    base = _figures(_after_convolution(nn.Identity)(channels), image)
    for tool in COUNTERS:
        added = COUNTERS[tool].coefficients.get("add", 0) * channels * height * width
        assert rise[tool] - base[tool] == added


@given(tables, small_sizes)
@settings(max_examples=50)
def test_a_tools_layers_add_up_to_its_figure(table: Any, size: Any) -> None:
    graph = expand(table, size)
    readings = [Reading(name, "1", "not available") for name in COUNTERS]
    for tool in reconcile(graph, readings).tools:
        figures = counted_as(graph, tool.reading.tool)
        assert len(figures) == len(graph.layers)
        assert sum(figures) == tool.explained  # type: ignore[arg-type]


def test_an_absent_tool_is_a_row_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = counters.version  # type: ignore[attr-defined]

    def version(package: Any) -> Any:
        if package == "torchinfo":
            raise counters.PackageNotFoundError(package)  # type: ignore[attr-defined]
        return real(package)

    monkeypatch.setattr(counters, "version", version)
    table = read_table("small")
    graph = expand(table, 32)
    found = reconcile(graph, _readings(table, graph))
    (missing,) = [tool for tool in found.tools if tool.reading.status == "not available"]
    assert missing.reading.tool == "torchinfo"
    assert "pip install 'mnv3prof[counters]'" in missing.reading.reason
    assert (missing.reading.printed, missing.remainder) == (None, None)
    assert found.holds


def test_a_tool_that_crashes_is_a_row_and_leaves_torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    relu = torch.nn.functional.relu

    def read(model: nn.Module, image: Any) -> None:
        torch.nn.functional.relu = None  # type: ignore[assignment]
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr("mnv3prof.cost.counters.fvcore.read", read)
    table = read_table("small")
    graph = expand(table, 32)
    readings = {reading.tool: reading for reading in _readings(table, graph)}
    assert (readings["fvcore"].status, readings["fvcore"].reason) == ("crashed", "ValueError: first line")
    assert torch.nn.functional.relu is relu
    assert all(reading.status == "ok" for name, reading in readings.items() if name != "fvcore")


def test_running_them_prints_nothing_and_leaves_the_callers_random_numbers(
    capfd: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    small = read_table("small")
    torch.manual_seed(3)
    _readings(small, expand(small, 32))
    assert torch.equal(torch.rand(4), expected)
    assert capfd.readouterr() == ("", "")
    assert sys.modules.get("torchvision", ...) is not None


def test_what_a_tools_compiled_code_prints_is_dropped(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the C library's buffer, which is written when the process ends."""
    small = read_table("small")

    def prints(_: Any, __: Any) -> tuple[int]:
        os.write(1, b"by descriptor")
        os.write(2, b"an error")
        ctypes.CDLL(None).puts(b"by buffer")
        return (7,)

    thop = next(tool for tool in counters._tools() if tool.PACKAGE == "thop")
    monkeypatch.setattr(thop, "read", prints)
    monkeypatch.setattr(counters, "_tools", lambda: [thop])
    (reading,) = _readings(small, expand(small, 32))
    ctypes.CDLL(None).fflush(None)
    assert reading.printed == 7
    assert capfd.readouterr() == ("", "")


def test_a_network_that_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text('name = "wide"\nstem = 65536\nrows = [[65536, 65536, 63, 1, false, "RE"]]\nhead = 1\n')
    with pytest.raises(
        InputError,
        match=r"wide at 16384×16384: running the counters needs [\d,.]+ GiB; expected at most this machine's [\d,.]+ GiB",
    ):
        _readings(read_table(path), expand(read_table(path), 16_384))


def test_a_remainder_is_seen() -> None:
    graph = expand(read_table("large"))
    found = reconcile(graph, [Reading("fvcore", "0", "ok", printed=PUBLISHED["fvcore"] + 1)])
    assert not found.holds
    assert found.tools[0].remainder == 1


def test_unknown_counters_are_refused() -> None:
    with pytest.raises(InputError, match="'fv' is not known; expected torch, fvcore, thop"):
        counter("fv")
