"""Other devices over a real OpenSSH server on loopback: what is measured, and every failure as a row."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import msgspec
import numpy
import psutil
import pytest
from some import some
from sshd import SSHD, Server, reach, serving
from subjects import subject

from mnv3prof.bench.machines import Machines
from mnv3prof.bench.profile import Request, places_named, profile
from mnv3prof.cli.main import run as command
from mnv3prof.device.clock import PRODUCT
from mnv3prof.device.protocol import HELLO, Clear, Put
from mnv3prof.device.store import Store, digest
from mnv3prof.record.document import encoded
from mnv3prof.record.run import Run
from mnv3prof.record.target import Target
from mnv3prof.source import open_source
from mnv3prof.workers.cache import default_folder
from mnv3prof.workers.links import Broken
from mnv3prof.workers.links.remote import END
from mnv3prof.workers.remote import RemoteWorker
from mnv3prof.workers.worker import Worker

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd")

SMALL = subject("small", 64)
SITE = Path(numpy.__file__).parent.parent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ssh")
    with serving(folder / "server", environment=f"MNV3PROF_DEVICE_CACHE={folder}/cache") as found:
        hosts = {
            "off": "Port 1",
            "nowhere": "HostName nowhere.invalid",
            "stranger": "UserKnownHostsFile /dev/null\n  GlobalKnownHostsFile /dev/null",
            "denied": "PubkeyAuthentication no",
            "busy": "RemoteCommand /bin/false\n  RequestTTY force\n"
            f"  LocalForward {found.port} 127.0.0.1:9\n  ExitOnForwardFailure yes",
        }
        entries = "".join(f"Host {name}\n  {lines}\n" for name, lines in hosts.items())
        found.config.write_text(entries + found.config.read_text())
        yield found


@pytest.fixture(autouse=True)
def _devices_of_its_own(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reach(server, monkeypatch)
    monkeypatch.setenv("MNV3PROF_CONFIG", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    entries(pi="")


def entries(**lines: str) -> None:
    """Write the user's devices, whose destination and Python are right unless `lines` say otherwise."""
    text = ""
    for name, more in lines.items():
        text += f"[{name}]\n" + ("" if "ssh =" in more else f'ssh = "{name}"\n')
        text += ("" if "python =" in more else f'python = "{sys.executable}"\n') + more + "\n"
    Path("devices.toml").write_text(text)


def script(name: str, text: str) -> str:
    """Make an executable for `python`, and return its entry."""
    path = Path.cwd() / name
    path.write_text(text)
    path.chmod(0o755)
    return f'python = "{path}"'


def measured(*places: str, parts: Any = ("1",), timeout_s: float = 60, **how: Any) -> Run:
    targets = tuple(Target(backend=p.partition("@")[0], device=p.partition("@")[2]) for p in places)
    request = Request(
        {"": SMALL}, {"": parts}, targets, 0.3, timeout_s, default_folder(), **{"peaks": False, **how}
    )
    return profile(request)


def outcome(*places: str, **how: Any) -> list[tuple[str, str]]:
    return [(timing.status, timing.reason) for timing in measured(*places, **how).timings]


def no_worker_is_left(server: Server) -> None:
    """Neither a session of the server nor a client of it runs on."""
    until = time.monotonic() + 15
    while True:
        (listening,) = (p for p in psutil.Process().children() if p.name() == "sshd")
        clients = [
            p for p in psutil.process_iter(["cmdline"]) if str(server.config) in (p.info["cmdline"] or ())
        ]
        if not (left := [*listening.children(recursive=True), *clients]):
            return
        assert time.monotonic() < until, left
        time.sleep(0.1)


