"""Links to workers, one file each. A link carries requests to a worker and its answers back."""

from threading import Event
from typing import Protocol

from ...device.protocol import Frame
from ...record.timing import Status


class Broken(Exception):  # noqa: N818 - a finding, not an error
    """Raised when a worker cannot answer any more. reason: "" for a timeout."""

    def __init__(self, status: Status, reason: str = "") -> None:
        super().__init__(reason)
        self.status: Status = status
        self.reason = reason


class Link(Protocol):
    """A link to one worker, which runs as long as the link is open."""

    def exchange(self, request: Frame, within_s: float, stop: Event | None) -> Frame:
        """Send a request and return the answer. Raises Broken after the time limit or when `stop` is set."""

    def kill(self) -> None:
        """Kill the worker."""

    def close(self) -> None:
        """Ask the worker to end, without waiting."""

    def end(self) -> None:
        """Ask the worker to end, and kill it if it does not."""
