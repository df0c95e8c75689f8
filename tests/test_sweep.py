"""sweep and pareto: points of spaces, their files, fronts and pages, whatever computes them."""

import csv
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from spaces import costs, random_space
from terminal import SCRIPT

import mnv3prof
from mnv3prof.budgets.where import conditions_from
from mnv3prof.cli.main import run
from mnv3prof.cost.memory import arena
from mnv3prof.graph.errors import InputError
from mnv3prof.space.costs import COLUMNS, ContextTable
from mnv3prof.space.files import open_space, space_from
from mnv3prof.space.points import pareto as fronts
from mnv3prof.space.points import sweep as sweeps
from mnv3prof.space.points.executors import cluster, executor_of, threads
from mnv3prof.space.points.pareto import Ask, Objective, front_of, part_of
from mnv3prof.space.points.sweep import CHUNK, Range, in_order, jobs_of
from mnv3prof.space.space import Space
from mnv3prof.space.tables import tables_of

SMALL = """
input = [32, 48]
width = [0.5, 1.0]
stem = 8
last = 32
classes = 10

[[stage]]
out = [8, 16]
ratio = 1
kernel = [3, 5]

[[stage]]
out = [16, 24, 32]
stride = 2
depth = [1, 2]
ratio = [2, 3]
kernel = [3, 5]
stage.se = [false, true]

[[stage]]
out = [32, 48]
stride = 2
ratio = 3
kernel = 3
"""
"""3,840 networks, whose stages have several widths."""
PARAMS_PEAK_MACS = (Objective("params", 2), Objective("peak.fused", 6), Objective("macs", 0, -1))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Space, list[ContextTable]]:
    path = tmp_path_factory.mktemp("space") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    space = open_space(str(path))
    return str(path), space, tables_of(space, "int8", None)


@pytest.fixture(scope="module")
def near() -> tuple[Space, list[ContextTable]]:
    space = open_space("near-small")
    return space, tables_of(space, "int8", None)


def listed(
    space: Space, tables: Sequence[ContextTable], many: int | None = None, **how: Any
) -> dict[int, list[int]]:
    """Costs by number of a network."""
    return {
        int(number): costs
        for job in jobs_of(space, tables, many, **how)
        for found in [sweeps.points(job)]
        for number, costs in zip(found.numbers, found.columns.T.tolist(), strict=True)
    }


def front_in_python(points: Sequence[tuple[int, ...]]) -> set[tuple[int, ...]]:
    """Those that no other dominates, by the definition."""
    distinct = set(points)
    return {
        one
        for one in distinct
        if not any(
            other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in distinct
        )
    }


def test_every_network_of_a_space_with_several_widths_is_listed_with_its_costs(small: Any) -> None:
    _, space, tables = small
    found = listed(space, tables)
    assert list(found) == list(range(space.size))
    for number in random.Random(0).sample(range(space.size), 60):
        assert found[number] == [*costs(space.network(number), "int8")]


def test_sampled_networks_have_the_costs_of_the_tools_own_counts(near: Any) -> None:
    space, tables = near
    found = listed(space, tables, 3_000, seed=7)
    assert len(found) > 2_990
    for number in random.Random(1).sample(sorted(found), 40):
        assert found[number] == [*costs(space.network(number), "int8")]


def test_numbers_of_a_space_beyond_64_bits_are_those_of_its_digits() -> None:
    document = {"stage": [{"out": 16, "ratio": 2, "kernel": [3, 5, 7], "depth": [1, 2, 3, 4, 5, 6, 7]}] * 8}
    space = space_from(document, "wide", "wide")
    assert space.size > 2**64
    radices = space.radices[1:]
    lookup: Any = type("Lookup", (), {"radices": radices})
    chance = random.Random(3)
    digits = [[chance.randrange(radix) for _ in range(50)] for radix in radices]
    digits = [[0, radix - 1, *each] for radix, each in zip(radices, digits, strict=True)]
    job = sweeps.Job(0, lookup, 0, 52, 0, 1)
    found = sweeps.numbers_of(job, [np.array(each) for each in digits])
    assert [int(each) for each in found] == [
        space.number((0, *(each[n] for each in digits))) for n in range(52)
    ]
    assert found[0] == b"0"


