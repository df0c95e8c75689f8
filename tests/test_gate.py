"""Budgets read and checked, by hand and on runs with known changes."""

import tomllib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from runs import HOST, made, run_of, timing

from mnv3prof.budgets.figures import NAMES, Side, figures
from mnv3prof.budgets.judge import judge
from mnv3prof.budgets.limits import Budget, budgets_from
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.record.run import Subject
from mnv3prof.source import read_table
from mnv3prof.workers.backends import name_of

LARGE = Side("large", Subject(read_table("large"), (224, 224)))
SMALL = Side("small", Subject(read_table("small"), (224, 224)))


def _timing(times: Any, **fields: Any) -> Any:
    return timing("cpu", "net", times, **fields)


def _found(run: Any, source: str = "run.json") -> Any:
    return Side(source, run.subject, *run.measured_as, run)  # type: ignore[call-arg]


def _budgets(text: str) -> Any:
    return budgets_from(tomllib.loads(text), "b.toml", name_of)


def _judged(text: str, found: Any = LARGE, baseline: Any = None) -> Any:
    return judge(_budgets(text), found, baseline)


# Budgets as they are written


def test_budgets_are_read_as_a_person_writes_them() -> None:
    found = _budgets("""
        macs = "220M"
        params = 5_500_000
        weights = "22MiB"
        peak.fused = ["4MiB", { limit = "3MiB", level = "warn" }]
        arena = { limit = "1MiB", dtype = "int8" }
        latency.litert = "8ms"
        latency.cpu-compile = { limit = "+5%", level = "warn" }
    """)
    assert [(b.name, b.written, b.limit, b.change, b.level, b.dtype) for b in found] == [
        ("macs", "220M", 220_000_000, None, "error", None),
        ("params", "5500000", 5_500_000, None, "error", None),
        ("weights", "22MiB", 22 * 2**20, None, "error", None),
        ("peak.fused", "4MiB", 4 * 2**20, None, "error", None),
        ("peak.fused", "3MiB", 3 * 2**20, None, "warn", None),
        ("arena", "1MiB", 2**20, None, "error", "int8"),
        ("latency.litert", "8ms", 0.008, None, "error", None),
        ("latency.cpu-compile", "+5%", None, Fraction(1, 20), "warn", None),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('mac = "220M"', "the budget 'mac' is unknown; did you mean macs?"),
        (
            'latency.litertt = "8ms"',
            "budget 'latency.litertt': backend: 'litertt' is not known; did you mean litert?",
        ),
        ('latency = "8ms"', "the budget 'latency' is unknown; did you mean latency."),
        ('peak = "4MiB"', "did you mean peak.eager or peak.unfused or peak.fused?"),
        ('"" = "1"', "the budget '' is unknown"),
        ('macs = "220 MACs"', "budget macs: '220 MACs' is not allowed; expected a count"),
        ("macs = true", "budget macs: 'true' is not allowed"),
        ("macs = inf", "budget macs: 'inf' is not allowed"),
        ("macs = -1", "budget macs: '-1' is not allowed; expected a limit without a sign"),
        ("macs = 1979-05-27", "budget macs: "),
        ('arena = "8ms"', "budget arena: '8ms' is not allowed; expected a size"),
        ('latency.cpu = "8"', "budget latency.cpu: '8' is not allowed; expected a time with a unit"),
        ("latency.cpu = 8", "expected a time with a unit"),
        ('latency.cpu = "-5%"', "expected +0% or more for a latency"),
        ('macs = "+5"', "expected a limit without a sign"),
        ('macs = { limit = "1M", lvl = "warn" }', "the key 'lvl' is unknown; did you mean level?"),
        ('macs = { level = "warn" }', "the key limit is missing"),
        ('macs = { limit = "1M", level = "fatal" }', "level: 'fatal' is not allowed; expected error or warn"),
        ('macs = { limit = "1M", level = ["warn"] }', "level: ['warn'] is not allowed"),
        (
            'macs = { limit = "1M", dtype = "fp8" }',
            "dtype: 'fp8' is not allowed; expected fp32, fp16, bf16 or int8",
        ),
        ("macs = { limit = { limit = 1 } }", "budget macs: "),
        ("macs = [[1]]", "budget macs: "),
        ("", "holds no budget"),
        ("macs = []", "holds no budget"),
        ("[latency]", "holds no budget"),
    ],
)
def test_a_budget_that_is_none_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        _budgets(text)
    assert str(refused.value).startswith("b.toml")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


# Figures


