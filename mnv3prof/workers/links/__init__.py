"""Links, which carry requests to workers and the answers back, one module each."""

from threading import Event
from typing import Protocol

from ...device.protocol import Frame
from ...record.timing import Status


class Broken(Exception):  # noqa: N818 - an expected result
    """Raised if a worker cannot answer any more. reason: "" for a timeout."""

    def __init__(self, status: Status, reason: str = "") -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class Link(Protocol):
    """A link to one worker, which runs as long as the link is open."""

    def exchange(self, request: Frame, within_s: float, stop: Event | None) -> Frame:
        """Send a request and return the answer. Raises Broken, also if `stop` is set."""

    def kill(self) -> None:
        """Kill the worker."""

    def close(self) -> None:
        """Close the worker's input, at which it exits, without waiting."""

    def end(self) -> None:
        """Close the worker's input, and kill the worker if it does not exit."""
