from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mnv3prof.mobilenetv3 import modules as blocks
from mnv3prof.mobilenetv3 import network
from mnv3prof.mobilenetv3.fields import ACTIVATIONS
from mnv3prof.mobilenetv3.modules import (
    ConvNorm,
    DepthwiseStage,
    ExpandConv,
    HardSigmoid,
    HardSwish,
    HardSwishDeployed,
    LinearProjection,
    SeparableConv,
    SqueezeExcite,
    activation_module,
    depthwise_conv,
    pointwise_conv,
    standard_conv,
)
from mnv3prof.mobilenetv3.network import Bottleneck, MobileNetV3
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.source import read_table

COMPONENTS = {
    "C1": "depthwise_conv",
    "C2": "pointwise_conv",
    "C3": "SeparableConv",
    "C4": "make_divisible",
    "C5": "ExpandConv",
    "C6": "DepthwiseStage",
    "C7": "LinearProjection",
    "C8": "Bottleneck",
    "C9": "SqueezeExcite",
    "C10": "HardSigmoid",
    "C11": "HardSwish",
    "C12": "HardSwishDeployed",
    "C14": "MobileNetV3",
}
"""The article's components by number; C13, the rows, is the table itself."""

GRID = torch.linspace(-8, 8, 4_001)
TABLE = Table(name="net", rows=(Row(16, 16, 3, 1, False, "RE"),))


def _norms_that_do_something(module: Any) -> Any:
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.bias, -1, 1)
    return module.eval()


def _normed(x: Any, norm: Any, eps: float = 1e-3) -> Any:
    """(x - mean) / sqrt(var + eps) · weight + bias, for each channel."""
    columns = [v[None, :, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)]
    mean, var, weight, bias = columns
    return (x - mean) / torch.sqrt(var + eps) * weight + bias


def _h_swish(x: Any) -> Any:
    return x * torch.minimum(torch.maximum(x + 3, torch.tensor(0.0)), torch.tensor(6.0)) / 6


def _close(ours: Any, formula: Any) -> None:
    torch.testing.assert_close(ours, formula, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("number", "name"), COMPONENTS.items())
def test_every_component_of_the_article_has_a_readable_name(number: Any, name: str) -> None:
    home = network if number in ("C8", "C14") else blocks
    assert getattr(home, name).__doc__


def test_names_of_the_module_are_there() -> None:
    assert all(hasattr(blocks, name) for name in blocks.__all__)


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "dilation"), [(3, 3, 1, 1), (5, 5, 2, 1), (4, 3, 1, 2)]
)
def test_depthwise_is_one_convolution_for_each_channel(
    channels: int, kernel: int, stride: int, dilation: int
) -> None:
    conv, x = depthwise_conv(channels, kernel, stride, dilation), torch.randn(2, channels, 11, 9)
    padding = dilation * (kernel - 1) // 2
    alone = [
        F.conv2d(x[:, c : c + 1], conv.weight[c : c + 1], None, stride, padding, dilation)
        for c in range(channels)
    ]
    _close(conv(x), torch.cat(alone, 1))
    assert (conv.groups, conv.bias) == (channels, None)
    assert conv.weight.numel() == channels * kernel * kernel


def test_pointwise_is_a_matrix_product_for_each_pixel() -> None:
    conv, x = pointwise_conv(6, 10), torch.randn(2, 6, 5, 7)
    _close(conv(x), torch.einsum("oi,nihw->nohw", conv.weight[:, :, 0, 0], x))
    assert conv.weight.numel() == 60


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("dilation", [1, 2])
def test_stride_1_keeps_the_size(kernel: int, dilation: int) -> None:
    x = torch.zeros(1, 2, 13, 8)
    assert standard_conv(2, 4, kernel, 1, dilation)(x).shape == (1, 4, 13, 8)
    assert standard_conv(2, 4, kernel, 2, dilation)(x).shape == (1, 4, 7, 4)


def test_the_articles_example_of_a_pair_has_2336_weights() -> None:
    pair = SeparableConv(32, 64)
    convs = [module.weight.numel() for module in pair.modules() if isinstance(module, nn.Conv2d)]
    assert convs == [288, 2_048]  # 32·3·3 and 32·64; one standard convolution has 18,432
    assert standard_conv(32, 64, 3).weight.numel() == 18_432


@pytest.mark.parametrize("norm_between", [True, False])
def test_separable_pair_written_out(norm_between: bool) -> None:
    pair = _norms_that_do_something(SeparableConv(4, 6, 5, 2, norm_between=norm_between))
    x = torch.randn(2, 4, 9, 9)
    y = F.conv2d(x, pair[0][0].weight, None, 2, 2, 1, 4)
    if norm_between:
        y = _h_swish(_normed(y, pair[0][1]))
    y = _h_swish(_normed(F.conv2d(y, pair[1][0].weight), pair[1][1]))
    _close(pair(x), y)


