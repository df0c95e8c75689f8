"""The worker processes of a measurement, one a backend."""

from math import inf
from pathlib import Path
from typing import Any, Final

from . import processes
from .convert import loading
from .processes import Worker
from .worker import Failed, Piece, Prepared, Setup, serve_runtime

_RESTARTS: Final = 2


class Fleet:
    """The workers by backend; one that was lost is started anew, a few times.

    folder: of the cache. timeout_s: how long one request may take before its worker is ended.
    """

    def __init__(self, setup: Setup, folder: Path, timeout_s: float) -> None:
        self.setup = setup
        self.folder = folder
        self.timeout_s = timeout_s
        self.workers: dict[str, Worker] = {}
        self.restarts: dict[str, int] = {}

    def start(self, name: str) -> None:
        """Start the worker of a backend."""
        self.workers[name] = processes.start(serve_runtime, name, self.setup)

    def ask(self, name: str, request: Any, within_s: float = inf) -> Any:
        """The answer of the backend's worker."""
        if name not in self.workers:
            return Failed("crashed", "its worker has ended too often")
        answer = processes.ask(self.workers[name], request, min(self.timeout_s, within_s))
        if not processes.is_alive(self.workers[name]):
            del self.workers[name]
        return answer

    def prepare(self, name: str, piece: Piece, within_s: float = inf) -> Prepared | Failed:
        """Let the backend's worker load a piece."""
        request = loading(name, piece, self.setup, self.folder)
        return request if isinstance(request, Failed) else self.ask(name, request, within_s)

    def revive(self, name: str) -> bool:
        """Whether a worker that has ended was started again."""
        if name in self.workers or self.restarts.get(name, 0) >= _RESTARTS:
            return False
        self.restarts[name] = self.restarts.get(name, 0) + 1
        self.start(name)
        return True

    def end(self) -> None:
        """End them all."""
        workers = list(self.workers.values())
        for worker in workers:  # each takes a while to go
            worker.line.close()
        for worker in workers:
            processes.end(worker)
