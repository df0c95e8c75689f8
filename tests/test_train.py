"""The recipe: schedule, loss and optimizer by hand formulas, and killed trainings."""

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from msgspec.structs import replace

from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.source import read_table
from mnv3prof.train.batches import augment, augmented_batches, derived_seed, order, plain_batches
from mnv3prof.train.checkpoint import read_checkpoint
from mnv3prof.train.data import Data
from mnv3prof.train.recipe import Recipe, accuracy, learning_rate, make_optimizer, train

TINY = Table(
    name="tiny",
    stem=8,
    last=16,
    classes=3,
    bn_momentum=0.1,
    rows=(Row(8, 8, 3, 1, True, "RE"), Row(16, 8, 3, 2, False, "HS")),
)
PLAIN = Recipe(epochs=3, batch=8, autoaugment=False)


def tiny_data(count: int = 24, size: Any = (12, 16)) -> Any:
    """Three classes that differ in the images' mean."""
    chance = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % 3
    images = torch.randn(count, 3, *size, generator=chance) + 2 * labels.view(-1, 1, 1, 1)
    held = slice(0, 6)
    return Data("noise", ("a", "b", "c"), images, labels, images[held], labels[held], (0.5,) * 3, (0.25,) * 3)


def _states_equal(one: Any, other: Any) -> Any:
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)


def test_the_learning_rate_epoch_by_epoch() -> None:
    """Worked by hand: fifths of 0.01, then 0.01 (1 + cos(k · 36°)) / 2, cos 36° = (1 + √5) / 4."""
    c = (1 + math.sqrt(5)) / 4  # cos 36°; cos 72° = c − 1/2
    by_hand = [0.002, 0.004, 0.006, 0.008, 0.01, 0.01]
    by_hand += [0.005 * (1 + c), 0.005 * (0.5 + c), 0.005 * (1.5 - c), 0.005 * (1 - c)]
    rates = [learning_rate(Recipe(epochs=10), epoch) for epoch in range(10)]
    assert rates == pytest.approx(by_hand, rel=1e-12)
    assert rates[6:] == pytest.approx([0.00904508, 0.00654508, 0.00345492, 0.000954915], rel=1e-5)


def test_the_learning_rate_is_pytorchs_own_schedulers() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.01)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=4)
    theirs = []
    for _ in range(5):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        warm.step()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.01)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=35)
    for _ in range(35):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    assert [learning_rate(Recipe(), epoch) for epoch in range(40)] == pytest.approx(theirs, rel=1e-9)


def test_each_part_of_the_schedule_can_be_left_out() -> None:
    flat = Recipe(epochs=7, warmup_epochs=0, cosine=False, lr=0.5)
    assert [learning_rate(flat, epoch) for epoch in range(7)] == [0.5] * 7
    assert learning_rate(Recipe(warmup_epochs=0), 0) == 0.01
    assert learning_rate(Recipe(cosine=False), 39) == 0.01
    assert [learning_rate(Recipe(epochs=2), epoch) for epoch in range(2)] == [0.002, 0.004]
    assert learning_rate(Recipe(epochs=5), 4) == 0.01  # no epoch is left for the cosine


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_a_training_is_the_formulas_step_by_step(optimizer: str) -> None:
    """Label smoothing: −0.9 log p(y) − 0.1 mean over classes of log p. RMSprop: v ← 0.9 v + 0.1 g²,
    w ← w − lr g / (√v + 1e-3). Adam: Kingma & Ba, algorithm 1.
    """
    table, data = replace(TINY, dropout=0.0), tiny_data()
    recipe = replace(PLAIN, optimizer=optimizer, epochs=2)
    torch.manual_seed(derived_seed("weights", recipe.seed))
    model = build(table).train()
    squares = [torch.zeros_like(p) for p in model.parameters()]
    means = [torch.zeros_like(p) for p in model.parameters()]
    losses, count = [], 0
    for epoch, rate in enumerate([0.002, 0.004]):
        for which in order(data, 8, recipe.seed, epoch):
            logs = torch.log_softmax(model(data.train_images[which]), 1)
            true = logs[torch.arange(8), data.train_labels[which]]
            loss = (-0.9 * true - 0.1 * logs.mean(1)).mean()
            losses.append(loss.item())
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            count += 1
            with torch.no_grad():
                for p, v, m in zip(model.parameters(), squares, means, strict=True):
                    if optimizer == "rmsprop":
                        v.mul_(0.9).add_(0.1 * p.grad**2)  # type: ignore[operator]
                        p.sub_(rate * p.grad / (v.sqrt() + 1e-3))  # type: ignore[operator]
                    else:
                        m.mul_(0.9).add_(0.1 * p.grad)  # type: ignore[operator]
                        v.mul_(0.999).add_(0.001 * p.grad**2)  # type: ignore[operator]
                        p.sub_(rate * (m / (1 - 0.9**count)) / ((v / (1 - 0.999**count)).sqrt() + 1e-8))
    found = train(table, data, recipe)
    assert count == 6
    assert [e.loss for e in found.history] == pytest.approx(
        [sum(losses[:3]) / 3, sum(losses[3:]) / 3], rel=1e-4
    )
    ours, theirs = found.model.state_dict(), model.state_dict()
    for key in ours:
        assert torch.allclose(ours[key].float(), theirs[key].float(), rtol=1e-3, atol=1e-4), key
    assert found.accuracy == accuracy(model, data.held_images, data.held_labels) == found.history[-1].accuracy