def test_figures_are_the_published_and_hand_worked_ones() -> None:
    found = figures(LARGE.subject.graph)
    assert set(found) == set(NAMES)
    # The paper's Table 2 by torchvision's published counts; the peak is block 2's 64 + 16 channels of 112².
    assert (found["macs"].value, found["params"].value) == (216_589_760, 5_483_032)
    assert found["peak.fused"].value == 4 * 112 * 112 * (64 + 16) == 4_014_080
    assert sum(found["macs"].blocks.values()) == found["macs"].value
    assert max(found["peak.fused"].blocks.values()) == found["peak.fused"].value
    assert figures(LARGE.subject.graph, "int8")["peak.fused"].value == 112 * 112 * (64 + 16)
    assert figures(LARGE.subject.graph, batch=3)["peak.fused"].value == 3 * 4_014_080
    assert figures(LARGE.subject.graph, "int8")["peak.eager"].reason == "PyTorch eager does not run int8"


# Judging


def test_a_budget_on_paper_is_kept_to_the_last_unit() -> None:
    kept, broken = _judged("macs = [216_589_760, 216_589_759]")
    assert (kept.status, kept.margin, kept.breach, kept.contributors) == ("within", 0, None, ())
    assert (broken.status, broken.margin, broken.breach) == ("exceeded", -1, "error")
    assert [(s.block, s.value) for s in broken.contributors] == [
        ("12", 30_914_688),
        ("13", 21_069_216),
        ("2", 19_468_288),
    ]
    assert broken.contributors[0].share == 30_914_688 / 216_589_760


def test_a_budgets_type_decides_the_bytes() -> None:
    fp32, int8, eager = _judged(
        'arena = ["4MiB", {limit="4MiB", dtype="int8"}]\npeak.eager = {limit="9MiB", dtype="int8"}'
    )
    assert (fp32.value, int8.value) == (4_014_080, 1_003_520)
    assert (eager.status, eager.breach, eager.reason) == (
        "not measured",
        "error",
        "PyTorch eager does not run int8",
    )


def test_a_warning_is_no_error_but_what_was_not_measured_is() -> None:
    (broken,) = _judged('macs = { limit = "1M", level = "warn" }')
    assert (broken.status, broken.breach) == ("exceeded", "warn")
    (missing,) = _judged('latency.cpu = { limit = "1s", level = "warn" }')
    assert (missing.status, missing.breach) == ("not measured", "error")
    assert "large is a table, which has no times" in missing.reason


