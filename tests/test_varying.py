"""Networks whose output differs from call to call are not timed, with one reason."""

from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import TensorProto, helper, save
from torch import nn

import mnv3prof
from mnv3prof.cli.main import run
from mnv3prof.source import open_source

DIFFERS = "its output differs from call to call"


def _reasons(network: str) -> dict[str, str]:
    made = mnv3prof.measure(mnv3prof.load(f"networks:{network}", "[8]"), "cpu", budget_s=0.2)
    return {timing.part: timing.reason for timing in made.timings}


@pytest.mark.parametrize(
    ("network", "reasons"),
    [
        (
            "Noisy",
            {
                "first": "",
                "middle": f"it draws random numbers (randn_like): {DIFFERS}",
                "net": f"it draws random numbers (randn_like): {DIFFERS}",
            },
        ),
        ("Drops", dict.fromkeys(("fc", "net"), f"it draws random numbers (dropout): {DIFFERS}")),
        (
            "Counts",
            {
                "first": f"it changes its buffer calls: {DIFFERS}",
                "net": f"it changes its buffer calls: {DIFFERS}",
            },
        ),
        ("Keeps", {"fc": "", "net": ""}),
    ],
)
def test_the_reason_is_in_the_graph(network: str, reasons: dict[str, str]) -> None:
    assert _reasons(network).items() >= reasons.items()


@pytest.mark.parametrize("network", ["Noisy", "Drops", "Counts"])
def test_nothing_is_exported(network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.onnx"
    assert run(["export", f"networks:{network}", "--input", "[8]", "-o", str(file)]) == 1
    assert DIFFERS in capsys.readouterr().out
    assert not file.exists()


@pytest.mark.parametrize(
    ("module", "varies"),
    [
        (nn.LSTM(8, 8, 2, dropout=0.5), False),
        (nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.RReLU()), False),
        (nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), False),
        (nn.BatchNorm1d(4), False),
    ],
)
def test_dropout_in_inference_is_none(module: Any, varies: bool) -> None:
    assert bool(mnv3prof.load(module, torch.zeros(1, 4, 8)).graph.varies) is varies


def test_an_onnx_file_that_draws_random_numbers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("RandomNormalLike", ["y"], ["noise"]),
        helper.make_node("Add", ["y", "noise"], ["z"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xz"]
    file = tmp_path / "noise.onnx"
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), file)
    assert open_source(str(file)).subject.graph.varies == (
        ("noise", f"draws random numbers (RandomNormalLike): {DIFFERS}"),
    )
