import re
import shlex
from pathlib import Path

import pytest
from terminal import on_terminal, without_escapes

from mnv3prof.cli.main import run

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```console\n\$ mnv3prof (.*?)\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(
    set(
        re.findall(
            r"`mnv3prof ((?:table|flops|memory|compare|latency|backends|profile|export|cache|train)[^`]*)`",
            README,
        )
    )
)


def test_the_readme_shows_output_and_names_commands():
    assert SHOWN
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize(("arguments", "printed"), SHOWN)
def test_output_in_the_readme_is_what_a_terminal_of_80_columns_shows(arguments, printed):
    code, screen = on_terminal(shlex.split(arguments), 80)
    assert code == 0
    assert without_escapes(screen) == printed


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands_in_the_readme_run(arguments, capsys, tmp_path, monkeypatch):
    (tmp_path / "my.toml").write_text(_own_table(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    verdicts = (0, 1) if "--fit" in arguments else (0,)
    assert run(shlex.split(arguments)) in verdicts
    assert capsys.readouterr().out


def test_the_table_in_the_readme_is_one(tmp_path, capsys):
    path = tmp_path / "net.toml"
    path.write_text(_own_table(), encoding="utf-8")
    assert run(["flops", str(path)]) == 0
    assert "my net" in capsys.readouterr().out


def test_the_python_in_the_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert "classifier 2203880" in capsys.readouterr().out


def _own_table() -> str:
    (table,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    return table
