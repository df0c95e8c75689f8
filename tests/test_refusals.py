"""What is said about networks and inputs that cannot be captured."""

import re
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from mnv3prof.capture.reference import described
from mnv3prof.capture.shapes import parse_shapes
from mnv3prof.cli.main import run
from mnv3prof.graph.errors import InputError
from mnv3prof.source import open_source


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("Pair", "3x8x8", "forward(a, b) takes 2 inputs, and the input names 1; expected the shape of each"),
        ("Small", "3x8x8,[5]", "forward(x) takes 1 input, and the input names 2; expected the shape of each"),
        ("ByName", "[8]", "forward needs 'scale' by name; expected positional inputs only"),
        (
            "Tokens",
            "[5]",
            "with the input 5: an embedding reads integers; expected an input such as [5]:int64",
        ),
        ("Small", "3x8x8:int64", "with the input 3×8×8 of int64: RuntimeError: "),
        ("Sequence", "10x16", "3×10×16 (10x16 is read as an image; write [10x16] for another shape): "),
        ("Sequence", "3x10x16", "cannot be captured with the input 3×10×16: ValueError: "),
        (
            "Hides",
            "3x8x8",
            "networks:Hides: its module 'inner.forward' has the name of a method or attribute of",
        ),
        (
            "Small",
            "[0]:int64",
            "'[0]:int64' is out of range; expected sizes of at least 1, and at most 2^40 ",
        ),
        (
            "Small",
            "[9999999999999]",
            "is out of range; expected sizes of at least 1, and at most 2^40 elements",
        ),
        (
            "Tokens",
            "16:int64",
            "input: '16:int64' is an image of int64; expected [16]:int64, or for an image ",
        ),
        (
            "Tokens",
            "8x9:bool",
            "is an image of bool; expected [8x9]:bool, or for an image all its sizes, e.g. 3x8x9",
        ),
        ("Causal", "[6x8]", "depends on the values of a tensor of its own (networks.py, line "),
        ("Causal", "[6x8]", "; expected is_causal=True or False where its encoder or decoder is called with"),
        ("Switch", "[8]", "the values of a tensor of its own (networks.py, line "),
        ("Scaled", "8", "depends on its input's values (networks.py, line"),
        ("Small:", None, "networks:Small:: ends in a colon; expected the path of a module after it, or none"),
    ],
)
def test_an_input_that_does_not_fit(text: str, shapes: str | None, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        open_source(f"networks:{text}", shapes)


def test_only_lines_of_the_user_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wrong_syntax.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(InputError) as refused:
        open_source("wrong_syntax:f()")
    assert str(refused.value).endswith("SyntaxError: invalid syntax (wrong_syntax.py, line 2)")
    (tmp_path / "wrong_call.py").write_text("import torch\nmake = torch.nn.Linear\n")
    with pytest.raises(InputError) as refused:
        open_source("wrong_call:make(-1, 3)")
    assert ".py, line" not in str(refused.value)


def test_a_size_of_eleven_digits_is_a_size() -> None:
    assert parse_shapes("[99999999999]:int64")[0].shape == (99_999_999_999,)


def test_what_makes_no_module_is_called_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="counts_calls is of type int; expected"):
        open_source("networks:counts_calls()")
    assert capsys.readouterr().err.count("called") == 1


def test_an_exception_of_several_lines_is_cut_visibly() -> None:
    assert described(ValueError("<bound method of Net(\n  (a): Linear()\n)>")) == (
        "ValueError: <bound method of Net ..."
    )
    assert described(ValueError(f"{'word ' * 40}\nnext")) == f"ValueError: {('word ' * 30).strip()} ..."
    assert described(ValueError("short\nnext")) == "ValueError: short"


def test_an_empty_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flops", ""]) == 2
    assert "the source is empty; expected a file, large, small" in capsys.readouterr().err


def test_an_open_size_of_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "zero.onnx"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 0, "width"]) for name in "xy"]
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), file)
    with pytest.raises(
        InputError, match=r"'x' has the open size 1 x 0 x width; expected an input in numbers"
    ):
        open_source(str(file))
