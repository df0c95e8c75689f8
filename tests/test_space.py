"""Design spaces: files, exact costs, the largest networks, how many fit."""

import io
import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spaces import arena_of, costs, enumerated, random_space

from mnv3prof.cost.counts import Dtype
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.files import preset
from mnv3prof.source import open_source
from mnv3prof.space.bounds import Limits, narrow
from mnv3prof.space.choose import ArenaLimit, choose
from mnv3prof.space.costs import COLUMNS, ContextTable
from mnv3prof.space.counting import _sampled as sampled_within
from mnv3prof.space.counting import count_within
from mnv3prof.space.files import SPACES, has_stages, open_space, parse_space, preset_space
from mnv3prof.space.fit import costs_of
from mnv3prof.space.space import Space
from mnv3prof.space.tables import tables_of

MACS, FLOPS, PARAMS, WEIGHTS, READ, WRITTEN, PEAK = range(len(COLUMNS))


@pytest.fixture(scope="module")
def ofa() -> Iterator[tuple[Space, list[ContextTable]]]:
    space = preset_space("ofa")
    yield space, tables_of(space, "int8", None)


# Costs, each counted again on the whole network by the facts' author.
KNOWN = {
    0: (5333408, 11225984, 1789776, 1800456, 2119376, 265272, 73728),
    1: (5357600, 11274368, 1792464, 1803144, 2122064, 265272, 73728),
    12345678901234567890: (28641768, 60902192, 2055896, 2076200, 3836072, 1457072, 384000),
    86643338032742399999: (416311136, 879110200, 6349504, 6410784, 20059752, 10424592, 1505280),
}


@pytest.mark.parametrize("number", KNOWN)
def test_known_networks_of_ofa(number: int, ofa: tuple[Space, list[ContextTable]]) -> None:
    space, tables = ofa
    digits = space.digits(number)
    assert space.number(digits) == number
    assert costs_of(tables[digits[0]], digits[1:]) == KNOWN[number]
    assert costs(space.network(number), "int8") == KNOWN[number]


@pytest.mark.parametrize("name", ["ofa", "near-large", "near-small", *range(12)])
def test_a_networks_costs_are_those_of_its_table(name: Any) -> None:
    draw = random.Random(str(name))
    space = preset_space(name) if isinstance(name, str) else random_space(name)
    dtypes: tuple[Dtype, ...] = ("int8", "fp16", "fp32")
    dtype = draw.choice(dtypes)
    contexts = draw.sample(range(len(space.contexts)), min(3, len(space.contexts)))
    each = space.size // len(space.contexts)
    small = Space(
        space.name, tuple(space.contexts[c] for c in contexts), space.stages, space.table, space.rule
    )
    tables = tables_of(small, dtype, None)
    for number in [draw.randrange(len(contexts) * each) for _ in range(15)]:
        digits = small.digits(number)
        assert costs_of(tables[digits[0]], digits[1:]) == costs(small.network(number), dtype)


@pytest.mark.parametrize("seed", range(25))
def test_the_largest_are_those_of_an_enumeration(seed: int) -> None:
    draw = random.Random(seed)
    space = random_space(seed, 1_500)
    tables = tables_of(space, "int8", None)
    networks = enumerated(space, tables)
    for _ in range(3):
        limits = _random_limits(draw, [*networks.values()])
        top = draw.choice([1, 1, 4])
        within = {n: c for n, c in networks.items() if all(c[i] <= m for i, m in limits.most.items())}
        wanted = sorted((c[limits.maximize] for c in within.values()), reverse=True)[:top]
        found = choose(tables, limits, top=top)
        assert [one.costs[limits.maximize] for one in found.networks] == wanted
        assert found.bound == (wanted[0] if wanted else None)
        numbers = [space.number(one.digits) for one in found.networks]
        assert len({*numbers}) == len(numbers)
        assert all(within[n] == one.costs for n, one in zip(numbers, found.networks, strict=True))


