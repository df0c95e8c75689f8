"""Typer's command and group, which convert values without pydantic and group options in the help.

Importing pydantic would double the time of a command. Required values and types that are not
in _EXPECTED are still converted by Typer.
"""

from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from ..graph.errors import suggestion
from .options import SECTIONS

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

_USED: Final = (
    (TyperCommand, ("get_params", "parse_args", "format_options")),
    (TyperOption, ("process_value", "get_help_record", "param_type_name")),
)
"""What Typer inherits from its own copy of Click, without documenting it."""

for _kind, _names in _USED:
    for _name in _names:
        if not hasattr(_kind, _name):
            raise ImportError(f"it has no {_kind.__name__}.{_name}")

_EXPECTED: Final[dict[type, str]] = {int: "an integer", float: "a number", str: "text", Path: "a path"}


class Command(TyperCommand):
    """A command whose values are converted without pydantic and whose help has SECTIONS."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        _convert_plainly(self, ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write each section; Typer itself writes sections only with Rich, which loads slowly."""
        records: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                is_argument = parameter.param_type_name == "argument"
                section = getattr(parameter, "rich_help_panel", None) or "Options"
                records.setdefault("Arguments" if is_argument else section, []).append(record)
        for section in ("Arguments", *SECTIONS, "Options"):
            if section in records:
                with formatter.section(section):
                    formatter.write_dl(records[section])


class Group(TyperGroup):
    """The root command, whose values are converted without pydantic."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        _convert_plainly(self, ctx)
        return super().parse_args(ctx, args)


def _convert_plainly(command: TyperCommand | TyperGroup, context: "Context") -> None:
    hints = get_type_hints(command.callback) if command.callback else {}
    for parameter in command.get_params(context):
        hint = hints.get(parameter.name or "")
        parameter.process_value = _processor(parameter, hint)  # type: ignore[method-assign, assignment]


def _processor(parameter: Any, hint: Any) -> Callable[[Any, Any], Any]:
    by_typer = parameter.process_value
    convert = _converter(hint)

    def process(context: Any, value: Any) -> Any:
        if parameter.required and not value:
            return by_typer(context, value)
        if isinstance(value, (str, tuple, list)) and value is not parameter.default:
            if convert is None:
                return by_typer(context, value)
            try:
                value = convert(value)
            except ValueError as error:
                raise typer.BadParameter(str(error), ctx=context, param=parameter) from None
        return parameter.callback(context, parameter, value) if parameter.callback else value

    return process


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    """Return the function that converts text to a value of type `hint`, or None for Typer's own."""
    if get_origin(hint) in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not NoneType]
        return _converter(options[0]) if len(options) == 1 else None
    if get_origin(hint) is list:
        (item,) = get_args(hint)
        each = _converter(item)
        return None if each is None else lambda values: [each(value) for value in values]
    if get_origin(hint) is Literal:
        return lambda text: _choice(get_args(hint), text)
    if hint in _EXPECTED:
        return lambda text: _value(hint, text)
    return None


def _choice(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ValueError(f"{text[:60]!r} is not allowed; {suggestion(text, choices)}")
    return text


def _value(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not {_EXPECTED[kind]}") from None
