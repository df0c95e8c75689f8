"""The JSON documents that the commands write."""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import msgspec
from msgspec.structs import asdict

from ..cost.comparison import NetworkCosts
from ..cost.conventions import COUNTERS, Reconciliation, counted_as, counter
from ..cost.counts import BatchNorm, Cost, Dtype, Totals, count, subtotals, total
from ..cost.memory import Arena, Fit, Peak, Peaks, arena, peaks
from ..graph.graph import Block, Graph, Layer
from ..mobilenetv3.table import Table, adds_identity, in_widths, row_names
from .run import SCHEMA, Run, Subject
from .timing import Timing
from .training import Training


def table_document(subject: Subject) -> dict[str, Any]:
    """Return the table, which can be read as a table again, with derived shapes."""
    table, graph = subject.table, subject.graph
    sizes = {block.name: block.layers[-1].out_shape[1:] for block in graph.blocks}
    rows = [
        {
            "block": name,
            "in": width,
            "ratio": row.expand / width,
            "out_size": sizes[name],
            "identity": adds_identity(row, width),
        }
        for name, row, width in zip(row_names(table), table.rows, in_widths(table), strict=True)
    ]
    return {**table_head(subject), "rows": rows}


def cost_document(
    subject: Subject, costs: Sequence[Cost], dtype: Dtype = "fp32", batch_norm: BatchNorm = "folded"
) -> dict[str, Any]:
    """Return the costs of the network, its blocks and its layers. MACs and FLOPs are per image."""
    graph = subject.graph
    return {
        **table_head(subject),
        "dtype": dtype,
        "batch": total(costs).batch,
        "batch_norm": batch_norm,
        "totals": _totals(total(costs)),
        "constant_macs": sum(layer.macs for layer in graph.constants),
        "unused_params": sum(prod(tensor.shape) for tensor in graph.unused),
        "blocks": _blocks(subtotals(graph, costs)),
        "layers": [
            _layer(graph, block, layer, cost)
            for (block, layer), cost in zip(graph.placed(), costs, strict=True)
        ],
    }


def reconciliation_document(subject: Subject, result: Reconciliation) -> dict[str, Any]:
    """Return the network's terms, and each counter's result with its explanation."""
    return {
        **table_head(subject),
        "terms": [
            {
                "term": term,
                "quantity": quantity,
                "coefficients": {
                    tool.reading.tool: COUNTERS[tool.reading.tool].coefficients.get(term, 0)
                    for tool in result.tools
                },
            }
            for term, quantity in result.quantities.items()
        ],
        "readings": [
            {**asdict(tool.reading), "explained": tool.explained, "remainder": tool.remainder}
            for tool in result.tools
        ],
    }


def convention_document(subject: Subject, tool: str) -> dict[str, Any]:
    """Return the layers, counted by a counter's convention."""
    values = counted_as(subject.graph, tool)
    layers = [
        {"name": layer.name, "block": block.name, "op": layer.op, "figure": value}
        for (block, layer), value in zip(subject.graph.placed(), values, strict=True)
    ]
    return {
        **table_head(subject),
        "as": tool,
        "printed_as": counter(tool).printed_as,
        "total": sum(value or 0 for value in values),
        "unpriced": [layer["name"] for layer in layers if layer["figure"] is None],
        "layers": layers,
    }


def memory_document(
    subject: Subject, dtype: Dtype, batch: int, peaks: Peaks, arena: Arena, weight_bytes: int, fit: Fit | None
) -> dict[str, Any]:
    """Return the peaks with the live bytes of each block, and the arena."""
    named = {"eager": peaks.eager, "unfused": peaks.unfused, "fused": peaks.fused}
    return {
        **table_head(subject),
        "dtype": dtype,
        "batch": batch,
        "peaks": {name: peak and _peak(subject.graph, peak) for name, peak in named.items()},
        "arena": arena,
        "weight_bytes": weight_bytes,
        "fit": fit,
    }


def comparison_document(subjects: Sequence[Subject], networks: Sequence[NetworkCosts]) -> dict[str, Any]:
    """Return the totals and blocks of each network, with ratios to the first network."""
    return {
        "schema": SCHEMA,
        "dtype": networks[0].dtype,
        "batch": networks[0].batch,
        "networks": [
            {
                **network_fields(subject),
                "totals": _totals(network.totals),
                "blocks": _blocks(network.blocks.values()),
                "eager_peak_bytes": network.peaks.eager and network.peaks.eager.bytes,
                "fused_peak_bytes": network.peaks.fused.bytes,
                "arena_bytes": network.arena.bytes,
                "ratios": _ratios(network.totals, networks[0].totals),
            }
            for subject, network in zip(subjects, networks, strict=True)
        ],
    }


