"""What `import mnv3prof` offers, used as its user would, and pandas frames of all of it."""

import inspect
import subprocess
import sys

import msgspec
import pandas as pd
import pytest
import torch

import mnv3prof
from mnv3prof.render.sheet import Column, Sheet

TABLE = mnv3prof.read_table("large")
GRAPH = mnv3prof.expand(TABLE)
COSTS = mnv3prof.count(GRAPH)


def test_about_ten_names_each_documented():
    assert 8 <= len(mnv3prof.__all__) <= 15
    for name in mnv3prof.__all__:
        assert len(inspect.getdoc(getattr(mnv3prof, name))) > 30, name


def test_the_docstrings_example_is_true():
    code = "".join(line[4:] + "\n" for line in mnv3prof.__doc__.splitlines() if line.startswith("    "))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed, *rest = done.stdout.splitlines()
    assert f"# {printed}\n" in mnv3prof.__doc__
    assert "classifier" in "\n".join(rest)


def test_a_table_made_by_hand():
    row = mnv3prof.Row(expand=16, out=8, kernel=3, stride=2, se=True, activation="HS")
    table = mnv3prof.Table(name="mine", rows=(row,), stem=8, last=16, classes=3)
    graph = mnv3prof.expand(table, (17, 23))
    model = mnv3prof.build(table).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, 17, 23)).shape == (2, 3)
    assert mnv3prof.total(mnv3prof.count(graph)).params == sum(p.numel() for p in model.parameters())
    with pytest.raises(mnv3prof.InputError, match="stride: 3 is not allowed"):
        mnv3prof.Row(16, 8, 3, 3, True, "HS")
    with pytest.raises(AttributeError):
        table.stem = 9


@pytest.mark.parametrize(
    "size", [0, -5, 16_385, True, 224.0, "224x", None, (224,), (224, 224.5), (1, 2, 3), (True, 8)]
)
def test_what_is_no_size_is_refused(size):
    with pytest.raises(mnv3prof.InputError, match="is not an image size; expected 224 or 192x256"):
        mnv3prof.expand(TABLE, size)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mnv3prof.count(GRAPH, "float32"), "dtype: 'float32' is not allowed; expected fp32"),
        (
            lambda: mnv3prof.count(GRAPH, batch_norm="fold"),
            "batch norm: 'fold' is not allowed; expected folded",
        ),
        (
            lambda: mnv3prof.subtotals(GRAPH, COSTS, "operation"),
            "by: 'operation' is not allowed; expected layer",
        ),
        (lambda: mnv3prof.peaks(GRAPH, "fp64"), "dtype: 'fp64' is not allowed"),
        (
            lambda: mnv3prof.peaks(GRAPH, batch=0),
            "batch: 0 is not allowed; expected an integer of at least 1",
        ),
        (lambda: mnv3prof.arena(GRAPH, batch=-1), "batch: -1 is not allowed"),
        (lambda: mnv3prof.arena(GRAPH, alignment=0), "alignment: 0 is not allowed"),
        (lambda: mnv3prof.vary(TABLE, activation=7), "activation: 7 is not allowed"),
        (lambda: mnv3prof.Table(name="x", rows=((8, 8, 3, 1, False, "RE"),)), "expected a tuple of Row"),
        (lambda: mnv3prof.Table(name="x", rows=list(TABLE.rows)), "expected a tuple of Row"),
    ],
)
def test_a_misspelt_choice_is_refused_and_never_another_figure(call, sentence):
    with pytest.raises(mnv3prof.InputError) as refused:
        call()
    assert sentence in str(refused.value)


def test_a_frame_of_anything():
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


def test_integers_stay_integers():
    frame = mnv3prof.frame(COSTS)
    assert frame["macs"].sum() == 216_589_760
    figures = ("macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes")
    assert all(pd.api.types.is_integer_dtype(frame[column]) for column in figures)
    sheet = Sheet("x", (Column("a", "A", "text"), Column("b", "B")), (("one", 2**60), ("two", None)))
    frame = mnv3prof.frame(sheet)
    assert frame["b"].dtype == "Int64"
    assert frame["b"][0] == 2**60
    assert frame["b"].isna().tolist() == [False, True]


def test_frames_of_nothing_and_of_what_is_no_data():
    assert mnv3prof.frame([]).empty
    with pytest.raises(mnv3prof.InputError, match="is not a Struct"):
        mnv3prof.frame([1])


def test_figures_of_a_frame_can_be_joined_by_layer():
    layers, costs = mnv3prof.frame(GRAPH.layers), mnv3prof.frame(COSTS)
    joined = layers.merge(costs, left_on="name", right_on="layer", validate="one_to_one")
    assert joined.groupby("op")["macs"].sum()["linear"] == 960 * 1280 + 1280 * 1000


def test_data_is_frozen_everywhere():
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


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert (files("mnv3prof") / "py.typed").is_file()


TABLE_OF_SMALL = mnv3prof.read_table("small")
THEIRS = mnv3prof.expand(TABLE_OF_SMALL)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: mnv3prof.expand("large", 224),
            "expand: 'large' is not a Table; expected what mnv3prof.read_table",
        ),
        (lambda: mnv3prof.vary("large", width=0.5), "vary: 'large' is not a Table"),
        (lambda: mnv3prof.build(THEIRS.name), "build: 'MobileNetV3-Small' is not a Table"),
        (lambda: mnv3prof.parts(3), "parts: 3 is not a MobileNetV3; expected what mnv3prof.build returns"),
        (
            lambda: mnv3prof.count(TABLE_OF_SMALL),
            "count: Table is not a Graph; expected what mnv3prof.expand returns",
        ),
        (lambda: mnv3prof.count(mnv3prof.build(TABLE_OF_SMALL)), "count: MobileNetV3 is not a Graph"),
        (lambda: mnv3prof.peaks(None), "peaks: None is not a Graph"),
        (lambda: mnv3prof.arena(224), "arena: 224 is not a Graph"),
        (lambda: mnv3prof.subtotals("x", ()), "subtotals: 'x' is not a Graph"),
        (lambda: mnv3prof.subtotals(THEIRS, ()), "subtotals: 0 costs are not those of [0-9]+ layers"),
        (lambda: mnv3prof.total([1]), "total: 1 is not a Cost; expected what mnv3prof.count returns"),
        (lambda: mnv3prof.total(THEIRS), "total: Graph is not a Iterable"),
        (lambda: mnv3prof.frame([1]), "frame: 1 is not a Struct; expected rows, layers, costs or the like"),
        (lambda: mnv3prof.frame(mnv3prof.peaks(THEIRS)), "frame: Peaks is not a Iterable"),
        (lambda: mnv3prof.read_table(3), "3: no such file or preset"),
    ],
)
def test_what_a_function_cannot_take_is_an_input_error_that_says_what_it_takes(call, says):
    with pytest.raises(mnv3prof.InputError, match=says) as refused:
        call()
    assert len(str(refused.value)) <= 300
