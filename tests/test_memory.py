from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tables import Tracer, sizes, small_sizes, tables
from some import some
from torch import fx

from mnv3prof.cost.memory import Lifetime, arena, fit, peaks, plan
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.modules import HardSwish, HardSwishDeployed
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.source import read_table

TORCH = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def _graph(name: str, size: Any = 224) -> Any:
    return expand(read_table(name), size)


def _mem_tracker(table: Table, size: Any, batch: Any, dtype: Any = torch.float32) -> Any:
    """Peak of MemTracker less parameters and buffers."""
    from torch.distributed._tools.mem_tracker import MemTracker

    model = build(table).eval().to(dtype)
    images = torch.zeros(batch, table.channels, *size, dtype=dtype)
    tracker = MemTracker()
    tracker.track_external(model, images)
    with torch.no_grad(), tracker:
        model(images)
    peak = {str(k): v for k, v in tracker.get_tracker_snapshot("peak")[torch.device("cpu")].items()}
    return peak["Total"] - peak["_MemRefType.PARAM"] - peak["_MemRefType.BUFFER"]


@pytest.mark.parametrize(
    ("name", "eager", "unfused", "fused", "naive"),
    [
        ("large", 7_827_456, 6_422_528, 4_014_080, 22_333_920),
        ("small", 2_609_152, 1_806_336, 1_404_928, 7_639_072),
    ],
)
def test_published_peaks(name: str, eager: int, unfused: int, fused: int, naive: int) -> None:
    graph = _graph(name)
    found, planned = peaks(graph), arena(graph)
    assert (some(found.eager).bytes, found.unfused.bytes, found.fused.bytes) == (eager, unfused, fused)
    assert (planned.naive_bytes, planned.bytes, planned.lower_bound) == (naive, fused, fused)


def test_without_the_image() -> None:
    assert peaks(_graph("large"), image=False).fused.bytes == 4_014_080
    assert peaks(_graph("small"), image=False).fused.bytes == 1_128_960
    assert arena(_graph("large"), image=False).naive_bytes == 21_731_808
    assert arena(_graph("small"), image=False).bytes == 1_128_960


def test_larges_eager_peak_is_where_the_facts_say() -> None:
    eager = peaks(_graph("large")).eager
    assert (some(eager).block, some(eager).layer) == ("2", "features.2.block.0.1")
    assert sorted(size for _, size in some(eager).alive) == [602_112, 802_816, 3_211_264, 3_211_264]


@given(tables, sizes, st.integers(1, 3), st.sampled_from(["fp32", "fp32", "fp16", "bf16"]))
@settings(max_examples=30)
def test_eager_peak_is_memtrackers(table: Table, size: Any, batch: Any, dtype: Any) -> None:
    found = some(peaks(expand(table, size), dtype, batch).eager).bytes
    assert found == _mem_tracker(table, size, batch, TORCH[dtype])


@pytest.mark.parametrize("name", ["large", "small", "large-minimal", "small-minimal"])
def test_presets_eager_peak_is_memtrackers(name: str) -> None:
    assert some(peaks(_graph(name)).eager).bytes == _mem_tracker(read_table(name), (224, 224), 1)


def test_int8_has_no_eager_peak_and_a_quarter_of_the_bytes() -> None:
    found = peaks(_graph("small"), "int8")
    assert found.eager is None
    assert found.fused.bytes == 1_404_928 // 4
    assert arena(_graph("small"), "int8", batch=3).bytes == 1_404_928 // 4 * 3