def test_samples_are_even_over_contexts_and_entries(near: Any) -> None:
    space, tables = near
    many = 120_000
    digits = np.array([space.digits(number) for number in listed(space, tables, many, seed=2)])
    for place, radix in enumerate(space.radices):
        found = np.bincount(digits[:, place], minlength=radix)
        expected = many / radix
        chi = float(((found - expected) ** 2 / expected).sum())
        assert len(found) == radix
        assert abs(chi - (radix - 1)) < 6 * (2 * (radix - 1)) ** 0.5 + 6


def test_the_same_seed_gives_the_same_networks_however_they_are_divided(near: Any) -> None:
    space, tables = near
    many = 12 * 2 * CHUNK

    def found(chunks: int) -> bytes:
        jobs = jobs_of(space, tables, many, seed=4, chunks=chunks)
        return np.concatenate([sweeps.points(job).numbers for job in jobs]).tobytes()

    assert found(1) == found(5)
    assert list(listed(space, tables, 1_000, seed=5)) != list(listed(space, tables, 1_000, seed=6))


def test_conditions_keep_what_satisfies_them(small: Any) -> None:
    _, space, tables = small
    every = listed(space, tables)
    where = conditions_from(["macs<=800k,peak<16KiB", "params>15000"], "where")
    kept = {
        number: costs
        for number, costs in every.items()
        if costs[0] <= 800_000 and costs[6] < 16_384 and costs[2] > 15_000
    }
    assert 0 < len(kept) < len(every)
    assert listed(space, tables, where=where) == kept


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("macs<=100M", Range(0, None, 100_000_000)),
        ("peak < 256KiB", Range(6, None, 262_143)),
        ("weights>=1.5M", Range(3, 1_572_864, None)),
        ("params>3M", Range(2, 3_000_001, None)),
        ("flops=5", Range(1, 5, 5)),
        ("peak.fused<1.3KiB", Range(6, None, 1_331)),
        ("peak.fused<=1.3KiB", Range(6, None, 1_331)),
        ("peak.fused>=1.3KiB", Range(6, 1_332, None)),
        ("peak.fused>1.3KiB", Range(6, 1_332, None)),
        ("macs<0.5", Range(0, None, 0)),
        ("macs=1.5", Range(0, 2, 1)),
    ],
)
def test_a_condition_is_parsed(text: str, parsed: Range) -> None:
    assert conditions_from([text], "where") == (parsed,)


@pytest.mark.parametrize("number", range(12))
def test_the_front_of_a_random_space_is_that_of_the_definition(number: int) -> None:
    """All networks by brute force; in chunks and by each filter."""
    chance = random.Random(number)
    space = random_space(number, least=50)
    tables = tables_of(space, "int8", None)
    columns = chance.sample(range(7), chance.choice((2, 3, 4)))
    signs = [chance.choice((1, -1)) for _ in columns]
    objectives = [Objective(COLUMNS[c], c, sign) for c, sign in zip(columns, signs, strict=True)]
    every = listed(space, tables)
    expected = front_in_python(
        [tuple(s * costs[c] for c, s in zip(columns, signs, strict=True)) for costs in every.values()]
    )

    def source(ask: Ask) -> Iterator[fronts.Part]:
        return map(partial(part_of, ask, "x"), jobs_of(space, tables, None, chunks=1))

    front = front_of(source, objectives, lambda *_: 0)
    found = [
        tuple(s * int(front.columns[c, n]) for c, s in zip(columns, signs, strict=True))
        for n in range(len(front.networks))
    ]
    assert sorted(found) == sorted(expected)
    assert front.seen == front.kept == space.size
    for network, found_costs in zip(front.networks, front.columns.T.tolist(), strict=True):
        assert every[int(network.partition("#")[2])] == found_costs


