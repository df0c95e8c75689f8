"""Machines whose workers a test makes."""

from collections.abc import Callable
from typing import Any

from mnv3prof.bench.obstacles import obstacle
from mnv3prof.record.target import Target
from mnv3prof.workers.worker import Failed, Worker


class Scripted:
    """Where every target runs on a worker that `make` returns for a target and the subjects.

    checked: names of devices that are emulated.
    """

    def __init__(self, make: Callable[[Any, Any], Worker], checked: tuple[str, ...] = ()) -> None:
        self.make, self.checked = make, checked

    def obstacle(self, target: Target) -> Failed | None:
        return None if target.device else obstacle(target)

    def worker(self, target: Target, subjects: Any, starts: float = 1) -> Worker:
        return self.make(target, subjects)

    def only_checks(self, target: Target) -> bool:
        return target.device in self.checked
