"""What `import mnv3prof` offers, used as its user would, and pandas frames of all of it."""

import doctest
import inspect
import json
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from some import some
from torch import nn

import mnv3prof
from mnv3prof.bench.progress import Progress
from mnv3prof.cli.main import run
from mnv3prof.interface.networks import Built, Module
from mnv3prof.mobilenetv3.network import MobileNetV3
from mnv3prof.record.document import encoded
from mnv3prof.render.sheet import Column, Sheet

TABLE = mnv3prof.read_table("large")
GRAPH = mnv3prof.expand(TABLE)
COSTS = mnv3prof.count(GRAPH)


FUNCTIONS = sorted(name for name in mnv3prof.__all__ if inspect.isfunction(getattr(mnv3prof, name)))

TYPES = sorted(name for name in mnv3prof.__all__ if inspect.isclass(getattr(mnv3prof, name)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with run.json, a run of Small on the null backend."""
    place = tmp_path_factory.mktemp("api")
    run = mnv3prof.measure("small", "null", parts="net", budget_s=0.1)
    (place / "run.json").write_text(encoded(run), encoding="utf-8")
    return place


def test_each_name_is_documented_and_listed() -> None:
    assert dir(mnv3prof) == mnv3prof.__all__ == sorted(mnv3prof.__all__)
    for name in mnv3prof.__all__:
        assert len(inspect.getdoc(getattr(mnv3prof, name))) > 30, name  # type: ignore[arg-type]
    assert re.fullmatch(r"\d+\.\d+\.\d+", mnv3prof.__version__)
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        mnv3prof.laod  # noqa: B018


@pytest.mark.parametrize("name", [*FUNCTIONS, *TYPES])
def test_each_function_and_type_has_an_example_that_is_true(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    text = some(inspect.getdoc(inspect.unwrap(getattr(mnv3prof, name))))
    assert name in TYPES or "InputError" in text
    assert not text.partition("\n")[0].startswith(">>>")
    test = doctest.DocTestParser().get_doctest(text, {"mnv3prof": mnv3prof}, name, None, None)
    assert test.examples
    printed: list[Any] = []
    failures, _ = doctest.DocTestRunner().run(test, out=printed.append)
    assert not failures, "".join(printed)


def test_every_type_that_a_signature_names_is_exported() -> None:
    """Types of the package, in annotations of the functions and fields of what they return."""
    exported = {getattr(mnv3prof, name) for name in mnv3prof.__all__}
    for name in FUNCTIONS:
        hints = typing.get_type_hints(inspect.unwrap(getattr(mnv3prof, name)), localns=_LOCAL)
        for kind in _types_of(*hints.values()):
            assert kind in {*exported, Built, Module}, (name, kind)  # a MobileNetV3, an nn.Module


_LOCAL = {"pd": pd, "Table": mnv3prof.Table, "MobileNetV3": MobileNetV3, "Progress": Progress}


def _types_of(*hints: Any) -> Iterator[Any]:
    """The package's own types that hints name."""
    for hint in hints:
        if isinstance(hint, list):  # the arguments of a Callable
            yield from _types_of(*hint)
        elif typing.get_origin(hint):
            yield from _types_of(*typing.get_args(hint))
        elif isinstance(hint, type) and hint.__module__.startswith("mnv3prof"):
            yield hint


def test_the_docstrings_example_is_true() -> None:
    code = "".join(line[4:] + "\n" for line in mnv3prof.__doc__.splitlines() if line.startswith("    "))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed, *rest = done.stdout.splitlines()
    assert f"# {printed}\n" in mnv3prof.__doc__
    assert "classifier" in "\n".join(rest)


def test_a_network_from_whatever_holds_one(folder: Path) -> None:
    run = mnv3prof.read_run(folder / "run.json")
    small = mnv3prof.load("small")
    table = mnv3prof.read_table("small")
    for source in ("small", table, small, run, folder / "run.json", mnv3prof.build(table)):
        assert mnv3prof.load(source) == small
    assert mnv3prof.load(run, "192x256").input == mnv3prof.load("small", (192, 256)).input == (192, 256)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (nn.Linear(2, 2), "Linear: cannot be captured with the input 3×224×224: RuntimeError: "),
        (nn.Linear, "Linear is a class; expected an instance, e.g. Linear()"),
        (object(), "load: object is not a network; expected a preset, a file, an nn.Module"),
        (None, "load: None is not a network"),
        (GRAPH, "load: Graph is not a network"),
        ("larg", "larg: no such file or preset; did you mean large"),
    ],
)
def test_what_is_no_network_is_refused(given: Any, says: str) -> None:
    with pytest.raises(mnv3prof.InputError, match=says):
        mnv3prof.load(given)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"on": "nul"}, "did you mean null"),
        ({"on": []}, r"on: \[\] is empty; expected at least one value"),
        ({"on": 3}, "on: 3 is not a str; expected names, e.g."),
        ({"dtype": "float32"}, "dtype: 'float32' is not allowed; expected fp32"),
        ({"batch": 0}, "batch: 0 is not allowed; expected an integer from 1 to 1,024"),
        ({"threads": [1, "2"]}, "threads: '2' is not allowed"),
        (
            {"parts": "17"},
            "parts: '17' is not a part of MobileNetV3-Small; expected net, blocks, backbone, all, a block ",
        ),
        ({"parts": ["net", 3]}, "parts: 3 is not a str; expected names of parts"),
        ({"budget_s": 0}, "budget_s: 0 is not allowed; expected a number above 0"),
        ({"timeout_s": "1"}, "timeout_s: '1' is not allowed"),
        ({"parts": []}, r"parts: \[\] is empty"),
        ({"parts": None}, "parts: None is not a str"),
        ({"on": b"null"}, "on: bytes is not a str"),
        ({"variants": "large"}, "variants: 'large' is not a Mapping"),
        ({"on_progress": 1}, "on_progress: 1 cannot be called"),
        ({"batch": [*range(1, 66)]}, "65 combinations are too many; expected at most 64"),
        ({"dtype": "int8"}, "on: no target can run here; null: it supports fp32"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(options: Any, says: str) -> None:
    with pytest.raises(mnv3prof.InputError, match=says) as refused:
        mnv3prof.measure("small", **{"on": "null", **options})
    assert "--" not in str(refused.value)


def test_a_measurement_from_python_is_that_of_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: list[Any] = []
    made = mnv3prof.measure(
        "small",
        ["null"],
        batch=[1, 2],
        parts=["net", "3", "features.1"],
        budget_s=0.2,
        variants={"wide": mnv3prof.vary(mnv3prof.read_table("small"), width=1.25)},
        on_progress=seen.append,
    )
    assert [target.batch for target in made.targets] == [1, 2]
    assert {timing.part for timing in made.timings} == {"net", "3", "features.1"}
    assert {timing.variant for timing in made.timings} == {"", "wide"}
    assert {timing.status for timing in made.timings} == {"ok"}
    assert seen
    path = mnv3prof.save(made, tmp_path / "run.json")
    assert mnv3prof.report(path, output=tmp_path / "page.html").stat().st_size > 500_000
    assert run(["latency", str(path), "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(made.timings) == 1 + len(mnv3prof.frame(made))


def test_results_as_tables_of_a_notebook_and_as_frames(folder: Path) -> None:
    old = mnv3prof.read_run(folder / "run.json")
    comparison = mnv3prof.compare("large", "small")
    difference = mnv3prof.diff(old, folder / "run.json")
    verdicts = mnv3prof.check(old, {"macs": "+5%", "latency.null": "1s"}, baseline="small")
    assert verdicts.passed
    assert [each.status for each in verdicts.judgments] == ["within", "within"]
    for result in (GRAPH, mnv3prof.load("small"), old, comparison, difference, verdicts):
        shown = mnv3prof.tables(result)
        assert shown
        assert shown._repr_html_() == "".join(table._repr_html_() for table in shown)
        assert all(table._repr_html_().startswith("<style>") for table in shown)
        assert all("<button" not in table._repr_html_() for table in shown)
        assert str(shown[0]).startswith("### ")
    for result in (old, difference, verdicts, mnv3prof.tables(comparison)[1]):  # type: ignore[assignment]
        assert len(mnv3prof.frame(result))
    assert [each.change.verdict for each in difference.times] in (["same"], ["unclear"])
    with pytest.raises(mnv3prof.InputError, match="tables: Table has no tables; expected a Graph"):
        mnv3prof.tables(TABLE)  # type: ignore[arg-type]
    with pytest.raises(mnv3prof.InputError, match="compare: 1 given; expected 2 to 26 networks"):
        mnv3prof.compare("large")
    with pytest.raises(mnv3prof.InputError, match=r"macs: \+5% is relative; expected also a baseline"):
        mnv3prof.check("large", {"macs": "+5%"})


def test_what_is_written_from_python_can_be_read_again(folder: Path, tmp_path: Path) -> None:
    run = mnv3prof.read_run(folder / "run.json")
    page = mnv3prof.report(folder / "run.json", run, output=tmp_path / "page.html")
    assert page == tmp_path / "page.html"
    assert mnv3prof.load(f"{page}#2") == mnv3prof.load("small")
    saved = mnv3prof.save(run, str(tmp_path / "copy.json"))
    assert mnv3prof.read_run(saved) == run


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda run: mnv3prof.report(output="x.html"), "report: no run is given"),
        (lambda run: mnv3prof.report("large", output="x.html"), "report: large holds no run"),
        (
            lambda run: mnv3prof.report([run], output="x.html"),  # type: ignore[arg-type]
            "report: list is not a Run; expected what measure",
        ),
        (
            lambda run: mnv3prof.report(run, output="run.json"),
            "report: 'run.json' is not allowed; expected a path",
        ),
        (
            lambda run: mnv3prof.report(run, output=""),
            "report: '' is not allowed; expected a path that ends in .html",
        ),
        (lambda run: mnv3prof.report(run, output="no/x.html"), "'no/x.html' cannot be written .No such file"),
        (lambda run: mnv3prof.report(run, output="a\0.html"), "cannot be written .*null"),
        (lambda run: mnv3prof.report(run, output=5), "report: 5 is not a str; expected a path"),  # type: ignore[arg-type]
        (
            lambda run: mnv3prof.save(run, "x.html"),
            "save: 'x.html' is not allowed; expected a path that ends in .json",
        ),
        (lambda run: mnv3prof.save("run.json", "x.json"), "save: 'run.json' is not a Run"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.read_run("no.json"), "read_run: 'no.json': no such file; expected a saved run"),
        (mnv3prof.read_run, "read_run: Run is not a str; expected the path"),
        (lambda run: mnv3prof.check(run, None), "check: None is not a Mapping; expected limits by name"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.check(run, {1: "1G"}), "check: 1 is not a str; expected the name of a budget"),  # type: ignore[dict-item]
        (lambda run: mnv3prof.check(None, {"macs": "1G"}), "check: None is not a network"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.compare("small", None), "compare: None is not a network"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.compare(["small", "large"]), "compare: 1 given; expected 2 to 26 networks"),  # type: ignore[arg-type]
        (
            lambda run: mnv3prof.frame(mnv3prof.tables(run)),
            "frame: Sheets has no columns; expected one sheet",
        ),
        (
            lambda run: mnv3prof.frame(COSTS + TABLE.rows),
            "frame: Row is not a Cost; expected items of one type",
        ),
        (lambda run: mnv3prof.frame(""), "frame: str has no columns"),
        (lambda run: mnv3prof.subtotals(GRAPH, COSTS[::-1]), "costs are not those of [0-9]+ layers"),
        (lambda run: mnv3prof.subtotals(GRAPH, None), "subtotals: None is not an Iterable"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.count(GRAPH, ["fp32"]), r"dtype: \['fp32'\] is not allowed"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.peaks(GRAPH, batch=[]), r"batch: \[\] is not allowed"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.arena(GRAPH, image="no"), "image: 'no' is not allowed; expected True or False"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.vary(TABLE, standard_conv="no"), "standard_conv: 'no' is not allowed"),  # type: ignore[arg-type]
        (lambda run: mnv3prof.vary(TABLE, width=True), "width: True is not allowed"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_arguments_name(
    call: Any, says: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mnv3prof.InputError, match=says) as refused:
        call(mnv3prof.read_run(folder / "run.json"))
    assert "--" not in str(refused.value)
    assert not [*tmp_path.iterdir()]


def test_what_is_refused_stays_refused_when_its_equal_was_computed() -> None:
    graph = mnv3prof.expand(TABLE, 32)
    assert mnv3prof.arena(graph, batch=1) == mnv3prof.arena(graph)
    for wrong in (True, 1.0):
        with pytest.raises(mnv3prof.InputError, match="batch: "):
            mnv3prof.arena(graph, batch=wrong)  # type: ignore[arg-type]


def test_networks_without_a_size_take_that_of_the_first_that_has_one(folder: Path) -> None:
    small, half = mnv3prof.load("small", 96), mnv3prof.vary(mnv3prof.read_table("small"), width=0.5)
    assert [each.input for each in mnv3prof.compare(half, small, "large").subjects] == [(96, 96)] * 3
    difference = mnv3prof.diff(small, half)
    assert difference.new.subject.input == (96, 96)
    assert next(each.new for each in difference.figures if each.name == "macs") == (
        mnv3prof.total(mnv3prof.count(mnv3prof.expand(half, 96))).macs
    )
    assert not mnv3prof.check(small, {"macs": "+0%"}, baseline=half)
    run = mnv3prof.measure(small, "null", parts="net", budget_s=0.1, variants={"half": half})
    assert run.variants["half"].input == (96, 96)
    sized = mnv3prof.diff(mnv3prof.read_run(folder / "run.json"), mnv3prof.load("small", 64))
    assert (sized.old.subject.input, sized.new.subject.input) == ((224, 224), (64, 64))


@pytest.mark.parametrize("name", ["", 1, None, "two\nlines", "x" * 201])
def test_names_of_variants_are_those_that_a_table_could_have(name: Any) -> None:
    with pytest.raises(mnv3prof.InputError, match=r"variants: the name .* is not allowed; expected a text"):
        mnv3prof.measure("small", "null", variants={name: "large"})


def test_a_module_that_was_changed_is_not_taken_for_its_table() -> None:
    changed = mnv3prof.build(TABLE)
    changed.classifier[3] = nn.Linear(1280, 10)
    own = type("Own", (MobileNetV3,), {"forward": lambda self, x: x})(TABLE)
    for module in (changed, own):
        with pytest.raises(mnv3prof.InputError, match="load: the module was changed; expected one as"):
            mnv3prof.load(module)


def test_numbers_of_numpy_are_numbers() -> None:
    assert mnv3prof.load("large", np.int64(192)) == mnv3prof.load("large", "192×192")
    for width in np.linspace(0.5, 1, 3):
        assert mnv3prof.vary(TABLE, width=width) == mnv3prof.vary(TABLE, width=float(width))
    run = mnv3prof.measure("small", "null", parts="net", batch=np.arange(1, 3), budget_s=np.float64(0.1))  # type: ignore[arg-type]
    assert [target.batch for target in run.targets] == [1, 2]


def test_representations_are_short(folder: Path) -> None:
    run = mnv3prof.read_run(folder / "run.json")
    plan, most = mnv3prof.arena(GRAPH), mnv3prof.peaks(GRAPH)
    for value in (
        TABLE,
        GRAPH,
        GRAPH.layers[0],
        GRAPH.blocks[3],
        COSTS[0],
        plan,
        plan.placements[0],
        most,
        most.fused,
        run,
        run.host,
        run.timings[0],
        run.timings[0].launches,
        run.subject,
        mnv3prof.compare("large", "small"),
        mnv3prof.diff("large", "small"),
        mnv3prof.check("small", {"macs": "60M"}),
        mnv3prof.tables(run)[0],
    ):
        assert len(repr(value)) <= 250, type(value)
        assert repr(value).startswith((type(value).__name__, "("))


def test_a_table_made_by_hand() -> None:
    row = mnv3prof.Row(expand=16, out=8, kernel=3, stride=2, se=True, activation="HS")
    table = mnv3prof.Table(name="mine", rows=(row,), stem=8, last=16, classes=3)
    graph = mnv3prof.expand(table, (17, 23))
    model = mnv3prof.build(table).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 17, 23)).shape == (2, 3)
    assert mnv3prof.total(mnv3prof.count(graph)).params == sum(p.numel() for p in model.parameters())
    with pytest.raises(mnv3prof.InputError, match="stride: 9 is not allowed"):
        mnv3prof.Row(16, 8, 3, 9, True, "HS")
    with pytest.raises(AttributeError):
        table.stem = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    "size", [0, -5, 16_385, True, 224.0, "224x", None, (224,), (224, 224.5), (1, 2, 3), (True, 8)]
)
def test_what_is_no_size_is_refused(size: Any) -> None:
    with pytest.raises(mnv3prof.InputError, match="is not an image size; expected 224 or 192x256"):
        mnv3prof.expand(TABLE, size)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mnv3prof.count(GRAPH, "float32"), "dtype: 'float32' is not allowed; expected fp32"),  # type: ignore[arg-type]
        (
            lambda: mnv3prof.count(GRAPH, batch_norm="fold"),  # type: ignore[arg-type]
            "batch_norm: 'fold' is not allowed; expected folded",
        ),
        (
            lambda: mnv3prof.subtotals(GRAPH, COSTS, "operation"),  # type: ignore[arg-type]
            "by: 'operation' is not allowed; expected layer",
        ),
        (lambda: mnv3prof.peaks(GRAPH, "fp64"), "dtype: 'fp64' is not allowed"),  # type: ignore[arg-type]
        (
            lambda: mnv3prof.peaks(GRAPH, batch=0),
            "batch: 0 is not allowed; expected an integer of at least 1",
        ),
        (lambda: mnv3prof.arena(GRAPH, batch=-1), "batch: -1 is not allowed"),
        (lambda: mnv3prof.arena(GRAPH, alignment=0), "alignment: 0 is not allowed"),
        (lambda: mnv3prof.vary(TABLE, activation=7), "activation: 7 is not allowed"),  # type: ignore[arg-type]
        (lambda: mnv3prof.Table(name="x", rows=((8, 8, 3, 1, False, "RE"),)), "expected a tuple of Row"),  # type: ignore[arg-type]
        (lambda: mnv3prof.Table(name="x", rows=list(TABLE.rows)), "expected a tuple of Row"),  # type: ignore[arg-type]
    ],
)
def test_a_misspelt_choice_is_refused_and_never_another_figure(
    call: Callable[..., Any], sentence: str
) -> None:
    with pytest.raises(mnv3prof.InputError) as refused:
        call()
    assert sentence in str(refused.value)