def test_a_device_is_measured_as_this_machine_is(server: Server) -> None:
    run = measured("onnxruntime", "onnxruntime@pi", "ncnn@pi", parts=("net", "1"), peaks=True, operators=True)
    here, there = (
        [t for t in run.timings if t.target.device == name and t.target.backend != "ncnn"]
        for name in ("", "pi")
    )
    for ours, theirs in zip(here, there, strict=True):
        assert (ours.status, theirs.status) == ("ok", "ok")
        assert (ours.part, ours.convert_s, ours.file_bytes) == (
            theirs.part,
            theirs.convert_s,
            theirs.file_bytes,
        )
        assert ours.rms_rel_err == theirs.rms_rel_err
        told = [
            {name for name, value in msgspec.structs.asdict(each).items() if value} for each in (ours, theirs)
        ]
        assert told[0] == told[1]
        assert set(ours.bursts[0].state) | {PRODUCT} <= set(theirs.bursts[0].state)
    assert {timing.status for timing in run.timings} == {"ok"}
    host = run.hosts["pi"]
    assert (host.cpu, host.python) == (run.host.cpu, run.host.python)
    assert host.runtimes["onnxruntime"].version == run.host.runtimes["onnxruntime"].version
    assert [peak.name for peak in host.peak_rates] == ["cpu"]
    assert {operator.target.device for operator in run.operators} == {"", "pi"}
    no_worker_is_left(server)


def test_claims_are_measured_on_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["claims", "K2", "--measure", "--on", "onnxruntime@pi", "--time-budget", "2"]
    assert command([*options, "-o", "found.json"]) == 0
    evidence = some(open_source("found.json").findings)
    assert evidence.places() == ("onnxruntime@pi",)
    assert command(["claims", "found.json", "K2", "--format", "json"]) == 0
    (*_, found) = msgspec.json.decode(capsys.readouterr().out)["findings"]
    assert found["how"].startswith("measured on onnxruntime@pi; ")
    assert "(pi), 1 thread" in found["how"]


def test_parts_are_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    workers: list[RemoteWorker] = []
    made = RemoteWorker.__init__

    def note(self: RemoteWorker, *args: Any, **kwargs: Any) -> None:
        workers.append(self)
        made(self, *args, **kwargs)

    monkeypatch.setattr(RemoteWorker, "__init__", note)
    assert command(["cache", "--device", "pi", "--clear"]) == 0
    measured("onnxruntime@pi", parts=("2",))
    first, second = sum(worker.sent_bytes for worker in workers), len(workers)
    measured("onnxruntime@pi", parts=("2",))
    assert first > 10_000
    assert sum(worker.sent_bytes for worker in workers[second:]) == 0


def test_the_files_there_are_listed_and_removed(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    measured("onnxruntime@pi")
    assert command(["cache", "--device", "pi", "--format", "json"]) == 0
    kept = msgspec.json.decode(capsys.readouterr().out)
    assert kept["entries"] >= 3
    files = server.folder.parent / "cache" / "files"
    assert len(list(files.iterdir())) == kept["entries"]
    assert kept["bytes"] == sum(file.stat().st_size for file in files.iterdir())
    assert command(["cache", "--device", "pi", "--clear"]) == 0
    assert not list((server.folder.parent / "cache").glob("*"))


def test_several_devices_are_measured_at_the_same_time_and_a_silent_one_is_rows() -> None:
    own = f"MNV3PROF_DEVICE_CACHE={Path.cwd()}/nano"
    nano = script("nano", f'#!/bin/sh\n{own} exec {sys.executable} "$@"\n')
    entries(pi="", nano=nano, off="")
    run = measured("null", "onnxruntime@pi", "onnxruntime@nano", "onnxruntime@off", "ncnn@off")
    found = {timing.target.place: timing for timing in run.timings}
    assert {place: timing.status for place, timing in found.items()} == {
        "null": "ok",
        "onnxruntime@pi": "ok",
        "onnxruntime@nano": "ok",
        "onnxruntime@off": "not available",
        "ncnn@off": "not available",
    }
    assert found["ncnn@off"].reason == found["onnxruntime@off"].reason
    entries(pi="", nano=nano, off=f'ssh = "pi"\n{nano}')
    again = profile(
        Request({"": SMALL}, {"": ("1",)}, run.targets, 0.3, 60, default_folder(), peaks=False), known=run
    )
    assert {timing.status for timing in again.timings} == {"ok"}
    kept = {timing.target.place: timing for timing in again.timings}
    assert kept["onnxruntime@pi"] == found["onnxruntime@pi"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "off",
            "off does not answer: ssh: connect to host 127.0.0.1 port 1: Connection refused; start its ssh server",
        ),
        ("nowhere", "nowhere does not answer: ssh: Could not resolve hostname nowhere.invalid: .*"),
        (
            "stranger",
            "stranger does not answer: Host key verification failed; run `ssh stranger` once .*[^.]",
        ),
        (
            "denied",
            r"denied does not answer: .*Permission denied \(publickey.*\); let `ssh denied` log in .*[^.]",
        ),
    ],
)
def test_a_device_that_does_not_let_us_in(name: str, reason: str) -> None:
    entries(**{name: ""})
    ((status, told),) = outcome(f"onnxruntime@{name}")
    assert status == "not available"
    assert re.fullmatch(reason, told), told