def test_expand_written_out() -> None:
    stage, x = _norms_that_do_something(ExpandConv(4, 12)), torch.randn(2, 4, 5, 5)
    _close(stage(x), _h_swish(_normed(F.conv2d(x, stage[0].weight), stage[1])))


def test_depthwise_stage_written_out() -> None:
    stage, x = _norms_that_do_something(DepthwiseStage(4, 5, 2)), torch.randn(2, 4, 9, 7)
    _close(stage(x), _h_swish(_normed(F.conv2d(x, stage[0].weight, None, 2, 2, 1, 4), stage[1])))


def test_projection_has_no_activation() -> None:
    stage, x = _norms_that_do_something(LinearProjection(12, 4)), torch.randn(2, 12, 5, 5)
    assert [type(layer) for layer in stage] == [nn.Conv2d, nn.BatchNorm2d]
    _close(stage(x), _normed(F.conv2d(x, stage[0].weight), stage[1]))


def test_a_bare_convolution_and_one_without_activation() -> None:
    assert len(ConvNorm(pointwise_conv(2, 3), "HS", None)) == 1
    assert len(ConvNorm(pointwise_conv(2, 3), None)) == 2
    assert len(ConvNorm(pointwise_conv(2, 3), "HS")) == 3


@pytest.mark.parametrize(
    ("activation", "inner"), [("relu", lambda s: s.clamp(min=0)), ("relu6", lambda s: s.clamp(0, 6))]
)
@pytest.mark.parametrize(
    ("gate", "outer"),
    [
        ("hardsigmoid", lambda s: (s + 3).clamp(0, 6) / 6),
        ("hardsigmoid_relu6", lambda s: (s + 3).clamp(0, 6) / 6),
        ("sigmoid", lambda s: 1 / (1 + torch.exp(-s))),
    ],
)
@pytest.mark.parametrize("form", ["conv", "linear"])
def test_squeeze_excite_written_out(
    form: Any, activation: str, inner: Callable[..., Any], gate: str, outer: Callable[..., Any]
) -> None:
    excite, x = SqueezeExcite(6, 3, form, activation, gate), 20 * torch.randn(2, 6, 5, 4)
    assert isinstance(excite.fc1, nn.Conv2d if form == "conv" else nn.Linear)
    w1, w2 = excite.fc1.weight.reshape(3, 6), excite.fc2.weight.reshape(6, 3)  # type: ignore[operator, union-attr]
    s = inner(x.mean((2, 3)) @ w1.T + excite.fc1.bias)  # type: ignore[operator]
    s = outer(s @ w2.T + excite.fc2.bias)  # type: ignore[union-attr]
    _close(excite(x), x * s[:, :, None, None])


def test_squeeze_excites_two_forms_are_one_function() -> None:
    conv, linear, x = SqueezeExcite(16, 8), SqueezeExcite(16, 8, "linear"), torch.randn(2, 16, 5, 4)
    linear.load_state_dict({key: v.squeeze() for key, v in conv.state_dict().items()})
    _close(conv(x), linear(x))


def test_hard_sigmoid_at_points_worked_by_hand() -> None:
    x = torch.tensor([-9.0, -3.0, -1.5, 0.0, 1.5, 3.0, 9.0])
    assert HardSigmoid()(x).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]
    _close(HardSigmoid()(GRID), F.hardsigmoid(GRID))


@pytest.mark.parametrize("module", [HardSwish, HardSwishDeployed, partial(activation_module, "HS")])
def test_h_swish_at_points_worked_by_hand(module: Any) -> None:
    x = torch.tensor([-9.0, -3.0, -1.5, 0.0, 1.0, 1.5, 3.0, 9.0])
    wanted = torch.tensor([0, 0, -0.375, 0, 2 / 3, 1.125, 3, 9])
    _close(module()(x.clone()), wanted)
    _close(module()(GRID.clone()), F.hardswish(GRID))


def test_both_written_out_forms_of_h_swish_are_equal_to_the_last_bit() -> None:
    assert torch.equal(HardSwish()(GRID), HardSwishDeployed()(GRID))


@pytest.mark.parametrize(
    ("code", "formula"),
    [
        ("RE", lambda x: x.clamp(min=0)),
        ("R6", lambda x: x.clamp(0, 6)),
        ("HS", _h_swish),
        ("HS-RELU6", _h_swish),
        ("HS-CLAMP", _h_swish),
        ("SW", lambda x: x / (1 + torch.exp(-x))),
    ],
)
def test_activations_of_a_table(code: str, formula: Any) -> None:
    _close(activation_module(code)(GRID.clone()), formula(GRID))


def test_only_the_composed_activations_leave_their_input_as_it_was() -> None:
    kept = set()
    for code in ACTIVATIONS:
        x = GRID.clone()
        activation_module(code)(x)
        if torch.equal(x, GRID):
            kept.add(code)
    assert kept == {"HS-RELU6", "HS-CLAMP"}


