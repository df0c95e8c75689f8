"""How commands grow with the number of layers: `pytest --benchmark-only tests/benchmarks/test_growth.py -s`."""

import random
import subprocess
from math import log
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from runs import run_of, timing
from terminal import SCRIPT

from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.record.document import encoded
from mnv3prof.record.run import Subject

SIZES = (100, 1_000, 10_000)
ALLOWED_S = {"flops": 1.0, "memory": 2.0, "report": 5.0}
"""Of 10,000 layers, from a cold process."""
BASE_ROWS = 2


def _subject(layers: Any) -> Any:
    """The network of equal rows that has about so many layers."""
    row = Row(expand=48, out=16, kernel=3, stride=1, se=True, activation="HS")

    def of(rows: Any) -> Any:
        return Subject(Table(name="grown", rows=(row,) * rows, stem=16, last=64, classes=10), (32, 32))

    a_row = len(of(BASE_ROWS + 1).graph.layers) - len(of(BASE_ROWS).graph.layers)
    found = of(BASE_ROWS + (layers - len(of(BASE_ROWS).graph.layers)) // a_row)
    assert 0.8 * layers <= len(found.graph.layers) <= layers
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of each size, every part timed on three targets in 12 bursts."""
    chance, folder = random.Random(0), tmp_path_factory.mktemp("growth")
    paths = {}
    for layers in SIZES:
        subject = _subject(layers)
        timings = [
            timing(backend, part, [1e-3 * chance.gauss(1, 0.01) for _ in range(108)], calls=[9] * 12)
            for backend in ("cpu", "onnxruntime", "litert")
            for part in (*subject.graph.block_names, NET)
        ]
        paths[layers] = folder / f"{layers}.json"
        paths[layers].write_text(encoded(run_of(subject, timings)), encoding="utf-8")
    return paths


@pytest.mark.parametrize("command", ALLOWED_S)
def test_growth(command: Any, saved: Any, benchmark: Any) -> None:
    """The time beyond that of 100 layers grows at most as n log n, with half as much again for noise."""
    seconds: Any = {layers: [] for layers in SIZES}

    def once() -> None:
        for layers, path in saved.items():
            output = ["-o", str(path.with_suffix(".html"))] if command == "report" else []
            start = perf_counter()
            subprocess.run([SCRIPT, command, str(path), *output], check=True, stdout=subprocess.DEVNULL)
            seconds[layers].append(perf_counter() - start)

    benchmark.pedantic(once, rounds=5, warmup_rounds=1)
    few, some, many = (median(seconds[layers]) for layers in SIZES)
    print(f"\n{command}: {few:.2f} s, {some:.2f} s, {many:.2f} s of 100, 1,000 and 10,000 layers")
    benchmark.extra_info |= {"seconds": seconds}
    assert many <= ALLOWED_S[command]
    expected = (10_000 * log(10_000)) / (1_000 * log(1_000))
    assert many - few <= 1.5 * expected * max(some - few, 0.02)
