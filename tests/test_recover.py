"""Layer tables that are recovered from graphs."""

from typing import Any

import pytest
import torch
import torchvision_oracle
from hypothesis import assume, given, settings
from networks import with_values
from random_tables import tables

import mnv3prof
from mnv3prof.capture.reference import build, parse
from mnv3prof.cli.main import run
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.files import PRESETS, preset
from mnv3prof.mobilenetv3.recover import recover
from mnv3prof.source import open_source

assert torchvision_oracle.mobilenet_v2  # its operators are declared


def _totals(graph: Any) -> tuple[int, int, int]:
    whole = mnv3prof.total(mnv3prof.count(graph))
    return whole.macs, whole.params, whole.flops


def _weights(graph: Any) -> dict[str, Any]:
    return {weight.name: weight.shape for layer in graph.layers for weight in layer.weights}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_recovered(name: str) -> None:
    graph = mnv3prof.load(name, (96, 64)).graph
    found = recover(graph)
    assert _totals(mnv3prof.expand(found, (96, 64))) == _totals(graph)
    wanted = preset(name)
    assert [(row.expand, row.out, row.stride, row.activation) for row in found.rows] == [
        (row.expand, row.out, row.stride, row.activation) for row in wanted.rows
    ]


def test_the_papers_tables_are_recovered_as_they_are_written() -> None:
    for name in ("large", "small", "large-minimal", "mobilenetv2"):
        assert recover(mnv3prof.load(name).graph).rows == preset(name).rows


@settings(max_examples=150)
@given(tables)
def test_a_recovered_table_counts_the_same_or_is_refused(table: Any) -> None:
    graph = mnv3prof.expand(table, (33, 40))
    try:
        found = recover(graph)
    except InputError as error:
        assert "no layer table says it" in str(error)
        assume(False)
    again = mnv3prof.expand(found, (33, 40))
    assert _totals(again)[0] == _totals(graph)[0]
    if len(found.rows) == len(table.rows):  # a head can be read as a row
        assert _weights(again) == _weights(graph)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("torchvision:mobilenet_v3_large", 5_483_032),
        ("timm:efficientnet_b0", 5_288_548),
        ("timm:mobilenet_edgetpu_100", 4_091_432),
        ("timm:tf_mobilenetv3_small_minimal_100", 2_044_736),
    ],
)
def test_networks_of_libraries_are_recovered(name: str, params: int) -> None:
    graph = open_source(name, "128").subject.graph
    assert _totals(mnv3prof.expand(recover(graph), 128)) == _totals(graph)
    assert _totals(graph)[1] == params


@pytest.mark.parametrize(
    ("name", "names", "stages", "eps"),
    [
        ("timm:mobilenetv3_large_100", "timm", (), 1e-5),
        ("timm:mobilenetv3_rw", "timm", (), 1e-3),
        ("timm:tf_mobilenetv3_small_minimal_100", "timm", (), 1e-3),
        ("timm:mnasnet_small", "timm", (1, 1, 2, 4, 3, 3, 1), 1e-5),
        ("timm:lcnet_050", "timm", (1, 2, 2, 2, 4, 2), 1e-5),
        ("torchvision:mobilenet_v2", "torchvision-v2", (), 1e-5),
        ("torchvision:mobilenet_v3_small", "torchvision", (), 1e-3),
    ],
)
def test_the_weights_of_a_release_load_into_the_recovered_table(
    name: str, names: str, stages: Any, eps: float, tmp_path: Any
) -> None:
    path = tmp_path / "recovered.toml"
    assert run(["table", "--from", name, "--input", "64", "-o", str(path)]) == 0
    table = mnv3prof.read_table(path)
    assert (table.names, table.stages, table.bn_eps) == (names, stages, eps)
    torch.manual_seed(0)
    theirs = with_values(build(parse(name), meta=True).module)
    ours = mnv3prof.build(table).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "torchvision:resnet18",
            "resnet18: block conv1 is no inverted residual block; no layer table says it",
        ),
        ("timm:ghostnet_100", "block blocks.0 has concat where a convolution is expected"),
        ("networks:TwoInputs", "has no single image as input"),
    ],
)
def test_what_no_table_says_is_named(name: str, message: str) -> None:
    graph = open_source(name, "[6],[6]" if "Two" in name else None).subject.graph
    with pytest.raises(InputError) as caught:
        recover(graph)
    assert message in str(caught.value)


def test_a_bias_that_no_table_has_is_named() -> None:
    module = mnv3prof.build(preset("small"))
    conv = module.get_submodule("features.2.block.2.0")
    conv.bias = torch.nn.Parameter(torch.zeros(24))
    graph = mnv3prof.load(torch.nn.Sequential(module), 64).graph
    with pytest.raises(InputError, match=r"another window or bias|batch norm"):
        recover(graph)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    assert run(["table", "--from", "torchvision:mobilenet_v2", "-o", str(tmp_path / "v2.toml")]) == 0
    assert run(["flops", str(tmp_path / "v2.toml"), "--format", "json"]) == 0
    assert '"macs": 300774272' in capsys.readouterr().out
    assert run(["table", "small", "--from", "large"]) == 2
    assert "--from and SOURCE cannot be combined" in capsys.readouterr().err
