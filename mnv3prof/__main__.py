"""The entry of the command line, which imports the rest once an interrupt prints no traceback."""

import signal


def main() -> None:
    """Run the command line of the process, and exit.

    While it is imported, an interrupt ends the process; afterwards the command line handles it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli.main import main as run

    run()


if __name__ == "__main__":
    main()
