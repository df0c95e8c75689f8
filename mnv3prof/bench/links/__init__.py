"""How a worker is reached: one file each. A link carries a request there and its answer back."""

from threading import Event
from typing import Protocol

from ...device.protocol import Frame
from ...record.timing import Status


class Broken(Exception):  # noqa: N818 - a finding, not an error
    """No answer will come any more: why, as a timing's status and, but for a timeout, its reason."""

    def __init__(self, status: Status, reason: str = "") -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class Link(Protocol):
    """A way to one worker, which is there as long as the link is."""

    def exchange(self, request: Frame, within_s: float, stop: Event | None) -> Frame:
        """Return the answer. Raises Broken where none comes within the time or before `stop` is set."""

    def kill(self) -> None:
        """End the worker at once."""

    def close(self) -> None:
        """Let the worker go, and do not wait for it."""

    def end(self) -> None:
        """Let the worker go, and end it if it does not."""
