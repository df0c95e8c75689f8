"""The worker processes of a measurement, one a target."""

from math import inf
from pathlib import Path
from typing import Any, Final

from ..record.target import Target
from . import processes
from .convert import loading
from .processes import Worker
from .worker import Failed, Piece, Prepared, Setup, Subjects, serve_runtime

_RESTARTS: Final = 2


class Fleet:
    """The workers by target; one that was lost is started anew, a few times.

    folder: of the cache. timeout_s: how long one request may take before its worker is ended.
    """

    def __init__(self, subjects: Subjects, folder: Path, timeout_s: float) -> None:
        self.subjects = subjects
        self.folder = folder
        self.timeout_s = timeout_s
        self.workers: dict[Target, Worker] = {}
        self.restarts: dict[Target, int] = {}

    def start(self, target: Target) -> None:
        """Start the worker of a target."""
        self.workers[target] = processes.start(serve_runtime, Setup(self.subjects, target))

    def ask(self, target: Target, request: Any, within_s: float = inf) -> Any:
        """The answer of the target's worker."""
        if target not in self.workers:
            return Failed("crashed", "its worker has ended too often")
        answer = processes.ask(self.workers[target], request, min(self.timeout_s, within_s))
        if not processes.is_alive(self.workers[target]):
            del self.workers[target]
        return answer

    def prepare(self, target: Target, piece: Piece, within_s: float = inf) -> Prepared | Failed:
        """Let the target's worker load a piece."""
        request = loading(piece, Setup(self.subjects, target), self.folder)
        return request if isinstance(request, Failed) else self.ask(target, request, within_s)

    def revive(self, target: Target) -> bool:
        """Whether a worker that has ended was started again."""
        if target in self.workers or self.restarts.get(target, 0) >= _RESTARTS:
            return False
        self.restarts[target] = self.restarts.get(target, 0) + 1
        self.start(target)
        return True

    def end(self) -> None:
        """End them all."""
        workers = list(self.workers.values())
        for worker in workers:  # each takes a while to go
            worker.line.close()
        for worker in workers:
            processes.end(worker)
