"""Advice: each rule with data that carry it, data that do not, and data that noise hides."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import torchvision_oracle  # noqa: F401 - declares torchvision's operators
from msgspec.structs import replace
from runs import HOST, exact, kept, reported, run_of, spread, timing
from subjects import subject
from torchvision import models as torchvision_models

from mnv3prof.advice.advice import Advice, advise
from mnv3prof.advice.command import network_words
from mnv3prof.advice.rules import arena, block, layout, runtime, settings, squeeze_excite, tail, variant
from mnv3prof.advice.sheet import advice_lines
from mnv3prof.analysis.view import View, views
from mnv3prof.cli.main import run as command
from mnv3prof.graph.parts import NET
from mnv3prof.interface.networks import load
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.run import Subject
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Operator
from mnv3prof.source import read_table

SMALL = subject("small", 224)


def view_of(run: Any) -> View:
    (found,) = views([run])
    return found


def of(rule: Any, run: Any) -> list[Advice]:
    return list(rule.advise(view_of(run)))


def net(backend: str, seconds: float, noise: float = 0.008, **how: Any) -> Any:
    return timing(backend, NET, spread(seconds, noise, 18), **how)


def one(found: list[Advice]) -> Advice:
    (advice,) = found
    return advice


def test_a_faster_runtime() -> None:
    advice = one(of(runtime, run_of(SMALL, [net("cpu", 20e-3), net("onnxruntime", 10e-3)])))
    assert advice.what == "Run it on onnxruntime instead of cpu"
    assert advice.saves.startswith("50% of latency (")
    assert advice.share == pytest.approx(0.5, abs=0.01)
    assert "10.0 ms on onnxruntime, 20.0 ms on cpu: ×0.5 (" in advice.why
    assert advice.command == "mnv3prof latency small --on onnxruntime,cpu --parts net"


def test_a_runtime_that_may_be_as_fast_is_named() -> None:
    timings = [net("cpu", 20e-3), net("onnxruntime", 10e-3), net("litert", 10.1e-3)]
    assert "litert may be as fast." in one(of(runtime, run_of(SMALL, timings))).why


def test_without_eager_the_next_runtime_is_what_is_compared_with() -> None:
    timings = [net("litert", 20e-3), net("onnxruntime", 10e-3), net("ncnn", 15e-3)]
    assert one(of(runtime, run_of(SMALL, timings))).what == "Run it on onnxruntime instead of ncnn"


@pytest.mark.parametrize(
    "timings",
    [
        [],
        [net("cpu", 20e-3)],
        [net("cpu", 10e-3), net("onnxruntime", 20e-3)],  # eager is the fastest
        [net("cpu", 10.1e-3), net("onnxruntime", 10e-3)],  # by less than counts
        [net("cpu", 20e-3, 2.0), net("onnxruntime", 15e-3, 2.0)],  # hidden by noise
        [net("cpu", 20e-3), net("onnxruntime", 10e-3, dtype="int8")],  # other settings
        [net("cpu", 20e-3), net("onnxruntime", 10e-3, status="mismatch")],
        [net("cpu", 20e-3), net("onnxruntime", 10e-3, device="pi")],
    ],
)
def test_no_faster_runtime(timings: list[Any]) -> None:
    assert of(runtime, run_of(SMALL, timings, hosts={"": HOST, "pi": HOST})) == []


def test_a_faster_dtype() -> None:
    timings = [
        net("cpu", 20e-3),
        net("onnxruntime", 10e-3),
        net("onnxruntime", 6e-3, dtype="int8", rms_rel_err=0.031),
    ]
    advice = one(of(settings, run_of(SMALL, timings)))
    assert advice.what == "Run it in int8"
    assert advice.share == pytest.approx(0.4, abs=0.01)
    assert "Its output differs by 3.1% (RMS). Its accuracy was not measured." in advice.why
    assert advice.command == "mnv3prof latency small --on onnxruntime --parts net --dtype fp32,int8"


def test_more_threads() -> None:
    timings = [net("onnxruntime", 10e-3), net("onnxruntime", 6e-3, threads=2)]
    advice = one(of(settings, run_of(SMALL, timings)))
    assert advice.what == "Run it on 2 threads"
    assert advice.command == "mnv3prof latency small --on onnxruntime --parts net --threads 1,2"


@pytest.mark.parametrize(
    "timings",
    [
        [net("cpu", 20e-3)],
        [net("cpu", 10e-3), net("cpu", 20e-3, dtype="int8")],
        [net("ncnn", 5e-3), net("cpu", 20e-3), net("cpu", 10e-3, dtype="int8")],  # fp32 is faster elsewhere
        [net("cpu", 20e-3, 2.0), net("cpu", 15e-3, 2.0, dtype="int8")],
        [net("cpu", 20e-3), net("cpu", 10e-3, dtype="int8", threads=2)],
    ],
)
def test_no_faster_settings(timings: list[Any]) -> None:
    assert of(settings, run_of(SMALL, timings)) == []


def test_a_block_that_another_runtime_runs_faster() -> None:
    """Block 3 takes 5 of 16 ms on fast, 1 ms on cpu; the blocks 8 and 9 of Small are not like it."""
    advice = one(of(block, reported("small")))
    assert advice.what == "Find out why block 3 is slow on fast"
    assert advice.share == pytest.approx(5 / 18 * 0.8, abs=0.01)
    assert "5.00 ms at" in advice.why and "1.00 ms at" in advice.why
    assert advice.command == "mnv3prof latency small --on fast,cpu --parts 3 --ops"


def test_identical_blocks_are_counted_together() -> None:
    """Blocks 5 and 6 of Large are the same: each takes 5 of 26 ms."""
    advice, *_ = of(block, reported("large", odd=("fast", "5")))
    assert advice.share == pytest.approx(2 * 5 / 26 * 0.8, abs=0.01)


def test_a_block_that_reaches_far_less_of_the_roofline_than_the_others() -> None:
    run = reported("small", ("fast",))
    costs = view_of(run).costs
    blocks = SMALL.graph.block_names
    seconds = {b: costs[b].macs / 40e9 for b in blocks}
    timings = [exact("fast", b, seconds[b] * (8 if b == "9" else 1)) for b in blocks]
    found = of(block, replace(run, timings=(*timings, exact("fast", NET, 10e-3))))
    assert found[0].what == "Find out why block 9 is inefficient on fast"
    assert "of the roofline; half of the blocks reach" in found[0].why


@pytest.mark.parametrize(
    "run",
    [
        reported("small", odd=("none", "1")),
        replace(reported("small"), timings=reported("small").timings[:5]),
        run_of(SMALL),
        run_of(
            SMALL,
            [
                timing(backend, part, spread(1e-3 * (1 + (backend == "cpu")), 2.0, 18))
                for backend in ("cpu", "onnxruntime")
                for part in (*SMALL.graph.block_names, NET)
            ],
        ),
    ],
)
def test_no_slow_block(run: Any) -> None:
    assert [advice for advice in of(block, run) if "is slow on" in advice.what] == []


def profiled(*ops: tuple[str, str, float], noise: float = 0.008) -> Any:
    target = Target(backend="onnxruntime")
    operators = tuple(
        Operator(target=target, part=NET, name="n", kind=kind, seconds=s, layer=layer)
        for kind, layer, s in ops
    )
    return run_of(SMALL, [net("onnxruntime", 10e-3, noise)], operators=operators)


def varied(name: str, seconds: float, noise: float = 0.008, **options: Any) -> Any:
    other = SMALL.varied(vary(SMALL.table, **options))
    timings = [net("onnxruntime", 10e-3, noise), net("onnxruntime", seconds, noise, variant=name)]
    return run_of(SMALL, timings, {name: other})


def test_a_faster_variant() -> None:
    """What squeeze-excite costs, as compare --without-se --latency measures it."""
    advice = one(of(variant, varied("small without SE", 8e-3, without_se=True)))
    assert advice.what == "Try the network as small without SE"
    assert advice.share == pytest.approx(0.2, abs=0.01)
    assert "8.00 ms on onnxruntime, 10.0 ms as it is: ×0.8 (" in advice.why
    assert advice.command == "mnv3prof compare small --without-se --latency --on onnxruntime"
    other = replace(varied("large", 8e-3), subjects={"": SMALL, "large": subject("large", 224)})
    assert one(of(variant, other)).command == "mnv3prof compare small large --latency --on onnxruntime"


@pytest.mark.parametrize(
    "run",
    [
        varied("slower", 12e-3, without_se=True),
        varied("the same", 9.9e-3, without_se=True),
        varied("hidden by noise", 8e-3, 2.0, without_se=True),
        run_of(SMALL, [net("onnxruntime", 10e-3)]),
    ],
)
def test_no_faster_variant(run: Any) -> None:
    assert of(variant, run) == []


def test_changes_of_the_layout() -> None:
    advice = one(of(layout, profiled(("Conv", "features.0.0", 8e-3), ("ReorderInput", "", 2e-3))))
    assert advice.saves == "up to 20% of latency"
    assert advice.why == "1 of its 2 operators only rearrange tensors."


@pytest.mark.parametrize(
    "run",
    [
        run_of(SMALL, [net("onnxruntime", 10e-3)]),
        profiled(("Conv", "features.0.0", 8e-3)),
        profiled(("Conv", "features.0.0", 8e-3), ("ReorderInput", "", 2e-3), noise=1.9),
    ],
)
def test_no_changes_of_the_layout(run: Any) -> None:
    assert of(layout, run) == []


def test_squeeze_excite_by_time_where_it_was_profiled() -> None:
    reduce = next(layer.name for layer in SMALL.graph.layers if layer.role == "se_reduce")
    ops = (("Conv", "features.0.0", 9e-3), ("Conv", reduce, 1e-3))
    advice = one(of(squeeze_excite, profiled(*ops)))
    assert advice.saves == "1.00 ms, 10% of latency"
    assert advice.command == "mnv3prof compare small --without-se --latency --on onnxruntime"
    modules = torchvision_models.mobilenet_v3_small().modules()
    inside = sum(
        p.numel() for m in modules if type(m).__name__ == "SqueezeExcitation" for p in m.parameters()
    )
    by_params = one(of(squeeze_excite, profiled(*ops, noise=1.9)))
    assert by_params.saves == "18% of parameters"
    assert by_params.share == pytest.approx(inside / 2_542_856)
    assert "461.6 k" in by_params.why


def test_no_squeeze_excite() -> None:
    assert of(squeeze_excite, run_of(subject("small-minimal", 224))) == []


def test_the_reduced_tail_by_torchvisions_own_count() -> None:
    whole, reduced = (
        sum(p.numel() for p in torchvision_models.mobilenet_v3_large(reduced_tail=each).parameters())
        for each in (False, True)
    )
    advice = one(of(tail, run_of(subject("large", 224))))
    assert advice.share == pytest.approx((whole - reduced) / whole)
    assert advice.command == "mnv3prof compare large --reduced-tail"


@pytest.mark.parametrize(
    "network",
    [
        Subject(replace(read_table("large"), last=64, classes=10), (224, 224)),  # the classifier is small
        subject("mobilenetv2", 224),  # not MobileNetV3's tail
    ],
)
def test_no_reduced_tail(network: Subject) -> None:
    assert of(tail, run_of(network)) == []


def test_depthwise_in_place_in_int8() -> None:
    """MobileNetV2's peak is in a depthwise convolution, Large's is not."""
    found = run_of(subject("mobilenetv2", 224), [net("onnxruntime", 10e-3, dtype="int8")])
    advice = one(of(arena, found))
    assert advice.command == "mnv3prof memory mobilenetv2 --in-place-depthwise --dtype int8"
    assert advice.share == pytest.approx(1 - 1_404_928 / 1_505_280)
    assert of(arena, run_of(subject("mobilenetv2", 224), [net("onnxruntime", 10e-3)])) == []
    assert of(arena, run_of(subject("large", 224), [net("onnxruntime", 10e-3, dtype="int8")])) == []


def test_advice_is_ranked_by_what_it_saves() -> None:
    found = advise(view_of(reported("large", ("cpu", "fast", "slow"))))
    shares = [advice.share for advice in found]
    assert shares == sorted(shares, reverse=True)
    assert len(found) > 3


def test_every_command_is_one_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that measure are started with null in the runtimes' place, for a moment."""
    monkeypatch.chdir(tmp_path)
    for advice in advise(view_of(reported("large", ("cpu", "fast")))):
        words = shlex.split(advice.command)[1:]
        if "--on" in words:
            words[words.index("--on") + 1] = "null"
            words += ["--time-budget", "0.5"]
            words = [word for word in words if word != "--ops"]
        assert command(words) == 0, advice.command


