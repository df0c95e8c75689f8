"""The worker process: it loads parts on one runtime and times them on request."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import asdict, replace
from importlib import import_module
from itertools import count, takewhile
from math import ceil, isfinite
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable

from .agreement import as_arrays, worst_errors
from .canary import product_s
from .clock import PRODUCT, Burst, burst
from .process import Line, settle
from .protocol import (
    Begin,
    Begun,
    Classified,
    Classify,
    Operators,
    OperatorTimes,
    PartKey,
    PlanMemory,
    Planned,
    Prepare,
    Prepared,
    Sample,
    encoded,
)
from .runtimes import Call, Job, Unavailable, Unsupported, runtime
from .state import state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .protocol import Frame
    from .runtimes import Arrays

    Handlers = Mapping[type[Any], Callable[[Any], Any]]
    Reader = Callable[[type[Any], dict[str, Any]], Any]

_GRACE_S = 5
"""Seconds between the time limit of a request and the end of the worker's process."""


class Runner:
    """A runtime with its loaded parts.

    find: returns the runtime's module by name. load: returns the job of a request. watch: also note what the
    device says of itself, and how fast a fixed product is, beside each burst.
    """

    def __init__(
        self, find: Callable[[str], Any], load: Callable[[Prepare], Job], *, watch: bool = False
    ) -> None:
        self.find, self.load, self.watch = find, load, watch
        self.runtime: Any = None
        self.calls: dict[PartKey, Call] = {}
        self.bursts: Counter[PartKey] = Counter()

    @property
    def handlers(self) -> Handlers:
        """Handlers of requests, by class."""
        return {
            Begin: self.begin,
            Prepare: self.prepare,
            Sample: self.sample,
            Operators: self.operators,
            PlanMemory: self.planned,
            Classify: self.classify,
        }

    def begin(self, request: Begin) -> Begun:
        """Import the runtime."""
        self.runtime = self.find(request.runtime)
        for module in self.runtime.IMPORTS:
            import_module(module)
        return Begun(str(getattr(self.runtime, "chip", lambda: "cpu")()))

    def prepare(self, request: Prepare) -> Prepared:
        """Load a part and run it once."""
        job = self.load(request)
        start = perf_counter()
        call = self.runtime.load(job)(job.given)
        loaded = perf_counter()
        outputs = call()
        first_s = perf_counter() - loaded
        off = (value if isfinite(value) else None for value in worst_errors(outputs, job.expected))
        self.calls[request.part] = call
        return Prepared(loaded - start, first_s, *off)

    def sample(self, request: Sample) -> Burst:
        """Time a loaded part."""
        self.bursts[request.part] += 1
        before = product_s() if self.watch else 0.0
        found = burst(self.calls[request.part], request.seconds, self.bursts[request.part])
        if not self.watch:
            return found
        product = {PRODUCT: round(max(before, product_s()), 9)}
        return replace(found, state={**found.state, **state(), **product})

    def operators(self, request: Operators) -> OperatorTimes:
        """Run the runtime's profiler."""
        profiler = getattr(self.runtime, "operators", None)
        if profiler is None:
            raise Unsupported("the runtime has no per-operator profiler")
        return OperatorTimes(profiler(self.load(request), request.calls))

    def planned(self, request: PlanMemory) -> Planned:
        """Return the arena that the runtime plans."""
        arena: Planned = self.runtime.planned(self.load(request))
        return arena

    def classify(self, request: Classify) -> Classified:
        """Return the class of each image."""
        import numpy as np

        job = self.load(request)
        if len(job.given) != 1 or job.given[0].dtype != np.float32:
            raise Unsupported("it classifies images, by a network with one input of floats")
        (given,) = job.given
        bind, batch = self.runtime.load(job), len(given)
        images = np.load(request.images, mmap_mode="r")
        found: list[int] = []
        for start in range(0, len(images), batch):
            # The last batch is filled with its first images.
            some = np.array(np.resize(images[start : start + batch], given.shape), np.float32)
            found += _classes(bind((some,))(), batch)
        return Classified(tuple(found[: len(images)]))


def _classes(outputs: Any, batch: int) -> list[int]:
    """Return the index of each image's largest value in the first output, -1 where one is not finite."""
    import numpy as np

    rows = as_arrays(outputs)[0].reshape(batch, -1)
    return [int(row.argmax()) if np.isfinite(row).all() else -1 for row in rows]


def job_from_files(request: Prepare) -> Job:
    """Read a job from its folder; without one, input and output are the number 1."""
    import numpy as np

    if not request.folder:
        ones = (np.ones(1, np.float32),)
        return Job(request.part.part, "", ones, ones, request.dtype, request.threads)
    folder = Path(request.folder)
    given, expected = (arrays(folder, name) for name in ("given", "expected"))
    return Job(request.part.part, folder / request.main, given, expected, request.dtype, request.threads)


def arrays(folder: Path, name: str) -> Arrays:
    """Read the arrays NAME0.npy, NAME1.npy, ..., of a folder."""
    import numpy as np

    files = (folder / f"{name}{n}.npy" for n in count())
    return tuple(np.load(file, allow_pickle=False) for file in takewhile(Path.exists, files))


def serve(line: Line, handlers: Handlers, read: Reader) -> None:
    """Answer requests until the end of input.

    handlers: by class of request. read: creates a request from its class and fields. Raises OSError if the
    other end is closed.
    """
    classes = {known.__name__: known for known in handlers}
    while True:
        frame = line.receive()
        if frame is None:
            return
        line.send(_answer(frame, classes, handlers, read))


def _answer(frame: Frame, classes: Mapping[str, type[Any]], handlers: Handlers, read: Reader) -> Frame:
    try:
        fields = json.loads(frame.header)
        kind, within_s = classes[fields.pop("do")], fields.pop("within_s")
        if frame.raw:
            fields["raw"] = frame.raw
        _set_alarm(within_s)
        answer = handlers[kind](read(kind, fields))
        return encoded(answer if isinstance(answer, dict) else asdict(answer))
    except Unsupported as error:
        return encoded({"failed": str(error), "status": "unsupported"})
    except Unavailable as error:
        return encoded({"failed": str(error), "status": "not available"})
    except Exception as error:  # runtimes raise errors of any type
        return encoded({"failed": _in_a_line(error), "status": "crashed"})
    finally:
        _set_alarm(None)


def _set_alarm(within_s: float | None) -> None:
    """End the process after the time limit, even if the runtime holds the GIL."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(0 if within_s is None else ceil(within_s) + _GRACE_S)


def _in_a_line(error: Exception) -> str:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    text = f"{type(error).__name__}: {first}".rstrip(": ")[:200]
    return text.encode("utf-8", "replace").decode()  # a file name can contain lone surrogates


def read_request(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Create a request from its class and fields."""
    if "part" in fields:
        fields["part"] = PartKey(*fields["part"])
    return kind(**fields)


def main(token: str) -> None:
    """Serve the runtime that the first request names. token: of the process that reads the answers."""
    settle()
    serve(Line(token), Runner(runtime, job_from_files).handlers, read_request)
