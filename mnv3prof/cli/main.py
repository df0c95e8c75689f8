"""The command line: commands by name, errors as one line, exit codes 0, 1, 2 and 130.

Large imports are inside functions, so that an interrupt during them prints no traceback.
"""

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

from ..graph.errors import InputError, one_line, quote, suggestion
from ..registry import file_names
from . import commands
from .streams import STANDARD_OUTPUT, buffer_standard_output, discard, say

if TYPE_CHECKING:
    import typer

_ONE_INTERRUPT_S: Final = 2.0
"""Further interrupts within this time are ignored, so that they do not disturb the exit."""


def application(names: tuple[str, ...]) -> "typer.Typer":
    """Return the command line with the commands called `names`, and load only those."""
    import typer

    try:
        from .command import Command, Group
    except ImportError as error:
        raise InputError(f"typer: this version cannot be used ({error}); pip install -U mnv3prof") from None

    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """Compute and measure the cost of every block of a MobileNetV3 layer table."""

    app = typer.Typer(
        name="mnv3prof",
        cls=Group,
        callback=root,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 success, 1 a check or measurement failed, 2 wrong input, 130 interrupted.",
    )
    for name in names:
        python_name = f"{name}_" if iskeyword(name) else name.replace("-", "_")
        command = getattr(import_module(f".{python_name}", commands.__name__), python_name)
        app.command(name, cls=Command, short_help=(command.__doc__ or "").partition(".\n")[0])(command)
    return app


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        import typer

        typer.echo(f"mnv3prof {version('mnv3prof')}")
        raise typer.Exit


def main() -> None:
    """Run the command line of the process, and exit."""
    try:
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):  # not ignored
            signal.signal(signal.SIGINT, _interrupt_handler())
        buffer_standard_output()
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt
    if "torch" in sys.modules:
        _exit_at_once(code)
    sys.exit(code)


def _exit_at_once(code: int) -> NoReturn:
    """Exit without tearing PyTorch down, which takes up to a second."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or its reader has left
            stream.flush()
    os._exit(code)


def _interrupt_handler() -> Any:
    """Return a handler that raises KeyboardInterrupt at most once in _ONE_INTERRUPT_S."""
    raised = -inf

    def interrupt(*_: object) -> None:
        nonlocal raised
        now = monotonic()
        if now - raised >= _ONE_INTERRUPT_S:
            raised = now
            raise KeyboardInterrupt

    return interrupt


def run(arguments: list[str]) -> int:
    """Run one command line. Return its exit code."""
    try:
        return _run(arguments or ["--help"])
    except InputError as error:
        return _print_error(str(error))
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mnv3prof"):
            raise
        return _print_error(f"{error.name} is not installed: pip install mnv3prof")
    except OSError as error:
        return _print_error(_os_error(error))
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python < 3.12: in __set_name__
            return 130
        raise
    except SystemExit as exit_:
        if not isinstance(exit_.__context__, BrokenPipeError):
            raise
        discard(sys.stdout)  # Typer exits with 1 when the reader closes the pipe
        return 0


def _run(arguments: list[str]) -> int:
    import typer

    known = file_names(commands.__file__)
    if arguments[0] not in known and not arguments[0].startswith("-"):
        raise InputError(f"{quote(arguments[0])} is not a command; {suggestion(arguments[0], known)}")
    app = application((arguments[0],) if arguments[0] in known else known)
    try:
        code = app(arguments, prog_name="mnv3prof", standalone_mode=False)
    except typer.TyperException as error:  # an option or value that Typer does not accept
        raise InputError(error.format_message()) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else 0


def _os_error(error: OSError) -> str:
    """Return the message for an OSError that no command handles: its file, and the reason."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename == STANDARD_OUTPUT:
        discard(sys.stdout)
        return f"{STANDARD_OUTPUT}: cannot be written ({reason})"
    where = os.fsdecode(error.filename) if error.filename else "the operating system"
    return f"{where}: cannot be used ({reason})"


def _print_error(message: str) -> int:
    say(f"mnv3prof: {one_line(message)}")
    return 2