def test_a_change_on_paper_is_exact() -> None:
    small = expand(read_table("small"), (224, 224))
    assert sum(figures(small)["macs"].blocks.values()) == 56_510_400
    # Large has 216,589,760 / 56,510,400 = 3.8327 times Small's MACs.
    same, kept, broken, less = _judged('macs = ["+0%", "+283.3%", "+283.2%", "-1%"]', LARGE, SMALL)
    assert (same.status, same.limit, same.baseline) == ("exceeded", 56_510_400, 56_510_400)
    assert (kept.status, kept.limit) == ("within", 56_510_400 * 3833 // 1000)
    assert broken.status == less.status == "exceeded"
    assert [s.block for s in broken.contributors] == ["12", "13", "2"]
    of_small = figures(small)["macs"].blocks
    # At 14, 7 and 56 pixels:
    assert [s.baseline for s in broken.contributors] == [None, of_small["9"], of_small["1"]]
    (again,) = _judged('macs = "+0%"', SMALL, SMALL)
    assert again.status == "within"


RUN = made()


def _sized(dtype: Any, batch: int = 1) -> Any:
    return _found(made(size=(128, 128), how={"dtype": dtype, "batch": batch}), f"{dtype}.json")


def test_a_baseline_is_what_it_was_measured_as() -> None:
    """Small at 128 pixels has 10,147,200 B of weights in fp32 and 2,569,704 B in int8: 0.253 times as many."""
    (kept,) = _judged('weights = "-70%"', _sized("int8"), _sized("fp32"))
    assert (kept.status, kept.value, kept.baseline) == ("within", 2_569_704, 10_147_200)
    assert kept.measured_as == "fp32, batch 1 → int8, batch 1"
    (same,) = _judged('weights = "+0%"', _sized("int8"), _sized("int8"))
    assert (same.status, same.baseline, same.measured_as) == ("within", 2_569_704, "")
    (broken,) = _judged('weights = "+0%"', _sized("fp32"), _sized("int8"))
    assert (broken.status, broken.limit, broken.value) == ("exceeded", 2_569_704, 10_147_200)
    assert broken.contributors[0].block == "classifier"
    assert (broken.contributors[0].value, broken.contributors[0].baseline) == (6_463_392, 1_618_848 + 3_072)


def test_a_baselines_memory_is_of_its_own_batch() -> None:
    (one,) = _judged('arena = "+0%"', _sized("fp32", 2), _sized("fp32"))
    assert (one.status, one.value) == ("exceeded", 2 * one.baseline)
    (counted,) = _judged('macs = "+0%"', _sized("int8", 2), _sized("fp32"))
    assert (counted.status, counted.measured_as) == ("within", "")  # a count is of no dtype
    (asked,) = _judged('weights = { limit = "+0%", dtype = "int8" }', _sized("fp32"), _sized("fp32"))
    assert (asked.status, asked.baseline, asked.measured_as) == ("within", 2_569_704, "int8")


def test_a_table_as_a_baseline_is_counted_as_the_run_was_measured() -> None:
    table = Side("small", Subject(read_table("small"), (128, 128)))
    (same,) = _judged('weights = "+0%"', _sized("int8"), table)
    assert (same.status, same.baseline) == ("within", 2_569_704)


def test_a_limit_is_not_exceeded_by_a_machine_that_was_busy() -> None:
    """The process got a third of its CPU: 60 ms of wall time are no evidence, 20 ms within 21 ms are."""
    crowded = timing("cpu", NET, [0.06] * 12, cpu=1 / 3)
    (found,) = _judged('latency.cpu = "21ms"', _found(run_of(SMALL.subject, [crowded])))
    assert (found.status, found.breach) == ("unclear", "error")
    assert found.reason == "above the limit, but the machine was busy; measure again"
    (warned,) = _judged(
        'latency.cpu = { limit = "21ms", level = "warn" }', _found(run_of(SMALL.subject, [crowded]))
    )
    assert (warned.status, warned.breach) == ("unclear", "warn")
    (found,) = _judged('latency.cpu = "70ms"', _found(run_of(SMALL.subject, [crowded])))
    assert found.status == "within"


def test_a_time_is_held_against_its_limit() -> None:
    kept, broken, missing = _judged(
        'latency.cpu = "21ms"\nlatency.onnxruntime = "21ms"\nlatency.litert = "1s"', _found(RUN)
    )
    assert (kept.status, broken.status) == ("within", "exceeded")
    assert kept.measured_as == "fp32, batch 1, 1 thread"
    assert broken.value == pytest.approx(0.040, rel=0.01)
    assert [s.block for s in broken.contributors] == ["classifier", "head", "10"]  # 10 and 11 are identical
    assert (missing.status, missing.reason) == ("not measured", "run.json was not measured on litert")


@pytest.mark.parametrize(
    ("slower", "status"), [(1.0, "within"), (1.04, "within"), (1.08, "exceeded"), (2.0, "exceeded")]
)
def test_a_regression_breaks_a_relative_budget_and_noise_does_not(slower: float, status: Any) -> None:
    for seed in range(1, 6):
        new = made(seed=seed, slower={"net": slower})
        (found,) = _judged('latency.cpu = "+5%"', _found(new), _found(RUN))
        assert found.status == status
        assert found.limit == pytest.approx(0.021, rel=0.01)


def test_above_the_limit_but_in_the_noise_is_kept_with_a_reason() -> None:
    quiet, noisy = made(noise=0.2), made(noise=0.2, seed=3, slower={"net": 1.12})  # ±20 % between calls
    (found,) = _judged('latency.cpu = "+1%"', _found(noisy), _found(quiet))
    assert (found.status, found.breach) == ("within", None)
    assert found.margin < 0
    assert found.reason.startswith("not significant: the change is ×1.")


def test_a_regression_of_blocks_names_those_that_spend_most_with_what_they_were() -> None:
    new = made(seed=1, slower={"3": 20.0, "net": 1.5})
    (found,) = _judged('latency.cpu = "+5%"', _found(new), _found(RUN))
    assert found.contributors[0].block == "3"
    assert found.contributors[0].value / found.contributors[0].baseline == pytest.approx(20, rel=0.02)


def _at(*threads: int) -> Any:
    """A run at several thread counts."""
    runs = [made(how={"threads": many}) for many in threads]
    return replace(runs[0], timings=tuple(t for run in runs for t in run.timings))


@pytest.mark.parametrize(("slower", "status"), [(1.0, "within"), (1.08, "within"), (1.2, "exceeded")])
def test_a_run_of_another_batch_is_held_against_the_baseline_per_image(slower: float, status: Any) -> None:
    new = made(seed=1, how={"batch": 4}, slower={NET: 4 * slower})
    (found,) = _judged('latency.cpu = "+10%"', _found(new), _found(RUN))
    assert found.status == status
    assert found.measured_as == "fp32, batch 1, 1 thread → fp32, batch 4, 1 thread"
    assert found.baseline == pytest.approx(4 * 0.020, rel=0.01)
    assert found.limit == pytest.approx(4 * 0.022, rel=0.01)


@pytest.mark.parametrize(
    ("old", "level", "status", "breach", "says"),
    [
        (made(host=replace(HOST, cpu="Another")), "warn", "not comparable", "warn", "different machines"),
        (made(host=replace(HOST, cpu="Another")), "error", "not comparable", "error", "different machines"),
        (made(count=5), "error", "not comparable", "error", "the old one has 5 bursts, 6 are needed"),
        (_at(2, 4), "error", "not measured", "error", "was not measured at fp32, batch 1, 1 thread"),
        (_at(2, 4), "warn", "not measured", "error", "was not measured at fp32, batch 1, 1 thread"),
        (made(backends=("litert",)), "warn", "not measured", "error", "old.json was not measured on cpu"),
        (
            made(how={"status": "mismatch", "reason": "off"}),
            "error",
            "not measured",
            "error",
            "it is a mismatch: off",
        ),
    ],
)
def test_what_cannot_be_compared_is_no_pass(
    old: Any, level: str, status: Any, breach: str, says: str
) -> None:
    (found,) = _judged(
        f'latency.cpu = {{ limit = "+5%", level = "{level}" }}', _found(RUN), _found(old, "old.json")
    )
    assert (found.status, found.breach) == (status, breach)
    assert says in found.reason


def test_a_table_as_a_baseline_has_no_times() -> None:
    (found,) = _judged('latency.cpu = "+5%"', _found(RUN), SMALL)
    assert (found.status, found.breach) == ("not measured", "error")
    assert "small is a table" in found.reason


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"status": "mismatch", "reason": "off by 3"}, "it is a mismatch: off by 3"),
        ({"status": "crashed", "launches": ()}, "it is crashed"),
        ({"launches": ()}, "it is without a sample"),
        ({"part": "stem"}, "has only other parts on cpu, not the whole network"),
        ({"variant": "other"}, "was not measured on cpu"),
    ],
)
def test_a_whole_network_without_a_right_time_is_an_error(fields: dict[str, Any], says: str) -> None:
    run = made(backends=("cpu",))
    net = replace(run.timings[-1], **fields)
    (found,) = _judged('latency.cpu = "1s"', _found(replace(run, timings=(net,))))
    assert (found.status, found.breach) == ("not measured", "error")
    assert says in found.reason