def test_parts_of_a_front_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's and our own filter give the same front of points with many ties, in one piece or in many."""
    pytest.importorskip("moocore")
    chance = np.random.default_rng(0)
    points = chance.integers(0, 18, (12_000, 3))
    points[:, 2] = 60 - points[:, :2].sum(axis=1) + chance.integers(0, 3, len(points))
    expected = front_in_python([tuple(each) for each in points.tolist()])
    ask = Ask((*PARAMS_PEAK_MACS[:2], Objective("macs", 0)))

    def found() -> Any:
        reducer = fronts.Reducer(ask)
        for start in range(0, len(points), 1_000):
            reducer.add(points[start : start + 1_000].T, np.arange(start, start + 1_000))
        reduced = reducer.found()
        assert reduced is not None
        return reduced

    whole = found()
    monkeypatch.setattr(fronts, "_AT_ONCE", 2_500)
    pieces = found()
    monkeypatch.setitem(sys.modules, "moocore", None)
    own = found()
    assert {tuple(each) for each in whole[0].tolist()} == expected
    assert len(whole[0]) == len(expected) > 50
    for other in (pieces, own):
        assert (other[0] == whole[0]).all() and (other[1] == whole[1]).all()
    first = {tuple(each): n for n, each in reversed(list(enumerate(points.tolist())))}
    assert [first[tuple(each)] for each in whole[0].tolist()] == whole[1].tolist()


def test_the_front_by_arena_is_that_of_all_arenas(tmp_path: Path) -> None:
    """Every network planned, against the front that plans few."""
    path = tmp_path / "few.toml"
    path.write_text(
        SMALL.replace("width = [0.5, 1.0]", "").replace("out = [32, 48]", "out = 32"), encoding="utf-8"
    )
    space = open_space(str(path))
    tables = tables_of(space, "int8", None)
    every = listed(space, tables)
    arenas = {number: arena(space.network(number).graph, "int8").bytes for number in every}
    assert any(arenas[number] > costs[6] for number, costs in every.items())
    expected = front_in_python([(costs[2], arenas[number], -costs[0]) for number, costs in every.items()])
    front = mnv3prof.pareto(path, minimize="params,arena", maximize="macs", dtype="int8")
    found = list(zip(front.params, front.arena, -front.macs, strict=True))
    assert sorted(found) == sorted(expected)
    for network, planned in zip(front.network, front.arena, strict=True):
        assert arenas[int(network.rpartition("#")[2])] == planned


def test_the_result_does_not_depend_on_the_number_of_threads(near: Any) -> None:
    space, tables = near
    many = 40 * CHUNK

    def parts(workers: Any) -> Any:
        jobs = jobs_of(space, tables, many, seed=1, where=(Range(6, None, 200_000),), chunks=2)
        ask = Ask(PARAMS_PEAK_MACS)
        return [
            (part.seen, part.kept, part.networks, part.columns.tolist())
            for part in in_order(partial(part_of, ask, "near-small"), jobs, *workers)
        ]

    with threads(1) as one, threads(2) as two, threads(5) as five:
        assert parts(one) == parts(two) == parts(five)


def _after_a_while(job: sweeps.Job) -> sweeps.Points:
    time.sleep(0.02)
    return sweeps.points(job)


def test_a_worker_of_a_cluster_that_is_killed_changes_nothing(near: Any, here: Path) -> None:
    """On a real cluster of two processes, one of which is killed after the third of 24 jobs."""
    distributed = pytest.importorskip("distributed")
    space, tables = near
    jobs = list(jobs_of(space, tables, 24 * CHUNK, seed=3, chunks=1))
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        with cluster(local.scheduler_address) as workers:
            found = in_order(_after_a_while, jobs, *workers)
            several = [next(found) for _ in range(3)]
            victim = next(iter(local.workers.values())).pid
            os.kill(victim, signal.SIGKILL)
            several += found
        assert not _is_alive(victim)
        arguments = ["sweep", "small.toml", "--where", "macs<=800k", "--scheduler", local.scheduler_address]
        assert run([*arguments, "-o", "cluster.csv"]) == 0
        with distributed.Client(local.scheduler_address, set_as_default=False) as client:
            front = mnv3prof.pareto("small.toml", minimize="params", maximize="macs", executor=client)
    assert run([*arguments[:4], "-o", "here.csv"]) == 0
    assert (here / "cluster.csv").read_bytes() == (here / "here.csv").read_bytes()
    assert front.equals(mnv3prof.pareto("small.toml", minimize="params", maximize="macs"))
    assert len(several) == len(jobs) >= 24
    for job, points in zip(jobs, several, strict=True):
        expected = sweeps.points(job)
        assert (points.numbers == expected.numbers).all() and (points.columns == expected.columns).all()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z"
        if Path("/proc").is_dir()
        else True
    )