def test_the_optimizers_settings_are_the_recipes() -> None:
    model = build(TINY)
    group = make_optimizer(model, Recipe(momentum=0.5, alpha=0.99, eps=1e-8, lr=0.1)).param_groups[0]
    assert (group["momentum"], group["alpha"], group["eps"], group["lr"]) == (0.5, 0.99, 1e-8, 0.1)
    assert (group["weight_decay"], group["centered"]) == (0, False)
    assert len(group["params"]) == len(list(model.parameters()))


def test_it_learns_and_says_how() -> None:
    heard: list[Any] = []
    before = torch.get_rng_state()
    found = train(TINY, tiny_data(48), replace(PLAIN, epochs=30), on_progress=heard.append)
    assert found.accuracy == 1
    assert found.stopped == ""
    assert not found.model.training
    assert [e.number for e in found.history] == list(range(1, 31))
    assert found.history[-1].loss < found.history[0].loss
    assert len(heard) == 30 * 6
    assert heard[0].what == "epoch 1 of 30"
    assert heard[6].what.startswith("epoch 2 of 30, ")
    assert heard[0].left_s is None
    assert heard[90].share == 0.5
    assert 0 < heard[-1].left_s < heard[90].left_s
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_decide_and_nothing_else() -> None:
    def state(seed: Any, **how: Any) -> Any:
        return train(TINY, tiny_data(), replace(PLAIN, epochs=1, seed=seed, **how)).model.state_dict()

    first = state(0)
    torch.manual_seed(9)
    assert _states_equal(first, state(0))
    assert not _states_equal(first, state(1))
    assert not _states_equal(first, state(0, label_smoothing=0.0))


def test_every_image_has_its_turn_in_an_order_of_the_epochs_own() -> None:
    data = tiny_data(26)
    orders = [torch.cat(order(data, 8, 0, epoch)).tolist() for epoch in range(20)]
    assert all(len(set(one)) == 24 for one in orders)  # the last two do not fill a batch
    assert len({tuple(one) for one in orders}) == 20
    assert {image for one in orders for image in one} == set(range(26))
    assert [len(batch) for batch in order(tiny_data(5), 8, 0, 0)] == [5]  # fewer images than a batch


