"""`train` as a user runs it, and its weights in `latency`, `export` and `profile`."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from subjects import no_regular_file, read_run, subject

from mnv3prof.cli.main import run
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.run import Weights
from mnv3prof.source import read_table
from mnv3prof.train import data
from mnv3prof.workers import cache
from mnv3prof.workers.parts import make_parts
from mnv3prof.workers.requests import FileKind
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
QUICK = ["--epochs", "2", "--no-autoaugment", "--input", "16"]
NULL = ["--on", "null", "--parts", "net", "--time-budget", "0.1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with net.toml, and net.pt trained from it on the digits."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "net.toml").write_text(TABLE, encoding="utf-8")
    assert run(["train", str(folder / "net.toml"), *QUICK, "-o", str(folder / "net.pt")]) == 0
    return folder


@pytest.fixture
def here(place: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(place)
    return place


def _json(arguments: Any, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    assert run([*arguments, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def _refused(arguments: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def _trained(path: Path) -> Any:
    found = read_weights(path)
    model = build(found.table).eval()  # type: ignore[arg-type]
    model.load_state_dict(found.state)
    return model, found


def test_training_says_what_it_did(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(["train", "net.toml", *QUICK, "-o", "again.pt"], capsys)
    assert found["table"]["classes"] == 10
    assert found["input"] == [16, 16]
    assert (found["trained_on"], found["held_out"], found["steps"]) == (1438, 359, 44)
    assert [epoch["number"] for epoch in found["history"]] == [1, 2]
    assert [epoch["lr"] for epoch in found["history"]] == [0.002, 0.004]
    assert found["accuracy"] == found["history"][-1]["accuracy"] > 0.15  # 44 small steps beat chance
    assert found["history"][1]["loss"] < found["history"][0]["loss"]
    assert found["recipe"]["optimizer"] == "rmsprop"
    # The same seed: the same weights as the fixture's, to the bit.
    assert (
        torch.load("again.pt", weights_only=True)["state_dict"].keys()
        == read_weights(here / "net.pt").state.keys()
    )
    for key, value in read_weights(here / "net.pt").state.items():
        assert torch.equal(value, read_weights(here / "again.pt").state[key])


def test_every_switch_reaches_the_recipe(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    switches = ["--optimizer", "adam", "--no-warmup", "--no-cosine", "--no-label-smoothing", "--seed", "3"]
    arguments = ["train", "net.toml", "--input", "8", "--no-autoaugment", *switches, "--batch-size", "600"]
    found = _json([*arguments, "--epochs", "1", "--lr", "0.003", "-o", "adam.pt"], capsys)
    assert found["recipe"] == {
        "epochs": 1,
        "batch": 600,
        "optimizer": "adam",
        "lr": 0.003,
        "warmup_epochs": 0,
        "cosine": False,
        "alpha": 0.9,
        "eps": 1e-3,
        "momentum": 0.0,
        "label_smoothing": 0.0,
        "autoaugment": False,
        "seed": 3,
        "threads": 1,
    }
    assert found["steps"] == 2


def test_people_read_the_epochs_and_what_the_accuracy_means(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "slow.toml").write_text(TABLE.replace("0.1", "0.01"), encoding="utf-8")
    assert run(["train", "slow.toml", *QUICK, "--batch-size", "700", "-o", "slow.pt"]) == 0
    text = capsys.readouterr().out
    assert "tiny, 10 classes at 16×16: trained on scikit-learn's digits" in text
    assert "of 359 held-out images; trained on 1,438 other images of 10 classes." in text
    # 0.99 ^ 4 = 0.9606
    assert "After 4 steps the initial values still make up 96% of batch norm's running averages" in text
    assert "Weights: slow.pt, for latency, profile, report and export." in text
    assert (
        run(
            [
                "train",
                "net.toml",
                *QUICK,
                "--epochs",
                "30",
                "--batch-size",
                "1438",
                "--input",
                "8",
                "-o",
                "l.pt",
            ]
        )
        == 0
    )
    text = capsys.readouterr().out
    assert "Every second epoch is shown; CSV has all." in text
    assert [line.split()[0] for line in text.splitlines()[3:18]] == [str(n) for n in range(2, 31, 2)]


def test_a_training_whose_loss_is_no_number_exits_with_1(
    here: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = data.digits((8, 8))
    broken = whole._replace(train_images=whole.train_images * float("nan"))  # type: ignore[arg-type, operator]
    monkeypatch.setattr(data, "digits", lambda size: broken)
    arguments = ["train", "net.toml", *QUICK, "--input", "8", "-o", "nan.pt"]
    found = _json(arguments, capsys, code=1)
    assert found["stopped"].startswith("epoch 1: the loss is no longer finite; ")
    assert (found["history"], found["accuracy"]) == ([], None)
    assert run(arguments) == 1
    text = capsys.readouterr().out
    assert "No epoch was finished." in text
    assert "Stopped in epoch 1: the loss is no longer finite; " in text
    assert not (here / "nan.pt").exists()


def test_a_folder_of_images_is_learnt_and_its_bad_files_named(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (here / "pictures" / name).mkdir(parents=True)
        for n in range(10):
            Image.new("RGB", (20, 20), tuple(c + n for c in color)).save(
                here / "pictures" / name / f"{n}.png"
            )
    (here / "pictures" / "red" / "bad.png").write_bytes(b"no")
    (here / "pictures" / "red" / "worse.png").write_bytes(b"no")
    arguments = ["train", "net.toml", "--data", "pictures", *QUICK, "--batch-size", "8", "-o", "colors.pt"]
    found = _json(arguments, capsys)
    assert found["classes"] == ["blue", "red"]
    assert found["table"]["classes"] == 2
    assert [file for file, _ in found["skipped"]] == ["pictures/red/bad.png", "pictures/red/worse.png"]
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert "Skipped, not an image: pictures/red/bad.png (UnidentifiedImageError: " in text
    assert "and 1 more, which the JSON document lists." in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "train: --output FILE.pt is required"),
        (["-o", "x.json"], "x.json: is not a file of weights; expected a name that ends in .pt or .pth"),
        (["-o", "no/x.pt"], "no/x.pt: the folder no does not exist"),
        (
            ["-o", "x.pt", "--data", "missing"],
            "missing: no such folder; expected a folder with one folder of images",
        ),
        (["-o", "x.pt", "--batch-size", "1"], "batch: 1 is not allowed; expected a number from 2 to"),
        (["-o", "x.pt", "--lr", "0"], "lr: 0.0 is not allowed"),
        (["-o", "x.pt", "--optimizer", "sgd"], "expected rmsprop or adam"),
        (["-o", "x.pt", "--classes", "7"], "classes: scikit-learn's digits has 10, the network 7"),
        (["-o", "x.pt", "--input", "9000"], "digits: 1,797 images take"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_trained(
    arguments: list[Any], says: str, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in _refused(["train", "net.toml", *arguments], capsys)
    assert not (here / "x.pt").exists()


def test_what_is_no_checkpoint_is_refused(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "junk.pt").write_bytes(b"not weights")
    torch.save([1, 2], here / "list.pt")
    torch.save({"a": 1}, here / "plain.pt")
    torch.save(torch.nn.Linear(1, 1), here / "module.pt")
    half = (here / "net.pt").read_bytes()
    (here / "half.pt").write_bytes(half[: len(half) // 2])
    for name, says in {
        "junk": "junk.pt: is not a weights file (",
        "half": "half.pt: is not a weights file (",
        "module": "module.pt: holds a pickled torch.nn.modules.linear.Linear, which would run code; save model.",
        "list": "list.pt: holds a list; expected a checkpoint of train, or a state_dict",
        "plain": "plain.pt: holds no weights; expected a checkpoint of train, or a state_dict",
        "gone": "gone.pt: cannot be read (No such file or directory)",
    }.items():
        assert says in _refused(["latency", "--weights", f"{name}.pt"], capsys)
    assert "junk.pt: is not a weights file" in _refused(
        ["train", "net.toml", "--resume", "-o", "junk.pt"], capsys
    )
    torch.save(torch.nn.Linear(1, 1).state_dict(), here / "linear.pt")
    refused = _refused(["train", "net.toml", *QUICK, "--resume", "-o", "linear.pt"], capsys)
    assert "linear.pt: is not a checkpoint of mnv3prof train" in refused


def _edited(here: Any, **change: Any) -> None:
    torch.save({**torch.load(here / "net.pt", weights_only=True), **change}, here / "edited.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"input": torch.ones(3)},
        {"input": "x"},
        {"input": [0, 5]},
        {"input": None},
        {"data": 7},
        {"data": "x" * 10_000},
        {"accuracy": "0.5"},
        {"accuracy": 7.0},
        {"accuracy": None},
        {"table": b"{}"},
        {"table": "{}"},
        {"table": "[" * 9_999},
        {"state_dict": {}},
        {"state_dict": {1: torch.ones(1)}},
        {"state_dict": {"\x1b]0;owned\x07\x1b[2J": torch.ones(1)}},
        {"images": "x"},
        {"images": torch.ones(3)},
        {"images": torch.ones(1, 3, 16, 16, dtype=torch.int64)},
        {"images": torch.full((1, 3, 16, 16), torch.nan)},
        {"images": torch.ones(1).expand(10**6, 3, 16, 16)},
        {"classes": 3},
        {"mean": "x"},
        {"recipe": 1},
        {"state_dict": {"a": torch.ones(2).to_sparse()}},
    ],
    ids=range(24),
)
def test_a_checkpoint_of_any_content_is_one_sentence(
    change: Any, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _edited(here, **change)
    said = _refused(["latency", "--weights", "edited.pt", *NULL], capsys)
    assert said.startswith("mnv3prof: edited.pt: ")
    assert len(said) <= 301
    assert said.strip().isprintable()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": "x"}, "edited.pt: recipe: is damaged"),
        ({"recipe": '{"lr": 0}'}, "edited.pt: recipe: is damaged: lr: 0"),
        ({"history": "[1]"}, "edited.pt: history: is damaged"),
        ({"history": "[]" * 2}, "edited.pt: history: is damaged"),
        ({"state_dict": {}}, "edited.pt: is damaged: state_dict"),
        ({"state_dict": {"a": torch.ones(1)}}, "edited.pt: does not fit tiny"),
        ({"optimizer": 1}, "edited.pt: is damaged: optimizer"),
        ({"optimizer": {}}, "edited.pt: is damaged: optimizer; expected the state of each parameter"),
        ({"optimizer": {"state": {0: {"step": 1}}, "param_groups": 1}}, "edited.pt: is damaged: optimizer"),
    ],
)
def test_a_training_goes_on_from_no_damaged_checkpoint(
    change: Any, says: str, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _edited(here, **change)
    before = (here / "edited.pt").read_bytes()
    assert says in _refused(["train", "net.toml", *QUICK, "--resume", "-o", "edited.pt"], capsys)
    assert (here / "edited.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"classifier.3.bias": torch.tensor(1.0)}, "x.pt: does not fit"),
        ({"classifier.3.bias": torch.zeros(0)}, "x.pt: does not fit"),
        (
            {"conv_stem.weight": torch.ones(1)},
            "x.pt: has timm's names (conv_stem.weight), MobileNetV3-Large those of torchvision; expected",
        ),
        ({"model": {"a": 1}}, "x.pt: holds no weights; expected"),
        ({}, "x.pt: holds no weights; expected"),
    ],
)
def test_weights_that_are_of_no_table_name_their_file(
    state: Any, says: str, here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state, here / "x.pt")
    assert says in _refused(["latency", "--weights", "x.pt", *NULL], capsys)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": state, "epoch": 3},
        lambda state: {"state_dict": {f"_orig_mod.module.{name}": t for name, t in state.items()}},
    ],
)
def test_what_others_put_around_a_state_dict_is_taken_off(wrap: Callable[..., Any], here: Any) -> None:
    state = _trained(here / "net.pt")[1].state
    torch.save(wrap(state), here / "x.pt")
    found = read_weights(here / "x.pt").state
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_torchvisions_scaling_is_named(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    scaled = vary(read_table("small"), width=0.75, width_rule="torchvision")
    torch.save(build(scaled).state_dict(), here / "x.pt")
    arguments = ["latency", "small", "--weights", "x.pt", "--width", "0.75", *NULL, "--input", "32"]
    says = "x.pt: was scaled by another rule; expected --width-rule torchvision"
    assert says in _refused(arguments, capsys)
    assert run([*arguments, "--width-rule", "torchvision"]) == 0


def test_an_archive_is_measured_before_it_is_inflated(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    source = zipfile.ZipFile(here / "net.pt")
    with zipfile.ZipFile(here / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in source.namelist():
            large = name.endswith("/data/0")
            bomb.writestr(name, bytes(100 << 20) if large else source.read(name))
    assert "bytes inflate to 104," in _refused(["latency", "--weights", "bomb.pt", *NULL], capsys)


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
def test_weights_are_a_regular_file(
    kind: Any, here: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pt"
    no_regular_file(path, kind)
    says = r"x.pt: is (not a regular file|a directory); expected"
    assert re.search(says, _refused(["latency", "--weights", str(path), *NULL], capsys))
    if kind != "folder":
        assert re.search(says, _refused(["train", "net.toml", *QUICK, "--resume", "-o", str(path)], capsys))


def test_a_table_that_the_weights_are_not_of_is_refused(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["latency", "--weights", "net.pt"]
    says = "net.pt: holds the weights of tiny, 10 classes, which differs from MobileNetV3-Small, 10 classes in rows"
    assert says in _refused([*arguments, "small"], capsys)
    assert "in conv; omit the source and its options" in _refused([*arguments, "--standard-conv"], capsys)
    assert "in classes" in _refused([*arguments, "--classes", "4"], capsys)
    torch.save(read_weights(here / "net.pt").state, here / "bare.pt")  # it tells no table
    refused = _refused(["export", "small", "--weights", "bare.pt", "-o", "x.onnx"], capsys)
    assert (
        "bare.pt: does not fit MobileNetV3-Small, 10 classes: it lacks features.3.block.0.0.weight (and "
        in refused
    )
    (here / "wide.toml").write_text(TABLE.replace("last = 16", "last = 32"), encoding="utf-8")
    refused = _refused(["export", "wide.toml", "--weights", "bare.pt", "-o", "x.onnx"], capsys)
    assert "classifier.0.weight is 16×48, not 32×48 (and 2 more)" in refused


@pytest.mark.parametrize("table", [[], ["net.toml"]])
def test_the_exported_file_answers_as_the_trained_network_does(
    table: list[Any], here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    found = _json(["export", *table, "--weights", "net.pt", "-o", "net.onnx"], capsys)
    assert found["weights"]["sha256"] == read_weights(here / "net.pt").weights.sha256
    model, weights = _trained(here / "net.pt")
    session = onnxruntime.InferenceSession("net.onnx")
    assert session.get_inputs()[0].shape[2:] == [16, 16]  # the checkpoint's input
    for image in weights.images:
        (output,) = session.run(None, {"x": image[None].numpy()})
        with torch.no_grad():
            assert np.abs(output - model(image[None]).numpy()).max() < 1e-5


def test_parts_have_the_trained_weights_and_see_what_they_were_trained_on(here: Any) -> None:
    model, found = _trained(here / "net.pt")
    parts = make_parts(subject(found.table, (16, 16), found.weights), 3)
    net = parts["net"]
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in net.module.state_dict().items())
    assert torch.equal(net.given[0], found.images[:3])
    assert len(net.calibration[0]) == 9
    assert torch.equal(net.calibration[0][8], found.images[0])  # eight are kept
    with torch.no_grad():
        assert torch.equal(net.expected[0], model(*net.given))
    assert torch.equal(parts["2"].given[0], parts["1"].expected[0])
    larger = make_parts(subject(found.table, (20, 24), found.weights))
    assert larger["net"].given[0].shape == (1, 3, 20, 24)


def test_torchvisions_state_dict_is_taken_too(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import torchvision_oracle

    model = torchvision_oracle.mobilenet_v3_small(num_classes=7).eval()
    torch.save(model.state_dict(), here / "torchvision.pth")
    found = _json(["latency", "small", "--weights", "torchvision.pth", "--input", "32", *NULL], capsys)
    assert found["graphs"][""]["table"]["classes"] == 7
    assert (found["graphs"][""]["weights"]["data"], found["graphs"][""]["weights"]["accuracy"]) == ("", None)
    weights = read_weights(here / "torchvision.pth").weights
    net = make_parts(subject(vary(read_table("small"), classes=7), 32, weights), 2)["net"]
    with torch.no_grad():
        assert torch.equal(net.expected[0], model(*net.given))


def test_a_run_says_whose_weights_it_timed(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--parts", "net", "--on", "onnxruntime", "--time-budget", "0.1"]
    assert run(["profile", "--weights", "net.pt", *arguments, "-o", "run.json"]) == 0
    text = capsys.readouterr().out
    weights = read_weights(Path("net.pt")).weights
    says = f"Weights: net.pt (SHA-256 {weights.sha256[:12]}), trained on scikit-learn's digits, "
    assert f"{says}{weights.accuracy:.1%} accuracy on held-out images." in " ".join(text.split())
    assert read_run(here / "run.json").subject.weights == weights
    assert json.loads((here / "run.json").read_bytes())["graphs"][""]["weights"]["file"] == "net.pt"
    assert run(["latency", "run.json"]) == 0
    assert says in capsys.readouterr().out
    resume = ["profile", *arguments, "--resume", "-o", "run.json"]
    assert run([*resume, "--weights", "net.pt"]) == 0
    capsys.readouterr()
    refused = _refused([*resume, "net.toml", "--classes", "10", "--input", "16"], capsys)
    assert "run.json: is a run with net.pt; expected with --resume the same weights" in refused
    refused = _refused(["latency", "run.json", "--weights", "net.pt"], capsys)
    assert "--weights: run.json is a saved run, whose weights cannot be changed" in refused


def test_a_report_says_whose_weights_it_is_about(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--weights", "net.pt", "--no-latency", "-o", "page.html"]) == 0
    sha256 = read_weights(here / "net.pt").weights.sha256
    page = (here / "page.html").read_text(encoding="utf-8")
    assert f"Weights: net.pt (SHA-256 {sha256[:12]}), trained on scikit-learn" in page
    capsys.readouterr()
    refused = _refused(["report", "page.html", "--weights", "net.pt"], capsys)
    assert "--weights: page.html is a saved run, whose weights cannot be changed" in refused


def test_a_run_with_random_weights_says_none(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(["latency", "net.toml", "--input", "16", *NULL], capsys)["graphs"][""]["weights"] is None


def test_a_converted_part_is_kept_apart_for_each_weights(here: Any) -> None:
    digests = (None, "a" * 64, "b" * 64)
    nets = [subject("net.toml", 16, digest and Weights("w.pt", digest)) for digest in digests]
    assert len({cache.key(net, "net", FileKind("onnx", "fp32", 1)) for net in nets}) == 3


def test_weights_that_change_under_a_run_are_a_row_with_a_reason(here: Any) -> None:
    found = read_weights(here / "net.pt")
    stale = type(found.weights)(found.weights.file, "0" * 64)
    with pytest.raises(ValueError, match=r"net\.pt: has changed meanwhile"):
        make_parts(subject(found.table, 16, stale))
