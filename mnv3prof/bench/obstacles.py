"""Targets that are known not to run here, before anything is converted."""

from collections.abc import Callable, Iterable

from ..graph.errors import InputError, shortened
from ..record.target import Target
from ..workers.backends import backend, convertible, needs_pytorch, usable
from ..workers.formats import get_format
from ..workers.worker import Failed


def obstacle(target: Target) -> Failed | None:
    """Return the known reason why nothing can be timed on the target, or None: of one on another device, why
    no part can be converted here.
    """
    if target.device:
        return _unconvertible(target)
    if not (known := usable(target.backend)).ok:
        return Failed("not available", known.reason)
    return _misfit(target)


def _unconvertible(target: Target) -> Failed | None:
    name = target.backend
    if needs_pytorch(name):
        return Failed("unsupported", "PyTorch's backends are timed on this machine only")
    if name == "executorch":
        reason = "ExecuTorch's Python package needs PyTorch there; run its executor_runner there, and import"
        return Failed("unsupported", f"{reason} what it prints")
    if not (known := convertible(name)).ok:
        return Failed("not available", known.reason)
    return _misfit(target)


def _misfit(target: Target) -> Failed | None:
    file = backend(target.backend)
    if target.dtype not in file.DTYPES:
        return Failed("unsupported", f"it supports {', '.join(file.DTYPES)}, not {target.dtype}")
    most = getattr(get_format(file.FORMAT), "MOST_IMAGES", target.batch) if file.FORMAT else target.batch
    if target.batch > most:
        return Failed("unsupported", f"it supports batch {most}, not {target.batch}")
    return None


def require_one(
    targets: Iterable[Target], where: str, obstacle: Callable[[Target], Failed | None] = obstacle
) -> None:
    """Raise InputError about `where` with all reasons if no target can run."""
    reasons: dict[str, dict[str, None]] = {}
    for target in targets:
        if (failed := obstacle(target)) is None:
            return
        reasons.setdefault(failed.reason, {})[target.place] = None
    if reasons:
        listed = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
        raise InputError(shortened(f"{where}: no target can run here; ", listed))
