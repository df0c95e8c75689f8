"""The command line: commands by name, errors as one plain line, exit codes 0, 1 and 2."""

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from ..graph.errors import InputError, shown, suggestion
from ..registry import stems
from . import commands
from .command import Command, Group


def application(names: tuple[str, ...]) -> typer.Typer:
    """The command line with the commands called `names`; no other command's code is loaded."""
    app = typer.Typer(
        name="mnv3prof",
        cls=Group,
        callback=_root,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 fine, 1 a check failed, 2 the input was wrong.",
    )
    for name in names:
        command = getattr(import_module(f".{name}", commands.__name__), name)
        app.command(name, cls=Command, short_help=command.__doc__.partition(".\n")[0])(command)
    return app


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"mnv3prof {version('mnv3prof')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What every row of a MobileNetV3 layer table must cost, exactly, and what it really costs."""


def main() -> None:
    """Run the command line that the process was called with, and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    arguments = arguments or ["--help"]
    known = stems(commands.__file__)
    if arguments[0] not in known and not arguments[0].startswith("-"):
        return _refuse(f"{shown(arguments[0])} is no command; {suggestion(arguments[0], known)}")
    try:
        app = application((arguments[0],) if arguments[0] in known else known)
        code = app(arguments, prog_name="mnv3prof", standalone_mode=False)
    except typer.TyperException as error:  # a flag or value that typer refuses
        return _refuse(error.format_message())
    except InputError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OSError as error:  # standard output takes no more
        _silence_the_last_flush()
        return _refuse(f"standard output: cannot be written ({error.strerror})")
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        _silence_the_last_flush()  # the reader has seen what it wanted, which typer calls a failure
        return 0
    return code if isinstance(code, int) else 0


def _silence_the_last_flush() -> None:
    """Send what the interpreter still flushes as it exits nowhere, where it would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(sentence: str) -> int:
    if sys.stderr is not None:  # print would take standard output instead
        print(f"mnv3prof: {' '.join(sentence.split())}", file=sys.stderr)
    return 2
