"""The device package: on old Pythons, without the rest of mnv3prof, and its protocol."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some import some
from subjects import subject

import mnv3prof
from mnv3prof.bench.convert import convert, file_kind, loading
from mnv3prof.device import clock, protocol
from mnv3prof.device.protocol import (
    HELLO,
    Begin,
    Frame,
    Operators,
    PartKey,
    Prepared,
    Sample,
    encoded,
    read_frame,
    write_frame,
)
from mnv3prof.device.worker import read_request
from mnv3prof.record import timing
from mnv3prof.record.target import Target
from mnv3prof.workers.cache import default_folder
from mnv3prof.workers.worker import _frame

PACKAGE = Path(mnv3prof.__file__).parent / "device"
MODULES = [
    ".".join(("device", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
]
SMALL = subject("small", 32)
TOKEN = "a token"


@pytest.fixture(scope="module", params=range(8, 16), ids="3.{}".format)
def python(request: pytest.FixtureRequest) -> Any:
    """Each Python from 3.8 on that the system has; this one runs the tests, and is always there."""
    if sys.version_info[:2] == (3, request.param):
        return sys.executable
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for found in [
        *versions.glob(f"3.{request.param}.*/bin/python"),
        shutil.which(f"python3.{request.param}"),
    ]:
        # One that is found may be a shim of nothing.
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(found)
    pytest.skip(f"there is no Python 3.{request.param} here")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with the package alone in it."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(PACKAGE, folder / "device", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _alone(python: Any, bare: Any, code: Any, *more: Any) -> Any:
    """Output of a Python with its standard library, the package, and `more` folders."""
    path = [str(bare), *map(str, more)]
    code = f"import sys; sys.path[:0] = {path!r}; {code}"
    done = subprocess.run([python, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_each_python_imports_all_of_it_with_the_standard_library_alone(python: Any, bare: Any) -> None:
    code = f"import {', '.join(MODULES)}; print(*(name for name in sys.modules))"
    loaded = _alone(python, bare, code)
    assert set(MODULES) <= set(loaded)
    assert not {"numpy", "torch", "msgspec", "mnv3prof"} & {name.split(".")[0] for name in loaded}


def test_each_python_imports_it_where_it_is_installed(python: Any) -> None:
    loaded = _alone(python, PACKAGE.parent.parent, "import mnv3prof.device.worker; print(*sys.modules)")
    assert "mnv3prof.device.protocol" in loaded
    assert not {"numpy", "torch", "msgspec"} & {name.split(".")[0] for name in loaded}


def test_each_python_serves_frames(python: Any, bare: Any) -> None:
    """It begins a runtime, times calls, and answers what it cannot do."""
    code = (
        "from device import worker, runtimes; "
        "from device.clock import burst; from dataclasses import asdict; import json; "
        "print(json.dumps(asdict(burst(lambda: None, 0.01))).replace(' ', ''))"
    )
    (found,) = _alone(python, bare, code)
    assert msgspec.json.decode(found, type=timing.Burst).calls > 10
    argv = [python, "-I", "-S", "-B", "-c"]
    serve = f"import sys; sys.path[:0] = [{str(bare)!r}]; from device.worker import main; main({TOKEN!r})"
    with subprocess.Popen([*argv, serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert some(process.stdout).read(len(HELLO) + len(TOKEN)) == HELLO + TOKEN.encode()
        answers = [
            _asked(process, request)
            for request in (Begin("null"), Begin("tpu"), Sample(PartKey("", "1"), 0.1), Begin("null"))
        ]
        some(process.stdin).close()
        assert process.wait(5) == 0
    assert answers[0] == answers[3] == {"chip": "cpu"}
    assert answers[1]["failed"].startswith("ModuleNotFoundError")
    assert answers[2] == {"failed": "KeyError: PartKey(variant='', part='1')", "status": "crashed"}


def _asked(process: Any, request: Any) -> Any:
    write_frame(process.stdin, _frame(request, 30.0))
    return json.loads(some(read_frame(process.stdout)).header)


def test_a_machine_with_numpy_and_one_runtime_measures_it(bare: Any, tmp_path: Path) -> None:
    """torch, msgspec and the rest of mnv3prof are not there."""
    import ncnn
    import numpy as np

    for package in (ncnn, np):
        place = Path(package.__file__).parent  # type: ignore[arg-type]
        for folder in place.parent.glob(f"{place.name}*"):
            (tmp_path / folder.name).symlink_to(folder)
    target, subjects, part = Target(backend="ncnn"), {"": SMALL}, PartKey("", "1")
    convert({file_kind(target): (part,)}, subjects, default_folder())  # type: ignore[dict-item]
    request = loading(part, target, subjects, default_folder())
    code = f"import sys; sys.path[:0] = {[str(bare), str(tmp_path)]!r}; from device.worker import main; main({TOKEN!r})"
    argv = [sys.executable, "-I", "-S", "-B", "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert some(process.stdout).read(len(HELLO) + len(TOKEN)) == HELLO + TOKEN.encode()
        begun, prepared, burst = (
            _asked(process, each) for each in (Begin("ncnn"), request, Sample(part, 0.05))
        )
        some(process.stdin).close()
    assert begun == {"chip": "cpu"}
    assert msgspec.convert(prepared, Prepared).rms_rel_err < 1e-5  # type: ignore[operator]
    assert msgspec.convert(burst, timing.Burst).calls > 3


def test_a_burst_is_told_as_it_is_recorded() -> None:
    told = {field.name for field in dataclasses.fields(clock.Burst)}
    assert told == set(timing.Burst.__struct_fields__)


@given(
    st.lists(
        st.tuples(st.dictionaries(st.text(), st.integers() | st.text() | st.none()), st.binary(max_size=200))
    )
)
def test_frames_arrive_as_they_were_sent(sent: Any) -> None:
    line = BytesIO()
    for fields, raw in sent:
        write_frame(line, encoded(fields)._replace(raw=raw))
    line.seek(0)
    for fields, raw in sent:
        frame = read_frame(line)
        assert (json.loads(some(frame).header), some(frame).raw) == (fields, raw)
    assert read_frame(line) is None


@given(st.binary(max_size=60), st.data())
def test_a_frame_that_is_cut_is_none(raw: Any, data: Any) -> None:
    line = BytesIO()
    write_frame(line, Frame(b"{}", raw))
    whole = line.getvalue()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert read_frame(BytesIO(whole[:cut])) is None


@pytest.mark.parametrize("lengths", [b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\2\xff\xff\xff\xff"])
def test_giant_lengths_are_refused_before_anything_is_read(lengths: bytes) -> None:
    with pytest.raises(ValueError, match="is too long"):
        read_frame(BytesIO(lengths + b"{}"))


@given(
    st.sampled_from(
        [
            Begin("ncnn"),
            Sample(PartKey("a", "1"), 0.5),
            protocol.Prepare(PartKey("", "net"), "/f", "m", "int8", 2),
            Operators(PartKey("", "net"), "", "", "fp32", 1, 50),
            protocol.PlanMemory(PartKey("", "net"), "/f", "m", "fp32", 1),
        ]
    ),
    st.floats(0, 1e6) | st.just(float("inf")),
)
def test_a_request_arrives_as_it_was_made(request_made: Any, within_s: Any) -> None:
    fields = json.loads(_frame(request_made, within_s).header)
    assert fields.pop("do") == type(request_made).__name__
    assert fields.pop("within_s") == (within_s if within_s < float("inf") else None)
    assert read_request(type(request_made), fields) == request_made


@pytest.mark.parametrize("field", ["load_s", "first_s", "max_abs_err", "max_rel_err", "rms_rel_err"])
def test_figures_that_cannot_be_are_no_answer(field: str) -> None:
    figures = {"load_s": 1, "first_s": 1, "max_abs_err": 0, "max_rel_err": None, "rms_rel_err": 0}
    assert msgspec.convert(figures, Prepared).max_rel_err is None
    with pytest.raises(msgspec.ValidationError, match="negative"):
        msgspec.convert({**figures, field: -1}, Prepared)


def test_what_is_not_finite_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encoded({"load_s": float("nan")})