def run_document(run: Run) -> dict[str, Any]:
    """Return the costs, memory and timings of a run, and its other networks' tables."""
    graph, dtype, batch = run.subject.graph, *run.measured_as
    costs = count(graph, dtype, batch=batch)
    sizes, plan = peaks(graph, dtype, batch), arena(graph, dtype, batch)
    memory = memory_document(run.subject, dtype, batch, sizes, plan, total(costs).weight_bytes, None)
    head = table_head(run.subject)
    return {
        "schema": SCHEMA,
        "created": run.created,
        "command": run.command,
        "commit": run.commit,
        "hosts": run.hosts,
        "graphs": {name: _origin(subject) for name, subject in run.subjects.items()},
        **_without(head, cost_document(run.subject, costs, dtype)),
        "memory": _without(head, memory),
        "notes": run.notes,
        "timings": [{**asdict(timing), "summary": summary_document(timing)} for timing in run.timings],
        "operators": run.operators,
        "readings": run.readings,
        "plans": run.plans,
        "accuracies": [{**asdict(each), "right": each.right} for each in run.accuracies],
    }


def summary_document(timing: Timing) -> dict[str, Any] | None:
    """Return the statistics of a timing's kept bursts; None without bursts."""
    if timing.summary is None:
        return None
    return {
        **asdict(timing.summary),
        "excluded": timing.excluded,
        "contended": timing.contended,
        "uncut_median": timing.uncut_median,
    }


def training_document(training: Training) -> dict[str, Any]:
    """Return the network, its data, the recipe and all epochs."""
    head = table_head(training.subject)
    return {**head, **{key: value for key, value in asdict(training).items() if key not in head}}


def _blocks(groups: Iterable[Totals]) -> list[dict[str, Any]]:
    return [{"block": group.name, **_totals(group)} for group in groups]


def _ratios(totals: Totals, base: Totals) -> dict[str, float | None]:
    metrics = ("macs", "flops", "params", "weight_bytes", "read_bytes", "write_bytes")
    pairs = {name: (getattr(totals, name), getattr(base, name)) for name in metrics}
    return {name: value / first if first else None for name, (value, first) in pairs.items()}


def _peak(graph: Graph, peak: Peak) -> dict[str, Any]:
    alive = [{"tensor": tensor, "bytes": size} for tensor, size in peak.alive]
    blocks = dict(zip(graph.block_names, peak.blocks, strict=True))
    return {"bytes": peak.bytes, "block": peak.block, "layer": peak.layer, "alive": alive, "blocks": blocks}


def table_head(subject: Subject) -> dict[str, Any]:
    """Return the first keys of every document of one network."""
    return {"schema": SCHEMA, **network_fields(subject)}


def network_fields(subject: Subject) -> dict[str, Any]:
    """Return the table and its input, or what a captured network is and its inputs."""
    if subject.captured:
        inputs = [tensor._asdict() for tensor in subject.graph.inputs]
        return {"network": subject.captured.text, "kind": subject.captured.kind, "inputs": inputs}
    return {"table": table_fields(subject.table), "input": subject.input}


def _without(head: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in head}


def _origin(subject: Subject) -> dict[str, Any]:
    """Return the source of a graph: its table, input size and weights, or a captured graph itself."""
    if subject.captured:
        fields = asdict(subject.captured)
        return {"captured": _without({"saved": None, "programs": None}, fields)}
    return {**network_fields(subject), "weights": subject.weights}


def table_fields(table: Table) -> dict[str, Any]:
    """Return the table's fields as documents hold them."""
    return {**_given(table), "rows": [_given(row) for row in table.rows]}


def _given(struct: msgspec.Struct) -> dict[str, Any]:
    return {key: value for key, value in asdict(struct).items() if value is not None}


def _totals(group: Totals) -> dict[str, Any]:
    fields = {key: value for key, value in asdict(group).items() if key not in ("name", "parted", "batch")}
    return {**fields, "intensity": group.intensity}


def _layer(graph: Graph, block: Block, layer: Layer, cost: Cost) -> dict[str, Any]:
    own = {**asdict(layer), "weights": [tensor._asdict() for tensor in layer.weights]}
    place = {"block": block.name, "in_shape": graph.in_shape(layer)}
    return {
        **own,
        **place,
        **{key: value for key, value in asdict(cost).items() if key not in ("layer", "batch")},
    }


def encoded(run: Run) -> str:
    """Return the run as JSON."""
    return msgspec.json.format(msgspec.json.encode(run_document(run)), indent=1).decode() + "\n"
