"""Networks that are no layer table: what is captured of them, against published figures and PyTorch."""

import json
import subprocess
import sys
import threading
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import networks
import pytest
import torch
import torchvision_oracle
from hypothesis import given, settings
from random_tables import tables
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mnv3prof
from mnv3prof.capture.module import capture
from mnv3prof.capture.reference import parse
from mnv3prof.capture.shapes import completed, parse_shapes
from mnv3prof.cli.main import run
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.files import PRESETS
from mnv3prof.source import open_source

FIGURES = [
    # network, MACs, parameters, eager peak, blocks (facts: PyTorch's own counts and MemTracker).
    ("torchvision:mobilenet_v2", 300_774_272, 3_504_872, 11_038_720, 20),
    ("torchvision:resnet18", 1_814_073_344, 11_689_512, 7_024_640, 10),
    ("torchvision:resnet50", 4_089_184_256, 25_557_032, 11_038_720, 18),
    ("torchvision:efficientnet_b0", 385_814_752, 5_288_548, 11_038_720, 19),
    ("torchvision:vgg11", 7_609_090_048, 132_863_336, 23_080_960, 11),
    ("torchvision:alexnet", 714_188_480, 61_100_840, 1_936_384, 8),
    ("torchvision:vit_b_16", 17_563_828_224, 86_567_656, 8_469_504, 14),
    ("torchvision:swin_t", 4_490_566_656, 28_288_354, 15_131_788, 17),
    ("torchvision:shufflenet_v2_x1_0", 144_907_992, 2_278_604, 3_010_560, 19),
    ("torchvision:mobilenet_v3_large", 216_589_760, 5_483_032, 7_827_456, 18),
    ("timm:vit_tiny_patch16_224", 1_253_683_200, 5_717_416, 2_417_664, 14),
    ("timm:efficientvit_b1", 519_214_592, 9_102_024, 7_827_456, 23),
]


def _captured(module: nn.Module, *shapes: tuple[int, ...]) -> Any:
    return capture(module, [torch.empty((1, *shape), device="meta") for shape in shapes], "net")


def _counted(module: nn.Module, *inputs: torch.Tensor) -> int:
    """MACs by PyTorch, on meta, since it does not know attention's operator on the CPU."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(*inputs)
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize(
    ("name", "macs", "params", "eager", "blocks"), FIGURES, ids=[row[0] for row in FIGURES]
)
def test_published_figures(name: str, macs: int, params: int, eager: int, blocks: int) -> None:
    assert torchvision_oracle.mobilenet_v2  # its operators are declared
    graph = open_source(name, "224").subject.graph
    whole = mnv3prof.total(mnv3prof.count(graph))
    peak = mnv3prof.peaks(graph).eager
    assert peak is not None
    assert (whole.macs, whole.params, peak.bytes, len(graph.blocks)) == (macs, params, eager, blocks)
    assert whole.unpriced == ()
    assert sum(size for _, size in peak.alive) == peak.bytes


def test_blocks_are_those_an_engineer_would_name() -> None:
    names = open_source("torchvision:resnet50").subject.graph.block_names
    assert names[:5] == ("conv1", "layer1.0", "layer1.1", "layer1.2", "layer2.0")
    assert names[-1] == "fc"
    assert open_source("torchvision:vgg11").subject.graph.block_names == (
        *(f"features.{n}" for n in (0, 3, 6, 8, 11, 13, 16, 18)),
        *(f"classifier.{n}" for n in (0, 3, 6)),
    )


def test_what_does_not_depend_on_the_input_is_apart() -> None:
    """swin_v2_t computes its position bias from weights: 18,662,400 MACs; GoogLeNet has two more heads."""
    swin = open_source("torchvision:swin_v2_t", "224").subject.graph
    assert sum(layer.macs for layer in swin.constants) == 18_662_400
    googlenet = open_source("torchvision:googlenet", "224").subject.graph
    unused = sum(prod(tensor.shape) for tensor in googlenet.unused)
    assert (mnv3prof.total(mnv3prof.count(googlenet)).params, unused) == (6_624_904, 13_004_888 - 6_624_904)
    assert all(tensor.name.startswith("aux") for tensor in googlenet.unused)


_HIDDEN_AFTER_POOL = ("lcnet", "fbnetv3-b")
"""Their hidden layer is a module of the network, which the table has in its classifier."""


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_captured_is_the_graph_of_its_table(name: str) -> None:
    subject = mnv3prof.load(name, (64, 97))
    with torch.device("meta"):
        module = mnv3prof.build(subject.table)
    _assert_same(_captured(module, (subject.table.channels, 64, 97)), subject.graph)
    if name not in _HIDDEN_AFTER_POOL:
        found = _captured(module, (subject.table.channels, 64, 97))
        assert [*found.keys.values()] == [*subject.graph.keys.values()]


@settings(max_examples=15, deadline=None)
@given(tables)
def test_a_random_table_captured_is_its_graph(table: Any) -> None:
    subject = mnv3prof.load(table, (40, 33))
    with torch.device("meta"):
        module = mnv3prof.build(table)
    _assert_same(_captured(module, (table.channels, 40, 33)), subject.graph)


def _assert_same(found: Any, wanted: Any) -> None:
    products = [
        [
            (x.name, x.op, x.macs, x.geometry, [t.name for t in x.weights])
            for x in graph.layers
            if x.operation.weighted
        ]
        for graph in (found, wanted)
    ]
    assert products[0] == products[1]
    totals = [mnv3prof.total(mnv3prof.count(graph)) for graph in (found, wanted)]
    assert (totals[0].macs, totals[0].params) == (totals[1].macs, totals[1].params)
    peaks = [mnv3prof.peaks(graph) for graph in (found, wanted)]
    ours, theirs = ([peak.eager, peak.unfused, peak.fused] for peak in peaks)
    if not {layer.op for layer in wanted.layers} & {
        "hardswish_relu6",
        "hardswish_clamp",
        "hardsigmoid_relu6",
    }:
        assert [peak and peak.bytes for peak in ours] == [peak and peak.bytes for peak in theirs]
    assert ours[0] is not None and theirs[0] is not None and ours[0].bytes == theirs[0].bytes


class _Einsum(nn.Module):
    def __init__(self, equation: str, *shape: int) -> None:
        super().__init__()
        self.equation, self.other = equation, nn.Parameter(torch.ones(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum(self.equation, x, self.other)


class _Tensordot(nn.Module):
    def __init__(self, axes: Any, *shape: int) -> None:
        super().__init__()
        self.axes, self.other = axes, nn.Parameter(torch.ones(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensordot(x, self.other, self.axes)  # type: ignore[no-any-return]


class _Vector(nn.Module):
    """The product of a matrix and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.ones(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, self.vector)


