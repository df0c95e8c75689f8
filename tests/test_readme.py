import json
import re
import shlex
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
import torchvision_oracle
import typer.main
from runs import kept, made
from terminal import on_terminal, without_escapes

from mnv3prof import sweep
from mnv3prof.cli import commands
from mnv3prof.cli.main import application, run
from mnv3prof.registry import file_names

assert torchvision_oracle.mobilenet_v2  # commands can import torchvision

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
TOML: list[str] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
SHOWN = re.findall(r"```console\n\$ mnv3prof (.*?)\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(
    command
    for command in set(re.findall(r"`mnv3prof ([^`]+)`", README))
    if command.split()[0] in file_names(commands.__file__)
)
SLOW = sorted(
    command
    for command in COMMANDS
    if re.search(
        "^train|--check$|executorch|--layout|--threads|--weights|--resume|--train|^measure-rows|--latency-table|100M",
        command,
    )
)
EXAMPLES = {
    example
    for path in Path(commands.__file__).parent.glob("*.py")
    for example in re.findall(r"Example: mnv3prof (.*)", path.read_text(encoding="utf-8"))
}
"""Of the commands' help; test_cli runs them."""
QUICK = sorted({*COMMANDS} - {*SLOW} - EXAMPLES)
HOW_DO_I = re.findall(
    r"^\| (.*) \| (.*) \|$", README.partition("| How do I ...")[2].partition("\n\n")[0], re.MULTILINE
)[1:]


def test_the_readme_begins_with_a_screen_that_shows_output() -> None:
    assert SHOWN
    assert README.partition("## See it")[0].count("\n") <= 45


def test_the_list_answers_each_question_with_commands() -> None:
    assert len(HOW_DO_I) >= 20
    for question, answer in HOW_DO_I:
        assert question.endswith("?")
        for command in answer.split(", `"):
            assert command.strip("`").removeprefix("mnv3prof ") in COMMANDS
    assert {command.split()[0] for command in COMMANDS} == {*file_names(commands.__file__)}


@pytest.mark.parametrize("arguments", SLOW)
def test_slow_commands_in_the_readme_are_parsed(arguments: str) -> None:
    name, *others = shlex.split(arguments)
    typer.main.get_command(application((name,))).commands[name].make_context(name, others)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("arguments", "printed"), SHOWN)
def test_output_in_the_readme_is_what_a_terminal_of_80_columns_shows(arguments: str, printed: Any) -> None:
    code, screen = on_terminal(shlex.split(arguments), 80)
    assert code == 0
    assert without_escapes(screen) == printed


@pytest.mark.parametrize("arguments", QUICK)
def test_quick_commands_in_the_readme_run(
    arguments: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr("mnv3prof.cli.latency_options.budget_of", lambda _: 0.5)
    if re.search(r"\bpi\b", arguments):
        request.getfixturevalue("pi")
    (tmp_path / "my.toml").write_text(_own_table(), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(_budgets(), encoding="utf-8")
    (tmp_path / "nets.py").write_text("from networks import Small as Net\n", encoding="utf-8")
    if "net.onnx" in arguments:
        image = torch.zeros(1, 3, 32, 32)
        torch.onnx.export(networks.Small(), (image,), tmp_path / "net.onnx", dynamo=False)
    if "pareto points.csv" in arguments:
        points = sweep("near-small", 2_000, where="macs<=30M", seed=0)
        points.to_csv(tmp_path / "points.csv", index=False)
    kept(made(), tmp_path / "old.json")
    kept(made(seed=1), tmp_path / "run.json")
    monkeypatch.chdir(tmp_path)
    if arguments.startswith("cache"):  # other tests use the cache at the same time
        monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "cache"))
    verdicts = (0, 1) if "--fit" in arguments else (0,)
    assert run(shlex.split(arguments)) in verdicts
    assert capsys.readouterr().out or " -o " in arguments


@pytest.mark.parametrize("table", re.findall(r"```toml\n(name = .*?)```", README, re.DOTALL))
def test_each_table_in_the_readme_is_one(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.toml"
    path.write_text(table, encoding="utf-8")
    assert run(["flops", str(path)]) == 0
    assert table.split('"')[1] in capsys.readouterr().out


def test_the_python_in_the_readme_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "classifier 2203880" in printed
    assert re.search(r"^net (×|unclear)", printed, re.MULTILINE)
    assert (tmp_path / "large.html").stat().st_size > 500_000


def test_the_budgets_in_the_readme_are_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large within the budgets of counts; there are no timings of it."""
    (tmp_path / "pyproject.toml").write_text(_budgets(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(["check", "large", "--baseline", "large", "--format", "json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert {v["budget"]: v["status"] for v in verdicts} == {
        "macs": "within",
        "params": "within",
        "arena": "within",
        "params.classifier": "within",
        "latency.litert": "not measured",
        "latency.onnxruntime": "not measured",
    }


def test_the_workflow_in_the_readme_is_five_lines_and_names_inputs_that_there_are() -> None:
    (steps,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert len(steps.splitlines()) == 5
    action = (Path(__file__).parent.parent / ".github/actions/mnv3prof/action.yml").read_text(
        encoding="utf-8"
    )
    for name in re.findall(r"^    (\w+):", steps, re.MULTILINE):
        assert re.search(rf"^  {name}:$", action, re.MULTILINE)


def _own_table() -> str:
    return next(text for text in TOML if "rows" in text)


def _budgets() -> str:
    return next(text for text in TOML if "budgets" in text)
