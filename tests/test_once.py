"""No command computes costs, peaks, arenas, expansions, summaries or documents twice."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from runs import run_of, timing
from subjects import subject

from mnv3prof.cli.main import run
from mnv3prof.cost import counts, memory
from mnv3prof.graph.once import once
from mnv3prof.graph.parts import NET
from mnv3prof.mobilenetv3 import expand
from mnv3prof.record import read, stats
from mnv3prof.record.document import encoded

SMALL = subject("small", 64)
ONCE_A_GRAPH = {
    function.__wrapped__.__code__: function.__name__  # type: ignore[union-attr]
    for function in (counts.count, memory.peaks, memory.arena)
}
ONCE_A_TABLE = expand.expand.__code__
OTHERS = {stats.summarize.__code__: "summarize", read.decode.__code__: "decode"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run on four targets, of two dtypes and two batches."""
    timings = [
        timing(backend, part, [1e-3 * (1 + n % 5 / 100) for n in range(54)], dtype=dtype, batch=batch)
        for backend, dtype, batch in (
            ("cpu", "fp32", 1),
            ("a", "fp32", 1),
            ("a", "int8", 1),
            ("a", "int8", 4),
        )
        for part in (*SMALL.graph.block_names, NET)
    ]
    path = tmp_path_factory.mktemp("once") / "run.json"
    path.write_text(encoded(run_of(SMALL, timings)), encoding="utf-8")
    return str(path), len(timings)


def _calls(arguments: Any) -> Any:
    """Number of calls of each function during a command, by argument."""
    found: Counter[Any] = Counter()
    kept: list[Any] = []

    def watch(frame: Any, event: Any, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        if name := ONCE_A_GRAPH.get(code):
            given = [
                frame.f_locals[arg] for arg in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            ]
            kept.append(given[0])  # so that no other one gets its id
            found[name, id(given[0]), *given[1:]] += 1
        elif code is ONCE_A_TABLE:
            found["expand", frame.f_locals["table"], frame.f_locals["size"]] += 1
        elif name := OTHERS.get(code):
            found[name] += 1

    sys.setprofile(watch)
    try:
        assert run(arguments) == 0
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize(
    "command",
    [
        ["report", "RUN", "-o", "page.html"],
        ["report", "RUN", "--format", "md"],
        ["report", "RUN", "RUN", "-o", "page.html"],
        ["latency", "RUN"],
        ["latency", "RUN", "--format", "json"],
        ["memory", "RUN"],
        ["flops", "RUN"],
        ["compare", "RUN", "--standard-conv", "--without-se"],
        ["diff", "RUN", "RUN"],
        ["check", "RUN", "--budgets", "BUDGETS"],
        ["claims", "RUN"],
    ],
    ids=" ".join,
)
def test_a_command_computes_nothing_twice(
    command: list[Any],
    saved: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path, timings = saved
    (tmp_path / "budgets.toml").write_text(
        'macs = "1G"\narena = "9MiB"\npeak.fused = "9MiB"\n', encoding="utf-8"
    )
    runs = command.count("RUN")
    found = _calls([{"RUN": path, "BUDGETS": "budgets.toml"}.get(word, word) for word in command])
    assert found.pop("decode", 0) <= runs
    assert found.pop("summarize", 0) <= runs * timings
    assert {key: times for key, times in found.items() if times > runs} == {}
    assert any(key[0] == "expand" for key in found)


def test_what_is_kept_is_told_apart_by_every_argument() -> None:
    computed = []

    @once
    def figure(graph: Any, dtype: Any = "fp32", *, image: bool = True) -> Any:
        computed.append((dtype, image))
        return len(computed)

    small, large = SMALL.graph, subject("large", 64).graph
    assert figure(small) == figure(small, "fp32") == figure(small, image=True) == 1
    assert figure(small, "int8") == 2
    assert figure(small, image=False) == 3
    assert figure(large) == 4
    assert figure(small) == 1
    with pytest.raises(TypeError):
        figure(small, picture=True)  # type: ignore[call-arg]
