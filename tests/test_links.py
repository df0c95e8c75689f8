"""Links: the scheduler with scripted workers, and with processes that misbehave."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Any

import psutil
import pytest
from msgspec.structs import replace
from scripted import Scripted
from some import some
from subjects import subject

from mnv3prof.bench import schedule
from mnv3prof.bench.pool import WorkerPool
from mnv3prof.bench.schedule import BenchPlan, Callbacks, measure
from mnv3prof.device.clock import OTHERS
from mnv3prof.device.protocol import Begin, Begun, Frame, PartKey, Prepared
from mnv3prof.record.target import Target
from mnv3prof.record.timing import Burst
from mnv3prof.workers.backends import backend
from mnv3prof.workers.links import Broken
from mnv3prof.workers.links.fake import Fake
from mnv3prof.workers.links.process import Process, local
from mnv3prof.workers.worker import Failed, Worker

SMALL = subject("small", 64)
NULL = Target(backend="null")
READY = Prepared(0.1, 0.2, 0.0, 0.0, 0.0)
PLAN = BenchPlan({"": SMALL}, (PartKey("", "1"), PartKey("", "2")), (NULL,), Path("nowhere"))
BURST = Burst(calls=3, wall_s=(0.9e-3, 1e-3, 1.1e-3), mean_s=1e-3, max_s=1.1e-3, cpu_s=1e-3)


def right(request: Any) -> Any:
    """Answers of a correct worker."""
    return {"Begin": Begun(), "Prepare": READY, "Sample": BURST}[request["do"]]


def timed(script: Any, parts: Any = ("1", "2"), targets: Any = (NULL,), starts: int = 3, **how: Any) -> Any:
    """The timings by part, and the opened links, if all workers follow a script."""
    links = []

    def worker(target: Any, _: Any) -> Any:
        def link() -> Any:
            links.append(Fake(script))
            return links[-1]

        return Worker(link, (Begin(target.backend),), starts)

    plan = BenchPlan({"": SMALL}, tuple(PartKey("", part) for part in parts), targets, Path("nowhere"), **how)
    heard: list[Any] = []
    timings = measure(plan, Callbacks(heard.append), machines=Scripted(worker))
    return {(t.target, t.part) if len(targets) > 1 else t.part: t for t in timings}, links, heard


def asked(link: Any, what: str = "Sample") -> Any:
    return [request["part"][1] for request in link.requests if request["do"] == what]


def test_every_part_is_loaded_and_sampled_until_it_has_converged() -> None:
    found, links, heard = timed(right)
    assert len(links) == 3  # a process for every two rounds
    for link in links:
        assert link.requests[0]["do"] == "Begin"
        assert asked(link, "Prepare") == ["1", "2"]
        assert [sorted(asked(link)[n : n + 2]) for n in (0, 2)] == [["1", "2"]] * 2
        assert not link.is_open
    for timing in found.values():
        assert (timing.status, timing.stopped) == ("ok", "converged")
        assert [launch.bursts for launch in timing.launches] == [(BURST,) * 2] * 3
        assert (timing.load_s, timing.first_s) == (0.1, 0.2)
    assert (heard[0].phase, heard[0].what) == ("starting the runtimes", "null")


def test_a_part_is_sampled_on_while_the_machine_is_busy() -> None:
    """Bursts of which none is clear have a narrow interval, and tell little."""
    crowded = replace(BURST, state={OTHERS: 0.5})
    answers = {"crowded": 20}

    def script(request: Any) -> Any:
        if request["do"] != "Sample" or not answers["crowded"]:
            return right(request)
        answers["crowded"] -= 1
        return crowded

    found, _, _ = timed(script, ["1"])
    assert (found["1"].stopped, found["1"].excluded, len(found["1"].kept)) == ("converged", 20, 6)


def test_something_may_be_done_before_each_round() -> None:
    rounds: list[str] = []
    plan = BenchPlan({"": SMALL}, (PartKey("", "1"),), (NULL,), Path("nowhere"))
    worker = Worker(lambda: Fake(right), (Begin("null"),))
    (found,) = measure(
        plan, machines=Scripted(lambda *_: worker), before_round=lambda name, _: rounds.append(name)
    )
    assert len(rounds) == len(found.bursts) == 6


def test_targets_are_interleaved_and_each_has_a_worker() -> None:
    two = (NULL, Target(backend="null", threads=2))
    found, links, _ = timed(right, targets=two)
    assert [link.requests[1]["threads"] for link in links] == [1, 2] * 3
    assert {len(timing.bursts) for timing in found.values()} == {6}


def test_a_runtime_is_restarted_only_where_that_costs_a_fifth_of_the_budget() -> None:
    """At 0.2 s a start and a budget of 2.2 s three processes fit into 0.44 s; at 0.9 s one does."""

    def script(request: Any) -> Any:
        if request["do"] == "Begin":
            time.sleep(0.2)
        elif request["do"] == "Sample":
            time.sleep(0.01)
            middle = next(times)
            return Burst(calls=1, wall_s=(middle,), mean_s=middle, max_s=middle, cpu_s=middle)
        return right(request)

    times = itertools.cycle((1e-3, 1.5e-3, 2e-3))  # never converges
    found, links, _ = timed(script, parts=("1",), budget_s=2.2)
    sizes = [len(launch.bursts) for launch in found["1"].launches]
    assert len(links) == len(sizes) == 3
    assert sizes[:2] == [7, 7]  # of 20 rounds a third each
    assert len(timed(script, parts=("1",), budget_s=0.9)[1]) == 1


def test_a_worker_that_is_started_again_is_a_launch_of_its_own() -> None:
    """Part 1 ends the process in its third burst; part 2 goes on in another one."""
    bursts = []

    def script(request: Any) -> Any:
        if request["do"] == "Begin":
            time.sleep(0.05)  # too long to start it for any other reason
        if request["do"] == "Sample" and request["part"][1] == "1":
            bursts.append(request)
            if len(bursts) == 3:
                raise Broken("crashed", "its process ended with SIGKILL")
        return right(request)

    found, links, _ = timed(script, budget_s=0.2)
    assert (found["1"].status, found["1"].reason) == ("crashed", "its process ended with SIGKILL")
    assert [len(launch.bursts) for launch in found["1"].launches] == [2]
    assert found["2"].status == "ok"
    assert len(found["2"].launches) == len(links) == 2
    assert asked(links[1], "Prepare") == ["2"]


def test_a_worker_that_ends_too_often_takes_its_parts_with_it() -> None:
    def script(request: Any) -> Any:
        if request["do"] == "Prepare":
            raise Broken("crashed", "its process ended with SIGSEGV")
        return right(request)

    found, links, _ = timed(script, parts=("1", "2", "3", "4"))
    assert [timing.reason for timing in found.values()] == [
        *["its process ended with SIGSEGV"] * 3,
        "its worker has ended too often",
    ]
    assert len(links) == 3


def test_a_runtime_that_cannot_be_imported_is_the_reason_of_every_part() -> None:
    def script(request: Any) -> Any:
        if request["do"] == "Begin":
            return {"failed": "ImportError: libgomp.so.1", "status": "crashed"}
        return right(request)

    found, (link,), _ = timed(script)
    assert {(t.status, t.reason) for t in found.values()} == {("crashed", "ImportError: libgomp.so.1")}
    assert [request["do"] for request in link.requests] == ["Begin"]


def test_what_a_runtime_cannot_do_is_the_reason_of_that_part() -> None:
    def script(request: Any) -> Any:
        if request["do"] == "Prepare" and request["part"][1] == "1":
            return {"failed": "it has no such operator", "status": "unsupported"}
        return right(request)

    found, links, _ = timed(script)
    assert (found["1"].status, found["1"].reason) == ("unsupported", "it has no such operator")
    assert found["2"].status == "ok"
    assert [asked(link, "Prepare") for link in links] == [["1", "2"], ["2"], ["2"]]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Frame(b'{"calls": NaN}'), "malformed"),
        (Frame(b"\xff\xfe"), "its answer cannot be read"),
        (Frame(b"7"), "Expected `object`"),
        ({**{f: getattr(BURST, f) for f in BURST.__struct_fields__}, "wall_s": [-1.0]}, ">= 1e-09"),
        ({**{f: getattr(BURST, f) for f in BURST.__struct_fields__}, "calls": 10**30}, "calls"),
        ({"calls": 1}, "missing required field"),
    ],
)
def test_a_worker_that_lies_has_crashed(answer: Any, says: str) -> None:
    def script(request: Any) -> Any:
        return answer if request["do"] == "Sample" else right(request)

    found, links, _ = timed(script, parts=("1",))
    assert found["1"].status == "crashed"
    assert found["1"].reason.startswith("its answer cannot be read: ")
    assert says in found["1"].reason
    assert found["1"].launches == ()
    assert not any(link.is_open for link in links)


def test_an_output_that_is_wrong_or_not_finite_is_marked() -> None:
    def script(request: Any) -> Any:
        if request["do"] == "Prepare":
            part = request["part"][1]
            return Prepared(0.1, 0.2, *((None,) * 3 if part == "1" else (1.0, 0.5, 0.5)))
        return right(request)

    found, _, _ = timed(script)
    assert {timing.status for timing in found.values()} == {"mismatch"}
    assert found["1"].reason == "its output is not finite where PyTorch's is"
    assert found["2"].reason.startswith("its output is 0.5 off the reference's")


def test_what_is_not_ready_in_time_is_a_row() -> None:
    def script(request: Any) -> Any:
        if request["do"] == "Prepare":
            time.sleep(0.1)
        return right(request)

    found, _, _ = timed(script, parts=("stem", "1", "2"), ready_s=0.15)
    assert [timing.status for timing in found.values()] == ["ok", "ok", "timeout"]
    assert found["2"].reason == "it was not ready within the 0 s that getting ready may take"


def test_the_budget_ends_the_sampling() -> None:
    slow = [*range(1000)]

    def script(request: Any) -> Any:
        if request["do"] == "Sample":
            time.sleep(0.01)
            middle = 1e-3 * (1 + slow.pop(0) % 7)
            return Burst(calls=1, wall_s=(middle,), mean_s=middle, max_s=middle, cpu_s=middle)
        return right(request)

    found, _, heard = timed(script, budget_s=0.3)
    assert {timing.stopped for timing in found.values()} == {"budget"}
    assert heard[-1].share > 0.8


def _gone(pid: Any, within_s: int = 10) -> Any:
    """True if the process ends within a time limit, since signals are asynchronous."""
    try:
        process = psutil.Process(pid)
        deadline = time.monotonic() + within_s
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.01)
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _talker(talk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TALK", talk)
    return Worker(lambda: local("talker"))


@pytest.mark.parametrize("talk", ["noise", "spoof"])
def test_what_is_printed_is_no_frame_and_blocks_nothing(talk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with _talker(talk, monkeypatch) as worker:
        for _ in range(3):
            assert worker.ask(Begin("x"), Begun) == Begun()  # however long it takes
        assert worker.is_alive


@pytest.mark.parametrize(
    ("talk", "status", "says"),
    [
        ("leave", "crashed", "its process ended with exit code 1: there is no runtime here"),
        ("raise", "crashed", "its process ended with exit code 1: ZeroDivisionError: division by zero"),
        ("garbage", "crashed", "its answer cannot be read: JSON is malformed"),
        ("list", "crashed", "its answer cannot be read: Expected `object`, got `array`"),
        ("nan", "crashed", "its answer cannot be read: JSON is malformed"),
        ("warn", "crashed", "its process ended with SIGABRT"),
        ("signal", "crashed", "its process ended with signal 35"),
        ("giant", "crashed", "its process sent an invalid answer"),
        ("cut", "crashed", "its process ended with exit code 3"),
        ("long", "crashed", "its process sent an invalid answer"),
        ("echo", "timeout", "no answer within 1.5 s"),
        ("nothing", "timeout", "no answer within 1.5 s"),
        ("hang", "timeout", "no answer within 1.5 s"),
    ],
)
def test_a_process_that_misbehaves_is_a_reason_and_is_ended(
    talk: str, status: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(psutil.Process().children())
    with _talker(talk, monkeypatch) as worker:
        found = worker.ask(Begin("x"), Begun, 1.5 if status == "timeout" else 30)
        assert isinstance(found, Failed)
        assert found.status == status
        assert found.reason.startswith(says)
        assert says != "its process ended with SIGABRT" or found.reason == says
        assert not worker.is_alive
        assert set(psutil.Process().children()) <= before


def test_what_an_error_says_arrives_whatever_letters_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with _talker("surrogate", monkeypatch) as worker:
        found = worker.ask(Begin("x"), Begun, 30)
        assert found == Failed(
            "crashed", "FileNotFoundError: [Errno 2] No such file or directory: 'no\\udcff'"
        )
        assert worker.is_alive


def test_a_refusal_cannot_claim_success() -> None:
    with Worker(lambda: Fake(lambda _: {"failed": "I lie", "status": "ok"})) as worker:
        found = worker.ask(Begin("x"), Begun, 1)
    assert found.status == "crashed"  # type: ignore[union-attr]
    assert "cannot be read" in found.reason  # type: ignore[union-attr]


def test_a_process_that_cannot_be_started_is_a_reason() -> None:
    def link() -> None:
        raise OSError(24, "Too many open files")

    reason = "its process cannot be started: [Errno 24] Too many open files"
    assert Worker(link).ask(Begin("x"), Begun, 1) == Failed("crashed", reason, lost=True)  # type: ignore[arg-type]
    found = {timing.reason for timing in measure(PLAN, machines=Scripted(lambda *_: Worker(link, starts=3)))}  # type: ignore[arg-type]
    assert found == {reason}


def test_an_interrupted_request_leaves_no_answer_for_the_next() -> None:
    """SIGINT comes while the first is answered."""
    asked = []

    def script(request: Any) -> Any:
        asked.append(request)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return Begun()

    links = []
    worker = Worker(lambda: links.append(Fake(script)) or links[-1])  # type: ignore[func-returns-value]
    with pytest.raises(KeyboardInterrupt):
        worker.ask(Begin("x"), Begun, 1)
    assert not worker.is_alive
    assert not links[0].is_open
    assert worker.ask(Begin("x"), Begun, 1) == Begun()
    assert len(links) == 2


def test_a_worker_that_was_ended_is_not_started_again() -> None:
    """Another thread may be about to ask it."""
    links = []
    worker = Worker(lambda: links.append(Fake(right)) or links[-1])  # type: ignore[func-returns-value]
    worker.end()
    assert worker.ask(Begin("x"), Begun, 1) == Failed("crashed", "its worker has ended too often", lost=True)
    assert links == []


def test_compiling_beside_the_others_ends_with_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that compiles starts no worker, and asks none, once the measuring is over."""
    monkeypatch.setattr(backend("null"), "COMPILES", True, raising=False)
    opened, began = [], Event()

    def script(request: Any) -> Any:
        began.set()
        time.sleep(schedule._LOOK_S)  # the time between two steps of progress
        return right(request)

    def worker(target: Any, _: Any) -> Any:
        return Worker(lambda: opened.append(Fake(script)) or opened[-1], (Begin(target.backend),))  # type: ignore[func-returns-value]

    def on_progress(progress: Any) -> None:
        began.wait(5)
        raise KeyboardInterrupt

    parts = tuple(PartKey("", part) for part in ("1", "2", "3", "4", "5"))
    timings = measure(
        BenchPlan({"": SMALL}, parts, (NULL,), Path("nowhere")),
        Callbacks(on_progress),
        machines=Scripted(worker),
    )
    assert {timing.stopped for timing in timings} == {"interrupted"}
    time.sleep(0.2)
    assert not any(link.is_open for link in opened)
    assert sum(len(link.requests) for link in opened) <= 3