def test_a_session_that_the_users_configuration_would_change() -> None:
    """A remote command, a terminal, and a forward of a port that is taken."""
    entries(busy="")
    assert outcome("onnxruntime@busy") == [("ok", "")]


OLD = f'#!/bin/sh\nexec {sys.executable} -B -c "import sys; sys.version_info = (3, 7); $3"\n'
BARE = f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n'


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        ('python = "python2.1"', "pi has no python2.1 .*not found.*"),
        ('python = "/etc/passwd"', "pi cannot run /etc/passwd .*Permission denied.*"),
        (OLD, "pi has Python 3.7; needed is 3.8 or newer"),
        (
            "#!/bin/sh\nexit 9\n",
            "pi could not start the worker: its process ended with exit code 9; expected that .*/python is a Python",
        ),
        ("#!/bin/sh\nkill -9 $$\n", "pi .*"),
        ("#!/bin/sh\nyes no\n", "pi could not start the worker: .*"),
        (BARE, "numpy and onnxruntime are not installed on pi: ssh pi .* -m pip install numpy onnxruntime"),
    ],
)
def test_a_device_without_what_is_needed(python: str, reason: str, server: Server) -> None:
    entries(pi=python if python.startswith("python =") else script("python", python))
    ((status, told),) = outcome("onnxruntime@pi", timeout_s=10)
    assert status == "not available"
    assert re.fullmatch(reason, told), told
    no_worker_is_left(server)


def runtime(text: str) -> str:
    """Return the entry of a Python that has NumPy, and a runtime called ncnn of this text."""
    site = Path.cwd() / "site"
    (site / "ncnn-9.9.dist-info").mkdir(parents=True)
    (site / "ncnn-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ncnn\nVersion: 9.9\n")
    (site / "ncnn.py").write_text(text)
    for name in ("numpy", "numpy.libs", *(path.name for path in SITE.glob("numpy-*.dist-info"))):
        if (SITE / name).exists():
            (site / name).symlink_to(SITE / name)
    return script("python", f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')


HANG = "import ctypes\nctypes.PyDLL(None).sleep(1000)\n"  # keeps the GIL
LOUD = "import os\nfor fd in (1, 2):\n    os.write(fd, b'x' * 100_000)\nraise RuntimeError('loud')\n"
CHANGED = "class Net:\n    def __init__(self): self.opt = self\n    def load_param(self, _): raise ValueError('no layer SDPA')\n"


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        (HANG, "timeout", "no answer within 8 s"),
        (LOUD, "crashed", "RuntimeError: loud"),
        (CHANGED, "crashed", "ValueError: no layer SDPA"),
        ("import os\nos.kill(os.getpid(), 9)\n", "crashed", ".*killed.*"),
        ("import os\nos._exit(7)\n", "crashed", "its process ended with exit code 7"),
        ("raise ImportError('no symbol\\33[31m')\n", "crashed", "ImportError: no symbol.*"),
    ],
)
def test_a_runtime_that_fails_there(text: str, status: str, reason: str, server: Server) -> None:
    entries(pi=runtime(text))
    run = measured("ncnn@pi", timeout_s=8 if text == HANG else 60)
    (timing,) = run.timings
    assert timing.status == status
    assert re.fullmatch(reason, timing.reason), timing.reason
    assert "\33" not in timing.reason
    assert run.hosts["pi"].runtimes["ncnn"].version == "9.9"
    no_worker_is_left(server)


def test_a_login_shell_that_talks(server: Server, tmp_path: Path) -> None:
    talk = "#!/bin/sh\necho Welcome to your board; echo motd >&2\nexec " + sys.executable + ' "$@"\n'
    entries(pi=script("python", talk))
    assert outcome("onnxruntime@pi") == [("ok", "")]


def test_a_disk_that_is_full() -> None:
    """Files of more than 512 bytes are refused by the system."""
    entries(pi=script("python", f'#!/bin/sh\nulimit -f 1\nexec {sys.executable} "$@"\n'))
    command(["cache", "--device", "pi", "--clear"])
    ((status, reason),) = outcome("onnxruntime@pi", parts=("3",))
    assert status == "not available"
    assert re.fullmatch("its folder /.*/cache cannot be used: File too large", reason), reason


