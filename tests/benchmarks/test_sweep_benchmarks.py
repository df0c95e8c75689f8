"""Networks a second: lookups of whole chunks against the closed form of each row in Python.

`pytest --benchmark-only tests/benchmarks/test_sweep_benchmarks.py -s`
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import pytest

from mnv3prof.mobilenetv3.table import Table, make_divisible
from mnv3prof.space.costs import COLUMNS, ContextTable
from mnv3prof.space.files import open_space
from mnv3prof.space.points.lookup import Engine, lookup_of
from mnv3prof.space.points.sweep import CHUNK
from mnv3prof.space.space import Space
from mnv3prof.space.tables import tables_of
from mnv3prof.workers.cache import default_folder

FOUR = tuple(COLUMNS.index(name) for name in ("macs", "params", "weights", "peak.fused"))
SEVEN = tuple(range(len(COLUMNS)))
AT_LEAST = {FOUR: 400, SEVEN: 200}
"""Times as fast as the closed form, which has four columns."""
ROUNDS = 7
MOST_BYTES = 400 * 2**20


@pytest.fixture(scope="module")
def ofa() -> tuple[Space, list[ContextTable]]:
    space = open_space("ofa")
    return space, tables_of(space, "int8", default_folder())


class Written(NamedTuple):
    """A network as plain values, which Python reads fastest. rows: expand, out, kernel, stride, se."""

    side: int
    stem: int
    rows: list[tuple[int, int, int, int, bool]]
    last: int
    classes: int


def written(table: Table, side: int) -> Written:
    rows: Any = [(row.expand, row.out, row.kernel, row.stride, row.se) for row in table.rows]
    last: Any = table.last
    return Written(side, table.stem, rows, last, table.classes)


def closed_form(network: Written) -> tuple[int, int, int, int]:
    """MACs, parameters, bytes of int8 weights and fused peak of a network at square inputs, row by row."""
    side, width, rows, last_width, classes = network
    side = -(-side // 2)
    macs = side * side * width * 27
    params, weights = width * 27 + 2 * width, width * 27 + 4 * width
    peak = 3 * (2 * side) ** 2 + side * side * width
    for expand, out, kernel, stride, se in rows:
        area = side * side
        after = -(-side // stride)
        low = after * after
        kept = area * width if stride == 1 and width == out else 0
        if expand != width:
            macs += area * width * expand
            params += width * expand + 2 * expand
            weights += width * expand + 4 * expand
            peak = max(peak, area * (width + expand))
        macs += low * expand * kernel * kernel
        params += expand * kernel * kernel + 2 * expand
        weights += expand * kernel * kernel + 4 * expand
        held = kept if expand != width else 0
        peak = max(peak, held + area * expand + low * expand)
        if se:
            squeezed = make_divisible(expand / 4, 8)
            macs += 2 * expand * squeezed
            params += 2 * expand * squeezed + squeezed + expand
            weights += 2 * expand * squeezed + 4 * (squeezed + expand)
            peak = max(peak, kept + low * expand + 2 * expand + squeezed, kept + 2 * low * expand + expand)
        macs += low * expand * out
        params += expand * out + 2 * out
        weights += expand * out + 4 * out
        peak = max(peak, kept + low * expand + low * out, 3 * kept)
        width, side = out, after
    head = 6 * width
    area = side * side
    macs += area * width * head + head * last_width + last_width * classes
    params += width * head + 2 * head + head * last_width + last_width + last_width * classes + classes
    weights += (
        width * head + 4 * head + head * last_width + 4 * last_width + last_width * classes + 4 * classes
    )
    peak = max(peak, area * (width + head), area * head + head, head + last_width, last_width + classes)
    return macs, params, weights, peak


def test_the_closed_form_is_that_of_the_tables(ofa: Any) -> None:
    space, tables = ofa
    lookups = [lookup_of(table) for table in tables]
    chance = random.Random(0)
    for _ in range(100):
        number = chance.randrange(space.size)
        context, *entries = space.digits(number)
        subject = space.network(number)
        costs = _engine(lookups[context], entries, space.radices[1:])
        assert closed_form(written(subject.table, subject.input[0])) == tuple(costs[list(FOUR), 0])


def _engine(lookup: Any, entries: Sequence[int], radices: Sequence[int]) -> Any:
    place = 0
    for entry, radix in zip(entries, radices, strict=True):
        place = place * radix + entry
    digits: list[Any] = []
    for radix in reversed(lookup.radices):
        place, digit = divmod(place, radix)
        digits.insert(0, np.array([digit]))
    return Engine(lookup, 1).costs(digits)


def _per_second(work: Callable[[], object], networks: int) -> float:
    start = process_time()
    work()
    return networks / (process_time() - start)


@pytest.mark.parametrize("columns", [FOUR, SEVEN])
def test_lookups_against_the_closed_form_in_python(
    ofa: Any, benchmark: Any, columns: tuple[int, ...]
) -> None:
    """Of given networks, in turns on one core; networks of the closed form are plain values already."""
    space, tables = ofa
    chance = random.Random(1)
    subjects = [space.network(chance.randrange(space.size)) for _ in range(1_000)]
    networks = [written(subject.table, subject.input[0]) for subject in subjects]
    lookup = lookup_of(tables[chance.randrange(len(tables))])
    engine, numbers = Engine(lookup, CHUNK), np.random.default_rng(1)
    digits = [[numbers.integers(0, radix, CHUNK) for radix in lookup.radices] for _ in range(30)]

    def in_python() -> None:
        for network in networks:
            closed_form(network)

    def looked_up() -> None:
        for each in digits:
            engine.costs(each, columns)

    def drawn() -> None:
        for _ in digits:
            engine.costs([numbers.integers(0, radix, CHUNK) for radix in lookup.radices], columns)

    many = CHUNK * len(digits)
    found: dict[str, list[float]] = {"closed form": [], "lookups": [], "drawn too": []}

    def turn() -> None:
        found["closed form"].append(_per_second(in_python, len(networks)))
        found["lookups"].append(_per_second(looked_up, many))
        found["drawn too"].append(_per_second(drawn, many))

    benchmark.pedantic(turn, rounds=ROUNDS, warmup_rounds=1)
    for name, speeds in found.items():
        speeds.sort()
        print(f"\n{name}: {median(speeds):,.0f} networks/s ({speeds[0]:,.0f} to {speeds[-1]:,.0f})", end="")
    ratio = median(found["lookups"]) / median(found["closed form"])
    benchmark.extra_info |= {"ratio": ratio, **found}
    print(f"\n{len(columns)} columns: {ratio:.0f} times as fast")
    assert ratio >= AT_LEAST[columns]


_IN_ONE_GO = r"""
import re, sys
from pathlib import Path
from time import process_time
from mnv3prof.cli.main import run
start = process_time()
code = run(["pareto", "ofa", "-n", sys.argv[1], "--dtype", "int8", "--where", "peak.fused<=256KiB", "--workers", "1",
            "--min", "params,peak", "--max", "macs", "-o", sys.argv[2]])
(memory,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(code, process_time() - start, memory)
"""
"""ru_maxrss would be that of the process that started this one."""


def test_sampled_filtered_and_reduced_at_flat_memory_and_in_linear_time(
    ofa: Any, benchmark: Any, tmp_path: Any
) -> None:
    """From 100 thousand to 100 million networks, as the command does it; its start is left out of the ratios."""
    found: dict[int, tuple[float, int]] = {}

    def grow() -> None:
        for count in (10**5, 10**6, 10**7, 10**8):
            command = [sys.executable, "-c", _IN_ONE_GO, str(count), str(tmp_path / "front.csv")]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
            code, seconds, memory = done.stdout.split()
            assert code == "0"
            found[count] = float(seconds), int(memory) * 1024

    benchmark.pedantic(grow, rounds=1)
    start = found[10**5][0]
    for count, (seconds, memory) in found.items():
        print(f"\n{count:,}: {seconds:.2f} s CPU, {memory / 2**20:.0f} MiB", end="")
    print()
    benchmark.extra_info |= {str(count): each for count, each in found.items()}
    assert max(memory for _, memory in found.values()) <= MOST_BYTES
    assert 6 <= (found[10**8][0] - start) / (found[10**7][0] - start) <= 14