def test_stop_ends_a_wait_also_while_a_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALK", "slow")
    stop = Event()
    Timer(0.3, stop.set).start()
    with Worker(lambda: local("talker"), (Begin("x"),) * 20) as worker:
        start = time.monotonic()
        found = worker.ask(Begin("x"), Begun, 60, stop)
    assert isinstance(found, Failed)
    assert time.monotonic() - start < 3


def test_all_that_a_request_begins_with_has_one_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALK", "slow")
    with Worker(lambda: local("talker"), (Begin("x"),) * 20) as worker:
        start = time.monotonic()
        assert worker.ask(Begin("x"), Begun, 2.0).status == "timeout"  # type: ignore[union-attr]
    assert time.monotonic() - start < 5


def test_a_script_that_takes_too_long_is_a_timeout() -> None:
    with Worker(lambda: Fake(lambda _: time.sleep(0.1) or Begun())) as worker:  # type: ignore[func-returns-value]
        assert worker.ask(Begin("x"), Begun, 0.05) == Failed("timeout", "no answer within 0.05 s", lost=True)


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_what_a_worker_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, stop = tmp_path / "pid", Event()
    monkeypatch.setenv("TALK_FILE", str(path))

    def stop_when_written() -> None:
        while not path.exists():
            time.sleep(0.05)
        stop.set()

    Thread(target=stop_when_written, daemon=True).start()
    with _talker("parent", monkeypatch) as worker:
        assert worker.ask(Begin("x"), Begun, 60, stop).status == "timeout"
    assert _gone(int(path.read_text(encoding="utf-8")))


