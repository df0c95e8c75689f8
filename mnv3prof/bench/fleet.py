"""The workers of a measurement, one a target."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

from ..device.protocol import Piece, Prepared
from ..record.target import Target
from .convert import loading
from .requests import Subjects
from .workers import Failed, Worker

STARTS: Final = 3
"""So often a worker is started, at most: it is lost with the parts that it had ready."""

_Answer = TypeVar("_Answer")


class Fleet:
    """The workers by target, each started when it is first asked.

    workers: not started yet. folder: of the cache. timeout_s: how long one request may take before its
    worker is ended.
    """

    def __init__(
        self, workers: Mapping[Target, Worker], subjects: Subjects, folder: Path, timeout_s: float
    ) -> None:  # fmt: skip
        self.workers, self.subjects, self.folder, self.timeout_s = workers, subjects, folder, timeout_s

    def start(self, target: Target) -> Failed | None:
        """Start the worker of a target, which imports its runtime; what it failed at, or None."""
        return self.workers[target].start(self.timeout_s)

    def ask(
        self, target: Target, request: Any, kind: type[_Answer], within_s: float = inf
    ) -> _Answer | Failed:  # fmt: skip
        """The answer of the target's worker."""
        return self.workers[target].ask(request, kind, min(self.timeout_s, within_s))

    def prepare(self, target: Target, piece: Piece, within_s: float = inf) -> Prepared | Failed:
        """Let the target's worker load a piece."""
        request = loading(piece, target, self.subjects, self.folder)
        return request if isinstance(request, Failed) else self.ask(target, request, Prepared, within_s)

    def is_lost(self, target: Target) -> bool:
        """Whether the target's worker has ended."""
        return not self.workers[target].is_alive

    def revive(self, target: Target) -> bool:
        """Whether a worker that has ended was started again."""
        if not self.workers[target].may_start:
            return False
        self.workers[target].start(self.timeout_s)
        return True

    def end(self) -> None:
        """End them all."""
        for worker in self.workers.values():  # each takes a while to go
            worker.close()
        for worker in self.workers.values():
            worker.end()
