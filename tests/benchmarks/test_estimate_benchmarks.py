"""Errors of estimated latencies beside those of measuring again. It takes about 15 minutes a backend."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnv3prof.bench.load import other_load
from mnv3prof.estimate.measure import RowsRequest, measure_rows
from mnv3prof.estimate.model import Model, errors, fitted, known_times
from mnv3prof.graph.parts import NET
from mnv3prof.record.rows import HeldOut, RowTable, encoded_rows
from mnv3prof.record.target import Target
from mnv3prof.space.files import preset_space
from mnv3prof.workers.cache import default_folder

SPACE = preset_space("ofa")
BLOCKS, NETWORKS = 400, 60


def _measured(target: Target, seed: int, path: Path) -> RowTable:
    request = RowsRequest(SPACE, (target,), BLOCKS, NETWORKS, seed, folder=default_folder())
    table, _ = measure_rows(request)
    path.write_text(encoded_rows(table), encoding="utf-8")
    return table


def _again(first: RowTable, second: RowTable, target: Target, *, networks: bool) -> HeldOut:
    """Return how far a second measurement of the same parts is from the first one."""
    old, new = known_times(first, target), known_times(second, target)
    shared = [place for place in old if place in new and (place[1] == NET) is networks]
    return errors(*(np.array([times[place] for place in shared]) for times in (new, old)))


def _unseen(model: Model, table: RowTable, target: Target, *, networks: bool) -> HeldOut:
    """Return how far estimates are from times of parts that the model was not fitted to."""
    found, seconds = [], []
    for (number, part), time in known_times(table, target).items():
        subject = SPACE.network(int(number))
        estimate = model.estimate(subject)
        block = next((each for each in estimate.blocks if each.block == part), None)
        if part == NET and networks:
            found.append(estimate.seconds)
            seconds.append(time)
        elif block and not networks and not block.measured:
            found.append(block.alone_s)
            seconds.append(time)
    return errors(np.array(found), np.array(seconds))


@pytest.mark.parametrize("backend", ["onnxruntime", "ncnn", "openvino"])
def test_estimates_are_as_near_as_a_second_measurement(benchmark: Any, tmp_path: Path, backend: str) -> None:
    target = Target(backend=backend)
    tables: list[RowTable] = []

    def measure() -> None:
        for n, seed in enumerate((0, 0, 1)):
            tables.append(_measured(target, seed, tmp_path / f"{n}.json"))

    load = other_load()
    benchmark.pedantic(measure, rounds=1)
    first, second, other = tables
    model = fitted(SPACE, first, target)
    report: dict[str, Any] = {
        "other_cpus": (load, other_load()),
        "clock": model.clock,
        "blocks_held_out": model.blocks_held_out,
        "blocks_unseen": _unseen(model, other, target, networks=False),
        "blocks_measured_again": _again(first, second, target, networks=False),
        "networks_held_out": model.networks_held_out,
        "networks_unseen": _unseen(model, other, target, networks=True),
        "networks_measured_again": _again(first, second, target, networks=True),
    }
    print(*(f"\n{backend}: {name}: {value}" for name, value in report.items()))
    benchmark.extra_info |= {name: str(value) for name, value in report.items()}
    again, held = report["networks_measured_again"], report["networks_held_out"]
    assert report["blocks_unseen"].within_5 >= 0.85
    assert held.within_5 >= 0.95 * again.within_5
    assert held.within_10 >= 0.95 * again.within_10
