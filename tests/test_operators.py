"""Operators joined to layers: with invented names and shapes, then with real ones."""

import json
from typing import Any

import pytest
from measured import SHARED, converted
from runs import run_of, timing
from some import some
from subjects import subject

from mnv3prof.analysis.operators import class_of, join
from mnv3prof.cli.main import run
from mnv3prof.device.protocol import RuntimeOp
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Operator
from mnv3prof.show.operators import operator_sheets
from mnv3prof.source import read_table

LARGE = subject("large")
TELLING = ["cpu", "onnxruntime", "openvino", "mnn", "executorch", "litert"]


def _joined(part: str, *ops: Any) -> Any:
    return [
        (layer and layer.name.removeprefix("features."), how)
        for _, layer, how in join(LARGE.graph, part, ops)
    ]


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [
        ("Conv", "", "weighted"),
        ("FusedConv", "", "weighted"),
        ("Gemm", "", "weighted"),
        ("Fully Connected (NC, F32) GEMM #1", "", "weighted"),
        ("aten::conv2d", "", "weighted"),
        ("ReorderInput", "", ""),
        ("Transpose (ND, X32) #1", "", ""),
        ("Raster", "/block/Mul_output_0", ""),
        ("GlobalAveragePool", "", "pool"),
        ("ReduceMean", "", "pool"),
        ("aten::batch_norm", "", "norm"),
        ("HardSwish", "", "activation"),
        ("ReLU6", "", "activation"),
        ("BinaryOp", "/a/Mul_output_0", "mul"),
        ("Subgraph", "/a/block.2/Mul", "mul"),
        ("BinaryOp", "BinaryOp11", ""),
        ("aten::add_", "", "add"),
    ],
)
def test_kinds_of_operators(kind: Any, name: str, found: str) -> None:
    assert class_of(RuntimeOp(name, kind, 1.0)) == found


def test_names_are_module_paths() -> None:
    assert _joined(
        "4",
        RuntimeOp("/block/block.0/block.0.0/Conv_output_0", "Conv", 1.0),
        RuntimeOp("/block/block.2/fc1/Conv/WithoutBiases", "Convolution", 1.0),
        RuntimeOp("/block/block.2/Mul", "Mul", 1.0),
    ) == [("4.block.0.0", "name"), ("4.block.2.fc1", "name"), ("4.block.2.mul", "name")]
    assert _joined(NET, RuntimeOp("/features/features.4/block/block.0/block.0.0/Conv", "Conv", 1.0)) == [
        ("4.block.0.0", "name")
    ]
    assert _joined("stem", RuntimeOp("/0/Conv", "Conv", 1.0))[0][0] == "0.0"
    assert _joined(
        "head",
        RuntimeOp("/0/0.0/Conv", "Conv", 1.0),
        RuntimeOp("/1/GlobalAveragePool", "GlobalAveragePool", 1.0),
    ) == [("16.0", "name"), ("avgpool", "name")]
    assert _joined("classifier", RuntimeOp("/0/Gemm", "Gemm", 1.0)) == [("classifier.0", "name")]


def test_a_fused_operator_that_took_its_activations_name_is_the_convolution() -> None:
    assert _joined("4", RuntimeOp("/block/block.0/block.0.2/Relu_output_0", "Conv", 1.0)) == [
        ("4.block.0.0", "name")
    ]


def test_shapes_join_what_fusion_renamed() -> None:
    assert _joined(
        "4", RuntimeOp("y", "Conv", 1.0, (40, 28, 28)), RuntimeOp("z", "Conv", 1.0, (72, 56, 56))
    ) == [("4.block.3.0", "shape"), ("4.block.0.0", "shape")]


def test_order_joins_where_as_many_are_left() -> None:
    ops = [RuntimeOp(f"c{n}", "Convolution", 1.0) for n in range(5)]
    assert [name for name, how in _joined("4", *ops)] == [
        "4.block.0.0",
        "4.block.1.0",
        "4.block.2.fc1",
        "4.block.2.fc2",
        "4.block.3.0",
    ]
    assert _joined("4", *ops[:4]) == [(None, "")] * 4  # which one is missing, nothing tells


def test_changes_of_layout_are_listed_and_not_joined() -> None:
    assert _joined("4", RuntimeOp("x_abcd_acdb_/block/block.0/block.0.0/Conv", "Reorder", 1.0)) == [
        (None, "")
    ]


@pytest.mark.parametrize("name", TELLING)
def test_every_weighted_layer_is_found_in_what_the_runtime_tells(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    converted(name)
    arguments = ["latency", *SHARED, "--ops", "--on", name, "--rows", "1,5", "--time-budget", "0.3"]
    assert run([*arguments, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["operators"]
    graph = expand(read_table("small"), (64, 96))
    for part in ("1", "5"):
        ours = {layer.name for layer in some(graph.block(part)).layers if layer.operation.weighted}
        theirs = [o for o in found if o["part"] == part]
        assert ours <= {o["layer"] for o in theirs}
        assert all(o["joined"] == "" for o in theirs if not o["layer"])
        assert sum(o["seconds"] for o in theirs) > 0


def _run(operators: Any, seconds: float) -> Any:
    return run_of(LARGE, (timing("a", "4", (seconds,) * 9),), operators=operators)


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (1e-3, "100.0% of the part's 1.000 ms."),
        (2e-3, "50.0% is spent between the operators"),
        (0.5e-3, "100.0% too much"),
    ],
)
def test_the_sum_is_held_against_the_parts_time(seconds: float, says: str) -> None:
    conv = Operator(
        target=Target(backend="a"),
        part="4",
        name="c",
        kind="Conv",
        seconds=0.8e-3,
        layer="features.4.block.0.0",
        joined="name",
    )
    layout = Operator(target=Target(backend="a"), part="4", name="r", kind="Reorder", seconds=0.2e-3)
    (sheet,) = operator_sheets(_run((layout, conv), seconds))
    macs = 24 * 72 * 56 * 56
    assert sheet.rows[0] == (
        "features.4.block.0.0",
        "c",
        "Conv",
        "name",
        pytest.approx(800),
        pytest.approx(0.8),
        macs,
        pytest.approx(macs / 0.8e-3 / 1e9),
    )
    assert sheet.rows[1][0] is None
    assert "1 of 2 operators belong to no layer" in sheet.notes[0]
    assert "20.0% of the time" in sheet.notes[0]
    assert says in sheet.notes[1]


def test_a_runtime_that_tells_nothing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            [
                "latency",
                "small",
                "--input",
                "32",
                "--ops",
                "--on",
                "null",
                "--rows",
                "1",
                "--time-budget",
                "0.1",
            ]
        )
        == 0
    )
    assert "null, part 1: the runtime has no per-operator profiler." in capsys.readouterr().out
