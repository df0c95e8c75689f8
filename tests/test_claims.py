"""The article's claims: counts against hand calculations, every verdict against its inverse."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from runs import HOST, run_of, spread, timing
from some import some
from subjects import subject
from torch.utils.flop_counter import FlopCounterMode

from mnv3prof.analysis.compare import Change, by_interval
from mnv3prof.claims import accuracy
from mnv3prof.claims import claim as room
from mnv3prof.claims.cases import h_swish, separable, squeeze_excite, traps, widths
from mnv3prof.claims.compared import at_least, is_faster, is_slower, overall, ratio, ratio_of_sums, saves
from mnv3prof.cost.counts import count, total
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.record.findings import Evidence, Measured, Trial
from mnv3prof.source import read_table

LARGE = subject("large")
MADE = run_of(LARGE)


def _timed(
    claims: Any,
    seconds: float,
    net: Any = LARGE,
    *,
    os: str = "Linux-x86_64",
    backends: Any = ("a",),
    noise: float = 0.01,
) -> Any:
    """Evidence as if each request had taken seconds(variant, part, backend)."""
    requests = room.timing_requests(net, claims)
    subjects = {"": net, **{request.variant: request.subject for request in requests}}
    timings = tuple(
        timing(
            backend.partition("@")[0],
            request.part,
            spread(seconds(request.variant, request.part, backend), noise),  # type: ignore[operator]
            device=backend.partition("@")[2],
            dtype=dtype,
            variant=request.variant,
        )
        for request in requests
        for backend in backends
        for dtype in request.dtypes
    )
    hosts = {"": replace(HOST, os=os), "pi": replace(HOST, os="Linux-aarch64", cpu="Cortex-A76")}
    run = run_of(subjects.pop(""), timings, subjects, hosts=hosts)
    return Evidence(subject=net, runs=(run,))


def _measured(name: str, evidence: Any) -> Any:
    (found,) = [f for f in room.judge(evidence, (name,)) if f.how.startswith("measured on")]
    return found


def _computed(name: str, table: Table, size: Any = 224) -> Any:
    (found,) = [f for f in room.judge(Evidence(subject=subject(table, size)), (name,)) if "computed" in f.how]
    return found


def _rows(*outs: Any, kernel: int = 3, **how: Any) -> Any:
    rows = tuple(Row(16, out, kernel, 1, False, "RE", **how) for out in outs)
    return Table(name="t", rows=rows, last=16, classes=4)


def test_every_claim_of_the_article_is_there_in_order() -> None:
    assert [c.id for c in room.claims()] == [*(f"K{n}" for n in range(1, 12)), "T1", "T2", "T3"]
    for claim in room.claims():
        assert claim.sentence.endswith(".")
        assert claim.article


def test_nothing_is_decided_without_evidence() -> None:
    found = room.judge(Evidence(subject=LARGE))
    assert {f.claim for f in found} == {c.id for c in room.claims()}
    for f in found:
        assert (f.verdict == "no evidence") == (f.how in (room.NOT_MEASURED, room.NOT_TRAINED))
    assert {f.claim for f in found if f.verdict != "no evidence"} == {"K1", "K2", "K3", "T1", "T2", "T3"}


def test_an_unknown_claim_is_refused() -> None:
    with pytest.raises(InputError, match=r"K12.* is not a claim; expected K1, K2,"):
        room.judge(Evidence(subject=LARGE), ("K12",))


# ---------------------------------------------------------------- computed


def test_k1_by_hand() -> None:
    """N·k² / (k² + N): 16·9/25 = 5.76, 80·9/89, 112·9/121; 8 is reached at N = 72: 648/81."""
    found = _computed("K1", read_table("large"))
    assert found.outcome == "holds if the pair has 72 output channels or more"
    assert "6 of 9 3×3 pairs save 8 to 9 times (blocks 7, 8, 9, 10, 11, 12)" in found.found
    text = "\n".join(found.working)
    for line in (
        "k = 3: 8 or more for N ≥ 72, always below 9",
        "k = 5: 8 to 9 for N from 12 to 14",  # 300/37 = 8.11, 350/39 = 8.97, 375/40 = 9.375; 275/36 = 7.6
        "block 1: k = 3, N = 16: 28,901,376 / 5,017,600 = ×5.760, not 8 to 9",  # 112²·16·16·9; 112²·(16·9 + 16·16)
        "block 7: k = 3, N = 80: 33,868,800 / 4,186,560 = ×8.090, 8 to 9",  # 14²·240·80·9; 14²·240·89
        "whole network, MACs: 1,331,974,016 / 216,589,760 = ×6.150",
        "whole network, parameters: 17,211,664 / 5,483,032 = ×3.139",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("outs", "verdict"), [((72, 80, 1024), "holds"), ((71, 16), "does not hold"), ((71, 72), "holds if")]
)
def test_k1_follows_the_table(outs: tuple[Any, ...], verdict: str) -> None:
    assert _computed("K1", _rows(*outs), 16).verdict == verdict


def test_k1_needs_a_3x3_row() -> None:
    fused = _rows(80, 72, conv="fused", expand_conv=True)
    for table in (_rows(80, kernel=5), fused):
        found = _computed("K1", table, 16)
        assert found.outcome == "not testable here: the table has no 3×3 row with a depthwise convolution"


def test_k1_calls_no_1x1_kernel_larger() -> None:
    """A 1×1 pair saves less than nothing: 1 / (1/16 + 1) = 16/17; 5×5: 16·25/(25 + 16)."""
    rows = tuple(row for kernel in (3, 1, 5) for row in _rows(16, kernel=kernel).rows)
    found = _computed("K1", Table(name="t", rows=rows, last=16, classes=4), 16)
    assert found.found.endswith("; 1×1 kernels ×0.94; larger kernels ×9.76.")


def test_k1_is_the_same_for_a_table_that_is_standard_already() -> None:
    assert _computed("K1", vary(read_table("large"), standard_conv=True)) == _computed(
        "K1", read_table("large")
    )


def test_k2_by_hand() -> None:
    found = _computed("K2", read_table("large"))
    assert found.verdict == "does not hold"
    assert found.found == "18,432 and 2,336, ×7.89."
    assert found.working == (
        "standard: 32·3·3·64 = 18,432",
        "depthwise: 32·3·3 = 288",
        "pointwise: 32·1·1·64 = 2,048",
        "pair: 288 + 2,048 = 2,336; 18,432 / 2,336 = ×7.89",
    )
    assert separable.example(32, 64, 3, said=(18_432, 2_336)).verdict == "holds"
    assert separable.example(32, 64, 3, said=(18_433, 2_336)).verdict == "does not hold"


def test_k3_by_hand() -> None:
    found = _computed("K3", read_table("large"))
    assert found.verdict == "does not hold"
    text = "\n".join((found.found, *found.working))
    for line in (
        "SE has 1,512,280 of 5,483,032 parameters: +38.1%",
        "1,512,280 / 3,970,752 = +38.09%",
        "MACs: 216,589,760 / 215,082,560 − 1 = 1,507,200 / 215,082,560 = +0.70%",
        "block 15: e = 960, q = 240: 462,000 of 797,360 parameters (57.9%), 460,800 of 16,689,600 MACs",
    ):
        assert line in text


def test_k3_holds_where_se_is_small() -> None:
    """2·16·8 + 8 + 16 = 280 parameters beside 65,536 · 16 and more of the last layer."""
    row = Row(16, 16, 3, 1, True, "RE")
    table = Table(name="t", rows=(row,), last=16, classes=65_536)
    assert _computed("K3", table, 32).verdict == "holds"
    without = _computed("K3", vary(table, without_se=True), 32)
    assert (without.verdict, without.why) == ("not testable here", "the table has no squeeze-excite")


def test_t1_by_hand() -> None:
    """Row 15: 160 · 960 = 153,600 channels, squeezed to 38,400."""
    last = traps.rows_as_listed(LARGE)[-1]
    expand_and_norm, depthwise_and_norm = 160 * 153_600 + 2 * 153_600, 25 * 153_600 + 2 * 153_600
    se, project = 2 * 153_600 * 38_400 + 38_400 + 153_600, 153_600 * 160 + 2 * 160
    assert last.hidden == 153_600
    assert last.params == expand_and_norm + depthwise_and_norm + se + project == 11_850_278_720
    assert last.macs == 49 * (160 * 153_600 + 25 * 153_600 + 153_600 * 160) + 2 * 153_600 * 38_400
    found = _computed("T1", read_table("large"))
    assert found.verdict == "does not hold"
    assert "153,600 channels" in found.found


@pytest.mark.parametrize("stride", [1, 2])
def test_t1_is_what_torch_builds_where_it_can_be_built(stride: int) -> None:
    rows = (Row(3, 6, 3, stride, True, "HS"), Row(4, 5, 5, 1, False, "RE"), Row(1, 5, 3, 2, True, "RE"))
    table = Table(name="t", stem=8, rows=rows, last=16, classes=4)
    literal = replace(
        table,
        rows=tuple(
            replace(row, expand=row.expand * width) for row, width in zip(rows, (8, 6, 5), strict=True)
        ),
    )
    model = build(literal).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 27, 31))
    blocks = traps.rows_as_listed(subject(table, (27, 31)))
    assert [r.hidden for r in blocks] == [24, 24, 5]
    for number, found in enumerate(blocks, 1):
        assert found.params == sum(p.numel() for p in model.features[number].parameters())
    counted = counter.get_flop_counts()
    for number, found in enumerate(blocks, 1):
        assert 2 * found.macs == sum(counted[f"MobileNetV3.features.{number}"].values())


def test_t1_holds_where_the_input_is_one_channel_wide() -> None:
    table = Table(name="t", stem=1, rows=(Row(4, 1, 3, 1, False, "RE"),) * 2, last=8, classes=2)
    assert _computed("T1", table, 16).verdict == "holds"


def test_t2_by_hand() -> None:
    """2,315,392 ReLUs of which 1,024 stand in SE; h-swish costs 4 FLOPs more each."""
    found = _computed("T2", read_table("large"))
    assert found.verdict == "does not hold"
    assert "6 of 15 rows get h-swish instead of another: 2,314,368 activations" in found.found
    assert f"FLOPs: {449_144_856 + 4 * 2_314_368:,} instead of 449,144,856, +9,257,472" in found.working
    table = replace(
        read_table("large"), rows=tuple(replace(r, activation="HS") for r in read_table("large").rows)
    )
    assert _computed("T2", table).verdict == "holds"


def test_t3_by_hand() -> None:
    """The 46 batch norms have 24,400 parameters, 2 a channel, and 4,399,808 elements."""
    assert traps.biases(LARGE.graph) == (46, 12_200, 4_399_808)
    found = _computed("T3", read_table("large"))
    assert found.verdict == "does not hold"
    assert "5,483,032 + 12,200 = 5,495,232" in "\n".join(found.working)
    assert traps.bias_finding(LARGE.graph, traps.Biases(0, 0, 0)).verdict == "holds"


def test_t3_is_what_torch_builds() -> None:
    table = _rows(24, 8)
    model, graph = build(table), expand(table, 20)
    convs = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d) and m.bias is None]
    before = sum(p.numel() for p in model.parameters())
    for conv in convs:
        conv.bias = torch.nn.Parameter(torch.zeros(conv.out_channels))
    assert sum(p.numel() for p in model.parameters()) - before == traps.biases(graph).params
    assert len(convs) == traps.biases(graph).convolutions


# ---------------------------------------------------------------- times


def test_a_ratio_is_the_comparison_of_two_times() -> None:
    slow, fast, wild = (
        Measured(timing("a", NET, spread(s, noise=noise)), MADE)
        for s, noise in ((2.0, 0.01), (1.0, 0.01), (1.2, 3.0))
    )
    found = ratio(slow, fast)
    assert (some(found).ratio, some(found).verdict) == (pytest.approx(2.0, rel=1e-2), "slower")  # type: ignore[comparison-overlap]
    assert some(found).low < 2 < some(found).high  # type: ignore[operator]
    assert some(ratio(fast, slow)).verdict == "faster"
    assert some(ratio(slow, slow)).verdict == "same"
    assert some(ratio(wild, fast)).verdict == "unclear"
    assert ratio(slow, None) is None
    assert ratio(Measured(replace(slow.timing, status="mismatch"), MADE), fast) is None
    assert some(ratio_of_sums([slow, fast], [fast, fast])).ratio == pytest.approx(1.5, rel=1e-2)
    assert ratio_of_sums([slow, None], [fast, fast]) is None


@pytest.mark.parametrize(
    ("interval", "faster", "slower"),
    [
        ((0.8, 0.79, 0.81), True, False),
        ((1.0, 0.99, 1.01), False, False),
        ((0.99, 0.989, 0.991), False, False),  # certain, and smaller than what counts
        ((1.0, 0.7, 1.3), None, None),
        ((1.2, 1.1, 1.3), False, True),
        ((1.05, 0.97, 1.15), False, None),
    ],
)
def test_what_noise_hides_is_not_decided(
    interval: tuple[Any, ...], faster: bool | None, slower: bool | None
) -> None:
    assert is_faster(by_interval(*interval)) is faster
    assert is_slower(by_interval(*interval)) is slower


@pytest.mark.parametrize(
    "judged", [is_faster, is_slower, partial(saves, share=0.15), partial(at_least, limit=8)]
)
def test_nothing_follows_from_a_comparison_without_an_interval(judged: Any) -> None:
    assert judged(Change("unclear", reason="the machine was too busy")) is None


@pytest.mark.parametrize(
    ("interval", "held"), [((5, 2, 9), None), ((9, 8, 10), True), ((7, 6, 7.99), False), ((8, 7.99, 9), None)]
)
def test_a_limit_is_reached_by_the_whole_interval_or_by_none_of_it(
    interval: tuple[Any, ...], held: bool | None
) -> None:
    assert at_least(by_interval(*interval), 8) is held


def test_a_share_is_saved_by_the_whole_interval_or_by_none_of_it() -> None:
    assert saves(by_interval(0.9, 0.89, 0.91), 0.15) is False
    assert saves(by_interval(0.84, 0.83, 0.85), 0.15) is True
    assert saves(by_interval(0.84, 0.83, 0.86), 0.15) is None


def test_one_verdict_over_several_places() -> None:
    assert overall({"a": True, "b": True}) == ("holds", "")
    assert overall({"a": False}) == ("does not hold", "")
    assert overall({"a": True, "b": False, "c": None}) == ("holds if", "measured on a; hidden by noise on c")
    assert overall({"a": None}) == ("hidden by noise", "on a")
    assert overall({}) == ("no evidence", "nothing was timed")


def _seconds(slow: Any, by: Any, where: Callable[..., Any] = lambda part: True, backend: str = "a") -> Any:
    """A second for everything, `by` for the variants in `slow`."""
    return lambda variant, part, name: by if variant in slow and where(part) and name == backend else 1.0


TIMES = [
    ("K1", {separable.STANDARD}, 8.5, 2.0),
    ("K2", {"pair 32→64, standard conv"}, 8.5, 2.0),
    ("K3", {squeeze_excite.WITHOUT}, 1.0, 0.8),
    ("K4", {"swish"}, 1.25, 1.0),
    ("K5", {"h-swish by ReLU6"}, 1.2, 1.0),
    ("K7", {"linear SE"}, 1.2, 1.0),
    ("K9", {widths.named(w) for w in widths.WIDTHS if w % 8}, 1.5, 0.99),
]


@pytest.mark.parametrize(("name", "slow", "holding", "failing"), TIMES)
def test_inverted_times_get_the_inverted_verdict(name: str, slow: Any, holding: Any, failing: Any) -> None:
    mobile = {"os": "Linux-aarch64"}
    assert _measured(name, _timed((name,), _seconds(slow, holding), **mobile)).verdict == "holds"  # type: ignore[arg-type]
    assert _measured(name, _timed((name,), _seconds(slow, failing), **mobile)).verdict == "does not hold"  # type: ignore[arg-type]
    both = _measured(name, _timed((name,), _seconds(slow, holding), backends=("a", "b"), **mobile))  # type: ignore[arg-type]
    if name == "K3":  # no difference on b either
        assert both.verdict == "holds"
    else:
        assert both.verdict == "holds if"
        assert both.outcome.startswith("holds if measured on a")
        assert "on b" not in both.outcome


@pytest.mark.parametrize(("name", "slow", "holding", "failing"), TIMES)
def test_noise_leaves_a_verdict_open(name: str, slow: Any, holding: Any, failing: Any) -> None:
    """±100 %: a difference of a few percent cannot be seen."""
    found = _measured(name, _timed((name,), _seconds(slow, 1.05), noise=2.0, os="Linux-aarch64"))
    if name in ("K1", "K2"):  # 1.05 is far from 8 even so
        assert found.verdict == "does not hold"
    else:
        assert (found.verdict, found.why[:3]) == ("hidden by noise", "on ")


@pytest.mark.parametrize("name", ["K4", "K7", "K9"])
def test_a_claim_on_mobile_chips_is_not_decided_on_a_desktop(name: str) -> None:
    (_, slow, holding, failing) = next(case for case in TIMES if case[0] == name)
    said = [_measured(name, _timed((name,), _seconds(slow, by))) for by in (holding, failing)]
    assert [f.verdict for f in said] == ["not testable here"] * 2
    assert [f.why for f in said] == [
        "no mobile CPU; on a processor it holds",
        "no mobile CPU; on a processor it does not hold",
    ]


@pytest.mark.parametrize("name", ["K4", "K7", "K9"])
def test_a_claim_on_mobile_chips_is_judged_on_the_mobile_device_alone(name: str) -> None:
    (_, slow, holding, _) = next(case for case in TIMES if case[0] == name)
    here, there = (
        _measured(name, _timed((name,), _seconds(slow, holding, backend=where), backends=("a", "a@pi")))
        for where in ("a", "a@pi")
    )
    assert (here.verdict, there.verdict) == ("does not hold", "holds")
    assert "a, a@pi; a processor, Cortex-A76 (pi), 1 thread" in there.how or name == "K4"


def test_the_widths_are_a_curve() -> None:
    found = _measured("K9", _timed(("K9",), lambda variant, *_: 1.0))  # type: ignore[arg-type]
    (curve,) = found.series
    assert [x for x, *_ in curve.points] == list(range(104, 121))
    # 14 · 14 · (9 · 112 + 112²) MACs in a second
    assert curve.points[8][1] == pytest.approx(1e12 / 2_656_192, rel=1e-3)
    assert widths.products(112) == 2_656_192


def test_what_is_timed_alone_is_the_networks_own() -> None:
    """Large's h-swish: 16·112² first, 1280 last; the part is a layer's name in every form."""
    assert [x.name for x in h_swish.alone(LARGE.graph)] == [
        "features.0.2",
        "features.7.block.1.2",
        "classifier.1",
    ]
    for request in room.timing_requests(LARGE):
        assert request.part in (*request.subject.graph.block_names, NET) or any(
            layer.name.startswith(request.part) for layer in request.subject.graph.layers
        )
    ours = {x.name: x for x in LARGE.graph.layers}
    for request in room.timing_requests(LARGE, ("K4",)):
        if request.variant in h_swish.FORMS and request.part != NET:
            (layer,) = [x for x in request.subject.graph.layers if x.name == request.part]
            assert layer.out_shape == ours[request.part].out_shape
            assert layer.op != "hardswish"


def test_a_table_without_h_swish_or_se_says_so() -> None:
    minimal = subject("large-minimal", 64)
    found = {f.claim: f for f in room.judge(Evidence(subject=minimal), ("K3", "K4", "K5", "K7"))}
    assert {f.verdict for n, f in found.items() if n != "K3"} == {"not testable here"}
    assert room.timing_requests(minimal, ("K3", "K4", "K5", "K7")) == ()


def test_the_forms_change_h_swish_only() -> None:
    """Large in ReLU for h-swish has the ReLU rows that it had, and as many MACs."""
    nets = {
        request.variant: request.subject
        for request in room.timing_requests(LARGE, ("K4",))
        if request.part == NET
    }
    assert set(nets) == {"", *h_swish.FORMS}
    for name, net in nets.items():
        assert [r.activation for r in net.table.rows[:6]] == ["RE"] * 6, name
        assert total(count(net.graph)).macs == 216_589_760


# ---------------------------------------------------------------- trainings


def _trained(**accuracies: Any) -> Any:
    """Evidence of trainings: by ablation, an accuracy (or accuracy and that in 8 bits) for each seed."""
    names = {
        "base": accuracy.BASE,
        "relu": "ReLU everywhere",
        "bare": "the bare pair",
        "adam": "Adam at 0.001",
        "unsmoothed": "no label smoothing",
        "without": "without SE",
    }
    trials = []
    for key, values in accuracies.items():
        for seed, value in enumerate(values):
            fp32, int8 = value if isinstance(value, tuple) else (value, None)
            trials.append(
                Trial(
                    ablation=names[key],
                    seed=seed,
                    data="digits",
                    network="n",
                    epochs=3,
                    accuracy=fp32,
                    int8=int8,
                )
            )
    return Evidence(subject=LARGE, trials=tuple(trials))


def _of(name: str, evidence: Any) -> Any:
    (found,) = [f for f in room.judge(evidence, (name,)) if "trained on" in f.how]
    return found


GOOD, BAD = (0.990, 0.991, 0.992), (0.980, 0.981, 0.983)


@pytest.mark.parametrize(
    ("name", "other"), [("K3", "without"), ("K8", "bare"), ("K10", "adam"), ("K11", "unsmoothed")]
)
def test_inverted_accuracies_get_the_inverted_verdict(name: str, other: str) -> None:
    assert _of(name, _trained(base=GOOD, **{other: BAD})).verdict == "holds"
    assert _of(name, _trained(base=BAD, **{other: GOOD})).verdict == "does not hold"
    open_ = _of(name, _trained(base=(0.99, 0.97, 0.98), **{other: (0.97, 0.98, 0.99)}))
    assert (open_.verdict, "spread" in open_.why) == ("not testable here", True)
    one = _of(name, _trained(base=GOOD[:1], **{other: BAD[:1]}))
    assert (one.verdict, one.why) == ("not testable here", "one seed has no interval")


def test_k6_follows_what_8_bits_cost() -> None:
    little, much = [(0.99, 0.988), (0.99, 0.987), (0.99, 0.989)], [(0.99, 0.94), (0.99, 0.941), (0.99, 0.942)]
    assert _of("K6", _trained(base=little, relu=much)).verdict == "holds"
    inverted = _of("K6", _trained(base=much, relu=little))
    assert inverted.verdict == "does not hold"
    assert "h-swish" in inverted.why
    assert "ReLU" in inverted.why
    half = _of("K6", _trained(base=little, relu=little))
    assert (half.verdict, half.why) == (
        "does not hold",
        "on this data it is wrong that ReLU loses more than 3 points",
    )
    hidden = _of("K6", _trained(base=[(0.99, 0.99), (0.99, 0.95), (0.99, 0.97)], relu=much))
    assert hidden.verdict == "not testable here"


def test_the_interval_over_seeds_is_students() -> None:
    """Of 1, 2, 3: 2 ± 4.303 · 1 / √3 (t of 2 degrees of freedom, from its table)."""
    found = accuracy.interval([1.0, 2.0, 3.0])
    assert (found.points, found.seeds) == (2.0, 3)
    assert found.high - 2 == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert 2 - found.low == pytest.approx(4.303 / 3**0.5, rel=1e-3)


def test_a_training_that_failed_counts_for_nothing() -> None:
    evidence = _trained(base=GOOD, bare=(0.98, None, 0.982))
    assert "over 2 seeds" in _of("K8", evidence).found
    assert _of("K8", evidence).how.endswith(", 2 seeds")


def test_arms_are_trained_once_and_quantized_where_one_claim_wants_it() -> None:
    ablations = {ablation.name: ablation for ablation in room.ablations()}
    assert next(iter(ablations)) == accuracy.BASE
    assert len(ablations) == 6
    assert {name for name, ablation in ablations.items() if ablation.quantized} == {
        accuracy.BASE,
        "ReLU everywhere",
    }
    assert [ablation.name for ablation in room.ablations(("K8",))] == [accuracy.BASE, "the bare pair"]