def _random_limits(draw: random.Random, networks: list[tuple[int, ...]]) -> Limits:
    most = {}
    for column in draw.sample(range(len(COLUMNS)), draw.randint(0, 4)):
        values = sorted(each[column] for each in networks)
        most[column] = values[int(draw.random() ** 1.5 * (len(values) - 1))] + draw.choice([0, 0, -1, 5])
    return Limits(most, draw.randrange(PEAK))


@pytest.mark.parametrize("seed", range(8))
def test_within_an_arena_the_largest_are_those_of_an_enumeration(seed: int) -> None:
    draw = random.Random(seed)
    space = random_space(seed, 120)
    tables = tables_of(space, "int8", None)
    networks = enumerated(space, tables)
    arenas = {number: arena_of(space.network(number), "int8") for number in networks}
    for share in (0.0, 0.2, 0.7):
        limit = sorted(arenas.values())[int(share * (len(arenas) - 1))] - (not share)
        limits = _random_limits(draw, [*networks.values()])
        top = draw.choice([1, 3, 20])
        wanted = sorted(
            (
                c[limits.maximize]
                for n, c in networks.items()
                if arenas[n] <= limit and all(c[i] <= most for i, most in limits.most.items())
            ),
            reverse=True,
        )
        found = choose(tables, limits, top=top, within=ArenaLimit(space, limit, "int8"))
        assert found.complete
        assert found.bound == (wanted[0] if wanted else None)
        assert [one.costs[limits.maximize] for one in found.networks] == wanted[:top]
        assert all(arenas[space.number(one.digits)] <= limit for one in found.networks)


def test_tight_limits_hide_no_network(ofa: tuple[Space, list[ContextTable]]) -> None:
    """Prices are high where little is left of a limit, so that their products round by more than 1."""
    _, tables = ofa
    for number in (7, 19):
        table = tables[number]
        least = narrow(table, Limits(dict.fromkeys(range(PEAK), 10**15), MACS)).least[0][0].tolist()
        for column, more, maximize in (
            (READ, 0, FLOPS),
            (MACS, 1, PARAMS),
            (READ, 2, WRITTEN),
            (WEIGHTS, 64, MACS),
        ):
            limits = Limits({column: least[column] + more}, maximize)
            counted = count_within(table, limits)
            found = choose([table], limits)
            assert counted.error == 0
            assert counted.fit > 0
            assert found.bound == found.networks[0].costs[maximize]
            assert found.networks[0].costs[column] <= least[column] + more


def test_an_arena_above_its_peak_is_planned(ofa: tuple[Space, list[ContextTable]]) -> None:
    space, tables = ofa
    limits = Limits({PARAMS: 2_291_384}, MACS)
    found = choose(tables, limits, within=ArenaLimit(space, 752_640, "int8"))
    by_peak = choose(tables, Limits({PARAMS: 2_291_384, PEAK: 752_640}, MACS))
    (best,) = found.networks
    assert arena_of(space.network(space.number(best.digits)), "int8") <= 752_640
    assert arena_of(space.network(space.number(by_peak.networks[0].digits)), "int8") > 752_640
    assert by_peak.bound is not None
    assert found.bound is not None
    assert 0.95 * found.bound < best.costs[MACS] <= found.bound <= by_peak.bound


@pytest.mark.parametrize("seed", range(12))
def test_how_many_fit_is_that_of_an_enumeration(seed: int) -> None:
    draw = random.Random(seed)
    space = random_space(seed)
    tables = tables_of(space, "int8", None)
    networks = [*enumerated(space, tables).values()]
    each = len(networks) // len(space.contexts)
    for _ in range(3):
        limits = _random_limits(draw, networks)
        for number, table in enumerate(tables):
            inside = [
                costs[limits.maximize]
                for costs in networks[number * each : (number + 1) * each]
                if all(costs[column] <= most for column, most in limits.most.items())
            ]
            found = count_within(table, limits)
            assert (found.networks, found.fit, found.error) == (each, len(inside), 0)
            assert found.mean == (Fraction(sum(inside), len(inside)) if inside else None)


