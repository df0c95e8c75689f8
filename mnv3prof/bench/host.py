"""What machine this is."""

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name, as its maker gives it where the operating system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
