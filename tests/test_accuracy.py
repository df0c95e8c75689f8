"""Accuracy on held-out images: PyTorch's own predictions are the truth, SciPy's tests the statistics."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from runs import exact, kept, run_of
from scipy import stats as scipy_stats
from some import some
from subjects import read_run, subject

from mnv3prof.analysis.accuracy import difference, wilson
from mnv3prof.bench import accuracy as classifying
from mnv3prof.cli.main import run
from mnv3prof.device.worker import _classes
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.network import build
from mnv3prof.record.accuracy import Accuracy
from mnv3prof.record.run import CLASSIFYING_INTERRUPTED, Weights
from mnv3prof.record.target import Target
from mnv3prof.show.accuracy import accuracy_sheets
from mnv3prof.show.answers import answer_sheets
from mnv3prof.train.data import digits, image_folder
from mnv3prof.train.held_out import held_out
from mnv3prof.workers.weights import read_weights

TABLE = """
name = "tiny"
stem = 8
last = 16
bn_momentum = 0.1
rows = [
  [8, 8, 3, 1, true, "RE"],
  [16, 8, 3, 2, false, "HS"],
]
"""
NET_ONLY = ["--parts", "net", "--time-budget", "0.1"]
FP32, INT8 = Target(backend="onnxruntime"), Target(backend="onnxruntime", dtype="int8")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with digits.pt and colors.pt, two small trained networks, and the folder pictures."""
    folder = tmp_path_factory.mktemp("accuracy")
    (folder / "net.toml").write_text(TABLE, encoding="utf-8")
    chance = np.random.default_rng(0)
    for name, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (folder / "pictures" / name).mkdir(parents=True)
        for n in range(10):
            pixels = np.clip(chance.normal(color, 60, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{n}.png")
    how = ["--no-autoaugment", "--input", "16", "--epochs"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["train", "net.toml", *how, "4", "-o", "digits.pt"]) == 0
        more = ["1", "--data", "pictures", "--batch-size", "8", "-o", "colors.pt"]
        assert run(["train", "net.toml", *how, *more]) == 0
    return folder


@pytest.fixture(autouse=True)
def _in_it(here: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)


def _saved(*arguments: str, command: str = "latency") -> Any:
    assert run([command, *arguments, *NET_ONLY, "-o", "run.json"]) == 0
    return read_run("run.json")


def _wrong_in_pytorch(file: str, images: Any, labels: Any) -> tuple[int, ...]:
    """The images that PyTorch classifies wrongly, without a worker, a conversion or a batch of the tool."""
    found = read_weights(Path(file))
    model = build(some(found.table)).eval()
    model.load_state_dict(found.state)
    with torch.no_grad():
        answers = model(images).argmax(1)
    return tuple(torch.nonzero(answers != labels)[:, 0].tolist())


def test_each_runtime_is_as_accurate_as_pytorch_itself() -> None:
    """359 images in batches of 4: the last batch has one image too few."""
    on = ["--on", "cpu,onnxruntime,ncnn", "--batch", "4", "--dtype", "fp32,int8"]
    saved = _saved("--weights", "digits.pt", *on)
    data = digits((16, 16))
    truth = _wrong_in_pytorch("digits.pt", data.held_images[:], data.held_labels)
    assert len(truth) / 359 == pytest.approx(1 - some(read_weights(Path("digits.pt")).weights.accuracy))
    found = {(a.target.backend, a.target.dtype): a for a in saved.accuracies}
    assert len(found) == len(saved.accuracies) == 6
    for name in ("cpu", "onnxruntime"):
        accuracy = found[name, "fp32"]
        assert (accuracy.images, accuracy.wrong, accuracy.reason) == (359, truth, "")
    int8 = found["onnxruntime", "int8"]
    assert 0 < len({*int8.wrong} ^ {*truth}) < 60  # the same network, rounded
    assert found["cpu", "int8"].reason == "it supports fp32, fp16, bf16, not int8"
    assert (found["ncnn", "fp32"].images, bool(found["ncnn", "fp32"].reason)) == (0, True)  # one image a call
    document = json.loads(Path("run.json").read_text(encoding="utf-8"))
    assert [each["right"] for each in document["accuracies"]] == [a.right for a in saved.accuracies]


def test_a_folder_of_images_is_named_again() -> None:
    saved = _saved("--weights", "colors.pt", "--on", "null")
    assert saved.accuracies == ()
    assert saved.notes == (
        "Accuracy was not measured: colors.pt: was trained on the images of 'pictures', which are not at "
        "hand; --data DIR names their folder.",
    )
    Path("pictures").rename("moved")
    try:
        (accuracy,) = _saved("--weights", "colors.pt", "--on", "onnxruntime", "--data", "moved").accuracies
        data = image_folder(Path("moved"), (16, 16))
    finally:
        Path("moved").rename("pictures")
    assert (accuracy.data, accuracy.images) == ("pictures", 4)
    assert accuracy.wrong == _wrong_in_pytorch("colors.pt", data.held_images[:], data.held_labels)


def test_the_images_are_those_that_were_held_out_at_any_input_size() -> None:
    weights = read_weights(Path("digits.pt"))
    table, data = some(weights.table), digits((20, 24))
    found = held_out(subject(table, (20, 24), weights.weights), None)
    assert np.array_equal(found.images, data.held_images[:].numpy())
    assert found.labels == tuple(data.held_labels.tolist())


def test_many_held_out_images_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnv3prof.train.held_out.MOST_IMAGES", 180)
    weights = read_weights(Path("digits.pt"))
    found, data = held_out(subject(some(weights.table), 16, weights.weights), None), digits((16, 16))
    assert len(found.labels) == len(found.images) == 180
    assert np.array_equal(found.images[[0, 179]], data.held_images[torch.tensor([0, 358])].numpy())


def test_other_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An image more would move training images among the held-out ones."""
    for place in Path("pictures").rglob("*.png"):
        (tmp_path / place.parent).mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(place.read_bytes())
    Image.new("RGB", (16, 16)).save(tmp_path / "pictures" / "red" / "more.png")
    for weights, folder, says in (
        ("colors.pt", str(tmp_path / "pictures"), "differs from the data that colors.pt was trained on"),
        ("digits.pt", "pictures", 'pictures: differs from the data that digits.pt was trained on, "scikit'),
        ("colors.pt", "missing", "missing: no such folder; expected a folder with one folder of images"),
    ):
        assert run(["latency", "--weights", weights, "--data", folder, "--on", "cpu", *NET_ONLY]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--data: random weights have no accuracy; expected --weights FILE too"),
        (
            ["--weights", "bare.pt"],
            "--data: bare.pt does not tell its training images; expected a checkpoint",
        ),
        (["--weights", "colors.pt", "--parts", "stem"], "--data: the whole network is not among the parts"),
    ],
)
def test_data_without_use_are_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(read_weights(Path("colors.pt")).state, "bare.pt")
    source = ["net.toml", "--classes", "2"] if "bare.pt" in arguments else []
    assert run(["latency", *source, *arguments, "--data", "pictures", "--on", "null"]) == 2
    assert says in capsys.readouterr().err


def test_without_weights_or_network_nothing_is_said() -> None:
    random = _saved("net.toml", "--input", "16", "--on", "null")
    assert (random.accuracies, random.notes) == ((), ())
    block = ["--parts", "1", "--on", "null", "--time-budget", "0.1"]
    assert run(["latency", "--weights", "digits.pt", *block, "-o", "run.json"]) == 0
    assert (read_run("run.json").accuracies, read_run("run.json").notes) == ((), ())


def test_digits_that_differ_are_a_note() -> None:
    changed = {**torch.load("digits.pt", weights_only=True), "digest": "0" * 64}
    torch.save(changed, "changed.pt")
    saved = _saved("--weights", "changed.pt", "--on", "null")
    (note,) = saved.notes
    assert note.startswith("Accuracy was not measured: scikit-learn's digits: differs from the data that ")
    assert "--data" not in note


def test_what_cannot_classify_is_a_row_and_an_interrupt_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    null = ["--weights", "digits.pt", "--on", "null"]
    (accuracy,) = _saved(*null).accuracies
    assert (accuracy.images, accuracy.reason) == (0, "it runs no network")
    profile = ["profile", *null, *NET_ONLY, "-o", "run.json"]
    Path("run.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(classifying, "_classes", _interrupt)
        assert run(profile) == 130
    interrupted = read_run("run.json")
    assert (interrupted.accuracies, interrupted.notes) == ((), (CLASSIFYING_INTERRUPTED,))
    assert run([*profile, "--resume"]) == 0
    resumed = read_run("run.json")
    assert (len(resumed.accuracies), resumed.notes) == (1, ())


def _interrupt(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_an_answer_that_is_not_finite_is_wrong() -> None:
    scores = np.array([[0.0, np.nan], [0.5, 0.1], [np.inf, 0.0]], np.float32)
    assert _classes(scores, 3) == [-1, 0, -1]
    assert _classes(torch.tensor([[0.0, 2.0]], dtype=torch.bfloat16), 1) == [1]


@given(st.integers(1, 2000), st.floats(0, 1))
def test_the_interval_is_scipys(images: int, share: float) -> None:
    right = round(share * images)
    expected = scipy_stats.binomtest(right, images).proportion_ci(0.95, "wilson")
    assert wilson(right, images) == pytest.approx((expected.low, expected.high), abs=1e-6)


def _accuracy(target: Target, wrong: Any = (), images: int = 400, **fields: Any) -> Accuracy:
    return Accuracy(target=target, data="made", images=images, wrong=tuple(sorted(wrong)), **fields)


@given(st.sets(st.integers(0, 399), max_size=60), st.sets(st.integers(0, 399), max_size=60))
def test_the_difference_is_judged_as_scipy_does(old: set[int], new: set[int]) -> None:
    found = some(difference(_accuracy(FP32, old), _accuracy(INT8, new)))
    assert (found.gained, found.lost) == (len(old - new), len(new - old))
    others = found.gained + found.lost
    assert found.p == pytest.approx(scipy_stats.binomtest(found.lost, others).pvalue if others else 1)


def test_a_difference_by_hand() -> None:
    """Nine images are lost and one is gained: p = 2 (1 + 10) / 2^10; of five lost, p = 2 / 2^5 = 0.0625."""
    nine = some(difference(_accuracy(FP32, [0]), _accuracy(INT8, range(1, 10))))
    assert (nine.gained, nine.lost, nine.p, nine.significant) == (1, 9, 22 / 1024, True)
    five = some(difference(_accuracy(FP32), _accuracy(INT8, range(5))))
    assert (five.p, five.significant) == (0.0625, False)
    assert difference(_accuracy(FP32), _accuracy(INT8, images=300)) is None


def _shown(old: Any, new: Any) -> Any:
    weights = Weights("made.pt", "0" * 64, "made", 0.9)
    timings = [exact("onnxruntime", NET, 2e-3), exact("onnxruntime", NET, 1e-3, dtype="int8")]
    return run_of(subject("small", 32, weights), timings, accuracies=(old, new))


@pytest.mark.parametrize(
    ("old", "new", "sentence", "cell"),
    [
        (
            range(10),
            range(2, 14),
            "onnxruntime, int8: 97.0% of 400 held-out images right (94.8% to 98.3%), fp32 97.5%; "
            "the difference is not significant (p = 0.69).",
            "-0.5 points, not significant (p = 0.69)",
        ),
        (
            [0],
            range(1, 10),
            "onnxruntime, int8: 97.8% of 400 held-out images right (95.8% to 98.8%), fp32 99.8%; the "
            "difference is significant (p = 0.021): 9 images are right only in fp32, 1 only in int8.",
            "-2.0 points, significant (p = 0.021)",
        ),
        (
            [3],
            [3],
            "onnxruntime, int8: 99.8% of 400 held-out images right (98.6% to 100.0%), fp32 99.8%; the same "
            "images are right.",
            "+0.0 points, the same images are right",
        ),
    ],
)
def test_the_answer_says_what_int8_costs(old: Any, new: Any, sentence: str, cell: str) -> None:
    made = _shown(_accuracy(FP32, old), _accuracy(INT8, new))
    (sheet,) = (sheet for sheet in answer_sheets(made) if sheet.title.startswith("Does int8 help?"))
    assert sentence in sheet.notes
    (table,) = accuracy_sheets(made)
    assert table.title == "Accuracy on 400 held-out images"
    assert table.rows[0][-1] is None
    assert table.rows[1][-1] == cell


def test_the_accuracy_is_on_the_page_and_in_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = _shown(_accuracy(FP32, [0]), _accuracy(INT8, range(40)))
    path = kept(made, tmp_path / "run.json")
    assert run(["report", str(path), "-o", str(tmp_path / "x.html")]) == 0
    assert "Accuracy on 400 held-out images" in (tmp_path / "x.html").read_text()
    capsys.readouterr()
    assert run(["latency", str(path), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["dtype"], row["accuracy"]) for row in rows} == {("fp32", "0.9975"), ("int8", "0.9")}


def test_a_target_without_an_accuracy_has_its_reason() -> None:
    made = _shown(_accuracy(FP32), Accuracy(target=INT8, data="made", reason="no answer within 3 s"))
    (table,) = accuracy_sheets(made)
    assert table.rows[1] == ("onnxruntime, int8", None, None, None, None, "not measured")
    assert "onnxruntime, int8: no answer within 3 s." in table.notes
    assert not any("held-out" in note for sheet in answer_sheets(made)[:-1] for note in sheet.notes)


def test_weights_of_no_training_have_no_held_out_images() -> None:
    torch.save(read_weights(Path("colors.pt")).state, "bare.pt")
    with pytest.raises(InputError, match=r"bare.pt: is not a checkpoint of mnv3prof train"):
        held_out(subject("small", 16, Weights("bare.pt", "")), None)
