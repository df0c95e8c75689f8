"""The worker of other devices on emulated ARM: outputs of every runtime are right.

.ci/arm makes the Python for it, whose path is in MNV3PROF_ARM_PYTHON.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace
from sshd import SSHD, reach, serving
from subjects import subject

from mnv3prof.bench.profile import Request, profile
from mnv3prof.graph.parts import identical_blocks
from mnv3prof.mobilenetv3.fields import ACTIVATIONS, Conv, Form, SeActivation, SeGate, SePlace
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.record.run import Run, Subject
from mnv3prof.record.target import Target
from mnv3prof.workers.cache import default_folder

PYTHON = os.environ.get("MNV3PROF_ARM_PYTHON", "")

pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="MNV3PROF_ARM_PYTHON is not set"),
    pytest.mark.skipif(SSHD is None, reason="there is no sshd"),
]

SMALL = subject("small", 224)
BACKENDS = ("ncnn", "mnn", "onnxruntime", "litert")
CHOICES: dict[str, Any] = {
    "se_place": SePlace,
    "se_activation": SeActivation,
    "se_gate": SeGate,
    "se_form": Form,
    "conv": Conv,
}


def every_form() -> Subject:
    """A network with a row of each activation, and of each form of squeeze-excite."""
    plain = Row(expand=16, out=8, kernel=3, stride=1, se=False, activation="HS")
    rows = [replace(plain, activation=each) for each in ACTIVATIONS]
    rows += [
        replace(plain, se=True, **{key: each}) for key, kind in CHOICES.items() for each in get_args(kind)
    ]
    return Subject(Table(name="forms", rows=tuple(rows), stem=8, last=8, classes=8), (32, 32))


@pytest.fixture(scope="module", autouse=True)
def _a_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("arm")
    environment = f"MNV3PROF_DEVICE_CACHE={folder}/cache"
    with serving(folder / "server", environment=environment) as server, pytest.MonkeyPatch.context() as patch:
        reach(server, patch)
        entry = f'[board]\nssh = "board"\npython = "{Path(PYTHON).absolute()}"\nemulated = true\n'
        Path(os.environ["MNV3PROF_CONFIG"], "devices.toml").write_text(entry)
        yield


def checked(network: Subject, parts: tuple[str, ...], backend: str, dtype: str = "fp32") -> Run:
    target = Target(device="board", backend=backend, dtype=dtype)  # type: ignore[arg-type]
    return profile(Request({"": network}, {"": parts}, (target,), 1.0, 300, default_folder()))


def is_right(run: Run, parts: int) -> None:
    assert len(run.timings) == parts
    for timing in run.timings:
        assert (timing.status, timing.stopped, timing.bursts) == ("ok", "checked", ()), timing.reason
        assert timing.load_s is None
    host = run.hosts["board"]
    assert host.emulated
    assert "aarch64" in host.os
    assert "Cortex-A76" in host.cpu


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_and_three_of_its_blocks(backend: str) -> None:
    run = checked(SMALL, ("net", "1", "4", "classifier"), backend)
    is_right(run, 4)
    assert max(timing.rms_rel_err or 0 for timing in run.timings) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_activation_and_form_of_squeeze_excite(backend: str) -> None:
    network = every_form()
    rows = tuple(name for name in network.graph.block_names if name.isdecimal())
    same = identical_blocks(network.graph)
    is_right(checked(network, rows, backend), len({same.get(name, name) for name in rows}))


@pytest.mark.parametrize("backend", ["onnxruntime", "litert"])
def test_int8(backend: str) -> None:
    is_right(checked(SMALL, ("1",), backend, "int8"), 1)