def test_a_run_of_two_types_is_judged_in_both_or_in_the_one_asked_for() -> None:
    both = replace(RUN, timings=RUN.timings + made(how={"dtype": "int8"}).timings)
    assert [j.measured_as for j in _judged('latency.cpu = "1s"', _found(both))] == [
        "fp32, batch 1, 1 thread",
        "int8, batch 1, 1 thread",
    ]
    (int8,) = _judged('latency.cpu = { limit = "1s", dtype = "int8" }', _found(both))
    assert int8.measured_as == "int8, batch 1, 1 thread"
    (none,) = _judged('latency.cpu = { limit = "1s", dtype = "bf16" }', _found(both))
    assert none.reason == "run.json was not measured at bf16 on cpu"


@given(st.integers(0, 10**12), st.integers(0, 10**9))
def test_margin_is_limit_minus_value(limit: Any, tenths: Any) -> None:
    budget = Budget(name="macs", written="x", limit=limit)
    (found,) = judge([budget], LARGE, None)
    assert found.margin == limit - 216_589_760
    assert (found.status == "within") == (limit >= 216_589_760)


def test_a_size_is_judged_for_every_type_and_batch_that_was_measured() -> None:
    runs = [made(how=how) for how in ({}, {"dtype": "int8"}, {"batch": 2})]
    several = replace(runs[0], timings=tuple(t for run in runs for t in run.timings))
    for order in (several, replace(several, timings=several.timings[::-1])):
        found = {j.measured_as: j.value for j in _judged('arena = "1GiB"', _found(order))}
        assert found == {"fp32, batch 1": 28_672, "int8, batch 1": 7_168, "fp32, batch 2": 57_344}
        weights = {
            j.measured_as.partition(",")[0]: j.value for j in _judged('weights = "1GiB"', _found(order))
        }
        assert set(weights) == {"fp32", "int8"}
        (macs,) = _judged('macs = "1G"', _found(order))
        assert (macs.measured_as, macs.dtype) == ("", None)
    (one,) = _judged('arena = { limit = "1GiB", dtype = "int8" }', _found(several))
    assert (one.measured_as, one.value) == ("int8", 7_168)


def test_a_time_is_held_against_a_baseline_of_another_type_and_both_are_named() -> None:
    (found,) = _judged('latency.cpu = "+5%"', _found(made(how={"dtype": "int8", "threads": 4})), _found(RUN))
    assert found.measured_as == "fp32, batch 1, 1 thread → int8, batch 1, 4 threads"
    assert (found.target.dtype, found.baseline_target.dtype) == ("int8", "fp32")
