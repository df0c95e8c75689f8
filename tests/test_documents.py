"""The JSON documents for users and other programs: their promised keys, exact and complete."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_tables import small_sizes, tables
from some import some
from subjects import subject

from mnv3prof.cost.comparison import network_costs
from mnv3prof.cost.conventions import COUNTERS, Reading, reconcile
from mnv3prof.cost.counts import count, total
from mnv3prof.cost.memory import arena, fit, peaks
from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.network import build
from mnv3prof.record import document
from mnv3prof.source import read_table

LARGE = subject("large")
FIGURES = ("macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes")


def _json(found: Any) -> Any:
    return json.loads(msgspec.json.encode(found), parse_constant=pytest.fail)  # no NaN, no Infinity


def test_the_cost_document_has_the_promised_fields() -> None:
    found = _json(document.cost_document(LARGE, count(LARGE.graph)))
    assert list(found) == [
        "schema",
        "table",
        "input",
        "dtype",
        "batch",
        "batch_norm",
        "totals",
        "constant_macs",
        "unused_params",
        "blocks",
        "layers",
    ]
    assert found["schema"] == 2
    assert found["input"] == [224, 224]
    assert found["table"]["name"] == "MobileNetV3-Large"
    assert found["table"]["rows"][3] == {
        "expand": 72,
        "out": 40,
        "kernel": 5,
        "stride": 2,
        "se": True,
        "activation": "RE",
        "dilation": 1,
        "identity": True,
    }
    assert (found["totals"]["macs"], found["totals"]["params"]) == (216_589_760, 5_483_032)
    assert [block["block"] for block in found["blocks"]] == [
        "stem",
        *map(str, range(1, 16)),
        "head",
        "classifier",
    ]
    first = found["layers"][0]
    assert {
        key: first[key] for key in ("name", "block", "op", "in_shape", "out_shape", "macs", "params")
    } == {
        "name": "features.0.0",
        "block": "stem",
        "op": "conv",
        "in_shape": [3, 224, 224],
        "out_shape": [16, 112, 112],
        "macs": 16 * 112 * 112 * 27,
        "params": 16 * 27,
    }


def test_documents_say_at_what_type_their_bytes_are_counted() -> None:
    costs = count(LARGE.graph, "int8", "separate")
    found = _json(document.cost_document(LARGE, costs, "int8", "separate"))
    assert (found["dtype"], found["batch_norm"]) == ("int8", "separate")
    found = _json(document.comparison_document([LARGE], [network_costs(LARGE.graph)]))
    assert (found["dtype"], found["batch"]) == ("fp32", 1)


@pytest.mark.parametrize("preset", ["large", "small", "large-minimal", "small-minimal"])
def test_layer_names_are_module_paths(preset: str) -> None:
    table = read_table(preset)
    modules = dict(build(table).named_modules())
    for layer in _json(document.cost_document(subject(table), count(expand(table))))["layers"]:
        functional = layer["op"] in ("add", "mul", "flatten", "unflatten")
        assert (layer["name"].rpartition(".")[0] if functional else layer["name"]) in modules


@given(tables, small_sizes)
def test_layers_blocks_and_totals_add_up(table: Any, size: Any) -> None:
    net = subject(table, size)
    found = _json(document.cost_document(net, count(net.graph)))
    for figure in FIGURES:
        whole = found["totals"][figure]
        assert sum(layer[figure] for layer in found["layers"]) == whole
        assert sum(block[figure] for block in found["blocks"]) == whole
    assert found["totals"]["layers"] == len(found["layers"])


@given(tables, small_sizes, st.sampled_from(["table", "cost", "convention"]))
def test_every_document_is_read_again_as_its_table(
    tmp_path_factory: pytest.TempPathFactory, table: Any, size: Any, kind: Any
) -> None:
    net = subject(table, size)
    found = {
        "table": lambda: document.table_document(net),
        "cost": lambda: document.cost_document(net, count(net.graph)),
        "convention": lambda: document.convention_document(net, "thop"),
    }[kind]()
    path = tmp_path_factory.mktemp("found") / "net.json"
    path.write_bytes(msgspec.json.encode(found))
    assert read_table(path) == table


def test_the_table_document_says_what_follows() -> None:
    row = _json(document.table_document(LARGE))["rows"][3]
    assert row == {"block": "4", "in": 24, "ratio": 3.0, "out_size": [28, 28], "identity": False}


def test_the_memory_document() -> None:
    found_arena, found_peaks = arena(LARGE.graph), peaks(LARGE.graph)
    verdict = fit(found_arena, found_peaks.fused, LARGE.graph.block_names, 4_000_000)
    weights = total(count(LARGE.graph)).weight_bytes
    found = _json(document.memory_document(LARGE, "fp32", 1, found_peaks, found_arena, weights, verdict))
    assert found["peaks"]["eager"]["bytes"] == some(found_peaks.eager).bytes
    assert found["peaks"]["fused"]["bytes"] == max(found["peaks"]["fused"]["blocks"].values()) == 4_014_080
    for peak in found["peaks"].values():
        assert sum(tensor["bytes"] for tensor in peak["alive"]) == peak["bytes"]
        assert list(peak["blocks"]) == list(LARGE.graph.block_names)
    placements = found["arena"]["placements"]
    assert set(placements[0]) == {"tensor", "offset", "bytes", "first", "last"}
    assert max(p["offset"] + p["bytes"] for p in placements) == found["arena"]["bytes"]
    assert found["weight_bytes"] == 4 * 5_470_832  # conv and linear weights, one bias a channel
    assert found["fit"]["fits"] is False
    assert found["fit"]["blocks"][0] == {"block": "2", "alive_bytes": 4_014_080, "excess_bytes": 14_080}
    int8 = _json(
        document.memory_document(
            LARGE, "int8", 1, peaks(LARGE.graph, "int8"), arena(LARGE.graph, "int8"), 1, None
        )
    )
    assert int8["peaks"]["eager"] is None
    assert int8["fit"] is None


def test_the_reconciliation_document() -> None:
    readings = [Reading("thop", "1", "ok", printed=5), Reading("fvcore", None, "crashed", "boom")]
    found = _json(document.reconciliation_document(LARGE, reconcile(LARGE.graph, readings)))
    terms = {term["term"]: term for term in found["terms"]}
    assert terms["batch_norm"]["coefficients"] == {"thop": 4, "fvcore": 2}
    thop, fvcore = found["readings"]
    assert thop["explained"] == sum(t["quantity"] * t["coefficients"]["thop"] for t in found["terms"])
    assert thop["remainder"] == 5 - thop["explained"]
    assert (fvcore["printed"], fvcore["remainder"], fvcore["reason"]) == (None, None, "boom")


@pytest.mark.parametrize("tool", COUNTERS)
def test_the_convention_document(tool: Any) -> None:
    found = _json(document.convention_document(LARGE, tool))
    assert found["as"] == tool
    assert found["total"] == sum(layer["figure"] for layer in found["layers"])
    with pytest.raises(InputError, match="nvprof"):
        document.convention_document(LARGE, "nvprof")


def test_the_comparison_document() -> None:
    both = [subject(name) for name in ("large", "small")]
    nets = [network_costs(net.graph) for net in both]
    large, small = _json(document.comparison_document(both, nets))["networks"]
    assert (large["totals"]["macs"], small["totals"]["macs"]) == (216_589_760, 56_510_400)
    assert large["ratios"] == dict.fromkeys(FIGURES, 1.0)
    assert small["ratios"]["macs"] == 56_510_400 / 216_589_760
    assert sum(block["macs"] for block in small["blocks"]) == 56_510_400
    assert small["arena_bytes"] == arena(expand(read_table("small"))).bytes
