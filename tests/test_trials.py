"""The claims' trainings: epochs within the time limit, saved files, and int8 accuracy."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mnv3prof.claims import accuracy, trials
from mnv3prof.claims.claim import ablations
from mnv3prof.cli.main import run
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.record.findings import Trial
from mnv3prof.show.claims import trials_sheet
from mnv3prof.source import open_source
from mnv3prof.train.data import Data

BASE, BARE = ablations(("K8",))


def _plan(*chosen: Any, **how: Any) -> Any:
    return trials.AblationPlan(chosen or (BASE, BARE), **{"seeds": 1, "epochs": 1, **how})


def _trial(ablation: Any, seed: Any, epochs: Any, *_: Any) -> Any:
    return Trial(
        ablation=ablation.name, seed=seed, data="d", network="n", epochs=epochs, accuracy=0.5, seconds=1.0
    )


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Fake trainings that only record the calls, at two seconds per epoch."""
    asked = []

    def train(ablation: Any, seed: Any, epochs: Any, *rest: Any) -> Any:
        asked.append((ablation.name, seed, epochs))
        return _trial(ablation, seed, epochs)

    monkeypatch.setattr(trials, "_trial", train)
    monkeypatch.setattr(trials, "_seconds_an_epoch", lambda *_: 2.0)
    return asked


def test_the_limit_sets_the_epochs() -> None:
    """0.85 · 1,500 s, 15 s for each of 6 in 8 bits, over 18 trainings: (1,275 − 90) / 18 = 65.8 s each."""
    plan = _plan(*ablations(), seeds=3, epochs=40, limit_s=1500.0)
    wanted = [(ablation, seed) for seed in range(3) for ablation in plan.ablations]
    assert len(wanted) == 18
    assert trials.affordable(plan, wanted, 2.0) == 32
    assert trials.affordable(plan, wanted, 1.0) == 40  # the most
    assert trials.affordable(plan, wanted, 1000.0) == 1  # the least


def test_an_arm_changes_one_thing_of_the_recipe() -> None:
    by_name = {ablation.name: trials.recipe_of(ablation, 7, 40, 2) for ablation in ablations()}
    base = by_name[accuracy.BASE]
    assert (base.optimizer, base.lr, base.warmup_epochs, base.label_smoothing) == ("rmsprop", 0.01, 5, 0.1)
    assert (base.seed, base.epochs, base.threads, base.autoaugment) == (7, 40, 2, False)
    assert (by_name["Adam at 0.001"].optimizer, by_name["Adam at 0.001"].lr) == ("adam", 0.001)
    assert by_name["no label smoothing"].label_smoothing == 0
    assert by_name["ReLU everywhere"] == by_name["without SE"] == by_name["the bare pair"] == base
    assert trials.recipe_of(ablations()[0], 0, 6, 1).warmup_epochs == 1


def test_the_networks_of_the_arms_differ_by_what_they_say() -> None:
    small = trials.trained_table()
    changed = {ablation.name: ablation.change(small) for ablation in ablations()}
    assert changed[accuracy.BASE] == small
    assert {row.activation for row in changed["ReLU everywhere"].rows} == {"RE"}
    assert not any(row.se for row in changed["without SE"].rows)
    assert changed["the bare pair"].norm_between is False


def test_every_seed_is_trained_with_every_arm_and_kept_after_each(quick: Any) -> None:
    kept: list[Any] = []
    found = trials.train_ablations(_plan(seeds=2, epochs=9), on_update=kept.append)
    assert quick == [(BASE.name, 0, 9), (BARE.name, 0, 9), (BASE.name, 1, 9), (BARE.name, 1, 9)]
    assert [len(one) for one in kept] == [1, 2, 3, 4]
    assert kept[-1] == found.trials
    assert not found.interrupted


def test_what_is_known_is_not_trained_again_and_sets_the_epochs(quick: Any) -> None:
    known = (_trial(BASE, 0, 5), _trial(BARE, 0, 5))
    found = trials.train_ablations(_plan(seeds=2, epochs=9), known)
    assert quick == [(BASE.name, 1, 5), (BARE.name, 1, 5)]
    assert found.trials[:2] == known
    quick.clear()
    assert trials.train_ablations(_plan(seeds=2, epochs=9), found.trials) == (found.trials, False)
    assert quick == []


def test_what_is_missing_is_said() -> None:
    sheet = trials_sheet([_trial(BASE, 0, 5), _trial(BARE, 0, 5), _trial(BASE, 1, 5)])
    assert sheet.notes[0] == "Not trained: the bare pair with seed 1. Train again to add them."
    assert "Not trained" not in " ".join(trials_sheet([_trial(BASE, 0, 5), _trial(BARE, 0, 5)]).notes)


