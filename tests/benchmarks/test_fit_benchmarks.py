"""How long `fit` takes, and that costs are exact.

`pytest --benchmark-only tests/benchmarks/test_fit_benchmarks.py -s`
"""

import os
import random
import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Any, Final

import pytest
from spaces import costs, random_space

from mnv3prof.space.files import preset_space
from mnv3prof.space.fit import costs_of
from mnv3prof.space.tables import tables_of

RUNS: Final = 5
OFA: Final = ("fit", "ofa", "--budget", "params=2M", "--budget", "arena=256K", "--dtype", "int8")
CAPPED: Final = ("fit", "ofa", "--budget", "macs=100M", "--budget", "params=3M", "--dtype", "int8")
ALLOWED_S: Final = {
    "cold": (OFA, 20.0),
    "cached": (OFA, 3.0),
    "capped": (CAPPED, 3.0),
    "presets": (("fit", "--budget", "params=3M", "--budget", "macs=60M"), 1.0),
}
"""Of a whole command, by what it does."""
NETWORKS: Final = 10_000


@pytest.mark.parametrize("what", ALLOWED_S)
def test_fit(what: str, benchmark: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    words, most = ALLOWED_S[what]
    shared = tmp_path_factory.getbasetemp() / "fit-cache"
    seconds = []

    def once() -> None:
        folder = tmp_path_factory.mktemp("cold") if what == "cold" else shared
        begin = perf_counter()
        subprocess.run(
            [sys.executable, "-m", "mnv3prof", *words],
            env={**os.environ, "MNV3PROF_CACHE": str(folder)},
            check=True,
            capture_output=True,
        )
        seconds.append(perf_counter() - begin)

    if what in ("cached", "capped"):
        once()  # fills the cache
        seconds.clear()
    benchmark.pedantic(once, rounds=RUNS if what != "cold" else 3)
    print(f"\n{what}: {median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), allowed {most:g} s")
    assert median(seconds) <= most


def test_costs_of_random_networks_are_exact(benchmark: Any) -> None:
    """Each column of networks of three spaces, and of random small ones with every kind of choice."""
    draw = random.Random(0)
    spaces = [preset_space(name) for name in ("ofa", "near-large", "near-small")]
    spaces += [random_space(seed) for seed in range(100, 120)]

    def check() -> int:
        wrong = 0
        for space in spaces:
            tables = tables_of(space, "int8", None)
            for _ in range(NETWORKS // len(spaces)):
                number = draw.randrange(space.size)
                digits = space.digits(number)
                wrong += costs_of(tables[digits[0]], digits[1:]) != costs(space.network(number), "int8")
        return wrong

    wrong = benchmark.pedantic(check, rounds=1)
    print(f"\n{NETWORKS // len(spaces) * len(spaces):,} networks of {len(spaces)} spaces: {wrong} differ")
    assert wrong == 0
