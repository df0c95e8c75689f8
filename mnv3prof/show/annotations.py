"""Verdicts of `check` as GitHub workflow commands, which annotate a change."""

from collections.abc import Sequence

from ..budgets.figures import Side
from ..budgets.judge import Judgment
from ..graph.errors import printable
from .gate import headline, limit_of, sentence
from .load import busy_note


def to_annotations(checked: Side, judged: Sequence[Judgment], file: str = "") -> str:
    """Write a command per exceeded budget, then the other verdicts and the headline as plain lines.

    file: defines the budgets, and is annotated. A busy machine is the first command.
    """
    note = busy_note(checked.run, with_times=False) if checked.run else ""
    busy = [f"::warning title=mnv3prof%3A busy machine::{_data(note)}"] if note else []
    commands = [*busy, *(_command(j, file) for j in judged if j.breach)]
    plain = [_plain(f"{limit_of(j)}: {sentence(j)}") for j in judged if not j.breach]
    return "".join(f"{line}\n" for line in (*commands, *plain, _plain(headline(checked, judged))))


def _command(judgment: Judgment, file: str) -> str:
    kind = "error" if judgment.breach == "error" else "warning"
    properties = {"title": f"mnv3prof: {limit_of(judgment)}", "file": file}
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{kind} {given}::{_data(sentence(judgment))}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _plain(text: str) -> str:
    """Write `text` in one line that is no command of either form (::, ##[)."""
    line = " ".join(printable(text).split()).replace("##[", "# #[")
    return line.replace("::", ": :") if line.startswith("::") else line
