"""Latency of networks of a space from measured rows: choice, models, columns, documents and commands."""

import csv
import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from mnv3prof.bench.profile import profile
from mnv3prof.bench.progress import Progress
from mnv3prof.cli.main import run
from mnv3prof.estimate import measure as measuring
from mnv3prof.estimate.blocks import Blocks, Place, alone
from mnv3prof.estimate.choose import choose_blocks
from mnv3prof.estimate.columns import latency_columns, latency_of
from mnv3prof.estimate.composition import fit_composition, terms
from mnv3prof.estimate.features import BORDER, NAMES, WEIGHTS, features_of
from mnv3prof.estimate.files import read_table_of
from mnv3prof.estimate.model import Model, blocks_of, errors, fitted, held_out
from mnv3prof.estimate.predictor import fit_predictor
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.parts import NET
from mnv3prof.record.rows import FORM, RowTable, encoded_rows, read_rows
from mnv3prof.record.run import Host
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Burst, Launch, Status, Timing
from mnv3prof.show.estimates import Errors, errors_sheet, estimate_sheet
from mnv3prof.space.files import parse_space

SPACE = """
name = "tiny space"
input = [32, 48]
width = [0.5, 1.0]
stem = 8
last = 16
classes = 4

[[stage]]
out = [8, 16]
ratio = 1
kernel = [3, 5]
stage.se = [false, true]

[[stage]]
out = [16, 24]
stride = 2
depth = [1, 2]
ratio = [2, 3]
kernel = [3, 5]
stage.activation = ["RE", "HS"]
"""
TINY = parse_space(SPACE.encode(), "tiny.toml", "tiny")
HERE = Host(cpu="a processor", cores=2, memory_bytes=1, gpu="", os="", python="", versions={})
TARGET = Target(backend="onnxruntime")
TRUTH = {"hot": 0.9, "weight": 2e-9, "block": 1e-6, "border": 1e-10, "constant": 2e-5}


def _timing(place: Place, seconds: float, **fields: Any) -> Timing:
    burst = Burst(calls=1, wall_s=(seconds,), mean_s=seconds, max_s=seconds)
    known = {"target": TARGET, "launches": (Launch((burst,) * 6),), "stopped": "converged", **fields}
    return Timing(variant=str(place.number), part=place.block, **known)


def _alone_s(features: Any) -> float:
    """Linear in the features."""
    found = dict(zip(NAMES, features, strict=True))
    macs = sum(value for name, value in found.items() if name.endswith("macs"))
    return float(
        4e-6 + 1e-6 * found["layers"] + macs / 2e9 + found["hardswish"] * 1e-9 + found["weights"] * 5e-10
    )


def _net_s(number: int, alone_s: Callable[[Any], float]) -> float:
    graph = TINY.network(number).graph
    found = np.array([features_of(graph, name) for name in graph.block_names])
    hot = np.array([alone_s(each) for each in found])
    return float(
        TRUTH["hot"] * hot.sum()
        + TRUTH["weight"] * found[:, WEIGHTS].sum()
        - TRUTH["block"] * len(found)
        - TRUTH["border"] * found[:, BORDER].sum()
        + TRUTH["constant"]
    )


def _table(noise: float = 0.0, blocks: int = 60, nets: int = 25, target: Target = TARGET) -> RowTable:
    """Times by a known formula, with noise."""
    chance = random.Random(0)
    chosen = choose_blocks(TINY, blocks, nets, seed=1)
    timings = []
    for place in chosen.every:
        if place.block == NET:
            seconds = _net_s(place.number, _alone_s)
        else:
            graph = TINY.network(place.number).graph
            seconds = _alone_s(features_of(graph, place.block))
        timings.append(_timing(place, seconds * (1 + chance.uniform(-noise, noise)), target=target))
    return RowTable(
        rows_form=FORM,
        created="2026-11-27",
        command="",
        space=TINY.name,
        digest=TINY.digest,
        count=blocks,
        nets=nets,
        hosts={"": HERE},
        timings=tuple(timings),
    )