@pytest.mark.parametrize("expand", [4, 12])
@pytest.mark.parametrize(
    ("stride", "out", "identity", "added"),
    [(1, 4, True, True), (1, 6, True, False), (2, 4, True, False), (2, 6, True, False), (1, 4, False, False)],
)
def test_a_bottleneck_adds_its_input_only_at_stride_1_and_equal_widths(
    expand: int, stride: int, out: int, identity: bool, added: bool
) -> None:
    row = Row(expand, out, 3, stride, True, "HS", identity=identity)
    block = _norms_that_do_something(Bottleneck(row, 4, TABLE))
    x = torch.randn(2, 4, 7, 7)
    kept = x.clone()
    y = block(x)
    assert torch.equal(y, block.block(x) + kept if added else block.block(x))
    assert torch.equal(x, kept)
    convs = [tuple(module.weight.shape) for module in block.modules() if isinstance(module, nn.Conv2d)]
    excite = [(8, expand, 1, 1), (expand, 8, 1, 1)]
    wanted = [(expand, 1, 3, 3), *excite, (out, expand, 1, 1)]
    assert convs == (wanted if expand == 4 else [(expand, 4, 1, 1), *wanted])


@pytest.mark.parametrize("se", [True, False])
def test_a_bottleneck_written_out(se: bool) -> None:
    block = _norms_that_do_something(Bottleneck(Row(12, 4, 5, 1, se, "RE"), 4, TABLE))
    stages, x = list(block.block), torch.randn(2, 4, 6, 6)
    y = F.relu(_normed(F.conv2d(x, stages[0][0].weight), stages[0][1]))
    y = F.relu(_normed(F.conv2d(y, stages[1][0].weight, None, 1, 2, 1, 12), stages[1][1]))
    if se:
        fc1, fc2 = stages[2].fc1, stages[2].fc2
        s = F.conv2d(y.mean((2, 3), keepdim=True), fc1.weight, fc1.bias).clamp(min=0)
        y = y * ((F.conv2d(s, fc2.weight, fc2.bias) + 3).clamp(0, 6) / 6)
    y = _normed(F.conv2d(y, stages[-1][0].weight), stages[-1][1])
    _close(block(x), x + y)


@pytest.mark.parametrize(
    ("conv", "weights"),
    [
        ("separable", [4 * 12, 12 * 9, 12 * 6]),
        ("dense-depthwise", [4 * 12, 12 * 12 * 9, 12 * 6]),
        ("standard", [4 * 12, 12 * 6 * 9]),
    ],
)
def test_convolution_weights_of_a_bottlenecks_variants(conv: Any, weights: Any) -> None:
    table = Table(name="net", rows=TABLE.rows, conv=conv)
    block = Bottleneck(Row(12, 6, 3, 2, False, "RE"), 4, table)
    convs = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert [module.weight.numel() for module in convs] == weights
    assert block(torch.zeros(2, 4, 9, 9)).shape == (2, 6, 5, 5)


def test_the_network_is_stem_15_rows_head_pool_and_two_linear_layers() -> None:
    whole = MobileNetV3(read_table("large"))
    stem, *rows, head = whole.features
    assert stem[0].weight.shape == (16, 3, 3, 3)  # type: ignore[index]
    assert stem[0].stride == (2, 2)  # type: ignore[index]
    assert (len(rows), {type(row) for row in rows}) == (15, {Bottleneck})
    assert head[0].weight.shape == (960, 160, 1, 1)  # type: ignore[index]
    assert [type(layer) for layer in head] == [nn.Conv2d, nn.BatchNorm2d, nn.Hardswish]  # type: ignore[attr-defined]
    assert [type(layer) for layer in whole.classifier] == [nn.Linear, nn.Hardswish, nn.Dropout, nn.Linear]
    assert whole.classifier[0].weight.shape == (1280, 960)
    assert whole.classifier[3].weight.shape == (1000, 1280)
    assert whole.classifier[2].p == 0.2


def test_initialization() -> None:
    whole = MobileNetV3(read_table("large"))
    depthwise = (
        whole.features[15].block[1][0].weight  # type: ignore[index, union-attr]
    )  # fan-out of 960 · 5 · 5 / 960 groups is PyTorch's 960 · 25
    assert depthwise.std().item() == pytest.approx((2 / (960 * 25)) ** 0.5, rel=0.05)
    assert whole.classifier[0].weight.std().item() == pytest.approx(0.01, rel=0.05)  # type: ignore[operator]
    biases = [m.bias for m in whole.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and m.bias is not None]
    assert len(biases) == 18  # two in each of 8 squeeze-excite blocks, two in the classifier
    assert not any(bias.any() for bias in biases)
