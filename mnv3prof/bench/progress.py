"""What a long step reports while it lasts."""

from collections.abc import Callable
from typing import Final, NamedTuple

PEAKS: Final = "measuring peak rates"
SAMPLING: Final = "sampling"
OPERATORS: Final = "profiling operators"


class Progress(NamedTuple):
    """The current step.

    what: e.g. "block 12 on litert". share: part of the phase that is done. left_s: seconds until the phase
    ends. phase: the longer step that this one is part of, e.g. "sampling"; "" if `what` is not part of one.

    >>> steps = []
    >>> _ = mnv3prof.measure("small", "null", parts="net", budget_s=0.1, on_progress=steps.append)
    >>> "sampling" in [step.phase for step in steps]
    True
    """

    what: str
    share: float | None = None
    left_s: float | None = None
    phase: str = ""

    @property
    def title(self) -> str:
        """The phase, or the step if it is not part of one."""
        return self.phase or self.what

    @property
    def text(self) -> str:
        """The phase and the step."""
        return f"{self.phase}: {self.what}" if self.phase else self.what


OnProgress = Callable[[Progress], None]
"""Called with each step."""


def within(phase: str, on_progress: OnProgress) -> OnProgress:
    """Return a function that passes steps on as parts of a phase."""
    return lambda progress: on_progress(progress._replace(phase=phase))
