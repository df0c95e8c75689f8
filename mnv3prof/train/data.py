"""Training data: labeled images, a fifth of each class held out."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..bench.progress import OnProgress, Progress
from ..graph.errors import InputError, one_line, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS: Final = "scikit-learn's digits"
"""Name of the data that need no folder."""

_HELD_OUT: Final = 5
_SPLIT_SEED: Final = 0
_MEMORY_SHARE: Final = 0.5
_MOST_PIXELS: Final = 50_000_000
"""Limit per image, whose decoding needs about 12 bytes per pixel."""
_SMALL_PIXELS: Final = 4_000_000
_one_large = Lock()
"""Larger images are decoded one at a time, small ones in parallel."""
_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)


class Pixels:
    """Images (N, 3, H, W), stored as uint8; indexing returns them normalized in fp32."""

    def __init__(self, data: Tensor, mean: Sequence[float], std: Sequence[float]) -> None:
        self.data = data
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (mean, std))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        return (self.data[which].float() / 255 - self.mean) / self.std


Images = Tensor | Pixels


class Data(NamedTuple):
    """Images with their labels. held: the held-out fifth of each class.

    mean, std: per channel, with which the images, from 0 to 1, were normalized. skipped: (file, reason) of
    each file that is not an image.
    """

    name: str
    classes: tuple[str, ...]
    train_images: Images
    train_labels: Tensor
    held_images: Images
    held_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the names, images and labels, in hexadecimal."""
        digest = hashlib.sha256(repr((self.name, self.classes, self.mean, self.std)).encode())
        for images, labels in ((self.train_images, self.train_labels), (self.held_images, self.held_labels)):
            stored = images.data if isinstance(images, Pixels) else images[:, 0]
            for some in (*torch.split(stored, 256), labels):
                digest.update(some.numpy().tobytes())
        return digest.hexdigest()


def digits(size: tuple[int, int]) -> Data:
    """Load scikit-learn's 1,797 digits, upsampled to `size` (H, W), in 3 channels.

    Raises InputError if scikit-learn is not installed, or the images do not fit into memory.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise InputError(_not_installed("digits", "scikit-learn")) from None
    loaded = load_digits()
    _refuse_too_many(len(loaded.images), 4 * size[0] * size[1], "digits")
    gray = torch.tensor(loaded.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(loaded.target)
    train, held = _split(labels)
    mean, std = gray[train].mean().item(), gray[train].std().item()
    large = F.interpolate(gray, size, mode="bilinear", align_corners=False)
    images = ((large - mean) / std).expand(-1, 3, -1, -1)
    names = tuple(str(name) for name in loaded.target_names)
    return Data(
        DIGITS, names, images[train], labels[train], images[held], labels[held], (mean,) * 3, (std,) * 3
    )


def image_folder(path: Path, size: tuple[int, int], on_progress: OnProgress = lambda _: None) -> Data:
    """Load the images under `path`, center-cropped and resized to `size` (H, W).

    Each folder in `path` is a class. Images are normalized with ImageNet's mean and standard deviation.
    Files that are not images are skipped. Raises InputError for fewer than two classes, a class of fewer
    than two images, an unreadable folder, too many images for memory, or if Pillow is not installed.
    """
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise InputError(_not_installed("data", "Pillow")) from None
    files = _files(path)
    classes = tuple(files)
    listed = [(file, label) for label, name in enumerate(classes) for file in files[name]]
    _refuse_too_many(len(listed), 3 * size[0] * size[1], str(path))
    pixels, labels, skipped = _decoded(listed, size, on_progress)
    _refuse_small_classes(path, classes, labels, skipped)
    train, held = _split(labels)
    images = [Pixels(pixels[which], _IMAGENET_MEAN, _IMAGENET_STD) for which in (train, held)]
    return Data(
        printable(path.resolve().name),
        tuple(map(printable, classes)),
        images[0],
        labels[train],
        images[1],
        labels[held],
        _IMAGENET_MEAN,
        _IMAGENET_STD,
        skipped,
    )


def _not_installed(what: str, package: str) -> str:
    return f"{what}: {package} is not installed; pip install 'mnv3prof[train]'"


def _split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices for training and the held-out fifth, always the same."""
    generator = torch.Generator().manual_seed(_SPLIT_SEED)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in torch.unique(labels):
        (members,) = torch.nonzero(labels == label, as_tuple=True)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        held[shuffled[: max(1, round(len(members) / _HELD_OUT))]] = True
    return torch.nonzero(~held)[:, 0], torch.nonzero(held)[:, 0]