@cache
def _model() -> Model:
    return fitted(TINY, _table(), TARGET, trees=False)


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forest takes most of the time of a test."""
    monkeypatch.setattr("mnv3prof.estimate.predictor._TREES", 15)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, Path]:
    """A network of the space, and measured rows."""
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")
    rows.write_text(encoded_rows(_table(0.02)), encoding="utf-8")
    return f"{space}#77", rows


def _some_networks(count: int = 60) -> list[int]:
    return random.Random(3).sample(range(TINY.size), count)


def test_the_blocks_of_a_space_are_those_of_its_networks() -> None:
    blocks = Blocks(TINY)
    for _ in blocks.contexts():
        pass
    keys = {known.key: known for known in blocks.known}
    assert len(keys) == len(blocks.known)
    found = {key: number for number in range(TINY.size) for key in _keys(number)}
    assert found.keys() == keys.keys()
    for known in blocks.known:
        graph = TINY.network(known.place.number).graph
        assert graph.keys[known.place.block] == known.key
        assert features_of(graph, known.place.block) == known.features


@cache
def _keys(number: int) -> tuple[str, ...]:
    return tuple(TINY.network(number).graph.keys.values())


def test_a_block_alone_is_the_same_block_in_a_smaller_network() -> None:
    for number in _some_networks(10):
        subject = TINY.network(number)
        for block in subject.graph.block_names:
            small, name = alone(subject, block)
            assert small is not subject
            assert small.graph.keys[name] == subject.graph.keys[block]
            assert len(small.graph.blocks) < len(subject.graph.blocks) or len(small.table.rows) == 1


def test_the_choice_covers_the_space_and_depends_on_the_seed_alone() -> None:
    chosen = choose_blocks(TINY, 40, 12, seed=5)
    assert chosen == choose_blocks(TINY, 40, 12, seed=5)
    assert {*chosen.networks} != {*choose_blocks(TINY, 40, 12, seed=6).networks}
    keys = [TINY.network(place.number).graph.keys[place.block] for place in chosen.blocks]
    assert len({*keys}) == len(keys) == 40
    assert len({*chosen.networks}) == 12
    assert sum(not place.block.isdecimal() for place in chosen.blocks) == 10
    every = choose_blocks(TINY, 10_000, 1, seed=5)
    assert len(every.blocks) == len({key for number in range(TINY.size) for key in _keys(number)})


def test_far_blocks_include_the_largest() -> None:
    blocks = Blocks(TINY)
    for _ in blocks.contexts():
        pass
    rows = [known for known in blocks.known if not known.is_end]
    chosen = {
        TINY.network(place.number).graph.keys[place.block]
        for place in choose_blocks(TINY, 24, 1, seed=0).blocks
    }
    widest = NAMES.index("widest")
    for extreme in (min, max):
        value = extreme(known.features[widest] for known in rows)
        assert chosen & {known.key for known in rows if known.features[widest] == value}


def test_networks_are_drawn_from_more_than_can_be_listed() -> None:
    huge = parse_space(
        SPACE.replace("depth = [1, 2]", "depth = [3, 4]").encode()
        + b"".join(
            b"[[stage]]\nout = 32\ndepth = 4\nratio = [2, 3, 4]\nkernel = [3, 5, 7]\nstage.se = [true, false]\n"
            for _ in range(6)
        ),
        "huge.toml",
        "huge",
    )
    assert huge.size > 2**63
    numbers = {place.number for place in choose_blocks(huge, 12, 20, seed=0).networks}
    assert len(numbers) == 20
    assert max(numbers) > 2**62


def test_times_that_are_sums_are_predicted_exactly() -> None:
    model = _model()
    assert model.blocks_held_out.p95 < 1e-3
    assert model.networks_held_out.p95 < 1e-3
    for number in _some_networks():
        found = model.estimate(TINY.network(number))
        assert found.seconds == pytest.approx(_net_s(number, _alone_s), rel=2e-3)
        assert found.seconds == pytest.approx(sum(block.seconds for block in found.blocks), abs=1e-12)


def test_the_errors_that_are_said_are_those_of_networks_never_measured() -> None:
    model = fitted(TINY, _table(0.05), TARGET, trees=True)
    unseen = _some_networks(60)
    found = np.array([model.estimate(TINY.network(number)).seconds for number in unseen])
    true = errors(found, np.array([_net_s(number, _alone_s) for number in unseen]))
    said = model.networks_held_out
    assert 0.005 < said.median < 0.06
    assert true.median < said.median + 0.02  # the networks' own noise is in what is said


def test_trees_learn_what_is_not_linear() -> None:
    blocks = Blocks(TINY)
    for _ in blocks.contexts():
        pass
    features = np.array([known.features for known in blocks.known])
    seconds = np.array([_alone_s(each) for each in features])
    seconds = seconds * np.where(features[:, NAMES.index("kernel")] >= 5, 1.5, 1.0)

    def by(trees: bool) -> Any:
        return held_out(
            seconds, lambda a, b: fit_predictor(features[a], seconds[a], trees=trees).seconds(features[b]), 5
        )

    assert by(True).p90 < by(False).p90 * 0.7


def test_a_held_out_time_is_never_fitted() -> None:
    seen: list[int] = []

    def predict(train: Any, test: Any) -> Any:
        assert not {*train} & {*test}
        assert {*train} | {*test} == {*range(23)}
        seen.extend(test)
        return np.ones(len(test))

    held_out(np.ones(23), predict, 10)
    assert sorted(seen) == list(range(23))


def test_errors_are_relative_to_what_was_measured() -> None:
    found = errors(np.array([1.04, 0.92, 2.0, 1.0]), np.ones(4))
    assert (found.count, found.within_5, found.within_10) == (4, 0.5, 0.75)
    assert found.median == pytest.approx(0.06)
    assert found.p95 == pytest.approx(0.862)
    assert found.sentence("networks") == "±72 % for 9 of 10 networks held out (4 networks)"


def test_the_composition_is_found_and_no_block_adds_less_than_nothing() -> None:
    networks = [blocks_of(TINY.network(number)) for number in _some_networks(30)]
    matrices = [np.array([block.features for block in each]) for each in networks]
    hot = [np.array([_alone_s(row) for row in each]) for each in matrices]
    sums = np.array([terms(*pair) for pair in zip(hot, matrices, strict=True)])
    seconds = sums @ np.array([0.8, 1e-9, 2e-6, 1e-10, 1e-5])
    found = fit_composition(sums, seconds, np.concatenate(hot), np.concatenate(matrices))
    assert sums @ np.array(found) == pytest.approx(seconds, rel=1e-6)
    fewer = fit_composition(sums, seconds - 4e-6 * np.array([len(each) for each in hot]), hot[0], matrices[0])
    assert fewer.added(hot[0], matrices[0], np.zeros(len(hot[0]))).min() >= 0
    assert fewer.block <= fewer.hot * hot[0].min() + fewer.weight * matrices[0][:, WEIGHTS].max()


def test_columns_are_the_estimates_of_all_networks() -> None:
    model = fitted(TINY, _table(0.05), TARGET, trees=True)
    contexts = latency_columns(TINY, model)
    for number in _some_networks(50):
        context, *entries = TINY.digits(number)
        before = total = 0
        for stage, entry, columns in zip(TINY.stages, entries, contexts[context].stages, strict=True):
            assert len(columns[before]) == stage.entries
            total += int(columns[before][entry])
            before = stage.out.index(dict(stage.entry(entry)[0])["out"])
        total += int(contexts[context].ends[before])
        assert total == round(model.estimate(TINY.network(number)).seconds * 1e9)
    assert contexts[0].ends.dtype == np.int64


def test_the_cache_holds_the_same_latencies(tmp_path: Path) -> None:
    first = latency_of(TINY, _table(0.05), TARGET, tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.read_bytes()
    model = fitted(TINY, _table(0.05), TARGET)
    for kept in (written, written[: len(written) // 2], b"", b"PK\x03\x04" + bytes(300)):
        file.write_bytes(kept)
        again = latency_of(TINY, _table(0.05), TARGET, tmp_path)
        assert again.held_out == first.held_out == model.networks_held_out
        for context, other in zip(again.columns, latency_columns(TINY, model), strict=True):
            assert [*context.ends] == [*other.ends]
            pairs = zip(sum(context.stages, ()), sum(other.stages, ()), strict=True)
            assert all((mine == theirs).all() for mine, theirs in pairs)
        assert file.read_bytes() == written
    latency_of(TINY, _table(0.06), TARGET, tmp_path)
    assert len([*tmp_path.iterdir()]) == 2


def test_a_measured_row_replaces_its_prediction() -> None:
    table = _table()
    block = next(t for t in table.timings if t.part == "2")
    slow = _timing(Place(int(block.variant), "2"), 1.0)
    changed = replace(table, timings=tuple(slow if t is block else t for t in table.timings))
    model = fitted(TINY, changed, TARGET, trees=False)
    found = model.estimate(TINY.network(int(block.variant))).blocks[2]
    assert (found.alone_s, found.measured) == (1.0, True)


def test_times_are_of_the_cpu_where_others_disturbed_the_machine() -> None:
    table = _table()
    disturbed = Burst(
        calls=1, wall_s=(1.0,), mean_s=1.0, max_s=1.0, cpu_s=0.5, cpu_median_s=0.5, switches=100
    )
    quicker = replace(disturbed, cpu_median_s=0.4)
    timings = tuple(replace(t, launches=(Launch((disturbed,) * 5 + (quicker,)),)) for t in table.timings)
    model = fitted(TINY, replace(table, timings=timings), TARGET, trees=False)
    assert model.clock == "CPU"
    assert {*model.known.values()} == {0.4}
    assert _model().clock == "wall"


@pytest.mark.parametrize("status", ["mismatch", "crashed", "timeout", "unsupported"])
def test_a_part_without_a_time_is_a_row_with_a_reason(status: Status) -> None:
    table = _table()
    bad = replace(table.timings[0], status=status, reason="it is not to be")
    table = replace(table, timings=(bad, *table.timings[1:]))
    model = fitted(TINY, table, TARGET, trees=False)
    assert model.blocks_held_out.count == 59
    sheet = errors_sheet(table, [Errors(TARGET, model.blocks_held_out, model.networks_held_out)])
    assert f"onnxruntime: 1 part has no time ({status}: it is not to be)." in sheet.notes
    assert [row[1:3] for row in sheet.rows] == [("blocks", 59), ("networks", 25)]


@pytest.mark.parametrize("seed", range(6))
def test_absurd_times_are_fitted_or_refused(seed: int) -> None:
    chance, table = random.Random(seed), _table(blocks=20, nets=8)
    timings = []
    for timing in table.timings:
        seconds = 10 ** chance.uniform(-9, 8) if chance.random() < seed / 5 else 1e-3
        timings.append(_timing(Place(int(timing.variant), timing.part), seconds))
    try:
        model = fitted(TINY, replace(table, timings=tuple(timings)), TARGET, trees=True)
    except InputError as error:
        assert "differ too much" in str(error)
    else:
        assert np.isfinite(model.estimate(TINY.network(77)).seconds)
        assert model.networks_held_out.count == 8


def test_too_few_times_give_no_estimate() -> None:
    table = _table(blocks=10, nets=5)
    with pytest.raises(InputError, match="has times of 9 blocks and 5 networks on onnxruntime"):
        fitted(TINY, replace(table, timings=table.timings[1:]), TARGET)
    assert fitted(TINY, table, TARGET, trees=False).networks_held_out.count == 5


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(encoded_rows(_table()), encoding="utf-8")
    assert read_table_of(TINY, path) == _table()
    assert read_table_of(replace(TINY, name="moved"), path) == _table()


def _change(**fields: Any) -> Callable[[str], str]:
    def change(text: str) -> str:
        document = json.loads(text)
        for key, value in fields.items():
            if key in ("variant", "part"):
                document["timings"][0][key] = value
            else:
                document[key] = value
        return json.dumps(document)

    return change


def _twice(text: str) -> str:
    document = json.loads(text)
    document["timings"].append(document["timings"][0])
    return json.dumps(document)


HOSTILE: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda text: text[: len(text) // 2], "is not valid JSON"),
    "empty": (lambda _: "", "is not valid JSON"),
    "a list": (lambda _: "[1]", "is damaged"),
    "deep": (lambda _: "[" * 100_000, "nested too deeply|not valid JSON|damaged"),
    "not text": (lambda _: "\udcff\udcfe", "is not valid JSON"),
    "a table": (lambda _: '{"name": "net", "rows": []}', "holds no measured rows"),
    "other form": (_change(rows_form=FORM + 1), f"has rows of form {FORM + 1}; this version reads {FORM}"),
    "other space": (_change(digest="0" * 32, space="ofa"), "holds rows of another space, 'ofa'"),
    "no host": (_change(hosts={}), "which is not in hosts"),
    "far network": (_change(variant=str(TINY.size)), "has no network"),
    "huge network": (_change(variant="9" * 5_000), "has no network"),
    "no network": (_change(variant="²"), "has no network"),
    "other part": (_change(part="99"), "which is not in its network"),
    "negative": (_change(count=-1), "is damaged"),
    "wrong type": (_change(timings={}), "is damaged"),
    "twice": (_twice, "has the part and target of an earlier one"),
    "many values": (lambda _: "[" + "," * 2_000_000, "has about 2,000,000 values"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_table_gives_one_sentence(
    how: str, files: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = HOSTILE[how]
    network, rows = files
    rows.write_bytes(change(rows.read_text(encoding="utf-8")).encode("utf-8", "surrogateescape"))
    assert run(["latency", network, "--latency-table", str(rows)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("mnv3prof: ")]
    assert len(lines) == 1
    assert "Traceback" not in err
    assert re.search(message, lines[0]), lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["large", "--latency-table", "ROWS"], "large is no network of a space; expected SPACE.toml#NUMBER"),
        (["--latency-table", "ROWS"], "no SOURCE is no network of a space"),
        (["NETWORK", "--latency-table", "none.json"], "none.json: cannot be read"),
        (
            ["NETWORK", "--latency-table", "ROWS", "--time-budget", "3"],
            "--time-budget: --latency-table measures nothing",
        ),
        (
            ["NETWORK", "--latency-table", "ROWS", "--input", "64"],
            "--input: --latency-table measures nothing",
        ),
        (
            ["NETWORK", "--latency-table", "ROWS", "--on", "ncnn"],
            "has no rows of this target; expected onnxruntime",
        ),
        (["NETWORK", "--latency-table", "ROWS", "--dtype", "int8"], "has no rows of this target"),
    ],
)
def test_wrong_arguments_give_one_sentence(
    arguments: list[str], message: str, files: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    named = {"NETWORK": files[0], "ROWS": str(files[1])}
    assert run(["latency", *(named.get(each, each) for each in arguments)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("trees", [True, False])
def test_no_estimate_is_printed_without_its_error(
    trees: bool, files: tuple[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnv3prof.estimate.model.has_trees", lambda: trees)
    network, rows = files
    model = fitted(TINY, _table(0.02), TARGET)
    sentence = model.networks_held_out.sentence("networks")
    texts = {}
    for form in ("table", "md", "csv", "json"):
        assert run(["latency", network, "--latency-table", str(rows), "--format", form]) == 0
        texts[form] = capsys.readouterr().out
    for form in ("table", "md"):
        assert sentence in " ".join(texts[form].split()), form
        assert "estimated latency, not measured" in texts[form]
        assert ("scikit-learn is missing" in texts[form]) is not trees
    (found,) = json.loads(texts["json"])["estimates"]
    assert found["networks_held_out"]["count"] == 25
    assert found["with_trees"] is trees
    *_, last = csv.DictReader(texts["csv"].splitlines())
    assert (last["part"], float(last["estimated_s"])) == (NET, found["seconds"])
    assert float(last["p90"]) == found["networks_held_out"]["p90"]
    whole = estimate_sheet(TINY.network(77).graph, [model.estimate(TINY.network(77))]).totals[0]
    assert "±" in whole[1]


def test_fit_limits_latencies_that_are_estimated(
    files: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The largest is that of all networks, each estimated by itself."""
    source, rows = files
    space = source.partition("#")[0]
    model = fitted(TINY, read_table_of(TINY, rows), TARGET)
    every = [model.estimate(TINY.network(number)).seconds for number in range(TINY.size)]
    limit = sorted(every)[TINY.size // 3]
    macs = [sum(layer.macs for layer in TINY.network(number).graph.layers) for number in range(TINY.size)]
    wanted = max(each for each, seconds in zip(macs, every, strict=True) if seconds <= limit)
    words = ["fit", space, "--latency-table", str(rows), "--top", "2"]
    budget = ["--budget", f"latency.onnxruntime={1e9 * limit:.0f}ns"]
    assert run([*words, *budget, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = found["networks"][0]
    number = int(first["source"].partition("#")[2])
    assert found["proven"]
    assert first["figures"]["macs"] == macs[number] == wanted
    assert first["estimates"] == {"latency.onnxruntime": pytest.approx(every[number], abs=2e-9)}
    assert found["held_out"]["latency.onnxruntime"]["count"] == 25
    assert run([*words, *budget]) == 0
    out = capsys.readouterr().out
    assert re.search(r"estimated, not measured: ±\S+ % for 9 of 10 networks held out \(25 networks\)", out)
    assert re.search(r"\d ±\S+ %", out)
    for more, message in (
        (["--budget", "latency.ncnn=1ms"], "has no rows of latency.ncnn in fp32"),
        ([*budget, "--dtype", "int8"], "has no rows in int8"),
    ):
        assert run([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert run(["fit", space, *budget]) == 2
    assert "--latency-table is required" in capsys.readouterr().err
    assert run([*words, "--dtype", "int8"]) == 2
    assert "has no rows in int8 of one image; expected onnxruntime (fp32" in capsys.readouterr().err
    assert run([*words, "--threads", "2"]) == 2
    assert "has no rows in fp32" in capsys.readouterr().err
    assert run([*words, "--threads", "1"]) == 0
    capsys.readouterr()
    assert run(["fit", "small", "--latency-table", str(rows)]) == 2
    assert "is of the networks of a space" in capsys.readouterr().err


def test_read_rows_refuses_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnv3prof.record.rows.MAX_RUN_BYTES", 10)
    with pytest.raises(InputError, match="is too large; expected at most 10 bytes"):
        read_rows(encoded_rows(_table()).encode(), "rows.json")


def _measure(space: Path, rows: Path, *more: str) -> int:
    return run(["measure-rows", str(space), "--count", "10", "--nets", "5", "-o", str(rows), *more])


def test_rows_are_measured_and_estimate_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real measurement, whose outputs are compared with PyTorch's."""
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")
    assert _measure(space, rows, "--on", "onnxruntime", "--time-budget", "1.5") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "tiny space: errors of estimated latencies" in text
    table = read_table_of(TINY, rows)
    assert len(table.timings) == 15
    assert all(timing.final and timing.seconds and timing.max_abs_err is not None for timing in table.timings)
    assert {timing.part for timing in table.timings} >= {NET, "stem"}
    before = rows.read_bytes()
    assert _measure(space, rows, "--on", "onnxruntime", "--time-budget", "1.5", "--resume") == 0
    assert rows.read_bytes() == before  # nothing is missing
    capsys.readouterr()
    assert run(["latency", f"{space}#5", "--latency-table", str(rows)]) == 0
    assert "networks held out (5 networks)" in " ".join(capsys.readouterr().out.split())


def test_an_interrupt_of_the_sampling_shows_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")

    def interrupted(request: Any, **how: Any) -> Any:
        measured = profile(request, **how)
        return replace(measured, timings=tuple(replace(t, stopped="interrupted") for t in measured.timings))

    monkeypatch.setattr(measuring, "profile", interrupted)
    assert _measure(space, rows, "--on", "null", "--time-budget", "0.3") == 130
    out, err = capsys.readouterr()
    assert "errors of estimated latencies" in out
    assert "stopped; 0 of 15 times are complete in" in err
    assert {timing.stopped for timing in read_table_of(TINY, rows).timings} == {"interrupted"}
    monkeypatch.setattr(measuring, "profile", profile)
    assert _measure(space, rows, "--on", "null", "--time-budget", "0.3", "--resume") == 0
    assert "interrupted" not in {timing.stopped for timing in read_table_of(TINY, rows).timings}


@pytest.mark.usefixtures("pi")
def test_rows_are_measured_on_a_device_and_one_that_is_gone_is_rows_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mnv3prof.devices.gone]\nssh = "nobody@gone.invalid"\n', encoding="utf-8"
    )
    assert _measure(space, rows, "--on", "null@pi,null@gone", "--time-budget", "0.6") == 0
    text = " ".join(capsys.readouterr().out.split())
    table = read_table_of(TINY, rows)
    assert {"", "pi", "gone"} <= table.hosts.keys()
    by_device = {device: [t for t in table.timings if t.target.device == device] for device in ("pi", "gone")}
    assert [len(each) for each in by_device.values()] == [15, 15]
    assert all(timing.seconds for timing in by_device["pi"])
    assert {timing.status for timing in by_device["gone"]} == {"not available"}
    assert "null@gone: no estimates: has times of 0 blocks and 0 networks" in text
    assert "null@gone: 15 parts have no time (not available: " in text
    assert "null@pi networks 5" in text


def test_an_interrupt_keeps_what_there_is_and_resume_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")
    monkeypatch.setattr(measuring, "_BATCH", 6)
    original, batches = profile, []

    def interrupted(request: Any, **how: Any) -> Any:
        batches.append(request)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return original(request, **how)

    monkeypatch.setattr(measuring, "profile", interrupted)
    assert _measure(space, rows, "--on", "null", "--time-budget", "0.3") == 130
    assert "6 of 15 times are complete in" in capsys.readouterr().err
    assert len(read_table_of(TINY, rows).timings) == 6
    assert _measure(space, rows, "--on", "null", "--time-budget", "0.3", "--resume") == 0
    assert len(read_table_of(TINY, rows).timings) == 15
    assert [len(batch.subjects) for batch in batches[2:]] == [6, 3]
    done = {name for batch in (batches[0], *batches[2:]) for name in batch.subjects}
    assert len(done) == 15


def test_an_earlier_interrupt_does_not_end_what_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts wait in another batch."""
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")
    monkeypatch.setattr(measuring, "_BATCH", 4)
    runs: list[Any] = []

    def second_is_interrupted(request: Any, **how: Any) -> Any:
        measured = profile(request, **how)
        runs.append(measured)
        stop = "interrupted" if len(runs) == 2 else "converged"
        return replace(measured, timings=tuple(replace(t, stopped=stop) for t in measured.timings))

    monkeypatch.setattr(measuring, "profile", second_is_interrupted)
    assert _measure(space, rows, "--on", "null", "--time-budget", "0.3") == 130
    assert "stopped; 4 of 15 times are complete" in capsys.readouterr().err
    assert _measure(space, rows, "--on", "null", "--time-budget", "0.3", "--resume") == 0
    assert len(runs) == 2 + 3


def test_a_table_of_another_space_or_machine_is_not_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, rows = tmp_path / "tiny.toml", tmp_path / "rows.json"
    space.write_text(SPACE, encoding="utf-8")
    rows.write_text(encoded_rows(_table()), encoding="utf-8")
    assert _measure(space, rows, "--on", "null", "--resume") == 2
    assert "was measured on 'a processor'" in capsys.readouterr().err
    assert _measure(space, rows, "--on", "null", "--seed", "5", "--resume") == 2
    assert "was measured with --seed 0; expected the same with --resume" in capsys.readouterr().err
    space.write_text(SPACE.replace("48", "64"), encoding="utf-8")
    assert _measure(space, rows, "--on", "null", "--resume") == 2
    assert "holds rows of tiny space before it was changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--count", "9"), "--count: 9 is not allowed; expected an integer from 10"),
        (("--nets", "4"), "--nets: 4 is not allowed; expected an integer from 5"),
        (("--on", "ncnn", "--dtype", "int8"), "--on: no target can run here"),
        (("--time-budget", "0"), "--time-budget: 0.0 is not allowed"),
        (("-o", "rows.csv"), "--output FILE.json is required"),
    ],
)
def test_wrong_options_of_measuring_give_one_sentence(
    more: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "tiny.toml"
    space.write_text(SPACE, encoding="utf-8")
    assert _measure(space, tmp_path / "rows.json", *more) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert not (tmp_path / "rows.json").exists()


def test_progress_names_the_batch() -> None:
    steps: list[Progress] = []
    request = measuring.RowsRequest(TINY, (Target(backend="null"),), 10, 5, budget_s=0.2)
    _, interrupted = measuring.measure_rows(request, on_progress=steps.append)
    assert {"batch 1 of 1, sampling"} <= {step.phase for step in steps}
    assert max(step.share or 0 for step in steps) <= 1
    assert not interrupted
