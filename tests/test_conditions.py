"""What other devices say of themselves: read from files as boards have them, and what is said about it."""

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from runs import HOST, burst, run_of, timing
from subjects import subject

from mnv3prof.analysis.conditions import conditions
from mnv3prof.device import describe, state
from mnv3prof.device.clock import PRODUCT
from mnv3prof.device.protocol import Describe
from mnv3prof.record.timing import Launch
from mnv3prof.show.load import busy_sheets

SMALL = subject("small", 32)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board with two slow and two fast cores, whose clock its firmware limits, on a battery."""
    files = {
        "thermal/thermal_zone0/temp": "61234",
        "thermal/thermal_zone1/temp": "84000",
        "power_supply/usb/status": "Unknown",
        "power_supply/battery/status": "Discharging",
        "get_throttled": "0x50005",
        "model": "A Board Rev 1.2\0",
        **{f"cpu{n}/cpu_capacity": "485" if n < 2 else "1024" for n in range(4)},
        **{f"cpu{n}/cpufreq/scaling_cur_freq": "1500000" if n < 2 else "2000000" for n in range(4)},
        **{f"cpu{n}/cpufreq/cpuinfo_max_freq": "1800000" if n < 2 else "2400000" for n in range(4)},
        **{f"cpu{n}/cpufreq/scaling_governor": "ondemand" for n in range(4)},
        "cpuinfo": "".join(
            f"processor\t: {n}\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\n"
            for n, part in enumerate(("0xd05", "0xd05", "0xd0b", "0xfff"))
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(state, "_CPU", f"{tmp_path}/cpu%d/")
    monkeypatch.setattr(state, "_ZONES", (f"{tmp_path}/thermal", "thermal_zone*/temp"))
    monkeypatch.setattr(state, "_SUPPLIES", (f"{tmp_path}/power_supply", "*/status"))
    monkeypatch.setattr(state, "_FIRMWARE", f"{tmp_path}/get_throttled")
    monkeypatch.setattr(describe, "_MODELS", (f"{tmp_path}/none", f"{tmp_path}/model"))
    monkeypatch.setattr(describe, "_CPUINFO", f"{tmp_path}/cpuinfo")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(os, "getloadavg", lambda: (2.25, 1.0, 0.5))
    return tmp_path


@pytest.mark.usefixtures("board")
def test_a_board_is_described() -> None:
    found = describe.describe(Describe(("numpy", "no-such-package")))
    assert (found.model, found.cores) == ("A Board Rev 1.2", 4)
    assert found.cpu == "1 × Arm 0xfff, 2 × Cortex-A55, 1 × Cortex-A76"
    assert found.capacities == (485, 485, 1024, 1024)
    assert found.max_hz == (1.8e9, 1.8e9, 2.4e9, 2.4e9)
    assert found.governors == ("ondemand",)
    assert list(found.versions) == ["numpy"]
    assert found.state == {
        state.CELSIUS: 84.0,
        state.HZ: 1.75e9,
        state.LOAD: 2.25,
        state.BATTERY: 1.0,
        state.THROTTLED: 1.0,
        state.UNDER_VOLTAGE: 1.0,
    }


def test_the_fastest_cores_are_chosen_where_they_differ(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state.fastest_cores(1) == (2,)
    assert state.fastest_cores(2) == (2, 3)
    assert state.fastest_cores(3) == (2, 3, 0)
    for n in range(4):
        (board / f"cpu{n}" / "cpu_capacity").unlink()
    assert state.fastest_cores(1) == (2,)  # by their highest clock rate
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert state.fastest_cores(1) == ()  # those that it may use are alike


def test_a_machine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_CPU", f"{tmp_path}/cpu%d/")
    monkeypatch.setattr(state, "_ZONES", (f"{tmp_path}/thermal", "*"))
    monkeypatch.setattr(state, "_SUPPLIES", (f"{tmp_path}/power_supply", "*"))
    assert set(state.state()) <= {state.LOAD}
    assert (state.capacities(), state.max_hz(), state.governors(), state.fastest_cores(1)) == ((), (), (), ())


def on_a_device(states: Any, **host: Any) -> Any:
    """A run on pi with a burst a state."""
    bursts = tuple(replace(burst([1e-3] * 3), state=each) for each in states)
    found = replace(timing("litert", "net", [1e-3], device="pi"), launches=(Launch(bursts),))
    run = run_of(SMALL, (found,))
    return replace(run, hosts={**run.hosts, "pi": replace(HOST, **host)})


TEN = range(10)


@pytest.mark.parametrize(
    ("states", "host", "sentence"),
    [
        (
            [{state.THROTTLED: float(n < 3), state.CELSIUS: 80.0 + n} for n in TEN],
            {},
            "pi limited its clock in 3 of 10 bursts, at up to 89 °C: cool it, and measure again.",
        ),
        (
            [{state.UNDER_VOLTAGE: float(n == 0)} for n in TEN],
            {},
            "The supply of pi was too weak in 1 of 10 bursts: use a stronger one.",
        ),
        ([{}], {"state": {state.BATTERY: 1.0}}, "pi ran on its battery: connect it to power."),
        (
            [{state.HZ: 1e9}, {state.HZ: 1.5e9}],
            {"governors": ("ondemand",)},
            "The clock of pi varied from 1.00 to 1.50 GHz, set by the governor ondemand: choose performance there to keep it steady.",
        ),
        ([{state.HZ: 1e9}, {state.HZ: 1.5e9}], {"governors": ("performance",)}, ""),
        ([{state.HZ: 1e9}, {state.HZ: 1.04e9}], {"governors": ("ondemand",)}, ""),
        (
            [{}],
            {"capacities": (485, 1024)},
            "pi has cores of several speeds: its fastest were used, unless its entry names cpus.",
        ),
        ([{}], {"capacities": (1024, 1024)}, ""),
        (
            [{}],
            {"state": {state.LOAD: 1.1}},
            "pi had a load of 1.1 at the start: close other programs there.",
        ),
        ([{}], {"state": {state.LOAD: 1.0}}, ""),
        (
            [{PRODUCT: 1e-4 * (1.11 if n < 2 else 1)} for n in TEN],
            {},
            "A fixed product on pi took over 10% longer than at best beside 2 of 10 bursts: the device was throttled or shared, or moved the process to a slower core.",
        ),
        ([{PRODUCT: 1e-4 * (1.09 if n < 2 else 1)} for n in TEN], {}, ""),
        ([{state.THROTTLED: 0.0, state.UNDER_VOLTAGE: 0.0, state.BATTERY: 0.0}], {}, ""),
    ],
)
def test_conditions_and_what_to_do(states: Any, host: Any, sentence: str) -> None:
    run = on_a_device(states, **host)
    assert conditions(run, "pi") == ((sentence,) if sentence else ())
    shown = [note for sheet in busy_sheets(run) if sheet.title == "State of devices" for note in sheet.notes]
    assert shown == ([sentence] if sentence else [])


def test_bursts_beside_a_slow_product_are_excluded() -> None:
    run = on_a_device([{PRODUCT: 1e-4 * (1.2 if n < 2 else 1)} for n in TEN])
    (found,) = run.timings
    assert (found.excluded, len(found.kept), found.contended) == (2, 8, False)