def test_a_frame_of_anything() -> None:
    for data, index in [
        (TABLE.rows, "expand"),
        (GRAPH.layers, "name"),
        (COSTS, "layer"),
        (mnv3prof.subtotals(GRAPH, COSTS), "name"),
        (mnv3prof.arena(GRAPH).placements, "tensor"),
    ]:
        frame = mnv3prof.frame(data)
        assert len(frame) == len(data)
        assert list(frame[index]) == [getattr(item, index) for item in data]
        assert list(frame.columns) == list(data[0].__struct_fields__)


def test_integers_stay_integers() -> None:
    frame = mnv3prof.frame(COSTS)
    assert frame["macs"].sum() == 216_589_760
    figures = ("macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes")
    assert all(pd.api.types.is_integer_dtype(frame[column]) for column in figures)
    sheet = Sheet("x", (Column("a", "A", "text"), Column("b", "B")), (("one", 2**60), ("two", None)))
    frame = mnv3prof.frame(sheet)
    assert frame["b"].dtype == "Int64"
    assert frame["b"][0] == 2**60
    assert frame["b"].isna().tolist() == [False, True]


def test_yes_and_no_are_booleans(folder: Path) -> None:
    frame = mnv3prof.frame(mnv3prof.read_run(folder / "run.json"))
    assert {str(frame[name].dtype) for name in ("noisy", "contended", "drifts")} == {"boolean"}
    assert len(frame[~frame["noisy"]]) + len(frame[frame["noisy"]]) == len(frame)
    mixed = mnv3prof.frame(Sheet("x", (Column("a", "A", "text"),), (("yes",), (None,), ("maybe",))))
    assert mixed["a"].tolist()[0] == "yes"


