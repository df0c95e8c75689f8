"""Description of the machine that a worker runs on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import state
from .process import available_memory
from .protocol import Machine

if TYPE_CHECKING:
    from .protocol import Describe

_MODELS = ("/proc/device-tree/model", "/sys/devices/virtual/dmi/id/product_name")
_CPUINFO = "/proc/cpuinfo"
_ARM = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse N2",
}
"""Parts of the implementer 0x41 (Arm), whose /proc/cpuinfo has no model name."""
_LONGEST = 200


def describe(request: Describe, allowed: tuple[int, ...] = (), cores: int | None = None) -> Machine:
    """Return what is known of the machine. allowed, cores: as in Machine, by default those of the process."""
    return Machine(
        model=next(filter(None, map(_read, _MODELS)), ""),
        cpu=cpu(),
        architecture=platform.machine(),
        cores=cores or len(state.affinity()),
        memory_bytes=memory_bytes(),
        os=platform.platform(),
        python=platform.python_version(),
        versions=_versions(request.packages),
        capacities=state.capacities(),
        max_hz=state.max_hz(),
        governors=state.governors(),
        state=state.state(),
        allowed=allowed,
        cpus=state.affinity() if allowed else (),
    )


def cpu() -> str:
    """Return the name of the processor, or its architecture."""
    if sys.platform == "darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, timeout=5, check=True).stdout.decode().strip()
    lines = _read(_CPUINFO, 65_536).splitlines()
    fields = [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]
    named = [value for key, value in fields if key in ("model name", "Hardware") and value]
    arm = _arm(fields)
    return (named or [arm] if arm else named or [platform.processor() or platform.machine()])[0][:_LONGEST]


def _arm(fields: list[tuple[str, str]]) -> str:
    """Return the names of the cores of an ARM processor, e.g. "4 × Cortex-A55, 4 × Cortex-A76"."""
    makers = [value for key, value in fields if key == "CPU implementer"]
    parts = [value.lower() for key, value in fields if key == "CPU part"]
    names = [
        _ARM.get(part, f"Arm {part}") if maker == "0x41" else f"{maker} {part}"
        for maker, part in zip(makers, parts)
    ]
    return ", ".join(f"{names.count(name)} × {name}" for name in sorted(set(names)))


def memory_bytes() -> int:
    """Return the size of the memory."""
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return available_memory()


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = str(version(package))[:_LONGEST]
    return found


def _read(path: str, most: int = _LONGEST) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(most).decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""
