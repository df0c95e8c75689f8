"""What is known to be impossible here, before anything is converted or run."""

from collections.abc import Callable, Iterable

from ..graph.errors import InputError, shortened
from ..record.target import Target
from .backends import backend, usable
from .formats import form
from .workers import Failed


def obstacle(target: Target) -> Failed | None:
    """Return why nothing can be timed on the target, as far as that is known; None if nothing is."""
    file = backend(target.backend)
    if not (found := usable(target.backend)).ok:
        return Failed("absent", found.reason)
    if target.dtype not in file.DTYPES:
        return Failed("unsupported", f"it takes {', '.join(file.DTYPES)}, not {target.dtype}")
    most = getattr(form(file.FORMAT), "MOST_IMAGES", target.batch) if file.FORMAT else target.batch
    if target.batch > most:
        return Failed("unsupported", f"it takes batch {most}, not {target.batch}")
    return None


def require_one(
    targets: Iterable[Target], where: str, obstacle: Callable[[Target], Failed | None] = obstacle
) -> None:  # fmt: skip
    """Raise InputError about `where`, with each reason once, if every target has an obstacle."""
    found = [(target.backend, obstacle(target)) for target in targets]
    reasons: dict[str, dict[str, None]] = {}
    for name, failed in found:
        if failed is None:
            return
        reasons.setdefault(failed.reason, {})[name] = None
    if reasons:
        told = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
        raise InputError(shortened(f"{where}: none of it can run here; ", told))