def test_the_limit_ends_it_with_what_there_is(quick: Any) -> None:
    found = trials.train_ablations(_plan(seeds=3, limit_s=0.5))
    assert [t.ablation for t in found.trials] == [BASE.name]  # the next would take a second, as the first did


def test_an_interrupt_leaves_what_there_is(quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(ablation: Any, seed: Any, epochs: Any, *rest: Any) -> Any:
        if ablation is BARE:
            raise KeyboardInterrupt
        return _trial(ablation, seed, epochs)

    monkeypatch.setattr(trials, "_trial", train)
    found = trials.train_ablations(_plan())
    assert ([t.ablation for t in found.trials], found.interrupted) == ([BASE.name], True)


def _predicted(shift: Any) -> Any:
    """A small network, and images whose labels are its own predictions, or others."""
    row = Row(16, 8, 3, 1, True, "HS")
    model = build(Table(name="t", stem=8, rows=(row,), last=16, classes=4))
    images = torch.randn(70, 3, 16, 16)
    model(images)  # moves the batch norms' statistics
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = None
    model(images)
    model.eval()
    # The head's small weights make all classes alike: larger ones make decided predictions.
    with torch.no_grad():
        model.classifier[3].weight.mul_(100)  # type: ignore[operator]
        labels = (model(images).argmax(1) + shift) % 4
    return model, Data("made up", tuple("abcd"), images, labels, images, labels, (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(("shift", "right"), [(0, True), (1, False)])
def test_8_bits_are_run_for_real(shift: int, right: bool) -> None:
    """70 images: the last batch of 32 is filled up, and its filling not counted."""
    model, data = _predicted(shift)
    found, reason = trials.in_8_bits(model, data)
    assert reason == ""
    assert found == pytest.approx(1.0 if right else 0.0, abs=0.2)
    assert found * 70 == pytest.approx(round(found * 70))  # type: ignore[operator]


def test_8_bits_without_the_runtime_are_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnv3prof.workers.backends import backend

    monkeypatch.setattr(backend("onnxruntime"), "PACKAGE", "no-such-package")
    reason = "no-such-package is not installed: pip install 'mnv3prof[onnxruntime]'"
    assert trials.in_8_bits(*_predicted(0)) == (None, reason)


def test_a_training_that_diverges_is_a_row_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnv3prof.train import recipe

    def train(table: Table, data: Any, how: Any, **_: Any) -> Any:
        return recipe.Trained(build(table), (), float("nan"), "epoch 1: the loss is no longer finite")

    monkeypatch.setattr(trials, "_seconds_an_epoch", lambda *_: 1.0)
    monkeypatch.setattr(recipe, "train", train)
    (found,) = trials.train_ablations(_plan(BASE._replace(quantized=True))).trials
    assert (found.accuracy, found.int8) == (None, None)
    assert "no longer finite" in found.reason


def test_train_on_the_command_line_for_real(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One epoch, one seed: saved, resumed, and too little for a verdict."""
    path = tmp_path / "found.json"
    command = ["claims", "K8", "--train", "--epochs", "1", "--seeds", "1"]
    assert run([*command, "-o", str(path)]) == 0
    (evidence,) = open_source(str(path)).evidence
    assert [(t.ablation, t.seed, t.epochs, t.held) for t in evidence.trials] == [
        (BASE.name, 0, 1, 359),
        (BARE.name, 0, 1, 359),
    ]
    assert all(0 <= t.accuracy <= 1 and t.seconds > 0 for t in evidence.trials)  # type: ignore[operator]
    (finding,) = json.loads(path.read_text(encoding="utf-8"))["findings"]
    assert finding["verdict"] == "no evidence"
    assert "below the 90% needed for a comparison" in finding["why"]
    assert run(command) == 0  # kept: nothing is trained
    printed = capsys.readouterr().out
    assert "Digits are ten easy classes" in printed
    assert "75.2 %" in printed
    assert f"{evidence.trials[0].seconds:.2f}" in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--epochs", "0"], "--epochs: 0 is not allowed"),
        (["--seeds", "0"], "--seeds: 0 is not allowed"),
        (["--threads", "0", "--measure"], "--threads: 0 is not allowed"),
        (["--threads", "2"], "--on, --threads and --time-budget require --measure"),
        (["--seeds", "some"], "'some' is not an integer"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(
    arguments: list[Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["claims", "--train", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("code", ["RE", "R6", "HS", "HS-RELU6", "HS-CLAMP", "SW"])
def test_a_network_of_any_activation_can_be_trained(code: str) -> None:
    """Dropout in place would overwrite what ReLU's backward needs."""
    row = Row(16, 8, 3, 1, True, code)
    table = Table(
        name="t", stem=8, rows=(row,), last=8, classes=2, stem_activation=code, head_activation=code
    )
    model = build(table)
    model(torch.randn(2, 3, 16, 16)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
