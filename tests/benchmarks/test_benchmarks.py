"""Speed, measured: `pytest --benchmark-only tests/benchmarks`. The ordinary tests skip these.

Whole commands are timed against a peer in interleaved pairs, so that noise affects both.
"""

import subprocess
import sys
from statistics import median
from time import perf_counter
from typing import Any

from terminal import SCRIPT

from mnv3prof.cost.conventions import counted_as
from mnv3prof.cost.counts import count, total
from mnv3prof.cost.memory import arena, peaks
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.source import read_table

FLOPS = [SCRIPT, "flops", "--input", "224"]
IMPORTS = [sys.executable, "-c", "import typer, rich.table, msgspec"]
FVCORE = [
    sys.executable,
    "-c",
    "import torch\nfrom fvcore.nn import FlopCountAnalysis, flop_count_table\n"
    "from mnv3prof import build, read_table\n"
    "model = build(read_table('large')).eval()\n"
    "print(flop_count_table(FlopCountAnalysis(model, torch.zeros(1, 3, 224, 224))))",
]
PAIRS = 20


def _seconds(command: str) -> Any:
    start = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return perf_counter() - start


def _ratio(benchmark: Any, ours: Any, peer: Any, pairs: Any) -> Any:
    """Median of `ours` over median of `peer`; benchmark's table shows ours, extra_info both."""
    times: Any = {"ours": [], "peer": []}
    for command in (ours, peer):
        _seconds(command)  # fills the file cache

    def pair() -> None:
        times["ours"].append(_seconds(ours))
        times["peer"].append(_seconds(peer))

    benchmark.pedantic(pair, rounds=pairs)
    ratio = median(times["ours"]) / median(times["peer"])
    benchmark.extra_info |= {"ratio": ratio, **{name: sorted(seconds) for name, seconds in times.items()}}
    print(f"\nours {median(times['ours']):.3f} s, peer {median(times['peer']):.3f} s, ratio {ratio:.3f}")
    return ratio


def test_flops_from_cold_against_the_imports_it_needs(benchmark: Any) -> None:
    assert _ratio(benchmark, FLOPS, IMPORTS, PAIRS) <= 2.5


def test_flops_from_cold_against_building_the_model_and_printing_fvcores_table(benchmark: Any) -> None:
    assert _ratio(benchmark, FLOPS, FVCORE, 5) <= 1 / 10


def test_claims_from_cold_against_the_imports_they_need(benchmark: Any) -> None:
    """Under a second; the ratio says how much of it is Python's and the terminal library's."""
    _ratio(benchmark, [SCRIPT, "claims"], IMPORTS, PAIRS)
    assert median(benchmark.extra_info["ours"]) <= 1.0


def test_peaks_and_arena_in_process_against_fvcores_analysis(benchmark: Any) -> None:
    """The peer's answer to a smaller question, in turn with ours: from the table, not from its file."""
    import torch
    from fvcore.nn import FlopCountAnalysis

    from mnv3prof import build

    table = read_table("large")
    graph, model, image = expand(table), build(table).eval(), torch.zeros(1, 3, 224, 224)

    def fvcore() -> Any:
        found = FlopCountAnalysis(model, image)
        found.unsupported_ops_warnings(False)
        return found.total()

    assert fvcore() == sum(counted_as(graph, "fvcore"))  # type: ignore[arg-type]

    def rounds() -> Any:
        timed = {
            "costs and peaks": lambda: _analysis(table),
            "peaks": lambda: peaks(expand(table)),
            "arena": lambda: arena.__wrapped__(graph),  # type: ignore[attr-defined] # it is kept with the graph
        }
        found: Any = {name: [] for name in timed}
        for _ in range(7):
            peer = _each(fvcore, 1)
            for name, call in timed.items():
                found[name].append(peer / _each(call, 20))
        return found

    times = {name: sorted(ratios) for name, ratios in benchmark.pedantic(rounds, rounds=1).items()}
    benchmark.extra_info |= times
    for name, ratios in times.items():
        print(f"\n{name}: fvcore / ours {ratios[0]:.0f} to {ratios[-1]:.0f}, median {median(ratios):.0f}")
    assert median(times["peaks"]) >= 100
    assert median(times["arena"]) >= 250


def _analysis(table: Any) -> Any:
    graph = expand(table)
    return total(count(graph)), peaks(graph)


def _each(call: Any, times: Any) -> Any:
    start = perf_counter()
    for _ in range(times):
        call()
    return (perf_counter() - start) / times


_LOOP = """
import gc, tracemalloc
from mnv3prof.source import read_table
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.cost.counts import count, total
from mnv3prof.cost.memory import peaks
def analysis():
    graph = expand(read_table("large"))
    return total(count(graph)), peaks(graph)
tracemalloc.start()
for _ in range(3_000):  # pathlib interns names, and the interpreter's table of those is made anew once
    analysis()
gc.collect()
before, _ = tracemalloc.get_traced_memory()
for _ in range(10_000):
    analysis()
gc.collect()
print(*(now - before for now in tracemalloc.get_traced_memory()))
"""


def test_memory_stays_flat_over_10_000_analyses(benchmark: Any) -> None:
    """In a process of its own, where nothing else grows."""

    def loop() -> Any:
        done = subprocess.run([sys.executable, "-c", _LOOP], capture_output=True, text=True, check=True)
        return map(int, done.stdout.split())

    grown, most = benchmark.pedantic(loop, rounds=1)
    benchmark.extra_info |= {"grown_bytes": grown, "most_bytes": most}
    print(f"\ngrown by {grown:,} bytes, at most {most:,}")
    assert grown < 20_000
