"""`export`: files that the real runtimes read."""

import json
from pathlib import Path
from typing import Any

import pytest
from subjects import subject

from mnv3prof.cli.main import run
from mnv3prof.workers.formats import get_format, names


@pytest.mark.parametrize("to", names())
def test_a_block_is_written_in_every_form_and_runs(
    to: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"block{get_format(to).SUFFIX}"
    assert (
        run(
            [
                "export",
                "small",
                "--input",
                "64x96",
                "--to",
                to,
                "--part",
                "2",
                "-o",
                str(path),
                "--format",
                "json",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert found["files"][str(path)] == path.stat().st_size > 300
    assert found["max_rel_err"] < 1e-5
    assert {str(file) for file in tmp_path.iterdir()} == set(found["files"])
    assert found["ran_on"]


def test_the_written_onnx_is_the_block_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import onnxruntime

    from mnv3prof.workers.parts import make_parts

    path = tmp_path / "net.onnx"
    assert run(["export", "small", "--input", "64", "-o", str(path)]) == 0
    part = make_parts(subject("small", 64))["net"]
    (output,) = onnxruntime.InferenceSession(path).run(None, {"x": part.given.numpy()})
    assert abs(output - part.expected.numpy()).max() < 1e-4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "export: --output FILE.onnx is required"),
        (["-o", "x.tflite"], "x.tflite: is not a file of onnx; expected a name that ends in .onnx"),
        (["-o", "x.onnx", "--part", "12"], "part: '12' is not a part; expected stem, 1, 2"),
        (["-o", "x.onnx", "--dtype", "bf16"], "onnx does not support bf16; expected fp32, int8"),
        (["-o", "x.onnx", "--to", "coreml"], "format: 'coreml' is not known; expected executorch, litert"),
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