class _Attention(nn.Module):
    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)


class _Last(nn.Module):
    """The output of a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]  # type: ignore[no-any-return]


PRODUCTS = [
    (nn.Conv1d(6, 8, 3, groups=2), [(6, 11)]),
    (nn.Conv3d(2, 4, 3, stride=2, padding=1), [(2, 7, 6, 5)]),
    (nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2), [(6, 5, 7)]),
    (nn.ConvTranspose1d(3, 4, 3), [(3, 9)]),
    (nn.Linear(7, 5), [(3, 2, 7)]),
    (_Einsum("bnd,dk->bnk", 6, 4), [(5, 6)]),
    (_Einsum("bihw,oi->bohw", 3, 4), [(4, 5, 6)]),
    (nn.MultiheadAttention(12, 3, batch_first=True), [(5, 12), (7, 12), (7, 12)]),
    (_Attention(), [(3, 5, 8), (3, 7, 8), (3, 7, 6)]),
    (_Einsum("...w,wd->...d", 6, 4), [(5, 3, 6)]),
    (nn.LSTMCell(6, 8), [(6,)]),
    (nn.GRUCell(6, 8), [(6,)]),
    (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), [(6, 16)]),
    (_Last(nn.LSTM(6, 8, batch_first=True)), [(5, 6)]),
    (_Last(nn.GRU(6, 8, batch_first=True)), [(5, 6)]),
    # An axis whose partner has size 1 is summed before the product.
    (_Tensordot(([2, 0], [1, 0]), 1, 8, 5), [(4, 8)]),
    (_Tensordot(([2, 1], [0, 1]), 8, 1, 5), [(4, 8)]),
    (_Einsum("bij,bjk->bik", 6, 8, 5), [(4, 8)]),
    (_Einsum("bij,jkl->bkl", 8, 5, 6), [(1, 8)]),
    (_Einsum("bijm,jkm->bik", 8, 5, 1), [(4, 8, 7)]),
]


@pytest.mark.parametrize(("module", "shapes"), PRODUCTS, ids=lambda value: type(value).__name__)
def test_products_are_counted_as_pytorch_counts_them(
    module: nn.Module, shapes: list[tuple[int, ...]]
) -> None:
    module = module.to("meta")
    graph = _captured(module, *shapes)
    inputs = [torch.empty((1, *shape), device="meta") for shape in shapes]
    macs = mnv3prof.total(mnv3prof.count(graph)).macs
    assert macs == _counted(module, *inputs) > 0
    used = sum(p.numel() for p in module.parameters())
    assert mnv3prof.total(mnv3prof.count(graph)).params == used


@pytest.mark.parametrize(
    ("module", "shapes", "macs"),
    [
        # By hand, where PyTorch's counter gives 0: 8 · 6 · 5 · (1 + 1/6...), layers of 4 gates.
        (_Last(nn.LSTM(6, 8, batch_first=True)), [(5, 6)], 5 * 4 * 8 * (6 + 8)),
        (_Last(nn.GRU(6, 8, batch_first=True)), [(5, 6)], 5 * 3 * 8 * (6 + 8)),
        (_Last(nn.RNN(6, 8, batch_first=True)), [(5, 6)], 5 * 8 * (6 + 8)),
        (
            _Last(nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True)),
            [(5, 6)],
            5 * 2 * 4 * 8 * ((6 + 8) + (16 + 8)),
        ),
        (nn.Bilinear(6, 5, 3), [(6,), (5,)], 3 * 6 * 5 + 3 * 5),
        # A letter in one operand alone is summed first.
        (_Einsum("abx,bc->ac", 3, 7), [(3, 5)], 1 * 3 * 7),
        # So is one of size 1 in the other, which leaves an outer product.
        (_Einsum("bij,jk->bik", 1, 5), [(4, 8)], 4 * 5),
        (_Vector(), [(4, 8)], 4 * 8),
    ],
    ids=["lstm", "gru", "rnn", "deep lstm", "bilinear", "einsum", "outer", "vector"],
)
def test_products_by_hand(module: nn.Module, shapes: list[tuple[int, ...]], macs: int) -> None:
    graph = _captured(module.to("meta"), *shapes)
    assert mnv3prof.total(mnv3prof.count(graph)).macs == macs


def test_operands_of_an_einsum_are_contracted_from_left_to_right() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.ones(3, 5)), nn.Parameter(torch.ones(5, 7))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.einsum("bchw,cd,de->behw", x, self.a, self.b)

    with torch.backends.opt_einsum.flags(enabled=False):
        graph = _captured(Three().to("meta"), (3, 4, 6))
    assert mnv3prof.total(mnv3prof.count(graph)).macs == 4 * 6 * (3 * 5 + 5 * 7)


def test_the_path_of_an_einsum_is_followed() -> None:
    """PyTorch records a path where opt_einsum is installed; it depends on the sizes."""

    class Chain(nn.Module):
        def __init__(self, *sizes: int) -> None:
            super().__init__()
            pairs = pairwise(sizes)
            self.a, self.b, self.c = (nn.Parameter(torch.ones(pair)) for pair in pairs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.einsum("ij,jk,kl,lm->im", x, self.a, self.b, self.c)

    for sizes in ((100, 3, 50, 2), (2, 50, 3, 100), (7, 7, 7, 7), (9, 2, 9, 40)):
        module = Chain(*sizes).to("meta")
        macs = mnv3prof.total(mnv3prof.count(_captured(module, sizes[:1]))).macs
        assert macs == _counted(module, torch.empty(1, sizes[0], device="meta"))


class _Uncopied(nn.Module):
    """What deepcopy refuses: a weight that was computed, and a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.weight_norm(nn.Conv2d(3, 4, 3))
        self.lock = threading.Lock()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.lock:
            return self.conv(x)  # type: ignore[no-any-return]