@pytest.mark.parametrize(
    ("network", "written", "words"),
    [
        (subject("large", 224), "", ["large"]),
        (subject("large", (96, 128)), "", ["large", "--input", "96x128"]),
        (
            Subject(vary(read_table("large"), width=0.5), (224, 224)),
            "mnv3prof report large --width 0.5 --on cpu",
            ["large", "--width", "0.5"],
        ),
        (Subject(vary(read_table("large"), width=0.5), (224, 224)), "", ["FILE.html"]),
        (Subject(vary(read_table("large"), width=0.5), (224, 224)), "rm -rf /", ["FILE.html"]),
        (Subject(vary(read_table("large"), width=0.5), (224, 224)), "mnv3prof report '", ["FILE.html"]),
    ],
)
def test_the_network_in_a_command(network: Subject, written: str, words: list[str]) -> None:
    assert network_words(run_of(network, command=written)) == words


def test_a_captured_network_in_a_command() -> None:
    from torch import nn

    conv = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
    found = load(conv, (1, 28, 28))
    assert network_words(run_of(found)) == ["Sequential", "--input", "1x28x28"]


def test_a_hostile_name_is_one_word_of_a_shell() -> None:
    from torch import nn

    network = load(nn.Sequential(nn.Conv2d(3, 8, 3)), 32)
    assert network.captured
    hostile = replace(network, captured=replace(network.captured, text="x; touch taken"))
    timings = [net("cpu", 20e-3), net("onnxruntime", 10e-3)]
    advice = one(of(runtime, run_of(hostile, timings)))
    assert shlex.split(advice.command)[2] == "x; touch taken"


def test_the_terminal_has_the_same_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kept(reported("large"), tmp_path / "run.json")
    assert command(["report", str(path), "-o", str(tmp_path / "x.html")]) == 0
    out, err = capsys.readouterr()
    assert out.strip().endswith("x.html")
    assert "What to try with MobileNetV3-Large at 224×224:" in err
    for advice in advise(view_of(reported("large"))):
        assert f"$ {advice.command}" in err
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "mnv3prof compare large --reduced-tail" in page


def test_lines_fit_a_terminal() -> None:
    found = advise(view_of(reported("large")))
    for line in advice_lines(found, 60):
        assert len(line) <= 60 or line.lstrip().startswith("$ ")