def test_frames_of_nothing_and_of_what_is_no_data() -> None:
    assert mnv3prof.frame([]).empty
    with pytest.raises(mnv3prof.InputError, match="is not a Struct"):
        mnv3prof.frame([1])


def test_figures_of_a_frame_can_be_joined_by_layer() -> None:
    layers, costs = mnv3prof.frame(GRAPH.layers), mnv3prof.frame(COSTS)
    joined = layers.merge(costs, left_on="name", right_on="layer", validate="one_to_one")
    assert joined.groupby("op")["macs"].sum()["linear"] == 960 * 1280 + 1280 * 1000


def test_data_is_frozen_everywhere() -> None:
    for struct in (
        TABLE,
        TABLE.rows[0],
        GRAPH,
        GRAPH.layers[0],
        COSTS[0],
        mnv3prof.peaks(GRAPH),
        mnv3prof.arena(GRAPH),
    ):
        assert isinstance(struct, msgspec.Struct)
        assert struct.__struct_config__.frozen
        assert hash(struct) is not None


def test_the_package_says_that_it_is_typed() -> None:
    from importlib.resources import files

    assert (files("mnv3prof") / "py.typed").is_file()


TABLE_OF_SMALL = mnv3prof.read_table("small")
THEIRS = mnv3prof.expand(TABLE_OF_SMALL)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: mnv3prof.expand("large", 224),  # type: ignore[arg-type]
            "expand: 'large' is not a Table; expected what mnv3prof.read_table",
        ),
        (lambda: mnv3prof.vary("large", width=0.5), "vary: 'large' is not a Table"),  # type: ignore[arg-type]
        (lambda: mnv3prof.build(THEIRS.name), "build: 'MobileNetV3-Small' is not a Table"),  # type: ignore[arg-type]
        (lambda: mnv3prof.parts(3), "parts: 3 is not a MobileNetV3; expected what mnv3prof.build returns"),  # type: ignore[arg-type]
        (
            lambda: mnv3prof.count(TABLE_OF_SMALL),  # type: ignore[arg-type]
            "count: Table is not a Graph; expected what mnv3prof.expand returns",
        ),
        (lambda: mnv3prof.count(mnv3prof.build(TABLE_OF_SMALL)), "count: MobileNetV3 is not a Graph"),  # type: ignore[arg-type]
        (lambda: mnv3prof.peaks(None), "peaks: None is not a Graph"),  # type: ignore[arg-type]
        (lambda: mnv3prof.arena(224), "arena: 224 is not a Graph"),  # type: ignore[arg-type]
        (lambda: mnv3prof.subtotals("x", ()), "subtotals: 'x' is not a Graph"),  # type: ignore[arg-type]
        (lambda: mnv3prof.subtotals(THEIRS, ()), "subtotals: 0 costs are not those of [0-9]+ layers"),
        (lambda: mnv3prof.total([1]), "total: 1 is not a Cost; expected what mnv3prof.count returns"),  # type: ignore[list-item]
        (lambda: mnv3prof.total(THEIRS), "total: Graph is not an Iterable"),  # type: ignore[arg-type]
        (lambda: mnv3prof.frame([1]), "frame: 1 is not a Struct; expected rows, layers, costs or the like"),
        (lambda: mnv3prof.frame(mnv3prof.peaks(THEIRS)), "frame: Peaks is not an Iterable"),
        (lambda: mnv3prof.read_table(3), "read_table: 3 is not a str; expected a preset or a file"),  # type: ignore[arg-type]
    ],
)
def test_what_a_function_cannot_take_is_an_input_error_that_says_what_it_takes(
    call: Callable[..., Any], says: str
) -> None:
    with pytest.raises(mnv3prof.InputError, match=says) as refused:
        call()
    assert len(str(refused.value)) <= 300


