"""Settings of other devices, by name."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from ..graph.errors import InputError, about, quote
from .links.remote import NAME, Device

_SECTION: Final = "tool.mnv3prof.devices"
_EXPECTED: Final = 'expected ssh = "HOST" or adb = "SERIAL", python, cpus, emulated'
_USERS_FILE: Final = "devices.toml"
_NAMES: Final = "lower-case letters, digits and hyphens, at most 32"


_Address = Annotated[
    str, msgspec.Meta(pattern=r"^([A-Za-z0-9_.@:%\[\]/][A-Za-z0-9_.@:%\[\]/-]*)?\Z", max_length=255)
]
"""An ssh destination or a serial number: nothing that a shell or an option could be made of."""
_Python = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_./~][A-Za-z0-9_./~-]*\Z", max_length=255)]
_Core = Annotated[int, msgspec.Meta(ge=0, le=4_095)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """An entry of a file."""

    ssh: _Address = ""
    adb: _Address = ""
    python: _Python = "python3"
    cpus: Annotated[tuple[_Core, ...], msgspec.Meta(max_length=64)] = ()
    emulated: bool = False


def device_of(name: str) -> Device:
    """Return the settings of a device: its entry, or the ssh destination of that name. Raises InputError.

    An entry of the nearest pyproject.toml replaces that of the user's devices.toml.
    """
    require_name(name)
    found = known_devices()
    return found.get(name) or Device(name, ssh=name)


def require_name(name: str) -> None:
    """Raise InputError unless a device can have this name."""
    if not NAME.fullmatch(name):
        raise InputError(f"the device {quote(name)} is not allowed; expected {_NAMES}")


def known_devices() -> dict[str, Device]:
    """Return the devices that have an entry. Raises InputError."""
    return {name: device for where, entries in _files() for name, device in _devices(entries, where)}


def users_file() -> Path:
    """Return the path of the user's devices.toml."""
    import platformdirs

    folder = os.environ.get("MNV3PROF_CONFIG") or platformdirs.user_config_dir("mnv3prof")
    return Path(folder) / _USERS_FILE


def _files() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of each file, with its name for an InputError."""
    path = users_file()
    if path.is_file():
        yield str(path), _read(path)
    for folder in (here := Path.cwd(), *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            tool = _read(path).get("tool", {})
            section = tool.get("mnv3prof", {}) if isinstance(tool, dict) else {}
            if isinstance(section, dict) and "devices" in section:
                yield f"{path.name}, {_SECTION}", section["devices"]
                return


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _devices(entries: Mapping[str, Any], where: str) -> Iterator[tuple[str, Device]]:
    if not isinstance(entries, dict):
        raise InputError(f"{where}: {quote(entries)} is no table; expected one table a device")
    for name, entry in entries.items():
        with about(where):
            require_name(name)
        yield name, _device(name, entry, f"{where}.{name}")


def _device(name: str, entry: object, where: str) -> Device:
    try:
        found = msgspec.convert(entry, _Entry)
        device = Device(name, **msgspec.structs.asdict(found))
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}; {_EXPECTED}") from None
    if bool(found.ssh) == bool(found.adb):
        raise InputError(f"{where}: has {'both' if found.ssh else 'neither'} ssh and adb; {_EXPECTED}")
    return device
