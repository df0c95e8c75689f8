"""A link without a process, answered by a function, to test the scheduler."""

import json
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Any

import msgspec

from ...device.protocol import Frame
from . import Broken

Script = Callable[[dict[str, Any]], Any]
"""From a request's fields to the answer: a dataclass, a Struct, its fields, or a Frame. Raises Broken."""


class Fake:
    """A link that is answered by a script. requests: all requests, in order."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.is_open = True

    def exchange(self, request: Frame, within_s: float, stop: Event | None) -> Frame:
        """Return the script's answer. Raises Broken after the time limit."""
        if not self.is_open:
            raise Broken("crashed", "the link is closed")
        self.requests.append(json.loads(request.header))
        start = monotonic()
        answer = self.script(self.requests[-1])
        if monotonic() - start > within_s or (stop and stop.is_set()):
            raise Broken("timeout")
        return answer if isinstance(answer, Frame) else Frame(msgspec.json.encode(answer))

    def close(self) -> None:
        """Refuse further requests."""
        self.is_open = False

    end = kill = close
