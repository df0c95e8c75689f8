"""Operations that are no multiply-accumulates: random draws, active dropout, batch statistics, outer products."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import TensorProto, helper, save
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mnv3prof
from mnv3prof.cli.main import run
from mnv3prof.source import open_source


class _Of(nn.Module):
    """A linear layer, 8 to 8, and a function of its output."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.fc, self.function = nn.Linear(8, 8), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the function of the layer's output."""
        found: torch.Tensor = self.function(self.fc(x))
        return found


def _total(module: nn.Module, *inputs: torch.Tensor) -> Any:
    return mnv3prof.total(mnv3prof.count(mnv3prof.load(module, inputs).graph))


LINEAR = 2 * 64 + 8


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda y: y + torch.rand(y.shape), 8),
        (lambda y: y + torch.randn(1, 8), 8),
        (torch.rand_like, 0),
        (lambda y: y + torch.rand_like(y), 8),
        (lambda y: y + torch.randn_like(y), 8),
        (lambda y: y + torch.randint_like(y, 5), 8),
        (lambda y: y + torch.empty_like(y).normal_(), 8),
        (lambda y: torch.bernoulli(torch.sigmoid(y)), 4 * 8),
        (lambda y: F.dropout(y, 0.5, training=True), 2 * 8),
        (lambda y: F.dropout(y, 0.5, training=False), 0),
        (lambda y: F.alpha_dropout(y, 0.5, training=True), 6 * 8),
    ],
)
def test_random_draws_have_no_multiply_accumulates(function: Any, flops: int) -> None:
    if function is torch.rand_like:
        function = lambda y: y * 1 + torch.rand_like(y)  # noqa: E731
        flops = 16
    found = _total(_Of(function), torch.zeros(1, 8))
    assert (found.macs, found.flops, found.unpriced) == (64, LINEAR + flops, ())


def test_dropout_of_channels_is_named() -> None:
    found = _total(_Of(lambda y: torch.feature_dropout(y, 0.5, True)), torch.zeros(1, 4, 8))
    assert found.unpriced == ("feature_dropout",)


def test_an_active_dropout_has_memory_of_its_own() -> None:
    graph = mnv3prof.load(_Of(lambda y: F.dropout(y, 0.5, training=True)), torch.zeros(1, 8)).graph
    assert graph.layers[-1].storage == graph.layers[-1].name


def test_random_numbers_of_a_file_are_counted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"]),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy"]
    file = tmp_path / "noise.onnx"
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    found = mnv3prof.total(mnv3prof.count(open_source(str(file)).subject.graph))
    assert (found.macs, found.flops, found.unpriced) == (0, 8, ())


def test_an_operation_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flops", "networks:Unknown", "--input", "[8x8]"]) == 0
    printed = capsys.readouterr().out
    assert "Not counted: special_i0e. MACs" in printed


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(8, track_running_stats=False), "train"])
def test_batch_norm_on_the_batch_is_not_folded(norm: Any) -> None:
    """Convolution 3 to 8 channels, 3 x 3, at 6 x 6, and 8 FLOPs per element, as layer norm."""
    if norm == "train":

        class Trains(nn.BatchNorm2d):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, True)

        norm = Trains(8)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), norm)
    graph = mnv3prof.load(module, torch.zeros(1, 3, 8, 8)).graph
    conv, other = mnv3prof.count(graph)
    assert (conv.flops, other.flops) == (2 * 6 * 6 * 8 * 27, 8 * 6 * 6 * 8)
    assert (other.fused_into, other.weight_bytes) == ("", 2 * 8 * 4)
    assert (other.read_bytes, other.write_bytes) == (4 * 6 * 6 * 8 + 64, 4 * 6 * 6 * 8)


class _Einsum(nn.Module):
    def __init__(self, equation: str) -> None:
        super().__init__()
        self.equation = equation

    def forward(self, *operands: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return torch.einsum(self.equation, *operands)


EINSUMS = [
    ("bi,bj->bij", [(3,), (4,)], 0, 12),
    ("b...,b...->b...", [(3, 4), (3, 4)], 0, 12),
    ("bi,bj->b", [(3,), (4,)], 0, 1),
    ("abc,adc,aec->abde", [(2, 6), (2, 6), (5, 6)], 120, 24),
    ("bi,bi->b", [(7,), (7,)], 7, 0),
]


@pytest.mark.parametrize(("equation", "shapes", "macs", "products"), EINSUMS)
def test_a_product_that_sums_nothing_is_elementwise(
    equation: str, shapes: list[tuple[int, ...]], macs: int, products: int
) -> None:
    inputs = [torch.zeros(1, *shape) for shape in shapes]
    with torch.backends.opt_einsum.flags(enabled=False):
        found = _total(_Einsum(equation), *inputs)
        with FlopCounterMode(display=False) as counter:
            torch.einsum(equation, *inputs)
    assert (found.macs, found.flops) == (macs, 2 * macs + products)
    assert counter.get_total_flops() == 2 * macs


def test_an_outer_product_of_a_file(tmp_path: Path) -> None:
    for equation, macs, flops in (("bi,bj->bij", 0, 12), ("bi,bj->b", 0, 1), ("bi,bk->bik", 0, 12)):
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (
                ("x", [1, 3]),
                ("y", [1, 4]),
                ("z", [1] if equation == "bi,bj->b" else [1, 3, 4]),
            )
        ]
        node = helper.make_node("Einsum", ["x", "y"], ["z"], equation=equation)
        file = tmp_path / "outer.onnx"
        graph = helper.make_graph([node], "g", ends[:2], ends[2:])
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
        found = mnv3prof.total(mnv3prof.count(open_source(str(file)).subject.graph))
        assert (found.macs, found.flops) == (macs, flops)
