"""The command line: commands by name, errors as one plain line, exit codes 0, 1 and 2.

It imports what is large as it runs: an interrupt before that would leave with a traceback.
"""

import os
import signal
import sys
from importlib import import_module
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final

from ..graph.errors import InputError, one_line, shown, suggestion
from ..registry import stems
from . import commands
from .streams import STANDARD_OUTPUT, buffer_standard_output, discard, say

if TYPE_CHECKING:
    import typer

_ONE_INTERRUPT_S: Final = 2.0
"""Interrupts so soon after another are the same one: what that one ends is not interrupted."""


def application(names: tuple[str, ...]) -> "typer.Typer":
    """The command line with the commands called `names`; no other command's code is loaded."""
    import typer

    from .command import Command, Group

    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """What every row of a MobileNetV3 layer table must cost, exactly, and what it really costs."""

    app = typer.Typer(
        name="mnv3prof",
        cls=Group,
        callback=root,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 fine, 1 a check failed, 2 the input was wrong.",
    )
    for name in names:
        command = getattr(import_module(f".{name}", commands.__name__), name)
        app.command(name, cls=Command, short_help=(command.__doc__ or "").partition(".\n")[0])(command)
    return app


def _version(asked: bool) -> None:
    import typer

    if asked:
        from importlib.metadata import version

        typer.echo(f"mnv3prof {version('mnv3prof')}")
        raise typer.Exit


def main() -> None:
    """Run the command line that the process was called with, and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupts())
    try:
        buffer_standard_output()
        code = run(sys.argv[1:])
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the rest ends by itself
    sys.exit(code)


def _interrupts() -> Any:
    """Return a handler that raises KeyboardInterrupt once for all signals within _ONE_INTERRUPT_S."""
    raised = -inf

    def interrupt(*_: object) -> None:
        nonlocal raised
        now = monotonic()
        if now - raised >= _ONE_INTERRUPT_S:
            raised = now
            raise KeyboardInterrupt

    return interrupt


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    try:
        return _run(arguments or ["--help"])
    except InputError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _refuse(_told(error))
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        discard(sys.stdout)  # the reader has seen what it wanted, which typer calls a failure
        return 0


def _run(arguments: list[str]) -> int:
    import typer

    known = stems(commands.__file__)
    if arguments[0] not in known and not arguments[0].startswith("-"):
        raise InputError(f"{shown(arguments[0])} is no command; {suggestion(arguments[0], known)}")
    app = application((arguments[0],) if arguments[0] in known else known)
    try:
        code = app(arguments, prog_name="mnv3prof", standalone_mode=False)
    except typer.TyperException as error:  # a flag or value that typer refuses
        raise InputError(error.format_message()) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0


def _told(error: OSError) -> str:
    """What is said of an error that no command expects: what it is about, and the system's reason."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename == STANDARD_OUTPUT:
        discard(sys.stdout)
        return f"{STANDARD_OUTPUT}: cannot be written ({reason})"
    where = os.fsdecode(error.filename) if error.filename else "the operating system"
    return f"{where}: cannot be used ({reason})"


def _refuse(sentence: str) -> int:
    say(f"mnv3prof: {one_line(sentence)}")
    return 2
