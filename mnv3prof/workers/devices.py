"""Settings of other devices, by name."""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ..graph.errors import InputError, quote, suggestion
from .links.remote import NAME, Device

_SECTION: Final = "tool.mnv3prof.devices"
_USERS_FILE: Final = "devices.toml"
_NAMES: Final = "lower-case letters, digits and hyphens, at most 32"
_MOST_CPUS: Final = 64
_MOST_CPU: Final = 4_095
_ADDRESS: Final = re.compile(r"([A-Za-z0-9_.@:%\[\]/][A-Za-z0-9_.@:%\[\]/-]{0,254})?")
"""An ssh destination or a serial number: nothing that a shell or an option could be made of."""
_PYTHON: Final = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~-]{0,254}")


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def _is_python(value: object) -> bool:
    return isinstance(value, str) and _PYTHON.fullmatch(value) is not None


def _is_cpus(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_CPUS
        and all(type(each) is int and 0 <= each <= _MOST_CPU for each in value)
        and len({*value}) == len(value)
    )


_KEYS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "ssh": (_is_address, 'a destination of ssh without blanks or quotes, e.g. "me@host"'),
    "adb": (_is_address, 'a serial number of `adb devices`, e.g. "emulator-5554"'),
    "python": (_is_python, 'a path of letters, digits and . _ / ~ -, e.g. "~/venv/bin/python"'),
    "cpus": (_is_cpus, f"a list of up to {_MOST_CPUS} different CPU numbers, e.g. [4, 5]"),
    "emulated": (lambda value: isinstance(value, bool), "true or false"),
}
"""Keys of an entry: what is allowed, and how it is called."""


def device_of(name: str) -> Device:
    """Return the settings of a device: its entry, or the ssh destination of that name. Raises InputError.

    An entry of the nearest pyproject.toml replaces that of the user's devices.toml.
    """
    require_name(name)
    found = _entries().get(name)
    return Device(name, ssh=name) if found is None else _device(name, *found)


def require_name(name: str) -> None:
    """Raise InputError unless a device can have this name."""
    if NAME.fullmatch(name):
        return
    if not name or not _is_address(name):
        raise InputError(f"the device {quote(name)} is not allowed; expected {_NAMES}")
    host, _, port = name.rpartition("@")[2].partition(":")
    address = f"ssh://{name}" if port.isdecimal() else name
    key = re.sub("[^a-z0-9]+", "-", host.lower()).strip("-")[:32] or "NAME"
    raise InputError(
        f"the device {quote(name)} is no name ({_NAMES}); to reach it, make an entry [{_SECTION}.{key}] with "
        f'ssh = "{address}" in pyproject.toml, and name it {key}'
    )


def known_devices() -> tuple[str, ...]:
    """Return the names of the devices that have an entry. Raises InputError for files that cannot be read."""
    return tuple(_entries())


def _entries() -> dict[str, tuple[object, str]]:
    """Return the entries by name, each with its place for an InputError."""
    return {name: entry for file, entries in _files() for name, entry in _named(file, entries)}


def users_file() -> Path:
    """Return the path of the user's devices.toml."""
    import platformdirs

    folder = os.environ.get("MNV3PROF_CONFIG") or platformdirs.user_config_dir("mnv3prof")
    return Path(folder) / _USERS_FILE


def _files() -> Iterator[tuple[str, object]]:
    """Yield the entries of each file, with what is before their names in an InputError."""
    path = users_file()
    if path.is_file():
        yield f"{path}, [", _read(path)
    for folder in (here := Path.cwd(), *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            tool = _read(path).get("tool", {})
            section = tool.get("mnv3prof", {}) if isinstance(tool, dict) else {}
            if isinstance(section, dict) and "devices" in section:
                yield f"{path}, [{_SECTION}.", section["devices"]
                return


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8; expected TOML in UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _named(begin: str, entries: object) -> Iterator[tuple[str, tuple[object, str]]]:
    if not isinstance(entries, dict):
        raise InputError(f"{begin.rstrip('.')}]: is {quote(entries)}; expected a table for each device")
    for name, entry in entries.items():
        yield name, (entry, f"{begin}{name}]")


def _device(name: str, entry: object, where: str) -> Device:
    if not isinstance(entry, dict):
        raise InputError(f'{where}: is {quote(entry)}; expected a table with ssh = "HOST" or adb = "SERIAL"')
    for key, value in entry.items():
        if key not in _KEYS:
            raise InputError(f"{where}: the key {quote(key)} is unknown; {suggestion(key, _KEYS)}")
        is_allowed, expected = _KEYS[key]
        if not is_allowed(value):
            raise InputError(f"{where}, {key}: {quote(value)} is not allowed; expected {expected}")
    if bool(entry.get("ssh")) == bool(entry.get("adb")):
        has = "both ssh and adb" if entry.get("ssh") else "neither ssh nor adb"
        raise InputError(f'{where}: has {has}; expected one of ssh = "HOST" and adb = "SERIAL"')
    return msgspec.convert({**entry, "name": name}, Device)