def test_an_interrupt_while_workers_end_ends_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second Ctrl-C comes while the first one's workers are waited for."""
    links = []

    def opened() -> Any:
        links.append(local("talker"))
        return links[-1]

    monkeypatch.setenv("TALK", "nap")
    targets = (NULL, Target(backend="null", threads=2))
    pool = WorkerPool({target: Worker(opened) for target in targets}, {"": SMALL}, Path("nowhere"), 60)
    for target in targets:
        pool.workers[target].start()
    for link in links:
        waits = iter([KeyboardInterrupt])
        wait = link._process.wait
        monkeypatch.setattr(link._process, "wait", lambda *a, w=wait, n=waits: _raised(n) or w(*a))  # type: ignore[func-returns-value]
    with pytest.raises(KeyboardInterrupt):
        pool.end()
    assert all(link._process.poll() is not None for link in links)


def _raised(errors: Any) -> None:
    for error in errors:
        raise error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no alarm")
def test_a_worker_that_nobody_waits_for_any_more_ends_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a runtime lets no other Python code run."""
    monkeypatch.setenv("TALK", "late")
    link = local("talker")
    try:
        with pytest.raises(Broken, match="SIGALRM"):
            link.exchange(Frame(b'{"do": "Begin", "within_s": 0.5, "runtime": "x"}'), 30, None)
    finally:
        link.end()


_PARENT = """
import threading, time
from mnv3prof.workers.links.process import local
from mnv3prof.device.protocol import Frame
link = local("talker")
request = Frame(b'{"do": "Begin", "within_s": null, "runtime": "x"}')
threading.Thread(target=link.exchange, args=(request, 60, None), daemon=True).start()
time.sleep(1)
print("asked", flush=True)
time.sleep(60)
"""


def test_a_process_that_reads_nothing_is_a_reason() -> None:
    """It closes its input before all of what it should read first is written."""
    link = Process(["sh", "-c", "exec 0<&-; sleep 0.2; echo gone >&2; exit 3"], "token", bytes(10**7))
    with pytest.raises(Broken, match="gone") as error:
        link.exchange(Frame(b"{}"), 20, None)
    assert error.value.status == "crashed"
    link.end()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_worker_goes_with_the_process_that_started_it() -> None:
    """Also where it is busy with a request."""
    environment = {**os.environ, "TALK": "nap", "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", _PARENT]
    signals = (signal.SIGKILL, signal.SIGTERM)
    parents = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in signals]
    workers = []
    for parent, number in zip(parents, signals, strict=True):
        assert some(parent.stdout).readline() == b"asked\n"
        workers += psutil.Process(parent.pid).children()
        assert (
            os.getpgid(workers[-1].pid) == workers[-1].pid
        )  # an interrupt of the terminal is its parent's alone
        parent.send_signal(number)
        parent.communicate()
    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_a_folder_with_modules_of_familiar_names_disturbs_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder may contain files with the names of modules that workers import."""
    for name in ("json", "numpy", "struct", "select", "zlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with Worker(lambda: local("mnv3prof.device.worker")) as worker:
        assert isinstance(worker.ask(Begin("ncnn"), Begun, 60), Begun)
