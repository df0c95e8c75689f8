"""The workers of a measurement, one per target."""

from collections.abc import Mapping
from contextlib import ExitStack
from math import inf
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import Any, Final, TypeVar

from ..device.protocol import PartKey, Prepared
from ..record.target import Target
from ..workers.requests import Subjects
from ..workers.worker import Failed, Worker
from .convert import loading

STARTS: Final = 3
"""Maximum of starts per worker."""

_Answer = TypeVar("_Answer")


class Interrupted(Exception):  # noqa: N818 - an expected result
    """Raised in a thread when the measurement was interrupted."""


class WorkerPool:
    """Workers by target.

    folder: of the cache. timeout_s: time limit per request, after which the worker is killed. stop: when it
    is set, requests raise Interrupted.
    """

    def __init__(
        self,
        workers: Mapping[Target, Worker],
        subjects: Subjects,
        folder: Path,
        timeout_s: float,
        stop: Event | None = None,
    ) -> None:
        self.workers, self.subjects, self.folder, self.timeout_s = workers, subjects, folder, timeout_s
        self.stop = stop
        self.launch_s = dict.fromkeys(workers, 0.0)
        """Seconds of each target's last launch: starting the process and loading parts."""

    def start(self, target: Target) -> Failed | None:
        """Start a target's worker and import its runtime. Return the failure, or None."""
        begin = perf_counter()
        failed = self.workers[target].start(self.timeout_s, self.stop)
        self._raise_if_stopped()
        self.launch_s[target] = perf_counter() - begin
        return failed

    def relaunch(self, target: Target) -> Failed | None:
        """Close the process of a target's worker and start another one."""
        self.workers[target].release()
        return self.start(target)

    def ask(
        self, target: Target, request: Any, kind: type[_Answer], within_s: float = inf
    ) -> _Answer | Failed:
        """Send a request to the target's worker and return its answer."""
        answer = self.workers[target].ask(request, kind, min(self.timeout_s, within_s), self.stop)
        self._raise_if_stopped()
        return answer

    def _raise_if_stopped(self) -> None:
        if self.stop and self.stop.is_set():
            raise Interrupted

    def prepare(self, target: Target, part: PartKey, within_s: float = inf) -> Prepared | Failed:
        """Load a part on the target."""
        begin = perf_counter()
        request = loading(part, target, self.subjects, self.folder)
        answer = request if isinstance(request, Failed) else self.ask(target, request, Prepared, within_s)
        self.launch_s[target] += perf_counter() - begin
        return answer

    def is_lost(self, target: Target) -> bool:
        """Return True if the target's worker has ended."""
        return not self.workers[target].is_alive

    def revive(self, target: Target) -> bool:
        """Restart the target's worker if that is allowed. Return True if it was restarted."""
        if not self.workers[target].may_start:
            return False
        self.start(target)
        return True

    def end(self) -> None:
        """Close all workers."""
        with ExitStack() as stack:  # all are closed, even after an interrupt
            for worker in self.workers.values():
                stack.callback(worker.end)
            for worker in self.workers.values():  # they exit in parallel
                worker.close()