class _OnTheCPU(nn.Module):
    """Tensors of forward() and of a list, which are on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scales = nn.Conv2d(3, 4, 3), [torch.ones(14)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)[:, torch.tensor([0, 2])]
        return x * self.scales[0] + torch.zeros(14) + torch.tensor([[1.0]])


def test_what_a_network_prints_is_not_mixed_with_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flops", "networks:Talks", "--input", "32", "--format", "json"]) == 0
    shown = capsys.readouterr()
    names = [layer["name"] for layer in json.loads(shown.out)["layers"]]
    assert "odd name" in names
    assert "UserWarning: ?[31mslow" in shown.err
    assert [shown.err.count(text) for text in ("made", "called", "slow")] == [1, 1, 1]


def test_names_that_print_alike_stay_apart() -> None:
    graph = _subject("Twins", "8").graph
    names = ["a b", "a b#2", f"{'x' * 97}..."]
    assert [layer.path for layer in graph.layers] == names
    weights = [tensor.name for layer in graph.layers for tensor in layer.weights]
    assert len({*weights}) == 6
    assert mnv3prof.total(mnv3prof.count(graph)).params == 3 * 12
    assert mnv3prof.peaks(graph).eager


def test_standard_output_is_the_commands_own(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["flops", "networks:Writes", "--input", "32", "--format", "json"]) == 0
    shown = capfd.readouterr()
    assert json.loads(shown.out)["totals"]["macs"] == 16 * 32 * 32 * 27 + 160
    assert "by descriptor" in shown.err


def test_calls_inside_of_vmap_are_counted() -> None:
    """5 times a linear layer 8 → 4; the process is left in no mode of torch.vmap."""
    assert mnv3prof.total(mnv3prof.count(_subject("Mapped", "[5x8]").graph)).macs == 5 * 8 * 4
    assert torch._C._functorch.peek_interpreter_stack() is None


def test_a_reference_may_be_longer_than_a_file_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = "x" * 400
    assert run(["flops", f"networks:long(text={text!r})", "--input", "8", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["macs"] == 4 * 3 * 64


@pytest.mark.parametrize(
    ("module", "shape", "flops"),
    [
        # By hand, per step and direction: 2 per MAC, 1 per bias, and per hidden unit 30, 21, 6 or 2.
        (_Last(nn.LSTM(6, 8, batch_first=True)), (5, 6), 5 * (2 * 32 * 14 + 64 + 30 * 8)),
        (_Last(nn.LSTM(6, 8, bias=False, batch_first=True)), (5, 6), 5 * (2 * 32 * 14 + 30 * 8)),
        (
            _Last(nn.LSTM(6, 8, proj_size=3, batch_first=True)),
            (5, 6),
            5 * (2 * (32 * (6 + 3) + 3 * 8) + 64 + 30 * 8),
        ),
        (
            _Last(nn.LSTM(6, 8, 2, bidirectional=True, batch_first=True)),
            (5, 6),
            5 * 2 * (2 * 32 * (14 + 24) + 2 * (64 + 30 * 8)),
        ),
        (_Last(nn.GRU(6, 8, batch_first=True)), (5, 6), 5 * (2 * 24 * 14 + 48 + 21 * 8)),
        (_Last(nn.RNN(6, 8, batch_first=True)), (5, 6), 5 * (2 * 8 * 14 + 16 + 6 * 8)),
        (_Last(nn.RNN(6, 8, nonlinearity="relu", batch_first=True)), (5, 6), 5 * (2 * 8 * 14 + 16 + 2 * 8)),
        (nn.GRUCell(6, 8), (6,), 2 * 24 * 14 + 48 + 21 * 8),
    ],
)
def test_gates_have_a_price(module: nn.Module, shape: tuple[int, ...], flops: int) -> None:
    whole = mnv3prof.total(mnv3prof.count(_captured(module.to("meta"), shape)))
    assert (whole.flops, whole.unpriced) == (flops, ())


def test_the_input_has_the_dtype_of_the_weights() -> None:
    half = nn.Conv2d(3, 4, 3).half()
    assert mnv3prof.total(mnv3prof.count(mnv3prof.load(half, 16).graph)).macs == 4 * 14 * 14 * 27
    assert mnv3prof.load(half, "3x16x16:float16").captured == mnv3prof.load(half, 16).captured


@pytest.mark.parametrize("module", [_Uncopied(), _OnTheCPU()], ids=lambda module: type(module).__name__)
def test_modules_as_they_are_written(module: nn.Module) -> None:
    graph = mnv3prof.load(module, 16).graph
    costs = mnv3prof.total(mnv3prof.count(graph))
    assert costs.macs == 4 * 14 * 14 * 27
    assert graph.eager is not None
    module(torch.zeros(1, 3, 16, 16))  # it works as before


def test_a_tensor_that_is_filled_in_place_depends_on_the_input() -> None:
    subject = _subject("Shift", "8x6x6")
    whole = mnv3prof.total(mnv3prof.count(subject.graph))
    assert (whole.macs, whole.params) == (4 * 6 * 6 * 8 * 9, 4 * 8 * 9 + 4)
    assert not [layer for layer in subject.graph.constants if layer.macs]


def test_tied_weights_are_one() -> None:
    tied = mnv3prof.load(networks.Tied(), torch.zeros(1, 5, dtype=torch.int64))  # with data
    assert mnv3prof.total(mnv3prof.count(tied.graph)).params == 20 * 8
    graph = _subject("Tied", "[5]:int64").graph
    assert mnv3prof.total(mnv3prof.count(graph)).params == 160
    assert graph.unused == ()


def test_an_operator_of_another_library_has_no_price() -> None:
    @torch.library.custom_op("mnv3prof_tests::linear", mutates_args=())
    def linear(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @linear.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    class Custom(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.mnv3prof_tests.linear(x)  # type: ignore[no-any-return]

    whole = mnv3prof.total(mnv3prof.count(_captured(Custom(), (4,))))
    assert whole.unpriced == ("linear",)


@pytest.mark.parametrize(
    ("module", "op"),
    [
        (nn.ZeroPad2d((0, 1, 0, 1)), "pad"),
        (nn.ConstantPad2d(1, 2.0), "copy"),
        (nn.ReflectionPad2d(1), "copy"),
        (nn.ZeroPad2d(-1), "copy"),
    ],
)
def test_only_zeros_around_an_image_are_padded_by_a_convolution(module: nn.Module, op: str) -> None:
    graph = _captured(nn.Sequential(module, nn.Conv2d(3, 4, 1)).to("meta"), (3, 8, 8))
    assert graph.layers[0].op == op


def test_what_has_no_formula_makes_the_total_a_lower_bound() -> None:
    class Cross(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.inv(x @ x)  # type: ignore[no-any-return]

    whole = mnv3prof.total(mnv3prof.count(_captured(Cross(), (4, 4))))
    assert whole.macs == 64
    assert len(whole.unpriced) == 1


def test_attention_has_flops_for_its_scores() -> None:
    """3 heads of 5 × 7 scores: 6 each, beside 2 per MAC."""
    graph = _captured(_Attention(), (3, 5, 8), (3, 7, 8), (3, 7, 6))
    whole = mnv3prof.total(mnv3prof.count(graph))
    assert whole.macs == 3 * 5 * 7 * (8 + 6)
    assert whole.flops == 2 * whole.macs + 6 * 3 * 5 * 7


def test_a_pool_counts_its_windows() -> None:
    """Each of 5 × 6 outputs of 4 channels: 9 elements of its window and the division."""
    graph = _captured(nn.AvgPool2d(3, 2, 1), (4, 9, 12))
    assert mnv3prof.total(mnv3prof.count(graph)).flops == 4 * 5 * 6 * (9 + 1)


# ---------------------------------------------------------------- what names a network


def _subject(text: str, shapes: str | None = None) -> Any:
    return open_source(f"networks:{text}", shapes).subject


def test_a_function_with_arguments() -> None:
    subject = _subject("Small(width=2.0)", "32")
    assert subject.name == "networks:Small(width=2.0)"
    whole = mnv3prof.total(mnv3prof.count(subject.graph))
    assert (whole.macs, whole.params) == (32 * 32 * 32 * 27 + 320, 32 * 27 + 32 + 330)
    assert _subject("instance", "3x32x48").graph.size == "32×48"
    assert _subject("Depends:backbone", "32").graph.block_names == ("conv", "fc")


def test_several_inputs_and_an_output_that_is_a_dict() -> None:
    graph = _subject("TwoInputs", "[6],[6]").graph
    assert [tensor.shape for tensor in graph.inputs] == [(6,), (6,)]
    assert [layer.macs for layer in graph.constants if layer.macs] == [4 * 6 * 6]
    assert [tensor.name for tensor in graph.unused] == ["never"]
    (product,) = [layer for layer in graph.layers if layer.macs]
    assert (product.macs, [tensor.name for tensor in product.weights]) == (6 * 4, ["weight", "scale"])


def test_integers() -> None:
    graph = _subject("Tokens", "[16]:int64").graph
    assert mnv3prof.total(mnv3prof.count(graph)).params == 100 * 12 + 12 * 5 + 5


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("torchvision:resnet5", None, "torchvision has no network 'resnet5'; did you mean resnet50"),
        ("timm:", None, "timm:: names no network; expected torchvision:NAME, timm:NAME"),
        ("absent_package:net", None, "the module absent_package is not installed, and not in this folder"),
        ("networks:Smal", None, "networks has no 'Smal'; did you mean Small?"),
        ("networks:Small(open('x'))", None, "expected a name, or a call with literals only"),
        ("networks:Small(width", None, "expected a name, or a call with literals only"),
        ("networks:Small(**{})", None, "expected a name, or a call with literals only"),
        ("networks:Small(width=2.0).conv", None, "expected a name, or a call with literals only"),
        ("networks:Small:head", None, "has no module 'head'; expected one of conv, fc"),
        ("networks:number", None, "number is of type int; expected an nn.Module, or what makes one"),
        ("networks:five", None, "five is of type int; expected an nn.Module"),
        ("networks:instance()", None, "instance is an nn.Module; expected it without a call"),
        ("networks:needs", None, "needs failed: TypeError: needs() missing 1 required positional argument"),
        ("networks:broken", None, "broken failed: KeyError: 'width' (networks.py, line"),
        ("networks:quits", None, "quits failed: SystemExit: 0"),
        ("networks:exits", None, "exits is of type SystemExit; expected an nn.Module"),
        ("networks:Raises", None, "ValueError: an even number (networks.py, line"),
        ("networks:Depends", None, "depends on its input's values"),
        ("networks:Small", "4x32x32", "cannot be captured with the input 4×32×32: RuntimeError"),
        ("networks:Small", "32xx3", "'32xx3' is not the shape of an input; expected 224, 192x256, 3x224x224"),
        ("networks:Small", "0x3x3", "'0x3x3' is out of range; expected sizes of at least 1"),
        ("networks:Tokens", "[16]:int7", "the dtype 'int7' is not allowed; expected float32, "),
        ("networks:Small", "999999999", "input: '999999999' is out of range; expected sizes of at least 1"),
        ("networks:Small", "1000000x1000000", "the input 3x1000000x1000000 is too large"),
        ("networks:Leaves", None, "SystemExit: 0 (networks.py, line"),
        ("networks:RaisesOwn", None, "Own: of its own (networks.py, line"),
        ("networks:Lazy", "[8]", "its module 'fc' has no weights before its first call"),
        ("networks:Scaled", "8", "depends on its input's values (networks.py, line"),
        ("networks:Chooses", "8", "depends on its input's values"),
        ("networks:a_class", None, "a_class is the class Small; expected an instance, e.g. Small()"),
        ("networks:Small", "", "'' is not the shape of an input"),
        ("networks:ReturnsAnswer", None, "returns a Answer; expected tensors"),
        ("networks:scripted", None, "is a ScriptModule; expected the eager module"),
        ("networks:parallel", None, "is a DataParallel; expected the eager module"),
        ("my-module:Net", None, "'my-module' is not the name of a module of Python"),
        ("./networks.py:Net", None, "expected a module of Python, e.g. networks:Net"),
        ("networks:long('x'):inner", None, "it has no modules inside"),
        ("networks:TwoInputs", "[6]", "forward(x, y) takes 2 inputs, and the input names 1"),
    ],
)
def test_what_cannot_be_captured_is_refused_in_one_sentence(
    text: str, shapes: str | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_source(text, shapes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("torchvision:resnet50", ("torchvision", "resnet50", None, {}, "")),
        ("timm:levit_128:stages.0", ("timm", "levit_128", None, {}, "stages.0")),
        ("a.b:c", ("a.b", "c", None, {}, "")),
        (
            "a.b:C.d(1, 'x:y', width=(0.5, None)):head.0",
            ("a.b", "C.d", (1, "x:y"), {"width": (0.5, None)}, "head.0"),
        ),
        ("a:f('):b'):c", ("a", "f", ("):b",), {}, "c")),
        ("a:f('):b')", ("a", "f", ("):b",), {}, "")),
    ],
)
def test_references(text: str, parts: tuple[Any, ...]) -> None:
    assert tuple(parse(text))[1:] == parts


def test_shapes() -> None:
    usual = parse_shapes("3x224x224")
    assert [each.shape for each in completed(parse_shapes("192x256"), usual, "x")] == [(3, 192, 256)]
    assert [each.shape for each in completed(parse_shapes("96"), usual * 2, "x")] == [(3, 96, 96)] * 2
    assert [each.shape for each in completed(parse_shapes("[5],1x2x3"), usual, "x")] == [(5,), (1, 2, 3)]
    assert completed((), usual, "x") == usual
    with pytest.raises(InputError, match="is no image"):
        completed(parse_shapes("224"), parse_shapes("[5]"), "x")


# ---------------------------------------------------------------- what is timed


def test_blocks_are_timed_with_their_inputs_and_compose() -> None:
    from mnv3prof.workers.captured import CapturedParts

    for text, shapes in (
        ("networks:InPlace", "16"),
        ("torchvision:swin_t", "64"),
        ("timm:ghostnet_100", "64"),
        ("networks:Pair", "3x16x16,3x16x16"),
        ("networks:Attends", "[4x6],[4x6]"),
        ("networks:Shift", "8x8x8"),
    ):
        graph = open_source(text, shapes).subject.graph
        parts = CapturedParts(open_source(text, shapes).subject, 2)
        known = dict(zip((tensor.name for tensor in graph.inputs), parts.whole.given, strict=True))
        for block in graph.blocks:
            part = parts.part(block.name)
            read, handed = graph.ends(block.layers)
            once, again = (_called(part.module, part.given) for _ in range(2))
            assert all(map(torch.equal, once, part.expected))
            assert all(map(torch.equal, again, once))  # the inputs are not changed
            results = _called(part.module, tuple(known[name] for name in read))
            known |= dict(zip(handed, results, strict=True))
        assert all(map(torch.equal, (known[name] for name in graph.outputs), parts.whole.expected))


def _called(module: Any, given: Any) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = module(*given)
    return found if isinstance(found, tuple) else (found,)


def test_trained_statistics_stay() -> None:
    from mnv3prof.workers.captured import CapturedParts

    first, second = (
        norm
        for norm in CapturedParts(_subject("trained", "8"), 1).net.modules()
        if isinstance(norm, nn.BatchNorm2d)
    )
    assert first.running_mean is not None
    assert second.running_mean is not None
    assert first.running_mean.tolist() == [3.0] * 4
    assert second.running_mean.abs().max() > 0


def test_what_is_not_timed_is_said() -> None:
    from mnv3prof.device.runtimes import Unsupported
    from mnv3prof.workers.captured import CapturedParts

    with pytest.raises(Unsupported, match=r"an input of float16; inputs of float32, int64, .* are timed"):
        CapturedParts(_subject("TwoInputs", "[6]:float16,[6]"), 1)
    parts = CapturedParts(_subject("Attends", "[4x6],[4x6]"), 1)
    with pytest.raises(Unsupported, match="the network calls first 2 times; a part of one call is timed"):
        parts.part("first")
    with pytest.raises(Unsupported, match="the tensors that mixer reads are in a list or dict"):
        parts.part("mixer")


# ---------------------------------------------------------------- runs


def test_a_captured_graph_survives_json() -> None:
    from mnv3prof.record.read import NetworkDocument
    from mnv3prof.record.run import Captured

    subject = _subject("Small", "32")
    text = msgspec.json.encode({"captured": subject.captured})
    document = json.loads(text)
    decoded = msgspec.convert(document, NetworkDocument).subject("x")
    assert decoded.is_same_network(subject)
    assert isinstance(decoded.captured, Captured)


def _first(**fields: Any) -> Any:
    return lambda graph: graph["blocks"][0]["layers"][0].update(fields)


def _many(graph: Any) -> None:
    """Add layers that all live to the end."""
    layers = graph["blocks"][0]["layers"]
    names = [f"r{n}" for n in range(4_000)]
    copies = [{**layers[0], "name": name, "storage": name, "inputs": ["conv"]} for name in names]
    last = {**layers[0], "name": "z", "storage": "z", "inputs": names}
    graph["blocks"][0]["layers"] = [*layers, *copies, last]
    graph["eager"] = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_first(op="attention", contraction=0, known_macs=5), "MACs of 'conv' are out of range"),
        (_first(weights=[["w", []]]), "weight of 'conv' has 0 axes"),
        (_first(geometry={"kernel": [], "stride": [], "padding": [], "dilation": []}), "geometry of 'conv'"),
        (lambda graph: graph.update(outputs=[]), "no input or no output"),
        (lambda graph: graph["eager"].update(alive=[["x", 2**50]]), "a size of eager is out of range"),
        (_many, "too many tensors alive"),
        (
            lambda graph: graph["blocks"][0]["layers"][0].update(out_shape=[2**50]),
            "shape of 'conv' is out of range",
        ),
        (lambda graph: graph["blocks"][0]["layers"][0].update(name="a\nb"), "'a.nb'"),
        (
            lambda graph: graph["blocks"][0]["layers"][0].update(contraction=2**62),
            "MACs of 'conv' are out of range",
        ),
        (lambda graph: graph["inputs"].clear(), "is not defined before"),
        (lambda graph: graph["eager"].update(layers=[1]), "eager has not one number per layer"),
    ],
)
def test_a_damaged_graph_of_a_run_is_refused(change: Any, message: str) -> None:
    from mnv3prof.record.read import NetworkDocument

    document = json.loads(msgspec.json.encode({"captured": _subject("Small", "32").captured}))
    change(document["captured"]["graph"])
    with pytest.raises((InputError, msgspec.ValidationError), match=message):
        msgspec.convert(document, NetworkDocument).subject("x")


def test_what_a_saved_run_names_is_not_run(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that somebody sent names any code or file: it is shown, and not opened."""

    from mnv3prof.cli.main import run

    kept = tmp_path / "run.json"
    options = ["--on", "cpu", "--parts", "net", "--time-budget", "0.2"]
    assert run(["profile", "networks:Small", "--input", "32", *options, "-o", str(kept)]) == 0
    marker = tmp_path / "marker"
    document = kept.read_text().replace("networks:Small", f"os:mkdir('{marker}')")
    kept.write_text(document)
    capsys.readouterr()
    for command in (
        ["flops", str(kept), "--input", "16"],
        ["export", str(kept), "-o", str(tmp_path / "x.onnx")],
        ["flops", str(kept), "--cross-check"],
        ["profile", str(kept), *options, "-o", str(tmp_path / "again.json")],
    ):
        assert run(command) in (1, 2), command
        assert "is known from a saved run, whose code and files are not opened" in "".join(
            capsys.readouterr()
        )
    assert run(["flops", str(kept)]) == 0
    assert not marker.exists()


