"""Description of this machine and of its runtimes."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from ..record.run import Host, Runtime
from ..workers.backends import backend, compiles, usable
from ..workers.formats import get_format

_GIT_S: Final = 5
_ALWAYS: Final = ("mnv3prof", "torch", "numpy")


def describe(backends: Iterable[str], known: Host | None = None) -> Host:
    """Return this machine with the versions of the backends and their converters, and what was measured of
    the `known` one.
    """
    import psutil

    runtimes = {}
    packages = set(_ALWAYS)
    for name in backends:
        state = usable(name)
        runtimes[name] = Runtime(
            state.version, state.chip, backend(name).PEAK if state.ok else "", compiles(name)
        )
        packages |= set(get_format(backend(name).FORMAT).PACKAGES if backend(name).FORMAT else ())
    chips = {runtime.chip for runtime in runtimes.values()} - {"cpu", ""}
    return Host(
        cpu=processor(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        gpu=", ".join(sorted(chips)),
        os=platform.platform(),
        python=platform.python_version(),
        versions=_versions(packages),
        runtimes=runtimes,
        peak_rates=known.peak_rates if known else (),
        other_loads=known.other_loads if known else (),
    )


def commit() -> str:
    """Return the commit of the repository that the current folder is in, "" without one or without git."""
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.strip() if re.fullmatch(r"[0-9a-f]{40,64}\n", told.stdout) else ""


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in sorted(packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the model name of the CPU, if the operating system reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
