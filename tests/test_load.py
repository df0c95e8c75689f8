"""A busy machine: what is known of other load, by hand, and what is said of it."""

from typing import Any

import pytest
from msgspec.structs import replace
from runs import HOST, run_of, timing
from subjects import subject

from mnv3prof.analysis.load import Load, clock_of, load_of
from mnv3prof.device.clock import CANARY, OTHERS
from mnv3prof.graph.parts import NET
from mnv3prof.record.run import HERE, OtherLoad, Runtime
from mnv3prof.record.timing import Launch
from mnv3prof.show.load import busy_note, busy_sheets


def _run(*timings: Any, loads: Any = ()) -> Any:
    return run_of(subject("small", 32), timings, host=replace(HOST, other_loads=loads))


def _shared(timed: Any, share: Any) -> Any:
    """The timing, beside other processes that used this share of the CPUs."""
    launches = [[replace(b, state={OTHERS: share}) for b in launch.bursts] for launch in timed.launches]
    return replace(timed, launches=tuple(Launch(tuple(bursts)) for bursts in launches))


def test_the_share_of_a_cpu_is_that_of_all_bursts() -> None:
    """Six bursts of 1 s that got all of it, and six of 3 s that got a third: 12 s of 24 s."""
    clear, starved = timing("cpu", "1", [1.0] * 6), timing("cpu", "2", [3.0] * 6, cpu=1 / 3)
    assert load_of(_run(clear, starved), HERE).share == pytest.approx(12 / 24)
    assert load_of(_run(clear), HERE).share == 1
    assert load_of(_run(), HERE) == Load(None, None, False, False, HOST.cores)


@pytest.mark.parametrize("fields", [{"threads": 2}, {"backend": "gpu"}])
def test_what_waits_or_has_several_threads_has_no_share(fields: dict[str, Any]) -> None:
    host = replace(HOST, runtimes={**HOST.runtimes, "gpu": Runtime("1.0", "a GPU", "")})
    timed = timing(**{"backend": "cpu", "part": "1", "samples": [1.0] * 6, "cpu": 0.1, **fields})
    run = run_of(subject("small", 32), (timed,), host=host)
    assert load_of(run, HERE).share is None
    assert clock_of(timed, run) == "wall"


def test_other_processes_are_counted_where_they_used_most() -> None:
    """Before and after sampling as far as in both, else during it."""
    quiet = timing("cpu", "1", [1.0] * 6)
    assert load_of(_run(quiet, loads=(OtherLoad(0.3, 0.1), OtherLoad(0.2))), HERE).other_cpus == 0.2
    assert load_of(_run(quiet, loads=(OtherLoad(1.9, 0.1),)), HERE).other_cpus == 0.1
    assert load_of(_run(quiet, loads=(OtherLoad(9.0),)), HERE).other_cpus == HOST.cores - 1  # what is left
    half = _shared(timing("cpu", "2", [2.0] * 6), 0.45)
    none = _shared(quiet, 0.0)
    assert load_of(_run(none, half, loads=(OtherLoad(0.2),)), HERE).other_cpus == pytest.approx(
        HOST.cores * 0.45 * 12 / 18
    )


@pytest.mark.parametrize(
    ("load", "busy"),
    [
        (Load(0.94, 0.0, False, False, 2), True),
        (Load(0.95, 0.0, False, False, 2), False),
        (Load(None, 0.2, False, False, 2), True),
        (Load(1.0, 0.19, False, False, 2), False),
        (Load(1.0, 0.2, False, False, 64), False),
        (Load(1.0, 0.0, True, False, 64), True),
        (Load(None, None, False, False, 2), False),
    ],
)
def test_a_machine_is_busy_by_either(load: Any, busy: bool) -> None:
    assert load.busy is busy


def test_a_busy_machine_is_said_to_be_busy() -> None:
    starved = timing("cpu", NET, [3.0] * 12, cpu=0.3)
    run = _run(starved, loads=(OtherLoad(1.94, 1.2),))
    assert clock_of(starved, run) == "CPU"
    assert busy_note(run) == (
        "The machine was busy: the timed processes got 30% of a CPU and other processes used 1.2 of 2 CPUs. "
        "1 of 1 time is noisy, and CPU time per call is shown beside wall time. "
        "Close other programs and measure again."
    )
    (sheet,) = busy_sheets(run)
    assert sheet.notes == (busy_note(run),)


def test_nothing_is_said_of_a_quiet_one() -> None:
    run = _run(timing("cpu", NET, [3.0] * 12), loads=(OtherLoad(0.05, 0.1),))
    assert busy_note(run) == ""
    assert busy_sheets(run) == ()


def test_one_noisy_time_is_noisy() -> None:
    run = _run(timing("cpu", NET, [1.0, 2.0] * 6), loads=(OtherLoad(1.0),))
    assert "1 of 1 time is noisy." in busy_note(run)


def test_a_machine_that_is_slowed_from_outside_is_busy() -> None:
    """Three of eight bursts are clear, so that all have to be kept."""
    timed = timing("cpu", "1", [1.0] * 8)
    bursts = [replace(b, state={CANARY: 1e-4 if n < 3 else 2e-4}) for n, b in enumerate(timed.bursts)]
    run = _run(replace(timed, launches=(Launch(tuple(bursts)),)))
    assert load_of(run, HERE).slowed
    assert busy_note(run).startswith("The machine was busy: its CPUs were slower at times: ")


def test_a_run_is_from_its_cpu_and_the_gpu_that_it_used() -> None:
    host = replace(HOST, runtimes={"cpu": Runtime("1", "cpu", "cpu"), "cuda": Runtime("1", "a GPU", "cuda")})
    timed = [timing(name, NET, [1.0] * 6) for name in ("cuda", "cpu")]
    assert run_of(subject("small", 32), timed, host=host).processors == f"{HOST.cpu}, a GPU"
    assert run_of(subject("small", 32), timed[1:], host=host).processors == HOST.cpu