def test_a_home_that_is_read_only(tmp_path: Path) -> None:
    other = f'#!/bin/sh\nMNV3PROF_DEVICE_CACHE=/proc/none TMPDIR={tmp_path} exec {sys.executable} "$@"\n'
    entries(pi=script("python", other))
    assert outcome("onnxruntime@pi") == [("ok", "")]
    assert list(tmp_path.glob("mnv3prof-device-*/files/*"))


def test_one_measurement_at_a_time(server: Server) -> None:
    lock = server.folder.parent / "cache" / "lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("stale")  # of a process that has ended
    target = Target(backend="onnxruntime", device="pi")
    with Machines([target]) as machines:
        assert machines.obstacle(target) is None
        assert outcome("onnxruntime@pi") == [("not available", "pi is being measured by another process")]
    assert outcome("onnxruntime@pi") == [("ok", "")]


def _processes(word: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if word in " ".join(p.info["cmdline"] or ())]


@pytest.mark.parametrize("whose", ["client", "worker"])
def test_a_process_that_is_killed_while_it_measures(
    whose: str, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    """The part it timed has crashed; a new process goes on with the others."""
    killed: list[int] = []
    ask = RemoteWorker.ask

    def kill_once(self: RemoteWorker, request: Any, *rest: Any) -> Any:
        if type(request).__name__ == "Sample" and not killed:
            remote = [p for p in _processes("zlib.decompress(sys.stdin") if "ssh" not in p.name()]
            link: Any = self._link
            pids = (
                [link._process.pid]
                if whose == "client"
                else [p.pid for p in remote if p.name().startswith("python")]
            )
            killed.extend(pids)
            for pid in pids:
                os.kill(pid, 9)
            time.sleep(0.3)
        return ask(self, request, *rest)

    monkeypatch.setattr(RemoteWorker, "ask", kill_once)
    found = outcome("onnxruntime@pi", parts=("1", "2"))
    assert killed
    assert sorted(status for status, _ in found) == ["crashed", "ok"]
    assert any("killed, or the connection was lost" in reason or "SIGKILL" in reason for _, reason in found)
    no_worker_is_left(server)


def resumed(run: Run, *, peaks: bool = False, parts: Any = ("1",)) -> Run:
    request = Request({"": SMALL}, {"": parts}, run.targets, 0.3, 60, default_folder(), peaks=peaks)
    return profile(request, known=run.to_resume())


@pytest.mark.parametrize("text", [HANG, "import os\nos.kill(os.getpid(), 9)\n", "import os\nos._exit(7)\n"])
def test_a_part_whose_worker_was_lost_is_measured_by_a_resumed_run(text: str) -> None:
    entries(pi=runtime(text))
    run = measured("ncnn@pi", timeout_s=8 if text == HANG else 60)
    (timing,) = run.timings
    assert (timing.lost, timing.final) == (True, False)
    Path("run.json").write_text(encoded(run))
    entries(pi="")
    (timing,) = resumed(some(open_source("run.json").run)).timings
    assert (timing.status, timing.lost, timing.reason) == ("ok", False, "")


def test_a_part_that_a_runtime_refuses_is_not_measured_again() -> None:
    entries(pi=runtime(CHANGED))
    (timing,) = measured("ncnn@pi").timings
    assert (timing.status, timing.lost, timing.final) == ("crashed", False, True)


def test_a_peak_that_was_lost_has_a_reason_and_is_measured_by_a_resumed_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(*_: Any) -> Any:
        raise Broken("crashed", "the connection was lost")

    with monkeypatch.context() as patched:
        patched.setattr(Machines, "rater", lambda *_: (Worker(lost), None))
        run = measured("onnxruntime@pi", peaks=True)
    assert not run.hosts["pi"].peak_rates
    note = "No peak of cpu@pi at fp32, 1 thread was measured: the connection was lost. A resumed run tries it again."
    assert run.notes == (note,)
    again = resumed(run, peaks=True)
    assert [peak.name for peak in again.hosts["pi"].peak_rates] == ["cpu"]
    assert (again.notes, again.timings) == ((), run.timings)


def test_cpus_that_do_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    own = sorted(os.sched_getaffinity(0))
    entries(pi=f"cpus = [{own[0]}, 4077]")
    ((status, reason),) = outcome("onnxruntime@pi")
    assert status == "not available"
    assert re.fullmatch(r"CPU 4077 does not exist on pi \(.* do(es)?\)", reason), reason
    entries(pi=f"cpus = [{own[-1]}]")
    run = measured("onnxruntime@pi")
    assert (run.hosts["pi"].cpus, run.hosts["pi"].cores) == ((own[-1],), 1)
    assert command(["devices", "pi", "--format", "csv"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert {"cpus", "reason", "runtimes", "missing"} <= set(head.split(","))
    assert "onnxruntime" in row


def sleeper() -> str:
    return script("python", "#!/bin/sh\nsleep 321\n")


def nobody_sleeps() -> None:
    until = time.monotonic() + 15
    while found := _processes("sleep 321"):
        assert time.monotonic() < until, found
        time.sleep(0.1)


@pytest.mark.parametrize(
    "argv",
    [
        ["devices", "pi"],
        ["latency", "small", "--on", "onnxruntime@pi"],
        ["latency", "small", "--on", "all@pi"],
        ["cache", "--device", "pi"],
    ],
)
def test_an_interrupt_while_a_device_is_asked(argv: list[str], server: Server) -> None:
    entries(pi=sleeper())
    code = f"from mnv3prof.cli.main import main; import sys; sys.argv[1:] = {argv!r}; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not _processes("sleep 321"):
        assert time.monotonic() < until
        time.sleep(0.1)
    begin = time.monotonic()
    process.send_signal(2)
    process.communicate(timeout=30)
    assert time.monotonic() - begin < 3  # about a second on a machine that is not busy
    assert process.returncode == 130
    nobody_sleeps()
    no_worker_is_left(server)


def test_a_device_that_does_not_answer_in_time(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    entries(pi=sleeper())
    ((status, reason),) = outcome("onnxruntime@pi", timeout_s=2)
    assert (status, reason) == ("not available", "pi: no answer within 2 s")
    nobody_sleeps()
    no_worker_is_left(server)


def test_what_could_not_be_measured_can_be_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    entries(off='ssh = "off"')
    argv = [
        "profile",
        "small",
        "--input",
        "32",
        "--on",
        "onnxruntime@off",
        "--parts",
        "net",
        "-o",
        "run.json",
    ]
    assert command(argv) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    again = "to try again: the same command and --resume"
    assert said == f"mnv3prof: 1 of 1 time on devices could not be measured; {again}"


def test_all_runtimes_of_a_device_that_does_not_answer_in_time(server: Server) -> None:
    entries(pi=sleeper())
    begin = time.monotonic()
    assert "onnxruntime@pi" in places_named("all@pi", 2)
    assert time.monotonic() - begin < 20  # without a limit 30
    nobody_sleeps()
    no_worker_is_left(server)


def test_a_device_without_a_backend_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    entries(pi="")
    assert command(["latency", "small", "--on", "pi"]) == 2
    assert "--on: 'pi' is a device; expected a backend there, e.g. all@pi" in capsys.readouterr().err


@pytest.mark.skipif(which("ps") is None, reason="there is no ps")
def test_a_worker_is_ended_where_there_is_no_proc() -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(321)  # zlib.decompress"])
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(321)"])
    try:
        for process in (worker, other):
            ended = END.format(number=process.pid).replace("/proc/", "/nowhere/")
            subprocess.run(ended, shell=True, check=False)  # as the login shell of a device does
        assert worker.wait(timeout=10) == -9
        assert other.poll() is None
    finally:
        for process in (worker, other):
            process.kill()
            process.wait()


def test_two_names_of_one_machine() -> None:
    entries(pi="", two='ssh = "pi"')
    found = sorted(outcome("onnxruntime@pi", "onnxruntime@two"), reverse=True)
    assert found[0] == ("ok", "")
    assert found[1][0] == "not available"
    assert re.fullmatch(
        "(pi and two|two and pi) are the same machine; expected one of the names", found[1][1]
    )


def test_nothing_to_check_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    entries(pi=script("python", BARE))
    assert command(["devices", "pi"]) == 0
    assert command(["devices", "pi", "--check"]) == 1
    assert "are not installed on pi" in capsys.readouterr().out


def test_a_wrong_entry_refuses_itself_only(capsys: pytest.CaptureFixture[str]) -> None:
    entries(pi="", other="cpus = 1", PI="")
    Path("devices.toml").write_text("\ufeff" + Path("devices.toml").read_text())
    assert outcome("onnxruntime@pi") == [("ok", "")]
    assert command(["devices", "other"]) == 2
    assert "devices.toml, [other], cpus: 1 is not allowed; expected a list of" in capsys.readouterr().err
    assert command(["devices"]) == 1
    out = capsys.readouterr().out
    assert "wrong entry" in out
    assert "[other], cpus: 1 is not allowed" in out
    assert ".." not in out


@pytest.mark.parametrize(
    ("name", "address", "key"),
    [("root@pi", "root@pi", "pi"), ("127.0.0.1:22", "ssh://127.0.0.1:22", "127-0-0-1"), ("PI", "PI", "pi")],
)
def test_a_destination_that_is_no_name_needs_an_entry(
    name: str, address: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["latency", "small", "--on", f"onnxruntime@{name}"]) == 2
    told = capsys.readouterr().err
    assert f'make an entry [tool.mnv3prof.devices.{key}] with ssh = "{address}" in pyproject.toml' in told


def test_a_folder_there_that_cannot_be_used(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    lock = server.folder.parent / "cache" / "lock"
    command(["cache", "--device", "pi", "--clear"])
    lock.mkdir(parents=True)
    try:
        ((status, reason),) = outcome("onnxruntime@pi")
        assert (status, reason) == (
            "not available",
            f"pi: its folder {lock.parent} cannot be used: Is a directory",
        )
        capsys.readouterr()
        assert command(["cache", "--device", "pi", "--clear"]) == 2
        assert "--device pi: its folder " in capsys.readouterr().err
    finally:
        lock.rmdir()


def test_a_folder_that_must_stay_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "kept")
    store.put(Put(digest(b"x"), b"x"))

    def busy(_: Path) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "rmdir", busy)
    assert store.clear(Clear())["files"] == 1
    assert not list((tmp_path / "kept").iterdir())


HOSTILE = """#!{python}
import re, struct, sys, time, zlib
size = int(re.search(r"read\\((\\d+)\\)", sys.argv[-1])[1])
code = zlib.decompress(sys.stdin.buffer.read(size)).decode()
token = re.search(r", '([0-9a-f]{{64}})', ", code)[1]
out = sys.stdout.buffer
def answer(text):
    data = text.encode()
    out.write(struct.pack(">II", len(data), 0) + data); out.flush()
out.write({hello!r} + token.encode()); out.flush()
machine = '{{"model": "m", "cpu": "c", "architecture": "a", "cores": 1, "memory_bytes": 1, "os": "o", "python": "3.11", "versions": {{"numpy": "1", "onnxruntime": "1"}}}}'
def asked():
    lengths = sys.stdin.buffer.read(8)
    if len(lengths) < 8: sys.exit()
    header, raw = struct.unpack(">II", lengths)
    text = sys.stdin.buffer.read(header).decode(); sys.stdin.buffer.read(raw)
    return re.search(r'"do": ?"(\\w+)"', text)[1]
answers = {{"Describe": machine, "Hold": "{{}}", "Begin": "{{}}", "Place": '{{"folder": "/x", "missing": []}}',
  "Prepare": '{{"load_s": 1, "first_s": 1, "max_abs_err": 0, "max_rel_err": 0, "rms_rel_err": 0}}',
  "Sample": '{{"calls": 1, "wall_s": [1], "mean_s": 1, "max_s": 1, "outliers": 0, "cpu_s": 1, "cpu_median_s": 1, "switches": 0}}'}}
while True:
    do = asked()
    if do == {at!r}:
        {what}
    answer(answers[do])
"""


@pytest.mark.parametrize(
    ("at", "what", "reason"),
    [
        (
            "Prepare",
            'out.write(b"garbage" * 1000); out.flush(); time.sleep(5)',
            "its process sent an invalid answer",
        ),
        (
            "Prepare",
            'out.write(struct.pack(">II", 2**32 - 1, 2**32 - 1)); out.flush(); time.sleep(5)',
            "its process sent an invalid answer",
        ),
        (
            "Prepare",
            'out.write(struct.pack(">II", 100, 0) + b"half"); out.flush(); sys.exit()',
            "its process ended with exit code 0",
        ),
        ("Prepare", "answer('[1, 2')", "its answer cannot be read: .*"),
        ("Prepare", "answers['Prepare'] = '{\"load_s\": -1}'", "its answer cannot be read: .*"),
        (
            "Place",
            'answers[\'Place\'] = \'{"folder": "", "missing": ["../../etc/passwd"]}\'',
            "it asks for a file that it was not offered",
        ),
        (
            "Sample",
            "answers['Sample'] = answers['Sample'].replace('[1]', '[NaN]')",
            "its answer cannot be read: .*",
        ),
        (
            "Sample",
            "answers['Sample'] = answers['Sample'].replace('[1]', '[-1]')",
            "its answer cannot be read: .*",
        ),
        ("Sample", "answers['Sample'] = '{\"failed\": \"' + 'x' * 5000 + '\\\\u001b[31m\"}'", "x{250}"),
        ("Begin", "out.write(b'y' * 50_000_000)", "its process (sent an invalid answer|ended with .*)"),
    ],
)
def test_a_device_that_lies(at: str, what: str, reason: str) -> None:
    """A row, within the time limit, and nothing of it is run or kept here."""
    text = HOSTILE.format(python=sys.executable, hello=HELLO, at=at, what=what)
    entries(pi=script("python", text))
    ((status, told),) = outcome("onnxruntime@pi", timeout_s=10)
    assert status in ("crashed", "timeout")
    assert re.fullmatch(reason, told), told


def test_a_device_with_impossible_names_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    text = HOSTILE.format(python=sys.executable, hello=HELLO, at="None", what="pass")
    entries(pi=script("python", text.replace('"cpu": "c"', '"cpu": "[red]\\\\u001b[31m<b>evil"')))
    assert command(["devices", "pi"]) == 0
    assert "\33" not in capsys.readouterr().out


def test_nothing_is_run_for_a_wrong_name() -> None:
    for name in ("-oProxyCommand=x", "pi;touch x", "$(id)", "a b", "PI", "", "x" * 40):
        assert command(["latency", "small", "--on", f"ncnn@{name}"]) == 2
    assert not Path("x").exists()


def test_emulated_devices_are_checked_and_not_timed(capsys: pytest.CaptureFixture[str]) -> None:
    entries(pi="emulated = true")
    run = measured("onnxruntime@pi", parts=("net", "1"), peaks=True)
    for timing in run.timings:
        assert (timing.status, timing.stopped, timing.bursts) == ("ok", "checked", ())
        assert (timing.load_s, timing.first_s) == (None, None)
        assert some(timing.rms_rel_err) < 1e-5
        assert timing.final
    assert not run.hosts["pi"].peak_rates
    Path("run.json").write_text(encoded(run))
    assert some(open_source("run.json").run).timings == run.timings
    assert command(["latency", "run.json"]) == 0
    assert "only its output was checked" in capsys.readouterr().out
    assert command(["report", "run.json", "-o", "page.html"]) == 0


def test_the_commands_of_a_newcomer(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["devices", "pi", "--format", "json"]) == 0
    (device,) = msgspec.json.decode(capsys.readouterr().out)["devices"]
    assert (device["name"], device["answers"], device["cores"]) == ("pi", True, len(os.sched_getaffinity(0)))
    assert {each["name"] for each in device["runtimes"] if not each["reason"]} >= {"ncnn", "onnxruntime"}
    options = [
        "--input",
        "64",
        "--parts",
        "net",
        "--time-budget",
        "0.5",
        "--format",
        "json",
        "-o",
        "run.json",
    ]
    assert command(["latency", "small", "--on", "onnxruntime@pi,onnxruntime", *options]) == 0
    run = some(open_source("run.json").run)
    assert [target.place for target in run.targets] == ["onnxruntime@pi", "onnxruntime"]
    capsys.readouterr()
    assert command(["latency", "run.json", "--on", "onnxruntime@pi"]) == 0
    assert "onnxruntime@pi" in capsys.readouterr().out
    assert command(["check", "run.json", "--budget", "latency.onnxruntime@pi=10s"]) == 0
    assert command(["check", "run.json", "--budget", "latency.onnxruntime@pi=1us"]) == 1
    assert command(["diff", "run.json", "run.json"]) == 0
    assert command(["report", "run.json", "-o", "page.html"]) == 0


def test_a_device_by_adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for adb, which runs what `adb shell -T` would give to a shell there."""
    log = tmp_path / "argv"
    adb = tmp_path / "adb"
    adb.write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$@" > {log}\nshift 4\nMNV3PROF_DEVICE_CACHE={tmp_path}/phone exec sh -c "$1"\n'
    )
    adb.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    entries(phone='ssh = ""\nadb = "emulator-5554"')
    assert outcome("onnxruntime@phone", "ncnn@phone", parts=("net", "1")) == [("ok", "")] * 4
    serial = log.read_text().splitlines()
    assert serial[:4] == ["-s", "emulator-5554", "shell", "-T"]
    assert re.fullmatch(
        rf"sh -c 'echo [a-z0-9 ]+ \$\$; exec {sys.executable} -B -c \"import sys,zlib;exec\(.*\)\"'",
        serial[4],
    )
    assert len(serial) == 5


def test_without_adb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    entries(phone='ssh = ""\nadb = "x"', pi="")
    ((status, reason),) = outcome("onnxruntime@phone")
    assert (status, reason) == ("not available", "phone cannot be reached: adb is not installed here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('ssh = "pi"\nadb = "x"', "has both ssh and adb; expected"),
        ("", "has neither ssh nor adb; expected"),
        ('ssh = "-oProxyCommand=touch x"', "expected"),
        ('ssh = "pi; touch x"', "expected"),
        ('ssh = "pi"\npython = "python3; touch x"', "expected"),
        ('ssh = "pi"\npython = "-c"', "expected"),
        ('ssh = "pi"\ncpus = [-1]', "expected"),
        ('ssh = "pi"\ncpus = [0, 0]', "different CPU numbers"),
        ('ssh = "pi"\nwhat = 1', "expected"),
        ("ssh = 1", "expected"),
    ],
)
def test_a_wrong_entry_is_one_sentence(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("devices.toml").write_text(f"[pi]\n{text}\n")
    assert command(["latency", "small", "--on", "ncnn@pi"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "devices.toml, [pi]" in line
    assert "regex" not in line
    assert message in line
    assert not Path("x").exists()


def test_the_projects_entry_replaces_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    entries(pi="emulated = true")
    Path("pyproject.toml").write_text(
        f'[tool.mnv3prof.devices.pi]\nssh = "pi"\npython = "{sys.executable}"\ncpus = [0]\n'
    )
    assert command(["devices", "--format", "json"]) == 0
    (device,) = msgspec.json.decode(capsys.readouterr().out)["devices"]
    assert (device["name"], device["emulated"], device["cores"]) == ("pi", False, 1)


def test_an_interrupt_ends_devices_too(server: Server, tmp_path: Path) -> None:
    argv = [
        "latency",
        "small",
        "--input",
        "64",
        "--on",
        "onnxruntime@pi",
        "--parts",
        "net,1,2",
        "--time-budget",
        "60",
    ]
    code = f"from mnv3prof.cli.main import main; import sys; sys.argv[1:] = {argv!r}; main()"
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=file)
        until = time.monotonic() + 60
        while "sampling" not in log.read_text():
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(2)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"net" in out
    no_worker_is_left(server)


def test_a_saved_run_is_selected_by_device_without_asking_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = measured("onnxruntime@pi", "onnxruntime")
    path = tmp_path / "run.json"
    path.write_text(encoded(run), encoding="utf-8")
    entries(pi=sleeper())
    begin = time.monotonic()
    assert command(["latency", str(path), "--on", "all@pi", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert rows
    assert all("onnxruntime" in row and "pi" in row for row in rows)
    assert command(["latency", str(path), "--on", "all@two"]) == 2
    assert "'all@two' has no rows; expected onnxruntime@pi or onnxruntime" in capsys.readouterr().err
    assert time.monotonic() - begin < 20
    assert not _processes("sleep 321")


def test_what_a_login_shell_says_is_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    entries(pi=script("python", "#!/bin/sh\necho This account is not available.\nexit 1\n"))
    ((status, reason),) = outcome("onnxruntime@pi")
    assert status == "not available"
    assert "This account is not available" in reason
    assert "is a Python" not in reason
    assert command(["devices", "pi"]) == 1
    assert "cannot be used" in capsys.readouterr().out
