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
from typing import Any

import numpy as np
import pytest

from mnv3prof.mobilenetv3.table import Row, Table, make_divisible
from mnv3prof.space.costs import COLUMNS, ContextTable
from mnv3prof.space.files import open_space
from mnv3prof.space.lookup import Engine, lookup_of
from mnv3prof.space.space import Space
from mnv3prof.space.sweep import CHUNK, NAMES
from mnv3prof.space.tables import tables_of
from mnv3prof.workers.cache_folder import default_folder

FOUR = tuple(NAMES.index(name) for name in ("macs", "params", "weights", "peak"))
SEVEN = tuple(range(len(COLUMNS)))
AT_LEAST = {FOUR: 400, SEVEN: 200}
"""Times as fast as the closed form, which has four columns."""
ROUNDS = 7
MOST_BYTES = 400 * 2**20


@pytest.fixture(scope="module")
def ofa() -> tuple[Space, list[ContextTable]]:
    space = open_space("ofa")
    return space, tables_of(space, "int8", default_folder())


def closed_form(table: Table, side: int) -> tuple[int, int, int, int]:
    """MACs, parameters, bytes of int8 weights and fused peak of a network at square inputs, row by row."""
    classes, last_width = table.classes, table.last
    assert isinstance(last_width, int)
    side = -(-side // 2)
    width = table.stem
    macs = side * side * width * 27
    params, weights = width * 27 + 2 * width, width * 27 + 4 * width
    peak = 3 * (2 * side) ** 2 + side * side * width
    for row in table.rows:
        expand, out, kernel = row.expand, row.out, row.kernel
        area = side * side
        after = -(-side // row.stride)  # type: ignore[operator]
        low = after * after
        kept = area * width if row.stride == 1 and width == out else 0
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
        if row.se:
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
    weights += width * head + 4 * head + head * last_width + 4 * last_width + last_width * classes + 4 * classes
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
        assert closed_form(subject.table, subject.input[0]) == tuple(costs[list(FOUR), 0])


def _engine(lookup: Any, entries: Sequence[int], radices: Sequence[int]) -> Any:
    place = 0
    for entry, radix in zip(entries, radices, strict=True):
        place = place * radix + entry
    digits: list[Any] = []
    for radix in reversed(lookup.radices):
        place, digit = divmod(place, radix)
        digits.insert(0, np.array([digit]))
    return Engine(lookup, 1).costs(digits)
