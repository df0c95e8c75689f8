"""Accuracy of the whole network on each target, on held-out images."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..device.protocol import Classify, PartKey, Prepare
from ..graph.parts import NET
from ..record.accuracy import Accuracy
from ..record.target import Target, labels
from ..record.timing import Timing
from ..workers.requests import Subjects
from ..workers.worker import Failed, Worker, runtime_worker
from .convert import convert, file_kind, loading
from .progress import OnProgress, Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


WorkerOf = Callable[[Target, Subjects], Worker]
"""Returns a worker that times parts of the subjects on a target."""


class HeldOut(NamedTuple):
    """Labelled images on which the network was not trained.

    data: the name of their data set. images: (M, 3, H, W), normalized, fp32.
    """

    data: str
    images: "NDArray[np.float32]"
    labels: tuple[int, ...]


class _Classified(msgspec.Struct):
    """The answer of a worker."""

    classes: tuple[int, ...]


def measure_accuracies(
    subjects: Subjects,
    timings: Sequence[Timing],
    held_out: HeldOut,
    folder: Path,
    timeout_s: float,
    on_progress: OnProgress = lambda _: None,
    worker_of: WorkerOf = runtime_worker,
) -> tuple[tuple[Accuracy, ...], bool]:
    """Classify the images with each whole network in `timings`, in one process per target.

    folder: of the cache. Return the accuracies, and False if an interrupt ended it: they are those so far.
    A network that was not timed has an accuracy with its reason.
    """
    networks = [timing for timing in timings if timing.part == NET]
    names = labels(timing.target for timing in networks)
    accuracies: list[Accuracy] = []
    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as temporary:
        import numpy as np

        file = Path(temporary) / "images.npy"
        np.save(file, held_out.images)
        try:
            for timing in networks:
                what = f"{len(held_out.labels)} held-out images on {names[timing.target]}"
                on_progress(Progress(what, phase="classifying"))
                accuracies.append(_accuracy(timing, subjects, held_out, file, folder, timeout_s, worker_of))
        except KeyboardInterrupt:
            return tuple(accuracies), False
    return tuple(accuracies), True


def _accuracy(
    timing: Timing,
    subjects: Subjects,
    held_out: HeldOut,
    file: Path,
    folder: Path,
    timeout_s: float,
    worker_of: WorkerOf,
) -> Accuracy:
    known = Accuracy(variant=timing.variant, target=timing.target, data=held_out.data, reason="not measured")
    if timing.status not in ("ok", "mismatch"):
        return msgspec.structs.replace(known, reason=timing.reason or timing.status)
    part = PartKey(timing.variant, NET)
    answer = _classes(part, timing.target, subjects, file, folder, timeout_s, worker_of)
    if isinstance(answer, Failed):
        return msgspec.structs.replace(known, reason=answer.reason or answer.status)
    if len(answer) != len(held_out.labels):
        reason = f"it answered {len(answer)} of {len(held_out.labels)} images"
        return msgspec.structs.replace(known, reason=reason)
    pairs = zip(answer, held_out.labels, strict=True)
    wrong = tuple(number for number, (found, label) in enumerate(pairs) if found != label)
    return msgspec.structs.replace(known, images=len(answer), wrong=wrong, reason="")


def _classes(
    part: PartKey,
    target: Target,
    subjects: Subjects,
    file: Path,
    folder: Path,
    timeout_s: float,
    worker_of: WorkerOf,
) -> tuple[int, ...] | Failed:
    """Return the class of each image, from the target's own runtime."""
    ready = _ready(part, target, subjects, folder, timeout_s)
    if isinstance(ready, Failed):
        return ready
    request = Classify(part, ready.folder, ready.main, ready.dtype, ready.threads, str(file))
    with worker_of(target, subjects) as worker:
        answer = worker.ask(request, _Classified, timeout_s)
    return answer if isinstance(answer, Failed) else answer.classes


def _ready(
    part: PartKey, target: Target, subjects: Subjects, folder: Path, timeout_s: float
) -> Prepare | Failed:
    """Return the request to load the network, which is converted again if it left the cache."""
    if kind := file_kind(target):
        converted = convert({kind: (part,)}, subjects, folder, timeout_s=timeout_s)[kind, part]
        if isinstance(converted, Failed):
            return converted
    return loading(part, target, subjects, folder)