def test_the_largest_of_ofa_within_two_million_parameters(ofa: tuple[Space, list[ContextTable]]) -> None:
    space, tables = ofa
    limits = Limits({PARAMS: 2_000_000, PEAK: 262_144}, MACS)
    found = choose(tables, limits)
    assert found.networks[0].costs[MACS] == found.bound == 45_684_208
    assert space.number(found.networks[0].digits) == 11615538911186679530
    planned = choose(tables, Limits({PARAMS: 2_000_000}, MACS), within=ArenaLimit(space, 262_144, "int8"))
    assert planned == found


def test_with_a_limit_on_what_is_maximized_the_gap_is_small(ofa: tuple[Space, list[ContextTable]]) -> None:
    space, tables = ofa
    for most in (
        {MACS: 40_000_000, PARAMS: 2_000_000, PEAK: 262_144},
        {MACS: 100_000_000, WEIGHTS: 3_000_000},
    ):
        found = choose(tables, Limits(most, MACS), top=5)
        assert found.bound == most[MACS]
        assert 0.998 * most[MACS] <= found.networks[0].costs[MACS] <= most[MACS]
        assert len(found.networks) == 5
        for one in found.networks:
            assert costs(space.network(space.number(one.digits)), "int8") == one.costs
            assert all(one.costs[column] <= limit for column, limit in most.items())


def test_the_networks_of_ofa_that_fit(ofa: tuple[Space, list[ContextTable]]) -> None:
    space, tables = ofa
    by_peak = [count_within(table, Limits({PEAK: 262_144}, MACS)) for table in tables]
    assert sum(each.fit for each in by_peak) == 28_688_571_926_396_928_000
    means = {
        (context.width, context.input[0]): (each.share, float(each.mean))
        for context, each in zip(space.contexts, by_peak, strict=True)
        if each.mean is not None
    }
    assert means[0.35, 160] == pytest.approx((2 / 3, 27_532_929.0), rel=1e-7)
    assert means[1.0, 128] == pytest.approx((0.155556, 80_464_489.9), rel=1e-5)
    assert len(means) == 10
    weights = Limits({PEAK: 262_144, WEIGHTS: 2_000_000}, MACS)
    both = [each for each in (count_within(table, weights) for table in tables) if each.fit]
    assert [round(each.share, 6) for each in both] == [0.530835, 0.530835, 0.355947]
    assert float(both[2].mean or 0) == pytest.approx(26_929_916.5, rel=1e-8)


def test_a_sample_is_near_the_exact_share(ofa: tuple[Space, list[ContextTable]]) -> None:
    _, tables = ofa
    limits = Limits({PEAK: 262_144, WEIGHTS: 2_000_000}, MACS)
    exact = count_within(tables[2], limits)
    sampled = sampled_within(narrow(tables[2], limits), exact.networks)
    assert 0 < sampled.error < 0.003
    assert abs(sampled.share - exact.share) < 2 * sampled.error
    assert float(sampled.mean or 0) == pytest.approx(float(exact.mean or 1), rel=0.01)


