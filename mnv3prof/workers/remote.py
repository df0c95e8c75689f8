"""Workers on other devices: what a request names is sent there first."""

import dataclasses
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final, TypeVar

from ..device.protocol import Begin, Classify, Place, Placement, Prepare, Put, Stored
from ..record.target import Target
from . import cache
from .links.remote import Device
from .worker import Failed, Worker

_Answer = TypeVar("_Answer")
_IMAGES: Final = "images.npy"


class RemoteWorker(Worker):
    """A worker whose files are sent once, by digest. sent_bytes: of what was sent."""

    sent_bytes = 0

    def ask(
        self, request: object, kind: type[_Answer], within_s: float = inf, stop: Event | None = None
    ) -> _Answer | Failed:
        """Send the files of a request, and the request with their folder there."""
        until = monotonic() + within_s
        if isinstance(request, Prepare) and request.folder:
            try:
                folder = self._placed(_files(request), until, stop)
            except OSError as error:
                return Failed("crashed", f"its converted file cannot be read: {error.strerror}")
            if isinstance(folder, Failed):
                return folder
            request = dataclasses.replace(request, folder=folder)
            if isinstance(request, Classify):
                request = dataclasses.replace(request, images=f"{folder}/{_IMAGES}")
        return super().ask(request, kind, until - monotonic(), stop)

    def _placed(self, files: dict[str, tuple[str, Path]], until: float, stop: Event | None) -> str | Failed:
        """Send what is missing there. Return the folder with all files."""
        place = Place({name: digest for name, (digest, _) in files.items()})
        answer = super().ask(place, Placement, until - monotonic(), stop)
        for digest in () if isinstance(answer, Failed) else answer.missing:
            path = next((path for known, path in files.values() if known == digest), None)
            if path is None:
                return Failed("crashed", "it asks for a file that it was not offered")
            data = path.read_bytes()
            stored = super().ask(Put(digest, data), Stored, until - monotonic(), stop)
            if isinstance(stored, Failed):
                return stored
            self.sent_bytes += len(data)
        if not isinstance(answer, Failed) and answer.missing:
            answer = super().ask(place, Placement, until - monotonic(), stop)
        if isinstance(answer, Failed):
            return answer
        return answer.folder or Failed("crashed", "it does not keep the files that it was sent")


def _files(request: Prepare) -> dict[str, tuple[str, Path]]:
    """Return digest and path of each file that a request names. Raises OSError."""
    here = Path(request.folder)
    files = {name: (digest, here / name) for name, digest in cache.digests(here).items()}
    if isinstance(request, Classify):
        images = Path(request.images)
        files[_IMAGES] = (cache.digest(images), images)
    return files


def remote_worker(device: Device, target: Target, starts: float = inf) -> RemoteWorker:
    """Return a worker that times parts on a target of another device."""
    return RemoteWorker(lambda: device.link(target.threads), (Begin(target.backend),), starts)
