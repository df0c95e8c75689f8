"""ONNX and ncnn files that are written without a converter: those of the converters, with the same outputs."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from random_tables import small_sizes, tables
from subjects import RELATIVE, subject

from mnv3prof.device.runtimes import Job
from mnv3prof.device.runtimes.ncnn import load
from mnv3prof.mobilenetv3.table import HeadConv, LastLayer, Row, Table
from mnv3prof.record.run import Subject
from mnv3prof.workers.direct.ncnn import ncnn_model
from mnv3prof.workers.direct.onnx import onnx_model
from mnv3prof.workers.direct.operations import operations_of
from mnv3prof.workers.formats import Part, ncnn
from mnv3prof.workers.formats import onnx as onnx_format
from mnv3prof.workers.parts import make_parts

torch.set_num_threads(1)
EVERY = Table(
    name="every",
    stem=8,
    stem_activation="R6",
    padding="same",
    rows=(
        Row(expand=24, out=16, kernel=5, stride=2, se=True, activation="HS"),
        Row(expand=24, out=16, kernel=3, stride=1, se=True, activation="R6", se_form="linear"),
        Row(
            expand=24, out=16, kernel=3, stride=1, se=True, activation="HS-RELU6", se_gate="hardsigmoid_relu6"
        ),
        Row(expand=24, out=24, kernel=3, stride=(2, 1), se=True, activation="RE", se_gate="sigmoid"),
        Row(expand=48, out=24, kernel=3, stride=1, se=True, activation="SW", se_place="before-activation"),
        Row(expand=48, out=24, kernel=7, stride=1, se=False, activation="HS-CLAMP", project_activation="R6"),
        Row(expand=48, out=24, kernel=3, stride=1, se=False, activation="RE", conv="fused", dilation=2),
        Row(expand=48, out=24, kernel=3, stride=2, se=False, activation="RE", conv="dense-depthwise"),
        Row(expand=48, out=24, kernel=3, stride=1, se=True, activation="RE", conv="standard", conv_bias=True),
    ),
    head=(48, HeadConv(out=32, norm=False, activation="none")),
    last=(16, LastLayer(16, norm=True), LastLayer(16, norm=True, bias=False, activation="none")),
    classes=10,
)
"""Every kind of operation that a table can have."""


def _nodes(model: Any) -> list[tuple[str, str, str]]:
    """Kind, name and fields of the nodes, without those that compute constants."""
    inside = {name.name for name in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if all(name in inside or not name for name in node.input):
            inside.update(node.output)
            continue
        fields = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        fields = {key: value for key, value in fields.items() if key not in ("momentum", "training_mode")}
        found.append((node.op_type, node.name, str(sorted(fields.items()))))
    return found


def _ours(part: Part) -> bytes:
    operations = operations_of(part)
    assert operations is not None, part.name
    return onnx_model(operations, len(part.given[0]))


def _by_exporter(part: Part) -> Any:
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        onnx_format._export(part, Path(folder) / "part.onnx", None)
        return onnx.load(Path(folder) / "part.onnx")


def _is_right(part: Part, data: bytes) -> bool:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": part.given[0].numpy()})
    expected = part.expected[0].numpy()
    return output.shape == expected.shape and bool(
        np.abs(output - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    )


@settings(max_examples=25, deadline=None)
@given(tables, small_sizes)
def test_onnx_of_random_tables_has_pytorchs_output(table: Table, size: tuple[int, int]) -> None:
    for part in make_parts(Subject(table, size)).values():
        data = _ours(part)
        onnx.checker.check_model(data, full_check=True)
        assert _is_right(part, data), part.name


@pytest.mark.parametrize("table", [EVERY, RELATIVE], ids=["every", "relative"])
@pytest.mark.parametrize("names", ["torchvision", "timm"])
def test_onnx_has_the_nodes_of_the_exporter(table: Table, names: Any) -> None:
    """Operators are joined to layers by these names."""
    from msgspec.structs import replace

    if names == "timm":
        table = replace(table, names="timm", last=(LastLayer(16, form="conv", norm=True),))
    for part in make_parts(Subject(table, (33, 40))).values():
        assert _nodes(onnx.load_from_string(_ours(part))) == _nodes(_by_exporter(part)), part.name


def test_batches_are_written_and_other_networks_left() -> None:
    part = make_parts(subject(EVERY, (33, 40)), 3)["2"]
    assert _is_right(part, _ours(part))
    for other in (torch.nn.GELU(), torch.nn.Sequential(torch.nn.BatchNorm2d(16))):
        assert operations_of(part._replace(module=other.eval())) is None
    assert operations_of(part._replace(given=(*part.given, *part.given))) is None


def _layers(param: str) -> list[tuple[str, str]]:
    """Kind and fields of ncnn's layers, sorted, defaults left out."""
    found = []
    for line in param.splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        fields = dict(each.split("=") for each in rest[int(inputs) + int(outputs) :])
        if fields.get("15") == fields.get("14") and fields.get("16") == fields.get("14"):
            fields = {key: value for key, value in fields.items() if key not in ("15", "16")}
        if fields.get("4") == fields.get("14") and "14" in fields:
            fields["14"] = fields["4"]
        found.append((kind, str(sorted(fields.items()))))
    return found


@settings(max_examples=15, deadline=None)
@given(tables, small_sizes)
def test_ncnn_of_random_tables_has_pytorchs_output(table: Table, size: tuple[int, int]) -> None:
    for part in make_parts(Subject(table, size)).values():
        operations = operations_of(part)
        assert operations is not None
        model = ncnn_model(operations)
        if model is None:
            assert any(operation.kind in ("flatten", "conv", "pad") for operation in operations)
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "part.ncnn.param"
            file.write_text(model[0])
            file.with_suffix(".bin").write_bytes(model[1])
            images, expected = part.given[0].numpy(), part.expected[0].numpy()
            job = Job(part.name, file, (images,), (expected,), "fp32", 1)
            (output,) = load(job)((images,))()
        assert np.abs(output - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max()), part.name


def test_ncnn_has_the_layers_of_pnnx(tmp_path: Path) -> None:
    parts = make_parts(subject(EVERY, (33, 40)))
    part = parts["net"]
    operations = operations_of(part)
    assert operations is not None
    ours = ncnn_model(operations)
    assert ours is not None
    with torch.no_grad():
        ncnn._convert(part, tmp_path)
    theirs = (tmp_path / "part.ncnn.param").read_text()
    assert Counter(_layers(ours[0])) == Counter(_layers(theirs))
    assert len(ours[1]) == (tmp_path / "part.ncnn.bin").stat().st_size
