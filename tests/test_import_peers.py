"""`import`: files that the runtimes' own packages write here."""

import subprocess
import sys
from pathlib import Path

import pytest
from measured import converted
from some import some
from subjects import subject

from mnv3prof.graph.errors import InputError
from mnv3prof.imports import readers
from mnv3prof.imports.found import Found
from mnv3prof.imports.timings import File, Told, imported
from mnv3prof.workers.cache import default_folder, find, key
from mnv3prof.workers.requests import FileKind

NET = subject("small", (64, 96))
TOLD = Told("phone", dtype="fp32", threads=1)
TIMES = """count=50 first=1299 curr=1301 min=1250 max=1500 avg=1300 std=12
Inference timings in us: Init: 17187, First inference: 9000, Warmup (avg): 8300, Inference (avg): 1300
"""


def _one(data: bytes) -> Found:
    (found,) = readers.read(data, "file")
    return found


def _file(part: str, form: str) -> Path:
    name = key(NET, part, FileKind(form, "fp32", 1))
    return default_folder() / name / some(find(default_folder(), name)).main


def test_an_etdump_of_the_wheel_has_operators_and_calls(tmp_path: Path) -> None:
    converted("executorch")
    file = _file("1", "executorch")
    code = (
        "import sys, numpy, torch; from executorch.extension.pybindings import portable_lib as lib\n"
        f"module = lib._load_for_executorch({str(file)!r}, enable_etdump=True)\n"
        f"given = torch.from_numpy(numpy.load({str(file.parent / 'given0.npy')!r}))\n"
        "for _ in range(4): module.forward((given,))\n"
        f"module.write_etdump_result_to_file({str(tmp_path / 't.etdp')!r}, {str(tmp_path / 'd.bin')!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    found = _one((tmp_path / "t.etdp").read_bytes())
    told = some(found.reported)
    assert (told.calls, found.profiled, found.backend) == (3, True, "executorch")
    assert some(told.min_s) <= told.seconds <= some(told.max_s) < 1
    joined = imported([File("t", (found,), "1")], NET.graph, TOLD).operators
    assert {"features.1.block.0.0"} <= {op.layer for op in joined}
    with pytest.raises(InputError, match="is damaged or cut off; expected an ETDump"):
        readers.read((tmp_path / "t.etdp").read_bytes()[:200], "t")


SUMMARY = """
import ctypes, sys, numpy
from pathlib import Path
from mnv3prof.device.litert_profile import _Model
file = Path(sys.argv[1])
model = _Model(file, [numpy.load(file.parent / "given0.npy")], 1)
model._call("ResetProfiler", model._profiler)
model._call("StartProfiler", model._profiler)
for _ in range(3):
    model.run()
model._call("StopProfiler", model._profiler)
text = ctypes.c_char_p()
model._call("GetProfileSummary", model._profiler, model._compiled, ctypes.byref(text))
Path(sys.argv[2]).write_bytes(text.value)
"""


def test_the_table_that_litert_itself_prints(tmp_path: Path) -> None:
    converted("litert")
    file = _file("5", "litert")
    subprocess.run([sys.executable, "-c", SUMMARY, file, tmp_path / "s"], check=True, capture_output=True)
    found = _one((tmp_path / "s").read_bytes())
    assert 5 <= len(found.operators) < 30
    assert all(0 <= op.seconds < 1 for op in found.operators)
    text = TIMES.encode() + (tmp_path / "s").read_bytes()
    operators = imported([File("t", (_one(text),), "5")], NET.graph, TOLD).operators
    weighted = {layer.name for layer in some(NET.graph.block("5")).layers if layer.macs}
    assert weighted <= {op.layer for op in operators}
    assert sum(op.seconds for op in operators) == pytest.approx(sum(op.seconds for op in found.operators))