def _files(path: Path) -> dict[str, list[Path]]:
    """Return the files by class, without hidden ones."""
    try:
        if not path.is_dir():
            what = "is not a folder" if path.exists() else "no such folder"
            raise InputError(f"{path}: {what}; expected a folder with one folder of images per class")
        folders = sorted(place for place in path.iterdir() if place.is_dir() and place.name[0] != ".")
        files = {
            place.name: sorted(file for file in place.rglob("*") if file.is_file() and file.name[0] != ".")
            for place in folders
        }
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(files) < 2:
        has = f"only the folder {folders[0].name}" if folders else "no folders"
        raise InputError(f"{path}: has {has}; expected two or more folders, each with images of a class")
    return files


def _refuse_too_many(count: int, bytes_each: int, what: str) -> None:
    import psutil

    most = int(_MEMORY_SHARE * psutil.virtual_memory().available)
    if count * bytes_each > most:
        raise InputError(
            f"{what}: {count:,} images take {count * bytes_each / 2**30:.1f} GiB at this input size; "
            f"expected at most {most / 2**30:.1f} GiB on this machine"
        )


def _decoded(
    listed: Sequence[tuple[Path, int]], size: tuple[int, int], on_progress: OnProgress
) -> tuple[Tensor, Tensor, tuple[tuple[str, str], ...]]:
    """Return pixels (N, 3, H, W) in uint8, labels, and (file, reason) if skipped."""
    pixels = torch.empty(len(listed), 3, *size, dtype=torch.uint8)
    labels: list[int] = []
    skipped: list[tuple[str, str]] = []
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(os.cpu_count()) as pool:
        images = pool.map(lambda item: _decode(item[0], size), listed)
        for number, ((file, label), image) in enumerate(zip(listed, images, strict=True), 1):
            share = number / len(listed)
            on_progress(Progress(f"{number:,} of {len(listed):,}", share, phase="reading images"))
            if isinstance(image, str):
                skipped.append((printable(str(file)), image))
            else:
                pixels[len(labels)] = torch.from_numpy(image).permute(2, 0, 1)
                labels.append(label)
    return pixels[: len(labels)], torch.tensor(labels, dtype=torch.int64), tuple(skipped)


def _decode(file: Path, size: tuple[int, int]) -> "NDArray[np.uint8] | str":
    """Return the pixels (H, W, 3), or the reason why the file is skipped."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if image.width * image.height > _MOST_PIXELS:
                return f"{image.width}x{image.height} pixels; expected at most {_MOST_PIXELS:,}"
            image.draft("RGB", (2 * max(size), 2 * max(size)))  # decode a JPEG at reduced size
            with _one_large if image.width * image.height > _SMALL_PIXELS else nullcontext():
                upright = ImageOps.exif_transpose(image).convert("RGB")
                return np.array(ImageOps.fit(upright, size[::-1], Image.Resampling.BILINEAR))
    except Exception as error:  # decoders raise errors of any type for damaged files
        return one_line(f"{type(error).__name__}: {error}".replace(repr(str(file)), "the file"))[:200]


def _refuse_small_classes(
    path: Path, classes: Sequence[str], labels: Tensor, skipped: Sequence[tuple[str, str]]
) -> None:
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    for name, count in zip(classes, counts, strict=True):
        if count < 2:
            first = (
                f"; {len(skipped)} skipped, the first {Path(skipped[0][0]).name}: {skipped[0][1]}"
                if skipped
                else ""
            )
            raise InputError(
                f"{path}: class {name} has {count} readable images; expected at least 2, one of them held out"
                f"{first}"
            )
