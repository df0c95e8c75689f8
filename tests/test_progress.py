"""Progress as lines: when they are printed and what they say, by a clock that the test sets."""

import io
from typing import Any

import pytest

from mnv3prof.bench.convert import Pace
from mnv3prof.bench.progress import Progress, within
from mnv3prof.cli import progress as printing
from mnv3prof.cli.main import run
from mnv3prof.cli.progress import Lines, Steps
from mnv3prof.cli.streams import say_to
from mnv3prof.workers.requests import FileKind


class Clock:
    """A clock that stands until it is set, and the lines that were printed."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[str] = []
        self.steps = Steps(Lines(self.lines.append), lambda: self.now)

    def after(self, seconds: float, progress: Progress | None = None) -> list[str]:
        """The lines so far, after a step, or after a tick without one, at `seconds`."""
        self.now = 100.0 + seconds
        if progress is None:
            self.steps.tick()
        else:
            self.steps.note(progress)
        return self.lines


def _sampled(part: str, left_s: float) -> Progress:
    return Progress(f"{part} on litert", 1 - left_s / 60, left_s, "sampling")


def test_a_phase_is_a_line_after_a_second_and_another_one_every_ten() -> None:
    clock = Clock()
    step = Progress("3 of 18, now 3 for onnx", phase="converting 18 parts for onnx")
    assert clock.after(0, step) == []
    assert clock.after(0.9) == []
    assert clock.after(1.0) == ["converting 18 parts for onnx"]
    assert clock.after(9.9) == ["converting 18 parts for onnx"]
    clock.after(9.95, step._replace(what="7 of 18, now 7 for onnx"))
    assert clock.after(10.2)[1:] == ["converting 18 parts for onnx: 7 of 18, now 7 for onnx, 10 s"]
    assert len(clock.after(19.9)) == 2
    assert clock.after(20.1)[2:] == ["converting 18 parts for onnx: 7 of 18, now 7 for onnx, 20 s"]
    assert clock.after(305)[3:] == ["converting 18 parts for onnx: 7 of 18, now 7 for onnx, 5 min"]


def test_a_line_says_what_is_done_with_elapsed_time_and_time_left() -> None:
    clock = Clock()
    clock.after(0, _sampled("stem", 60))
    assert clock.after(1.2, _sampled("1", 58.8)) == ["sampling, 59 s left"]
    assert clock.after(21, _sampled("12", 39))[1:] == ["sampling: 12 on litert, 21 s, 39 s left"]


def test_short_phases_print_nothing_and_each_phase_has_its_own_time() -> None:
    clock = Clock()
    for number in range(100):
        clock.after(0.5 * number, Progress(f"phase {number}"))
    assert clock.lines == []
    clock.after(60, Progress("reading images"))
    assert clock.after(61) == ["reading images"]
    assert clock.after(71)[1:] == ["reading images, 11 s"]


def test_nothing_is_printed_beside_a_measurement_unless_it_hangs() -> None:
    clock = Clock()
    clock.after(0, _sampled("12", 60))
    assert clock.after(5) == []  # a tick would take CPU time from what is measured
    assert clock.after(9) == []
    assert clock.after(10.5) == ["sampling, 50 s left"]  # of 60
    assert clock.after(31)[1:] == ["sampling: 12 on litert, 31 s, 29 s left"]


def test_steps_of_another_function_become_parts_of_a_phase() -> None:
    heard: list[Progress] = []
    within("checking onnxruntime", heard.append)(Progress("net", 0.5, 3.0, "sampling"))
    assert heard == [Progress("net", 0.5, 3.0, "checking onnxruntime")]
    assert heard[0].text == "checking onnxruntime: net"
    assert Progress("reading x").text == Progress("reading x").title == "reading x"


@pytest.mark.parametrize(
    ("encoding", "line"), [("utf-8", "large at 224×224 ?"), ("ascii", "large at 224x224 ?")]
)
def test_lines_are_printable_and_in_ascii_where_the_stream_is(encoding: str, line: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="strict")
    say_to(stream, "large at 224×224 \x1b")
    stream.seek(0)
    assert stream.read() == f"{line}\n"


def test_a_short_command_prints_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["latency", "small", "--input", "32", "--on", "null", "--parts", "net", "--time-budget", "0.2"])
        == 0
    )
    assert capsys.readouterr().err == ""


def test_a_step_without_news_is_printed_on_time_and_to_the_stream_of_its_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other counters run while standard error is replaced."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(printing, "_TICK_S", 0.01)
    monkeypatch.setattr(printing, "_FIRST_S", 0.05)
    with printing.step("counting with thop"), monkeypatch.context() as quiet:
        quiet.setattr("sys.stderr", io.StringIO())
        _wait_for(stream)
    assert stream.getvalue() == "counting with thop\n"


def _wait_for(stream: io.StringIO) -> Any:
    import time

    deadline = time.monotonic() + 10
    while not stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_the_time_left_of_conversions_is_that_of_each_kind() -> None:
    """ONNX takes 1 s a part, ExecuTorch 10 s: what is left is its 4 parts."""
    onnx, executorch = FileKind("onnx", "fp32", 1), FileKind("executorch", "fp32", 1)
    pace = Pace({onnx: 5, executorch: 5}, 2)
    assert pace.left_s(onnx, 0.0) is None
    assert pace.left_s(executorch, 0.0) is None
    assert pace.left_s(onnx, 1.0) == 4.0  # of ExecuTorch nothing is known yet
    for second in range(2, 5):
        pace.left_s(onnx, float(second))
    assert pace.left_s(executorch, 10.0) == 40.0


def test_the_time_left_goes_on_between_steps() -> None:
    clock = Clock()
    clock.after(0, Progress("1 of 2", None, 30.0, "converting"))
    clock.after(1.5)
    assert clock.after(12)[-1] == "converting: 1 of 2, 12 s, 18 s left"