def test_a_table_is_asked_for_in_one_sentence() -> None:
    subject = _subject("Small", "32")
    with pytest.raises(InputError, match=r"networks:Small: is no layer table; expected one"):
        _ = subject.table


def test_a_module_that_is_given_is_not_changed() -> None:
    import networks

    net = networks.Small()
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    by_size, by_example = mnv3prof.load(net, 32), mnv3prof.load(net, torch.zeros(1, 3, 32, 32))
    assert by_size == by_example
    assert mnv3prof.load(net, (3, 32, 32)) == by_size
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not net._forward_hooks
    with pytest.raises(InputError, match="has no batch of 1"):
        mnv3prof.load(net, torch.zeros(2, 3, 32, 32))


def test_several_example_inputs() -> None:
    import networks

    graph = mnv3prof.load(networks.TwoInputs(), (torch.zeros(1, 6), torch.zeros(1, 6))).graph
    assert [tensor.shape for tensor in graph.inputs] == [(6,), (6,)]
    tokens = mnv3prof.load(networks.Tokens(), torch.zeros(1, 16, dtype=torch.int64))
    assert tokens.captured is not None
    assert tokens.captured.dtypes == ("int64",)


def test_a_simulation_that_fails_leaves_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """Two layers of 4 projections of 32, two of 64, and attention of 10 tokens."""
    padded = ["networks:Padded", "--input", "[10x32],[10]:bool"]
    graph = open_source(padded[0], padded[2]).subject.graph
    whole = mnv3prof.total(mnv3prof.count(graph))
    assert whole.macs == 2 * 10 * (4 * 32 * 32 + 2 * 32 * 64 + 2 * 10 * 32)
    assert whole.uncounted == ()
    assert mnv3prof.peaks(graph).eager is None
    assert run(["memory", *padded]) == 0
    assert "not known: it cannot be simulated: RuntimeError: Internal error: NestedTens" in " ".join(
        capsys.readouterr().out.split()
    )
    assert run(["check", *padded, "--budget", "peak.eager=1MiB"]) == 1
    assert "cannot be simulated" in capsys.readouterr().out


def test_a_weight_may_be_a_vector() -> None:
    subject = mnv3prof.load(_Vector(), torch.zeros(1, 4, 8))
    assert mnv3prof.total(mnv3prof.count(subject.graph)).macs == 4 * 8


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("plain", ""),
        ("score", "Without a price for all but their MACs: flex_attention. FLOPs are lower"),
        ("mask", "Not counted: flex_attention. MACs and FLOPs are lower bounds."),
    ],
)
def test_flexible_attention(kind: str, sentence: str) -> None:
    """Scores and weighted values of two heads. Each in a process of its own: PyTorch exports one alone."""
    words = ["flops", f"networks:Flexible('{kind}')", "--input", "2x256x16"]
    code = f"from mnv3prof.cli.main import run; run({words!r})"
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert (f"{2 * 2 * 256 * 256 * 16:,}" in done.stdout) == (kind != "mask")
    assert sentence in done.stdout
    assert ("lower bound" in done.stdout) == bool(sentence)