@pytest.mark.parametrize("name", SPACES)
def test_the_cache_holds_the_same_tables(name: str, tmp_path: Path) -> None:
    space = random_space(SPACES.index(name))
    first = tables_of(space, "int8", tmp_path)
    (file,) = tmp_path.iterdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mnv3prof.space.tables.Counter", None)  # nothing is counted again
        again = tables_of(space, "int8", tmp_path)
    digits = space.digits(space.size // 2)
    assert costs_of(first[digits[0]], digits[1:]) == costs_of(again[digits[0]], digits[1:])
    other = io.BytesIO()
    np.save(other, np.zeros(3))
    whole = file.read_bytes()
    flag = whole.index(b"PK\x01\x02") + 10  # the way of compressing, as its directory has it
    for damaged in (whole[:100], b"", other.getvalue(), whole[:flag] + b"\x63" + whole[flag + 1 :]):
        file.write_bytes(damaged)
        once_more = tables_of(space, "int8", tmp_path)
        assert costs_of(once_more[digits[0]], digits[1:]) == costs_of(first[digits[0]], digits[1:])


def test_the_cache_keeps_to_its_size_and_no_full_disk_ends_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = random_space(0)
    monkeypatch.setattr("mnv3prof.space.tables.MOST_BYTES", 1)
    for dtype in ("fp32", "int8"):
        tables_of(space, dtype, tmp_path)
        assert len([*tmp_path.iterdir()]) == 1

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mnv3prof.space.tables.replace_file", full)
    assert len(tables_of(space, "fp16", tmp_path)) == len(space.contexts)


@pytest.mark.parametrize("net", ["large", "small"])
def test_a_preset_is_one_of_its_neighbors(net: str) -> None:
    space, wanted = preset_space(f"near-{net}"), preset(net)
    place = next(n for n, c in enumerate(space.contexts) if c.width == 1.0 and c.input == (224, 224))
    digits, begin = [place], 0
    for stage in space.stages:
        for entry in range(stage.entries):
            _, rows = stage.entry(entry)
            some = wanted.rows[begin : begin + len(rows)]
            chosen = [{**dict(stage.entry(entry)[0]), **dict(row)} for row in rows]
            if len(some) == len(rows) and all(
                all(getattr(row, key) == value for key, value in each.items())
                for row, each in zip(some, chosen, strict=True)
            ):
                if begin + len(rows) < len(wanted.rows) and wanted.rows[begin + len(rows)].out == some[0].out:
                    continue
                digits.append(entry)
                begin += len(rows)
                break
    found = space.network(space.number(tuple(digits)))
    assert found.table.rows == wanted.rows
    assert costs(found, "fp32")[MACS] == {"large": 216_589_760, "small": 56_510_400}[net]


GOOD = """
input = 64
stem = 16
[[stage]]
out = 16
ratio = [1, 2]
kernel = 3
"""


def test_a_network_of_a_file_is_a_source(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(GOOD)
    subject = open_source(f"{file}#1").subject
    assert (subject.table.rows[0].expand, subject.input) == (32, (64, 64))
    assert subject.name == "my#1"
    for number in ("2", "-1", "x", "", "1e3", "9" * 70):
        with pytest.raises(InputError, match=r"is not a network of the space|is a space of 2"):
            open_source(f"{file}#{number}")
    with pytest.raises(InputError, match=r"is a space of 2 networks; expected .*my.toml#0 to .*my.toml#1"):
        open_source(str(file))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kernel = 3", "kernel = 4", "stage 1, key kernel: 4 is not allowed"),
        ("kernel = 3", "", "stage 1: the key kernel is missing"),
        ("ratio = [1, 2]", "", "stage 1: expected either expand or ratio"),
        ("ratio = [1, 2]", "ratio = []", "key ratio: has no choice"),
        ("ratio = [1, 2]", "ratio = [1, 1]", "1 is there twice"),
        ("ratio = [1, 2]", "ratio = [0]", "a number from 0.125 to 64"),
        ("ratio = [1, 2]", "ratio = [nan]", "a number from 0.125 to 64"),
        ("out = 16", "out = 16\nouts = 3", "the key 'outs' is unknown"),
        ("out = 16", "out = 16\nstage.kernel = 3", "kernel is there for the stage and for its rows"),
        ("out = 16", "out = 16\nstage.depth = 3", "'stage.depth' is unknown"),
        ("out = 16", "out = 16\nstage = 4", "key stage: 4 is not allowed"),
        ("out = 16", "out = 16\nstride = [1, 2, 3]", "key stride"),
        ("out = 16", "out = 16\ndepth = 17", "key depth"),
        ("out = 16", 'out = "16"', "key out"),
        ("input = 64", "input = 0", "key input"),
        ("input = 64", "width = []", "key width: has no choice"),
        ("input = 64", "width = 0", "key width: 0 is not allowed"),
        ("input = 64", "width_rule = 'mine'", "key width_rule: 'mine' is not allowed"),
        ("input = 64", "rows = []", "the key 'rows' is unknown"),
        ("input = 64", "classes = [10, -1]", "key classes: -1 is not allowed"),
        ("input = 64", f"input = {list(range(1, 1200))}", "1,199 combinations; expected 1 to 1,000"),
        (
            "ratio = [1, 2]",
            "ratio = [1, 2, 3, 4, 5, 6, 7, 8]\ndepth = [7]",
            "2,097,152 entries; expected at most 1,000,000: ratio has 8 choices",
        ),
        ("[[stage]]", "[stage]", "expected 1 to 32 tables"),
        ("stem = 16", "stem = [16, 24]", "key stem: [16, 24] is not allowed"),
        ("stem = 16", "divisor = inf", "key divisor"),
        ("stem = 16", "name = [1]", "key name"),
        (
            "input = 64",
            f"classes = {list(range(1, 200))}\nlast = {list(range(8, 200))}",
            "expected 1 to 1,000",
        ),
        ("[[stage]]", "[[stages]]", "is no space; expected tables [[stage]]"),
        ("[[stage]]", "rows = [[16, 16, 3, 1, false, 'RE']]\n[[x]]", "is a layer table, not a space"),
        (
            "kernel = 3",
            "kernel = 3\nstride = [1, 2]",
            "key stride: [1, 2] is not allowed; expected one stride",
        ),
        ("kernel = 3", "kernel = 3\nstride = [2]", "key stride: [2] is not allowed"),
        ("input = 64", "input = [64, [64, 64]]", "key input: choice 2 is there twice"),
        ("input = 64", "width = [1, 0.5, 1.0]", "key width: choice 3 is there twice; expected once"),
        ("input = 64", "classes = [10, 10]", "key classes: choice 2 is there twice"),
        (
            "input = 64\nstem = 16\n[[stage]]\nout = 16\nratio = [1, 2]",
            f"input = {list(range(32, 232))}\n[[stage]]\nout = 16\ndepth = 6\nratio = {list(range(1, 9))}",
            "entries over all widths and inputs; expected at most 30,000,000",
        ),
        ("stem = 16", "stem = 16\nstem = 16", "is not valid TOML"),
    ],
)
def test_a_wrong_space_is_one_sentence(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as error:
        parse_space(GOOD.replace(old, new, 1).encode(), "my.toml", "my")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "nothing: is not a space; expected a file .toml, or ofa, near-large or near-small"),
        ("no.toml", "no.toml: cannot be read"),
        ("table.csv", "table.csv: is not a space"),
    ],
)
def test_a_space_that_is_not_there(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_space(text)


@pytest.mark.parametrize("begin", ["[[ stage ]]", "  [[stage]]", "\ufeff[[stage]]"])
def test_a_space_is_known_by_its_stages(begin: str) -> None:
    assert has_stages(f"{begin}\nout = 16".encode())
    assert not has_stages(b"stages = [1]")
    assert not has_stages(b"[[stage")


def test_what_a_space_is_does_not_depend_on_the_order_of_its_keys() -> None:
    one, two = (
        parse_space(GOOD.replace("stem = 16", text).encode(), "my.toml", "my")
        for text in ("stem = 16\ndivisor = 4", "divisor = 4\nstem = 16")
    )
    assert one.digest == two.digest


def test_a_stride_of_each_axis(tmp_path: Path) -> None:
    space = parse_space(GOOD.replace("kernel = 3", "kernel = 3\nstride = [[1, 2]]").encode(), "my.toml", "my")
    assert space.size == 2
    assert {row.stride for row in space.network(1).table.rows} == {(1, 2)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width = [1, 1.9]\n[[stage]]\nout = [8, 60000, 16]", "my.toml: my at width 1.9: "),
        (
            "input = 16384\nstem = 65536\n[[stage]]\nout = [65536, 65528]",
            "expected at most 2^53, so that all are exact",
        ),
    ],
)
def test_networks_that_cannot_be_made_or_counted_name_the_file(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(f"head = []\nlast = []\nclasses = 4\n{text}\nratio = 1\nkernel = 3\n")
    with pytest.raises(InputError, match=r"^my\.toml: ") as error:
        tables_of(open_space("my.toml"), "fp32", None)
    assert message in str(error.value)


def test_a_space_without_classes_and_head(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(GOOD.replace("stem = 16", "classes = [0, 5]\nhead = []"))
    space = open_space(str(file))
    tables = tables_of(space, "fp32", None)
    for number in range(space.size):
        digits = space.digits(number)
        assert costs_of(tables[digits[0]], digits[1:]) == costs(space.network(number), "fp32")
