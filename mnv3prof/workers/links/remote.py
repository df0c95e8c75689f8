"""A link to a worker on another device, by ssh or adb. No shell of this machine reads any of it."""

import re
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Final

import msgspec

from ... import device
from ...record.timing import Status
from . import Broken
from .process import Ended, Process

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""Names of devices."""

MOST_ANSWER: Final = 8 * 2**20
"""Largest answer that is read from a device, in bytes."""
_CONNECT_S: Final = 10
_ALIVE_S: Final = 15
_SSH: Final = (
    *("ssh", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}"),
    *("-o", f"ServerAliveInterval={_ALIVE_S}", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"),
)
_ADVICE: Final = {
    "Host key verification failed": "run `{shown}` once and accept its key, if that is the device's",
    "Permission denied": "let `{shown}` log in without a password, e.g. by ssh-copy-id or ssh-agent",
    "Could not resolve": 'expected a host, or an entry with ssh = "HOST"',
    "Connection refused": "start its ssh server",
    "timed out": "check that it is on and that `{shown}` works",
    "No route to host": "check that it is on and that `{shown}` works",
    "device unauthorized": "allow this computer on its screen",
    "device offline": "connect it again",
    "not found": "see `adb devices` for serial numbers",
}
"""What to do, by what ssh and adb say of it."""
_START: Final = "sh -c 'echo mnv3prof process $$; exec {python} -B -c \"{boot}\"'"
"""Run by the login shell there. The number is for END."""
END: Final = (
    "sh -c '{{ cat /proc/{number}/cmdline || ps -ww -o args= -p {number}; }} 2>/dev/null "
    "| grep -aq zlib.decompress && {{ kill -9 -{number} 2>/dev/null || kill -9 {number}; }}'"
)
"""Kills a worker that did not end by itself, with what it started, if that is still its number.

macOS has no /proc; Android's ps is not that of POSIX.
"""
_BOOT: Final = "import sys,zlib;exec(zlib.decompress(sys.stdin.buffer.read({size})))"
_OLD: Final = re.compile(r"Python \d\.\d+")
"""What a Python that is too old writes."""
_SSH_FAILED: Final = 255
_NOT_EXECUTABLE: Final = 126
_NOT_FOUND: Final = 127


class Device(msgspec.Struct, frozen=True):
    """How a device is reached, and what is used there.

    name: as after the @ of a backend. ssh: a destination; adb: a serial number; one of the two. python: the
    interpreter there. cpus: the cores to use, () for the fastest ones where they differ, else any. emulated:
    its times mean nothing, so that outputs are only checked.
    """

    name: str
    ssh: str = ""
    adb: str = ""
    python: str = "python3"
    cpus: tuple[int, ...] = ()
    emulated: bool = False

    def command(self, *words: str) -> list[str]:
        """Return the arguments that run words there, which its shell reads."""
        if self.adb:
            return ["adb", "-s", self.adb, "shell", "-T", *words]
        return [*_SSH, "--", self.ssh, *words]

    @property
    def shown(self) -> str:
        """How its user reaches it, for a command that is suggested."""
        return f"adb -s {self.adb} shell" if self.adb else f"ssh {self.ssh}"

    def link(self, threads: int = 1) -> Process:
        """Start a worker there. Raises Broken if there is no ssh or adb, OSError if it cannot be started."""
        token = token_hex()
        first = zlib.compress(_code(token, self.cpus, threads), 9)
        command = self.command(_START.format(python=self.python, boot=_BOOT.format(size=len(first))))
        try:
            return Process(command, token, first, self._explain, MOST_ANSWER, self._end)
        except FileNotFoundError:
            reason = f"{self.name} cannot be reached: {command[0]} is not installed here"
            raise Broken("not available", reason) from None

    def _end(self, number: int) -> list[str]:
        return self.command(END.format(number=number))

    def _explain(self, ended: Ended) -> tuple[Status, str]:
        if ended.ready:
            lost = ended.code == _SSH_FAILED
            return "crashed", "its process was killed, or the connection was lost" if lost else str(ended)
        said = ended.said.rstrip(". ")
        reasons = {
            _SSH_FAILED: f"does not answer: {said or 'no reason was given'}{self._advice(said)}",
            _NOT_FOUND: f"has no {self.python} ({said})",
            _NOT_EXECUTABLE: f"cannot run {self.python} ({said})",
        }
        unknown = f"could not start the worker: {str(ended).rstrip('. ')}"
        own = "" if said else f"; expected that {self.python} is a Python"
        advice = self._advice(said) if self.adb else own
        known = reasons.get(ended.code, unknown + advice)
        if _OLD.fullmatch(ended.said):
            known = f"has {ended.said}; needed is 3.8 or newer"
        return "not available", f"{self.name} {known}"

    def _advice(self, said: str) -> str:
        known = (advice for sign, advice in _ADVICE.items() if sign in said)
        return "".join(f"; {each.format(shown=self.shown)}" for each in known)


def _code(token: str, cpus: Sequence[int], threads: int) -> bytes:
    """Return the source of what runs on a device."""
    sources = _sources()
    boot = sources["mnv3prof.device.boot"]
    call = f"start({sources!r}, {token!r}, {tuple(cpus)!r}, {threads})"
    return f"{boot}\n{call}\n".encode()


@cache
def _sources() -> dict[str, str]:
    """Return the text of the device package's modules by name."""
    folder = Path(device.__file__).parent
    found = {"mnv3prof.__init__": ""}
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(("mnv3prof", "device", *path.relative_to(folder).with_suffix("").parts))
        found[name] = path.read_text(encoding="utf-8")
    return found
