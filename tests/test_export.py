"""`export`: files that the real runtimes read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from subjects import subject

from mnv3prof.bench import export as exporting
from mnv3prof.cli.commands.export import file_names
from mnv3prof.cli.main import run
from mnv3prof.device.protocol import Prepared
from mnv3prof.graph.errors import InputError
from mnv3prof.workers.formats import Added, get_format, names
from mnv3prof.workers.formats import onnx as onnx_format
from mnv3prof.workers.formats.litert import _path
from mnv3prof.workers.parts import make_parts

SMALL = ["export", "small", "--input", "64"]


@pytest.fixture(scope="module")
def parts() -> Any:
    return make_parts(subject("small", 64))


def _exported(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    """Run the command and return the results by part."""
    assert run([*SMALL, *arguments, "--format", "json"]) == code
    document = json.loads(capsys.readouterr().out)
    return {found.pop("part"): found for found in document["parts"]}


@pytest.mark.parametrize("to", names())
def test_a_block_is_written_in_every_form_and_runs(
    to: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"block{get_format(to).SUFFIX}"
    found = _exported(["--input", "64x96", "--to", to, "--parts", "2", "-o", str(path)], capsys)["2"]
    assert found["files"][str(path)] == path.stat().st_size > 300
    assert found["max_rel_err"] < 1e-5
    assert {str(file) for file in tmp_path.iterdir()} == set(found["files"])
    assert found["ran_on"]
    kinds = None if found["added"] is None else [op["kind"] for op in found["added"]]
    # Row 2 has stride 2: of an even size, TensorFlow's SAME pads at the end only.
    assert kinds == ADDED_TO_ROW_2.get(to)


ADDED_TO_ROW_2 = {"litert": ["TRANSPOSE", "PAD", "TRANSPOSE"], "onnx": [], "openvino": [], "ncnn": []}


def _run_onnx(path: Path, given: Any) -> Any:
    import onnxruntime

    (output,) = onnxruntime.InferenceSession(path).run(None, {"x": given})
    return output


def test_the_written_onnx_is_the_block_itself(
    parts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.onnx"
    assert run([*SMALL, "-o", str(path)]) == 0
    assert "MobileNetV3-Small for onnx" in capsys.readouterr().out
    part = parts["net"]
    assert abs(_run_onnx(path, part.given[0].numpy()) - part.expected[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("opset", [9, 11, 12, 13, 14, 17, 18, 20, None])
@pytest.mark.parametrize("name", ["4", "net"])
def test_each_opset_computes_the_same(name: str, opset: int | None, parts: Any, tmp_path: Path) -> None:
    import onnx

    path = onnx_format.convert(parts[name], "fp32", tmp_path, opset)
    assert _opset(path) == (opset or 20)
    # The operator HardSwish came with opset 14.
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert ("HardSwish" in kinds) == ((opset or 20) >= 14)
    output = _run_onnx(path, parts[name].given[0].numpy())
    assert abs(output - parts[name].expected[0].numpy()).max() < 1e-4


def _opset(path: Path) -> Any:
    """The opset version of a model that is valid."""
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    ((domain, version),) = [(each.domain, each.version) for each in model.opset_import]
    assert domain == ""
    return version


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_the_option_opset(dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--opset", "13", "--dtype", dtype, "--parts", "4"]
    assert run([*SMALL, *command, "-o", str(tmp_path / "x.onnx")]) == 0
    assert f"{', int8' * (dtype == 'int8')}, opset 13" in capsys.readouterr().out
    assert _opset(tmp_path / "x.onnx") == 13


def test_a_flatbuffer_with_channels_last(
    parts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images are (N, H, W, C), the transposes of both ends are gone, and the classes stay as they are."""
    from ai_edge_litert.interpreter import Interpreter

    options = ["--to", "litert", "--layout", "nhwc", "--parts", "4,net"]
    found = _exported([*options, "-o", str(tmp_path / "{part}.tflite")], capsys)
    for name, each in found.items():
        kinds = [op["kind"] for op in each["added"]]
        assert kinds == ["PAD"] * {"4": 1, "net": 5}[name]  # as many as there are strides of 2
        interpreter = Interpreter(str(tmp_path / f"{name}.tflite"))
        interpreter.allocate_tensors()
        ((given,), (output,)) = interpreter.get_input_details(), interpreter.get_output_details()
        image, expected = parts[name].given[0].numpy(), parts[name].expected[0].numpy()
        interpreter.set_tensor(given["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        interpreter.invoke()
        result = interpreter.get_tensor(output["index"])
        result = result.transpose(0, 3, 1, 2) if result.ndim == 4 else result
        assert abs(result - expected).max() < 1e-4
    assert found["net"]["added"][0] == {"kind": "PAD", "name": "features.0.0"}


def test_channels_last_at_int8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--to", "litert", "--layout", "nhwc", "--dtype", "int8", "--parts", "4"]
    found = _exported([*options, "-o", str(tmp_path / "4.tflite")], capsys)["4"]
    assert found["added"] == [{"kind": "PAD", "name": "block.1.0"}]


def test_a_tensor_is_named_by_its_module() -> None:
    conv = "a.b.Net/torch.nn.Sequential_features/a._Block_1/torch.nn.modules.conv.Conv2d_my_conv;1"
    assert _path(conv) == "features.1.my_conv"
    assert _path(f"a.Wrapper/{conv.replace('a.b.Net', 'a.b.Net_part')}") == "features.1.my_conv"
    assert _path("torch.export.<locals>.Wrapper;2") == "Wrapper;2"
    assert _path("serving_default_output_0_output") == "serving_default_output_0_output"


def test_pads_and_transposes_are_read_from_files(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    pads, param, xml = (tmp_path / name for name in ("x.onnx", "x.param", "x.xml"))
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[1, 0]),
        helper.make_node("Relu", ["t"], ["r"], "relu"),
        helper.make_node("Pad", ["r", "p"], ["y"], "wider"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), pads)
    param.write_text(
        "7767517\n3 3\nInput in0 0 1 in0\nPadding pad_0 1 1 in0 1 0=1\nPermute p 1 1 1 out0 0=4\n"
    )
    xml.write_text(
        '<net><layers><layer id="0" name="a" type="Pad"/><layer id="1" name="b" type="Add"/></layers></net>'
    )
    assert get_format("onnx").added(pads) == (Added("Transpose", "turn"), Added("Pad", "wider"))  # type: ignore[attr-defined]
    assert get_format("ncnn").added(param) == (Added("Padding", "pad_0"), Added("Permute", "p"))  # type: ignore[attr-defined]
    assert get_format("openvino").added(xml) == (Added("Pad", "a"),)  # type: ignore[attr-defined]


def test_what_was_added_is_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [Added("Pad", f"p{n}") for n in range(8)] + [Added("Transpose", "t")]
    monkeypatch.setattr(exporting, "_added", lambda *_: tuple(added))
    assert run([*SMALL, "--parts", "1", "-o", str(tmp_path / "1.onnx")]) == 0
    says = "Added by the converter: 8 Pad (p0, p1, p2, p3, p4, p5, and 2 more), 1 Transpose (t)."
    assert says in " ".join(capsys.readouterr().out.split())
    assert run([*SMALL, "--parts", "1-2", "-o", str(tmp_path / "{part}.onnx")]) == 0
    assert "Added by the converter: 8 Pad, 1 Transpose in 1, 2." in capsys.readouterr().out


def test_each_part_has_a_file_and_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "x-{part}.onnx")
    assert run([*SMALL, "--parts", "stem,3-4,features.4.block.1", "-o", path, "--format", "csv"]) == 0
    written = ["x-stem", "x-3", "x-4", "x-features-4-block-1"]
    assert sorted(file.stem for file in tmp_path.iterdir()) == sorted(written)
    rows = capsys.readouterr().out.splitlines()[1:5]
    assert [Path(row.split(",")[1]).stem for row in rows] == written
    assert [row.split(",")[0] for row in rows] == ["stem", "3", "4", "features.4.block.1"]