def test_an_executor_of_python_computes_the_same(small: Any) -> None:
    path, _, _ = small
    alone = mnv3prof.sweep(path, where="macs<=800k", dtype="int8")
    assert 0 < len(alone) < 3_840
    with ThreadPoolExecutor(3) as executor:
        steps: list[mnv3prof.Progress] = []
        found = mnv3prof.sweep(
            path, where="macs<=800k", dtype="int8", executor=executor, on_progress=steps.append
        )
    assert found.equals(alone)
    assert steps[-1].share == 1
    with pytest.raises(InputError, match=r"executor: int is none"):
        executor_of(3)


def test_processes_give_the_same(small: Any) -> None:
    path, _, _ = small
    with ProcessPoolExecutor(2, get_context("spawn")) as executor:
        found = mnv3prof.sweep(path, 2_000, seed=3, dtype="int8", executor=executor)
        front = mnv3prof.pareto(path, 2_000, minimize="params", maximize="macs", executor=executor)
    assert found.equals(mnv3prof.sweep(path, 2_000, seed=3, dtype="int8"))
    assert front.equals(mnv3prof.pareto(path, 2_000, minimize="params", maximize="macs"))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command line refuses."""
    assert run([*arguments]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("mnv3prof: ")]
    assert out == "" and len(lines) == 1 and "Traceback" not in err
    assert len(lines[0]) <= 300
    return lines[0]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_of_points_has_the_rows_of_the_space(
    suffix: str, here: Path, small: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    _, space, tables = small
    name = f"points.{suffix}"
    assert run(["sweep", "small.toml", "--dtype", "int8", "--where", "macs<=800k", "-o", name]) == 0
    assert "satisfy the conditions" in capsys.readouterr().out
    expected = {n: costs for n, costs in listed(space, tables).items() if costs[0] <= 800_000}
    if suffix == "csv":
        with (here / name).open(encoding="utf-8", newline="") as file:
            rows: list[dict[Any, Any]] = list(csv.DictReader(file))
    else:
        rows = pd.read_parquet(here / name).to_dict("records")
    assert [*rows[0]] == ["network", *COLUMNS]
    assert {row["network"]: [int(row[each]) for each in COLUMNS] for row in rows} == {
        f"small.toml#{number}": costs for number, costs in expected.items()
    }
    assert not any(each.startswith(".") for each in names_in(here))
    network = rows[5]["network"]
    assert mnv3prof.total(mnv3prof.count(mnv3prof.load(network).graph)).macs == int(rows[5]["macs"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_front_of_a_file_is_that_of_its_rows(
    suffix: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnv3prof.space.points.files._ROWS", 300)
    name = f"points.{suffix}"
    assert run(["sweep", "small.toml", "-n", "2k", "--seed", "9", "--dtype", "int8", "-o", name]) == 0
    aims = ["--min", "params,peak", "--max", "macs"]
    assert run(["pareto", name, *aims, "--where", "macs<=1M", "-o", "front.csv"]) == 0
    sampled = ["-n", "2k", "--seed", "9", "--dtype", "int8", "--workers", "2", "--where", "macs<=1M"]
    assert run(["pareto", "small.toml", *sampled, *aims, "-o", "direct.csv"]) == 0
    frame = pd.read_csv(name) if suffix == "csv" else pd.read_parquet(name)
    frame = frame[frame.macs <= 1_000_000]
    rows = [*zip(frame.params, frame["peak.fused"], -frame.macs, strict=True)]
    front = pd.read_csv("front.csv")
    assert {*zip(front.params, front["peak.fused"], -front.macs, strict=True)} == front_in_python(rows)
    assert (here / "front.csv").read_bytes() == (here / "direct.csv").read_bytes()
    capsys.readouterr()
    assert run(["pareto", "front.csv", "--min", "params,arena", "--max", "macs", "--format", "json"]) == 0
    planned = json.loads(capsys.readouterr().out)["networks"]
    for each in planned[:5]:
        graph = mnv3prof.load(each["network"]).graph
        assert each["arena"] == mnv3prof.arena(graph, "int8").bytes >= each["peak.fused"]


def test_a_front_is_cut_on_a_terminal_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aims = ["--min", "params,peak,read", "--max", "macs"]
    assert run(["pareto", "small.toml", *aims]) == 0
    out = capsys.readouterr().out
    (left, every) = map(int, re.findall(r"Not shown: (\d+) of (\d+) networks", out)[0])
    assert every - left == out.count("small.toml#") == 40
    assert "the most accurate is not known" in out and "best" not in out
    assert run(["pareto", "small.toml", *aims, "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("small.toml#") == every


def test_a_page_holds_the_density_and_the_front(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--min", "params,peak", "--max", "macs", "--html", "front.html", "-o", "front.csv"]
    assert run(["pareto", "small.toml", *arguments]) == 0
    page = (here / "front.html").read_text(encoding="utf-8")
    (chart,) = json.loads(re.findall(r'id="charts">(.*?)</script>', page, re.DOTALL)[0])
    density, points = chart["data"]
    every = mnv3prof.sweep("small.toml")
    front = pd.read_csv("front.csv")
    assert sum(map(sum, density["counts"])) == len(every) == 3_840
    assert points["x"] == list(front.params) and points["y"] == list(front.macs)
    place = every.params.argmin()
    row = int((every.macs[place] - every.macs.min()) * 200 // (every.macs.max() - every.macs.min() + 1))
    assert density["counts"][row][0] >= 1
    assert density["x0"] - density["dx"] / 2 == every.params.min()
    assert len(chart["copies"]) == len(front)
    (here / "copied.toml").write_text(chart["copies"][3], encoding="utf-8")
    assert (
        mnv3prof.total(mnv3prof.count(mnv3prof.load("copied.toml", _size(front.network[3])).graph)).macs
        == front.macs[3]
    )
    assert "accurate is not known" in page


def _size(network: str) -> tuple[int, int]:
    return mnv3prof.load(network).input


def test_the_data_of_a_page_is_bounded(here: Path) -> None:
    """Of the largest front that is drawn, with names of 20 digits and a full grid of large counts."""
    from mnv3prof.interface.pages import front_page
    from mnv3prof.page.front import Drawn

    many = 30_000
    columns = np.arange(7 * many).reshape(7, many) + 10**8
    names = [f"ofa#{number}" for number in range(10**19, 10**19 + many)]
    ends = np.array([10**8, 10**9, 10**8])
    front = fronts.Front(names, columns, None, 10**7, 10**7, ends, 2 * ends)
    grid = fronts.grid_of(front, PARAMS_PEAK_MACS)
    cells = np.full((200, 200), 250)
    page = front_page(Drawn("ofa", front, PARAMS_PEAK_MACS, grid, cells, None))
    packed = re.findall(r'id="plotly">(.*?)</script>', page, re.DOTALL)[0]
    chart = re.findall(r'id="charts">(.*?)</script>', page, re.DOTALL)[0]
    assert len(json.loads(chart)[0]["data"][1]["x"]) == 5_000
    assert len(chart) < 500_000
    assert len(page) - len(packed) < 640_000


BAD = [
    (["sweep", "small.toml"], "--output FILE.csv or FILE.parquet is required"),
    (["sweep", "small.toml", "-o", "points.json"], "expected .csv or .parquet"),
    (["sweep", "small.toml", "-o", "missing/points.csv"], "cannot be written"),
    (["sweep", "large", "-o", "p.csv"], "large: is not a space; expected a file .toml, or ofa"),
    (["sweep", "ofa", "-o", "p.csv"], "8.66e+19 networks, which are too many"),
    *(
        (["sweep", "small.toml", "-o", "p.csv", "-n", value], "--count: ")
        for value in ("0", "-5", "0.4", "many", "", "1e3", "101G", "9" * 500)
    ),
    *(
        (["sweep", "small.toml", "-o", "p.csv", "--seed", value], "--seed")
        for value in ("-1", "1.5", str(2**64), "9" * 5000)
    ),
    (["sweep", "small.toml", "-o", "p.csv", "--workers", "0"], "--workers: 0 is not allowed"),
    (["sweep", "small.toml", "-o", "p.csv", "--workers", "9999"], "1 to 1,024"),
    (["sweep", "small.toml", "-o", "p.csv", "--workers", "2", "--scheduler", "x"], "cannot be combined"),
    (
        ["sweep", "small.toml", "-o", "p.csv", "--scheduler", "nonsense"],
        "'nonsense': is not an address of a scheduler",
    ),
    (
        ["sweep", "small.toml", "-o", "p.csv", "--where", "mac<=3"],
        "--where: 'mac' is not known; did you mean macs?",
    ),
    (["sweep", "small.toml", "-o", "p.csv", "--where", "macs"], "expected a condition such as macs<=100M"),
    (["sweep", "small.toml", "-o", "p.csv", "--where", "macs<=3<=4"], "expected a condition"),
    (["sweep", "small.toml", "-o", "p.csv", "--where", "macs<=3MiB"], "expected a count"),
    (["sweep", "small.toml", "-o", "p.csv", "--where", "arena<=3K"], "expected its lower bound, peak.fused"),
    (["sweep", "small.toml", "-o", "p.csv", "--where", ""], "--where: '' is not allowed"),
    (["pareto", "small.toml"], "--min and --max: expected two or more costs"),
    (["pareto", "small.toml", "--min", "params"], "expected two or more costs"),
    (["pareto", "small.toml", "--min", "params,params"], "params is named twice"),
    (["pareto", "small.toml", "--min", "macs", "--max", "macs"], "macs is named twice"),
    (["pareto", "small.toml", "--min", "macs,accuracy"], "--min: 'accuracy' is not known"),
    (["pareto", "small.toml", "--min", "macs", "--max", "arena"], "arena can only be minimized"),
    (["pareto", "small.toml", "--min", "macs,params", "--html", "page.txt"], "expected FILE.html"),
    (["pareto", "small.toml", "--min", "macs,params", "--html", "missing/page.html"], "cannot be written"),
    (["pareto", "missing.csv", "--min", "macs,params"], "missing.csv: cannot be read"),
    (["pareto", "points.csv", "--min", "macs,params", "-n", "5"], "is a file"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_input_is_refused_in_one_sentence(
    arguments: list[str], sentence: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(arguments, capsys)
    assert names_in(here) == ["small.toml"]


def test_a_scheduler_that_does_not_answer_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    arguments = ["sweep", "small.toml", "-o", "p.csv", "--scheduler", "tcp://127.0.0.1:9"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnv3prof.space.points.executors._CONNECT_S", 0.5)
        assert "tcp://127.0.0.1:9: the scheduler cannot be reached" in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("pyarrow", ["sweep", "small.toml", "-o", "points.parquet"]),
        ("distributed", ["sweep", "small.toml", "-o", "points.csv", "--scheduler", "tcp://127.0.0.1:9"]),
        ("moocore", ["pareto", "near-small", "-n", "200k", "--min", "params,peak", "--max", "macs"]),
    ],
)
def test_an_extra_that_is_not_installed_is_named(
    package: str,
    arguments: list[str],
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    sentence = refused(arguments, capsys)
    assert f"{package} is not installed: pip install 'mnv3prof[" in sentence


HEADER = f"network,{','.join(COLUMNS)}\n"
ROW = "small.toml#1,1,2,3,4,5,6,7\n"


def _parquet(rows: int = 500, **columns: Any) -> bytes:
    file = io.BytesIO()
    given = {"network": ["x#1"] * rows, **{name: range(rows) for name in COLUMNS}, **columns}
    pd.DataFrame(given).to_parquet(file, compression=None)
    return file.getvalue()


HOSTILE: dict[str, bytes] = {
    "empty.csv": b"",
    "binary.csv": bytes(range(256)) * 20,
    "columns.csv": b"network,macs\nx#1,2\n",
    "text.csv": (HEADER + ROW.replace("3", "three")).encode(),
    "missing.csv": (HEADER + ROW.replace("3", "")).encode(),
    "negative.csv": (HEADER + ROW.replace("3", "-3")).encode(),
    "huge.csv": (HEADER + ROW.replace("3", "9" * 30)).encode(),
    "above.csv": (HEADER + ROW.replace("3", str(2**63 + 5))).encode(),
    "ragged.csv": (HEADER + ROW + "a,b,c,d,e,f,g,h,i,j,k,l\n").encode(),
    "quote.csv": (HEADER + '"' + ROW).encode(),
    "latin.csv": HEADER.encode() + ROW.encode().replace(b"small", b"\xff\xfe"),
    "empty.parquet": b"",
    "text.parquet": b"PAR1 nothing PAR1",
    "short.parquet": _parquet()[:-200],
    "damaged.parquet": _parquet()[:60] + b"\xff" * 400 + _parquet()[460:],
    "types.parquet": _parquet(macs=["a"] * 500),
    "floats.parquet": _parquet(macs=[0.5] * 500),
    "nulls.parquet": _parquet(macs=[None, *[1] * 499]),
    "inexact.csv": (HEADER + ROW.replace("3", str(2**53 + 1))).encode(),
    "cut.csv": (HEADER + ROW + ROW).encode()[:-3],
    "nameless.csv": (HEADER + ROW.replace("small.toml#1", "")).encode(),
    "na.csv": (HEADER + ROW.replace("small.toml#1", "NA")).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_points_is_refused_in_one_sentence(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / name).write_bytes(HOSTILE[name])
    assert refused(["pareto", name, "--min", "params", "--max", "macs"], capsys).startswith(
        f"mnv3prof: {name}"
    )


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ("small.toml#1", "small.toml#1 has other costs now"),
        ("small.toml#99999999", "has no network '99999999'"),
        ("small.toml", "'small.toml' is not a network"),
        ("small.toml#-1", "'small.toml#-1' is not a network"),
        ("gone.toml#1", "gone.toml"),
        ("/etc/passwd#1", "/etc/passwd"),
        ("", "is not a network"),
    ],
)
def test_points_whose_networks_are_others_are_refused(
    network: str, sentence: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "points.csv").write_text(HEADER + ROW.replace("small.toml#1", network), encoding="utf-8")
    assert sentence in refused(["pareto", "points.csv", "--min", "params,arena", "--max", "macs"], capsys)


def test_a_folder_or_pipe_is_no_file_of_points(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "folder.csv").mkdir()
    os.mkfifo(here / "pipe.csv")
    for name in ("folder.csv", "pipe.csv"):
        assert "regular file" in refused(["pareto", name, "--min", "params", "--max", "macs"], capsys)


def _interrupting(after: int) -> Callable[[sweeps.Job], sweeps.Points]:
    """Return what computes jobs, and interrupts the process at one of them."""
    left = [after]

    def work(job: sweeps.Job) -> sweeps.Points:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return sweeps.points(job)

    return work


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_interrupt_leaves_a_whole_file_of_what_was_computed(
    suffix: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnv3prof.cli.commands.sweep.points", _interrupting(6))
    name = f"points.{suffix}"
    assert run(["sweep", "near-small", "-n", "20k", "-o", name, "--workers", "1"]) == 130
    sentence = capsys.readouterr().err.splitlines()[-1]
    (rows,) = re.findall(r"stopped; ([\d,]+) of 20,000 networks were computed; they are in points", sentence)
    frame = pd.read_csv(name) if suffix == "csv" else pd.read_parquet(name)
    assert len(frame) == int(rows.replace(",", "")) > 1_000
    whole = mnv3prof.sweep("near-small", 20_000)
    assert frame.equals(whole[: len(frame)])


def test_an_interrupt_before_anything_is_computed_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnv3prof.cli.commands.sweep.points", _interrupting(1))
    (here / "points.csv").write_text("before", encoding="utf-8")
    assert run(["sweep", "near-small", "-n", "20k", "-o", "points.csv", "--workers", "1"]) == 130
    assert "nothing was sampled" in capsys.readouterr().err
    assert (here / "points.csv").read_text(encoding="utf-8") == "before"
    assert names_in(here) == ["points.csv", "small.toml"]


@pytest.mark.parametrize("command", ["sweep", "pareto"])
def test_ctrl_c_of_a_terminal_keeps_what_there_is(command: str, here: Path) -> None:
    """A real signal to a process with threads."""
    given = (
        ["-o", "out.csv"]
        if command == "sweep"
        else ["--min", "params,peak", "--max", "macs", "-o", "out.csv", "--html", "front.html"]
    )
    arguments = [SCRIPT, command, "near-small", "-n", "1G", "--workers", "2", *given]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    while not process.stderr.readline().startswith(("sampling", "computing the front")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    (computed,) = re.findall(r"stopped; .*?([\d,]+) of 1,000,000,000 networks", err)
    frame = pd.read_csv("out.csv")
    if command == "sweep":
        assert len(frame) == int(computed.replace(",", ""))
    else:
        page = (here / "front.html").read_text(encoding="utf-8")
        assert f"This is the front of the first {computed} of 1,000,000,000 networks" in page
        assert (
            "Color: number of networks. Not drawn: Fused peak; " in page
        )  # the density is of the same networks
        assert err.splitlines()[-1].endswith("in front.html and out.csv")
    assert len(frame) > 10
    assert not any(each.startswith(".") for each in names_in(here))


def test_a_full_disk_leaves_the_file_as_it_was(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (here / "points.csv").write_text("before", encoding="utf-8")
    monkeypatch.setattr("mnv3prof.space.points.files.Writer.write", fail)
    told = refused(["sweep", "small.toml", "-o", "points.csv"], capsys)
    assert told.endswith("cannot be written (No space left on device); its content is unchanged")
    assert (here / "points.csv").read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_front_of_no_points_is_empty(suffix: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", "small.toml", "--where", "macs<1", "-o", f"none.{suffix}"]) == 0
    aims = ["--min", "params,arena", "--max", "macs", "--html", "front.html"]
    for source in (f"none.{suffix}", "small.toml"):
        assert run(["pareto", source, *aims, "--where", "macs<1"]) == 0
        out = capsys.readouterr().out
        assert "0 networks" in out
        assert "No other" not in out


AIMS = ["--min", "params,peak.fused", "--max", "macs"]


def test_points_of_a_space_that_was_changed_copy_names(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sweep", "small.toml", "-o", "points.csv", "--dtype", "int8"]) == 0
    capsys.readouterr()
    for change in ("changed", "gone"):
        if change == "changed":
            text = SMALL.replace("kernel = [3, 5]", "kernel = [3, 7]", 1)
            assert text != SMALL
            (here / "small.toml").write_text(text, encoding="utf-8")
        else:
            (here / "small.toml").unlink()
        assert run(["pareto", "points.csv", *AIMS, "--html", "front.html", "-o", "front.csv"]) == 0
        page = (here / "front.html").read_text(encoding="utf-8")
        assert "A click copies names: " in page
        assert ("has other costs now" if change == "changed" else "small.toml: cannot be read") in page
        assert len(pd.read_csv("front.csv")) > 5
    refusal = refused(["pareto", "points.csv", "--min", "params,arena", "--max", "macs"], capsys)
    assert "small.toml: cannot be read" in refusal


def test_a_copied_table_names_its_input(here: Path) -> None:
    (here / "wide.toml").write_text(SMALL.replace("input = [32, 48]", "input = [[24, 40]]"), encoding="utf-8")
    front = mnv3prof.pareto("wide.toml", minimize="params", maximize="macs")
    assert run(["pareto", "wide.toml", "--min", "params", "--max", "macs", "--html", "front.html"]) == 0
    page = (here / "front.html").read_text(encoding="utf-8")
    assert page.count("use it with --input 24x40.") >= len(front)


@pytest.mark.parametrize(("objective", "at"), [("peak.fused", 3), ("arena", 3), ("arena", 75)])
def test_an_interrupt_of_a_front_stops_it(
    objective: str, at: int, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first pass the front is that of what was read; in a later one, of what is planned."""
    calls: list[int] = []

    def part(*given: Any) -> fronts.Part:
        calls.append(1)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGINT)
        return part_of(*given)

    monkeypatch.setattr("mnv3prof.interface.points.part_of", part)
    monkeypatch.setattr("mnv3prof.interface.points._CHUNKS", 1)
    few = ["--where", "macs<=9M"] if objective == "arena" else []
    arguments = ["pareto", "near-small", "-n", "2M", "--dtype", "int8", "--workers", "1", *few]
    assert run([*arguments, "--min", f"params,{objective}", "--max", "macs", "--format", "json"]) == 130
    out, err = capsys.readouterr()
    networks = json.loads(out)["networks"]
    assert networks
    told = err.splitlines()[-1]
    if at > 61:  # the jobs of a pass
        assert told == "mnv3prof: stopped; this is the front as far as arenas were planned"
        assert len(calls) <= at + 1
        return
    assert len(calls) < 30
    (computed,) = re.findall(r"stopped; this is the front of the first ([\d,]+) of 2,000,000 networks$", told)
    if not few:
        frame = mnv3prof.sweep("near-small", 2_000_000, dtype="int8")[: int(computed.replace(",", ""))]
        points = frame[["params", "peak.fused", "macs"]].to_numpy() * [1, 1, -1]
        beaten = np.zeros(len(points), bool)
        for each in ([n["params"], n["peak.fused"], -n["macs"]] for n in networks):
            assert not ((points <= each).all(axis=1) & (points < each).any(axis=1)).any()
            beaten |= (points >= each).all(axis=1)
        assert beaten.all()
