"""The workflow and the action: valid by GitHub's schemas and bash, and our own budgets."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mnv3prof.cli.main import run

ROOT = Path(__file__).parent.parent
SCHEMAS = {
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/actions/mnv3prof/action.yml": "vendor.github-actions",
}


def _checked(path: Path, schema: Any) -> Any:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", SCHEMAS)
def test_it_is_what_github_allows(file: str, tmp_path: Path) -> None:
    assert _checked(ROOT / file, SCHEMAS[file]).returncode == 0
    wrong = tmp_path / "wrong.yml"
    text = (ROOT / file).read_text(encoding="utf-8")
    wrong.write_text(text.replace("steps:", "stpes:"), encoding="utf-8")
    assert _checked(wrong, SCHEMAS[file]).returncode == 1


@pytest.mark.parametrize("file", SCHEMAS)
def test_actions_of_others_are_pinned_by_commit(file: str) -> None:
    used = re.findall(r"uses: ([^.\s]\S+)", (ROOT / file).read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each) for each in used)


def test_pythons_are_those_of_the_classifiers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    classified = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert f"python-version: {json.dumps(classified)}" in workflow
    assert project["requires-python"] == f">={classified[0]}"


def _scripts(file: Any) -> Any:
    """The blocks of shell under `run: |`."""
    scripts: list[list[str]] = []
    inside = None
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent <= inside:
            inside = None
        if inside is not None:
            scripts[-1].append(line)
        if line.strip() == "run: |":
            inside = indent
            scripts.append([])
    return ["\n".join(lines) for lines in scripts]


def test_scripts_are_shell_and_hold_no_expression_that_another_could_fill() -> None:
    scripts = _scripts(".github/actions/mnv3prof/action.yml")
    assert len(scripts) == 3
    for script in scripts:
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
        assert "${{" not in script


def test_this_repository_keeps_its_budgets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "tests")
    assert run(["check", "large"]) == 0
    assert "within 7 of 7 budgets" in capsys.readouterr().out
