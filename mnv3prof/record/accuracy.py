"""Accuracy of a whole network on one target."""

from typing import Annotated, Final

import msgspec

from .target import Target

MOST_IMAGES: Final = 100_000
"""Limit of the images of one accuracy."""

_Images = Annotated[int, msgspec.Meta(ge=0, le=MOST_IMAGES)]


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """The whole network's answers to held-out images on one target.

    variant: as of a timing. data: the name of the images' data set. images: how many were classified;
    wrong: the indices, ascending, of those that were classified wrongly. All accuracies of one run and
    data set are of the same images. reason: why none was classified, or "".
    """

    variant: str = ""
    target: Target
    data: str = ""
    images: _Images = 0
    wrong: tuple[_Images, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for entries that contradict each other."""
        if bool(self.reason) == bool(self.images):
            raise ValueError("an accuracy must have either images or a reason why it has none")
        ordered = all(a < b for a, b in zip(self.wrong, self.wrong[1:], strict=False))
        if not ordered or (self.wrong and self.wrong[-1] >= self.images):
            raise ValueError("an accuracy's wrong must be ascending indices of its images")

    @property
    def right(self) -> int:
        """How many images were classified rightly."""
        return self.images - len(self.wrong)

    @property
    def share(self) -> float | None:
        """The share of images that were classified rightly; None without images."""
        return self.right / self.images if self.images else None
