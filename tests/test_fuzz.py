"""Damaged files and wrong options: a result or one error message, never a traceback or half a file."""

import csv
import io
import json
import resource
import sys
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from fuzzing import NUMBER, Material, case

from mnv3prof.cli.main import run

CHUNKS = 20
BEFORE = "before\n"
_MEBI = 2**20 if sys.platform == "darwin" else 2**10
"""Of what getrusage counts in: bytes on macOS, KiB elsewhere."""


@pytest.fixture(scope="module")
def material() -> Any:
    return Material()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_is_given_there_is_an_answer_or_a_sentence(
    chunk: Any,
    material: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    cases = range(chunk, request.config.getoption("--fuzz"), CHUNKS)
    for number in cases:
        for name in ("out.json", "out.csv", "out.md", "out"):
            (tmp_path / name).write_text(BEFORE, encoding="utf-8")
        arguments = case(number, material, tmp_path)
        begin, most = process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            code = run(arguments)
        except SystemExit as leaving:
            code = leaving.code  # type: ignore[assignment]
        except Exception as error:
            raise AssertionError(f"case {number}: {arguments}") from error
        took, grown = process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most
        out, err = capsys.readouterr()
        problem = _problem(arguments, code, out, err, tmp_path)
        assert not problem, f"case {number}: {arguments}: {problem}: {code}, {out[:2_000]!r}, {err!r}"
        assert took < 5, f"case {number}: {arguments}: {took} s"
        assert grown / _MEBI < 500, f"case {number}: {arguments}: {grown / _MEBI} MiB"


def _is_sentence(line: str) -> bool:
    return line.startswith("mnv3prof: ") and len(line) <= 300 and line.isprintable()


def _problem(arguments: Any, code: Any, out: Any, err: Any, folder: Path) -> Any:
    """The problem with an answer, or ""."""
    if code not in (0, 1, 2):
        return "the exit code"
    *progress, sentence = err.splitlines() or [""]
    if code == 2 and (any("mnv3prof:" in line for line in progress) or not _is_sentence(sentence)):
        return "the sentence"
    form = arguments[arguments.index("--format") + 1] if "--format" in arguments else ""
    if form == "json" and out:
        json.loads(out)
    elif not all(line.isprintable() for line in out.splitlines()):
        return "what is printed"
    if form == "csv" and any(_is_formula(cell) for row in csv.reader(io.StringIO(out)) for cell in row):
        return "a formula"
    if any(path.name.startswith(".") for path in folder.iterdir()):
        return "a draft that is left"
    for name in ("out.json", "out.csv", "out.md", "out"):
        text = (folder / name).read_text(encoding="utf-8")
        if text != BEFORE and (code == 2 or not text.endswith("\n")):
            return "half a file"
    return ""


def _is_formula(cell: Any) -> Any:
    return cell.startswith(("=", "+", "-", "@", "\t")) and not NUMBER.fullmatch(cell)