@pytest.mark.parametrize(
    "given", [np.zeros((1, 2)), {"x": 1}, 1.5, (torch.zeros(1, 2), None), [2, "3"], "٣x16x16"], ids=repr
)
def test_an_input_that_is_none_is_one_sentence(given: Any) -> None:
    with pytest.raises(mnv3prof.InputError, match=r"^input: .*expected"):
        mnv3prof.load(nn.Linear(2, 2), given)


class _Residual(nn.Module):
    """Blocks a, b with a sum around it, and c. No other process can import it."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True))
        self.b = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8))
        self.c = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify."""
        x = self.a(x)
        found: torch.Tensor = self.c((x + self.b(x)).mean((2, 3)))
        return found


def test_a_module_given_as_an_object_is_measured(tmp_path: Path) -> None:
    module = _Residual()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    run = mnv3prof.measure(
        mnv3prof.load(module, 32), ["cpu", "onnxruntime"], batch=[1, 2], parts=["all", "a.0"], budget_s=0.5
    )
    found = {(timing.target.backend, timing.target.batch, timing.part): timing for timing in run.timings}
    parts = ("net", "a", "b", "c")
    assert {
        key: found[key].status for key in product(("cpu", "onnxruntime"), (1, 2), parts)
    } == dict.fromkeys(product(("cpu", "onnxruntime"), (1, 2), parts), "ok")
    assert found["cpu", 1, "a.0"].status == "ok"
    assert module.training
    assert all(module.state_dict()[name].equal(value) for name, value in before.items())
    saved = mnv3prof.read_run(mnv3prof.save(run, tmp_path / "run.json"))
    again = mnv3prof.measure(saved, "cpu", parts="net", budget_s=0.1)
    assert "saved run" in again.timings[0].reason


def test_a_saved_run_names_no_program_to_load(tmp_path: Path) -> None:
    path = mnv3prof.save(
        mnv3prof.measure(mnv3prof.load(_Residual(), 32), "null", budget_s=0.1), tmp_path / "r.json"
    )
    document = json.loads(path.read_text())
    assert "programs" not in document["graphs"][""]["captured"]
    document["graphs"][""]["captured"]["programs"] = str(tmp_path)
    path.write_text(json.dumps(document))
    captured = mnv3prof.read_run(path).subject.captured
    assert captured is not None
    assert (captured.programs, captured.saved) == ("", True)