def _closed_form(table: Table, size: Any) -> Any:
    """Bytes of the eager peak by each stage's formula, for in-place activations and SE by convolution."""

    def half(n: Any) -> Any:
        return (n + 1) // 2

    height, width = half(size[0]), half(size[1])
    image, source = 3 * size[0] * size[1], table.stem * height * width
    worst = [image + 2 * source]
    channels = table.stem
    for row in table.rows:
        e, i = row.expand * height * width, source
        expands = row.expand != channels
        if expands:
            worst.append(image + i + 2 * e)
        if row.stride == 2:
            height, width = half(height), half(width)
        d, o = row.expand * height * width, row.out * height * width
        worst.append(image + i + (e if expands else 0) + 2 * d)
        if row.se:
            q = max(8, (row.expand // 4 + 4) // 8 * 8)
            q += 8 if q < 0.9 * (row.expand / 4) else 0
            c = row.expand
            worst.append(image + i + d + max(c + q, 2 * q, 2 * c, c + d))
        worst.append(image + i + d + 2 * o)
        source, channels = o, row.out
    last = 6 * channels
    worst += [
        image + source + 2 * last * height * width,
        image + last * height * width + last,
        image + last + table.last,
        image + last + table.last + table.classes,
    ]
    return 4 * max(worst)


multiples = st.integers(1, 12).map(lambda n: 4 * n)
plain_rows = st.builds(
    Row,
    expand=multiples,
    out=multiples,
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    se=st.booleans(),
    activation=st.sampled_from(["RE", "HS"]),
)


@given(
    st.builds(
        Table,
        name=st.just("plain"),
        rows=st.lists(plain_rows, min_size=1, max_size=6).map(tuple),
        stem=multiples,
        last=multiples,
        classes=multiples,
    ),
    sizes,
)
@settings(max_examples=200)
def test_eager_peak_is_the_closed_form(table: Table, size: Any) -> None:
    assert some(peaks(expand(table, size)).eager).bytes == _closed_form(table, size)


class _Tracer(Tracer):
    def is_leaf_module(self, module: Any, name: str) -> Any:
        return isinstance(module, (HardSwish, HardSwishDeployed)) or super().is_leaf_module(module, name)


def _traced_liveness(table: Table, size: Any, folded: Any) -> Any:
    """Peak over the traced graph: a buffer a node, freed after its last user."""
    model = build(table).eval()
    traced = _Tracer().trace(model)
    modules = dict(model.named_modules())
    fx.passes.shape_prop.ShapeProp(fx.GraphModule(model, traced)).propagate(
        torch.zeros(1, table.channels, *size)
    )
    buffer: dict[str, str] = {}
    order: list[Any] = []
    bytes_of: dict[str, int] = {}
    for node in traced.nodes:
        if node.op == "output":
            continue
        kind = type(modules[node.target]).__name__ if node.op == "call_module" else str(node.target)
        view = any(word in kind for word in ("Dropout", "latten", "getitem", "Padding"))
        fused = kind.startswith("BatchNorm") or any(
            word in kind for word in ("ReLU", "wish", "igmoid", "SiLU")
        )
        if view or (folded and fused):
            buffer[node] = buffer[node.all_input_nodes[0]]
        else:
            buffer[node] = node
            bytes_of[node] = 4 * node.meta["tensor_meta"].shape.numel()
        order.append(node)
    last = {}
    for step, node in enumerate(order):
        for source in (*node.all_input_nodes, node):
            last[buffer[source]] = step
    last[buffer[order[-1]]] = len(order)
    first = {node: step for step, node in enumerate(order) if buffer[node] is node}
    return max(
        sum(bytes_of[b] for b in first if first[b] <= step <= last[b]) for step in range(1, len(order))
    )


@given(tables, small_sizes)
@settings(max_examples=40)
def test_liveness_is_that_of_the_traced_module(table: Table, size: Any) -> None:
    found = peaks(expand(table, size))
    assert found.unfused.bytes == _traced_liveness(table, size, folded=False)
    assert found.fused.bytes == _traced_liveness(table, size, folded=True)


def test_pisarchyk_and_lees_example() -> None:
    lives = [(0, 1, 32), (1, 4, 28), (2, 5, 36), (3, 5, 16), (4, 5, 8), (5, 7, 64), (6, 8, 10), (7, 8, 40)]
    tensors = [Lifetime(str(n), size, first, last) for n, (first, last, size) in enumerate(lives)]
    assert plan(tensors, 9).bytes == 124


def _published(size: Any) -> Any:
    """MiB without the input image, cut after two decimals, as the literature prints naive sums."""
    return int(size / 2**20 * 100) / 100


def _chain(shapes: Any) -> Any:
    """Lifetimes of a chain: each tensor is read by the next operation alone."""
    return [
        Lifetime(str(n), 4 * c * side * side, max(0, n - 1), min(n, len(shapes) - 2))
        for n, (c, side) in enumerate(shapes)
    ]


def _mobilenet_v1() -> Any:
    shapes, side, channels = [(3, 224), (32, 112)], 112, 32
    for out, stride in [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]:
        side //= stride
        shapes += [(channels, side), (out, side)]
        channels = out
    return _chain([*shapes, (1024, 1), (1000, 1), (1000, 1)])


def test_mobilenet_v1() -> None:
    tensors = _mobilenet_v1()
    planned = plan(tensors, max(t.last for t in tensors) + 1)
    assert planned.bytes == planned.lower_bound
    assert round(planned.bytes / 2**20, 3) == 4.594
    assert _published(planned.naive_bytes - tensors[0].bytes) == 19.24


MOBILENET_V2 = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def _mobilenet_v2() -> Any:
    """Lifetimes from the published table: expansion t, channels c, repeats n, stride s."""
    tensors = [Lifetime("image", 4 * 3 * 224**2, 0, 0)]
    step, side, channels = 0, 112, 32
    source = ("stem", 4 * 32 * 112**2, 0)
    for t, c, n, s in MOBILENET_V2:
        for repeat in range(n):
            stride = s if repeat == 0 else 1
            chain = [(channels * t, side)] if t > 1 else []
            side //= stride
            chain += [(channels * t, side), (c, side)]
            identity = stride == 1 and channels == c
            name, size, first = source
            entered = step + 1
            writes = []
            for width, edge in chain:
                step += 1
                writes.append((4 * width * edge**2, step))
            if identity:
                step += 1
                tensors.append(Lifetime(name, size, first, step))
            else:
                tensors.append(Lifetime(name, size, first, entered))
            for (bytes_, at), (_, until) in pairwise([*writes, (0, step)]):
                if identity or at != writes[-1][1]:
                    tensors.append(Lifetime(f"t{at}", bytes_, at, until))
            source = (f"o{step}", 4 * c * side**2, step)
            channels = c
    name, size, first = source
    tensors.append(Lifetime(name, size, first, step + 1))
    for bytes_ in (4 * 1280 * 49, 4 * 1280, 4 * 1000, 4 * 1000):
        step += 1
        tensors.append(Lifetime(f"t{step}", bytes_, step, step + 1))
    return tensors


def test_mobilenet_v2() -> None:
    tensors = _mobilenet_v2()
    planned = plan(tensors, max(t.last for t in tensors) + 1)
    assert planned.bytes == planned.lower_bound
    assert round(planned.bytes / 2**20, 3) == 5.742
    assert _published(planned.naive_bytes - tensors[0].bytes) == 26.31


lifetimes = st.lists(
    st.tuples(st.integers(1, 500), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30
).map(lambda rows: [Lifetime(str(n), size, min(a, b), max(a, b)) for n, (size, a, b) in enumerate(rows)])


@given(lifetimes, st.sampled_from([1, 16, 64]))
@settings(max_examples=300)
def test_no_two_tensors_alive_together_share_a_byte(tensors: Any, alignment: Any) -> None:
    planned = plan(tensors, 21, alignment)
    assert [(p.tensor, p.bytes, p.first, p.last) for p in planned.placements] == [
        (t.tensor, t.bytes, t.first, t.last) for t in tensors
    ]
    for n, one in enumerate(planned.placements):
        assert one.offset % alignment == 0
        assert one.offset + one.bytes <= planned.bytes
        for other in planned.placements[:n]:
            together = one.first <= other.last and other.first <= one.last
            apart = one.offset + one.bytes <= other.offset or other.offset + other.bytes <= one.offset
            assert apart or not together

    def rounded(size: Any) -> Any:
        return -(-size // alignment) * alignment

    bound = max(sum(rounded(t.bytes) for t in tensors if t.first <= step <= t.last) for step in range(21))
    assert planned.lower_bound == bound <= planned.bytes
    assert planned.bytes <= planned.naive_bytes == sum(rounded(t.bytes) for t in tensors)


@given(tables, small_sizes, st.booleans())
@settings(max_examples=150)
def test_the_arenas_bound_is_the_fused_peak(table: Table, size: Any, image: Any) -> None:
    graph = expand(table, size)
    assert arena(graph, image=image).lower_bound == peaks(graph, image=image).fused.bytes


def test_what_must_shrink() -> None:
    graph = _graph("small")
    found, planned = peaks(graph, "int8"), arena(graph, "int8")
    tight = fit(planned, found.fused, graph.block_names, 270_000)
    assert not tight.fits
    # stem: 3 × 224 × 224 + 16 × 112 × 112; block 2, depthwise: 72 × 56 × 56 + 72 × 28 × 28
    assert [(b.block, b.alive_bytes, b.excess_bytes) for b in tight.blocks] == [
        ("stem", 351_232, 81_232),
        ("2", 282_240, 12_240),
    ]
    roomy = fit(planned, found.fused, graph.block_names, 351_232)
    assert (roomy.fits, roomy.blocks) == (True, ())
