"""The workers of a measurement, one per target."""

from collections.abc import Mapping
from contextlib import ExitStack
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeVar

from ..device.protocol import Piece, Prepared
from ..record.target import Target
from .convert import loading
from .requests import Subjects
from .workers import Failed, Worker

STARTS: Final = 3
"""Starts per worker at most."""

_Answer = TypeVar("_Answer")


class Fleet:
    """Workers by target.

    folder: of the cache. timeout_s: limit of one request, after which its worker is killed.
    """

    def __init__(
        self, workers: Mapping[Target, Worker], subjects: Subjects, folder: Path, timeout_s: float
    ) -> None:  # fmt: skip
        self.workers, self.subjects, self.folder, self.timeout_s = workers, subjects, folder, timeout_s
        self.launch_s = dict.fromkeys(workers, 0.0)
        """Seconds that each target's last launch took: starting its process and loading parts."""

    def start(self, target: Target) -> Failed | None:
        """Start the worker of a target and import its runtime. Return the failure, or None."""
        begin = perf_counter()
        failed = self.workers[target].start(self.timeout_s)
        self.launch_s[target] = perf_counter() - begin
        return failed

    def relaunch(self, target: Target) -> Failed | None:
        """Replace the process of a target's worker by a new one, as start() starts it."""
        self.workers[target].release()
        return self.start(target)

    def ask(
        self, target: Target, request: Any, kind: type[_Answer], within_s: float = inf
    ) -> _Answer | Failed:  # fmt: skip
        """Send a request to the target's worker and return its answer."""
        return self.workers[target].ask(request, kind, min(self.timeout_s, within_s))

    def prepare(self, target: Target, piece: Piece, within_s: float = inf) -> Prepared | Failed:
        """Load a part on the target."""
        begin = perf_counter()
        request = loading(piece, target, self.subjects, self.folder)
        answer = request if isinstance(request, Failed) else self.ask(target, request, Prepared, within_s)
        self.launch_s[target] += perf_counter() - begin
        return answer

    def is_lost(self, target: Target) -> bool:
        """True if the target's worker has ended."""
        return not self.workers[target].is_alive

    def revive(self, target: Target) -> bool:
        """Start the target's worker again if it may be. Return True if it was."""
        if not self.workers[target].may_start:
            return False
        self.start(target)
        return True

    def end(self) -> None:
        """End all workers."""
        with ExitStack() as stack:  # an interrupt while one ends leaves no other behind
            for worker in self.workers.values():
                stack.callback(worker.end)
            for worker in self.workers.values():  # each takes a while to go
                worker.close()