def test_autoaugment_changes_each_image_in_its_own_way_by_the_seed() -> None:
    picture = torch.linspace(0, 1, 3 * 16 * 16).view(1, 3, 16, 16)
    images = ((picture.expand(64, -1, -1, -1) - 0.5) / 0.25).numpy()
    first, again, other = (augment(images.copy(), (0.5,) * 3, (0.25,) * 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() >= -2.001 and first.max() <= 2.001  # 0 and 1, normalized
    # 64 equal images through one sub-policy each: many differ, and some were left alone.
    assert len({image.tobytes() for image in first}) > 16
    assert 0 < sum(np.allclose(image, images[0], atol=1e-5) for image in first) < 40


def test_batches_prepared_ahead_are_those_that_would_be_prepared_in_time() -> None:
    data = tiny_data(48)
    with augmented_batches(data, 8, seed=5) as batches:
        next(batches(0))  # one that is given up leaves the next undisturbed
        ahead = list(batches(1))
    assert len(ahead) == 6
    for step, (batch, plain) in enumerate(zip(ahead, plain_batches(data, 8, 5)(1), strict=True)):
        seed = derived_seed("augment", 5, 1, step)
        expected = augment(plain.images.numpy(), data.mean, data.std, seed)
        assert np.array_equal(batch.images.numpy(), expected)
        assert torch.equal(batch.labels, plain.labels)


def test_a_helper_that_dies_ends_in_a_sentence() -> None:
    with augmented_batches(tiny_data(48), 8, seed=5) as batches:
        ahead = batches(0)
        next(ahead)
        for child in psutil.Process().children(recursive=True):
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
        with pytest.raises(InputError, match="the process that augments images has ended"):
            list(batches(1))


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_train import TINY, tiny_data, killed_recipe

def main():
    import psutil
    from mnv3prof.train.recipe import train
    count = 0
    def on_progress(progress):
        nonlocal count
        count += 1
        if count == 9:  # in the second epoch of six steps
            print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    train(TINY, tiny_data(48), killed_recipe(), on_progress=on_progress, checkpoint=Path(sys.argv[1]))

if __name__ == "__main__":
    main()
"""


def killed_recipe() -> Any:
    return Recipe(epochs=3, batch=8)


def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    script, path = tmp_path / "killed.py", tmp_path / "net.pt"
    script.write_text(KILLED, encoding="utf-8")
    command = [sys.executable, str(script), str(path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    helpers = [int(pid) for pid in done.stdout.split()]
    assert helpers  # the process that augments
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in helpers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in helpers if psutil.pid_exists(pid)]
    assert len(read_checkpoint(path).history) > 2
    heard: list[Any] = []
    resumed = train(
        TINY, tiny_data(48), killed_recipe(), on_progress=heard.append, checkpoint=path, resume=True
    )
    assert heard[0].what.startswith("epoch 2 of 3")
    unbroken = train(TINY, tiny_data(48), killed_recipe())
    assert _states_equal(resumed.model.state_dict(), unbroken.model.state_dict())
    assert _states_equal(read_checkpoint(path).state, unbroken.model.state_dict())
    pairs = zip(resumed.history, unbroken.history, strict=True)
    assert all((a.loss, a.lr, a.accuracy) == (b.loss, b.lr, b.accuracy) for a, b in pairs)
    assert [file.name for file in tmp_path.iterdir() if file.name[0] == "."] == []
    once_more = train(TINY, tiny_data(48), killed_recipe(), checkpoint=path, resume=True)
    assert once_more.history == resumed.history  # there was nothing left to do


@pytest.mark.parametrize("how", [{"optimizer": "adam"}, {"momentum": 0.5}])
def test_the_other_optimizers_go_on_too(how: Any, tmp_path: Path) -> None:
    path, recipe = tmp_path / "net.pt", replace(PLAIN, **how)

    class StopError(Exception):
        pass

    def on_progress(progress: Any) -> None:
        if progress.what.startswith("epoch 3"):
            raise StopError

    with pytest.raises(StopError):
        train(TINY, tiny_data(), recipe, on_progress=on_progress, checkpoint=path)
    resumed = train(TINY, tiny_data(), recipe, checkpoint=path, resume=True)
    assert _states_equal(resumed.model.state_dict(), train(TINY, tiny_data(), recipe).model.state_dict())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"recipe": replace(PLAIN, lr=0.02)}, "was trained with lr 0.01, not 0.02; resume requires"),
        ({"recipe": replace(PLAIN, epochs=4)}, "was trained with epochs 3, not 4"),
        ({"table": replace(TINY, name="other", stem=16)}, "was trained as tiny, not as other"),
        ({"table": replace(TINY, se_ratio=8)}, "was trained as another network"),
        ({"data": tiny_data(27)}, "was trained on other data, or at another input size"),
        ({"data": tiny_data(size=(12, 12))}, "was trained on other data, or at another input size"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(change: Any, says: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    given = {"table": TINY, "data": tiny_data(), "recipe": PLAIN}
    train(**given, checkpoint=path)
    with pytest.raises(InputError) as error:
        train(**{**given, **change}, checkpoint=path, resume=True)
    assert says in str(error.value)


def test_a_loss_that_is_not_finite_ends_it_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    path, data = tmp_path / "net.pt", tiny_data()
    found = train(TINY, data, replace(PLAIN, epochs=1), checkpoint=path)
    before = path.read_bytes()
    broken = data._replace(train_images=data.train_images * math.nan)
    found = train(TINY, broken, PLAIN, checkpoint=path)
    assert (
        found.stopped == "epoch 1: the loss is no longer finite; a smaller learning rate or momentum may help"
    )
    assert found.history == ()
    assert math.isnan(found.accuracy)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch", 1),
        ("lr", 0),
        ("lr", math.nan),
        ("label_smoothing", 1.5),
        ("seed", -1),
        ("threads", 0),
    ],
)
def test_a_recipe_that_makes_none_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"{field}: .* is not allowed; expected a number from"):
        replace(Recipe(), **{field: value})


def test_the_classes_must_be_the_datas() -> None:
    with pytest.raises(InputError, match="classes: noise has 3, the network 4"):
        train(replace(TINY, classes=4), tiny_data(), PLAIN)


@pytest.mark.parametrize("name", ["small", "large"])
def test_torchvision_loads_what_was_trained(name: str, tmp_path: Path) -> None:
    import torchvision_oracle

    path, data = tmp_path / "net.pt", tiny_data(12, (32, 32))
    found = train(
        vary(read_table(name), classes=3), data, replace(PLAIN, epochs=1, batch=12), checkpoint=path
    )
    model = getattr(torchvision_oracle, f"mobilenet_v3_{name}")(num_classes=3)
    state = torch.load(path, weights_only=True)["state_dict"]
    assert model.load_state_dict(state, strict=True)
    with torch.no_grad():
        images = data.held_images
        assert torch.equal(model.eval()(images), found.model(images))