def test_a_part_that_is_wrong_is_not_written_and_the_others_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(_: Prepared, dtype: Any, part: str) -> str:
        return "its output is wrong" if part == "2" else ""

    monkeypatch.setattr(exporting, "how_wrong", judged)
    (tmp_path / "2.onnx").write_bytes(b"before")
    command = ["--parts", "1-3", "-o", str(tmp_path / "{part}.onnx")]
    found = _exported(command, capsys, 1)
    assert {part: each["wrong"] for part, each in found.items()} == {
        "1": "",
        "2": "its output is wrong",
        "3": "",
    }
    assert found["2"]["files"] == {}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.onnx", "2.onnx", "3.onnx"]
    assert (tmp_path / "2.onnx").read_bytes() == b"before"
    assert run([*SMALL, *command]) == 1
    assert "Part 2 on onnxruntime: its output is wrong; not written." in capsys.readouterr().out


def test_names_of_parts_are_safe_in_file_names() -> None:
    assert file_names(Path("a/x.onnx"), ["net"]) == {"net": Path("a/x.onnx")}
    assert file_names(Path("{part}/{part}.onnx"), ["a.b", "../c"]) == {
        "a.b": Path("a-b/a-b.onnx"),
        "../c": Path("---c/---c.onnx"),
    }
    with pytest.raises(InputError, match="several parts have the same file name"):
        file_names(Path("{part}.onnx"), ["a.b", "a/b"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "export: --output FILE.onnx is required"),
        (["-o", "x.tflite"], "x.tflite: is not a file of onnx; expected a name that ends in .onnx"),
        (["-o", "x.onnx", "--parts", "12"], "--parts: '12' is not a part of MobileNetV3-Small; expected net"),
        (
            ["-o", "x.onnx", "--parts", "1,net"],
            "x.onnx: is one file for 2 parts; expected a name with {part}, e.g. {part}.onnx",
        ),
        (["-o", "{part}/x.onnx", "--parts", "1"], "1/x.onnx: cannot be written"),
        (["-o", "x.onnx", "--dtype", "bf16"], "onnx does not support bf16; expected fp32, int8"),
        (["-o", "x.onnx", "--to", "coreml"], "format: 'coreml' is not known; expected executorch, litert"),
        (["-o", "x.onnx", "--opset", "8"], "opset: 8 cannot be written at fp32; expected 9 to 20"),
        (["-o", "x.onnx", "--opset", "21"], "opset: 21 cannot be written at fp32; expected 9 to 20"),
        (
            ["-o", "x.onnx", "--opset", "12", "--dtype", "int8"],
            "opset: 12 cannot be written at int8; expected 13 to 20",
        ),
        (
            ["-o", "x.tflite", "--to", "litert", "--opset", "13"],
            "opset: litert has no opset versions; expected format onnx",
        ),
        (["-o", "x.onnx", "--layout", "nhwc"], "layout: onnx is nchw only; expected format litert"),
        (["-o", "x.onnx", "--layout", "chw"], "'chw' is not allowed; did you mean nchw?"),
        (["-o", "no/such/folder/x.onnx", "--input", "32"], "no/such/folder/x.onnx: cannot be written"),
        (
            ["-o", "x.param", "--to", "ncnn", "--batch", "2", "--input", "32"],
            "by ncnn: it supports batch 1, not 2",
        ),
    ],
)
def test_wrong_input_is_refused_and_nothing_written(
    arguments: list[Any],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["export", "small", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
