"""`mnv3prof devices`: describe other devices, and check whether their runtimes work."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from ...bench.machines import Contact, Machines, together
from ...cost.counts import Dtype
from ...graph.errors import InputError
from ...record.target import Target, combinations
from ...record.timing import Timing
from ...show.devices import devices_data, devices_sheets
from ...workers.backends import backend, convertible, remote_names
from ...workers.cache import opened
from ...workers.cache_folder import usable_folder
from ...workers.devices import device_of, known_devices, users_file
from ...workers.links.remote import Device
from ...workers.worker import Failed
from ..interrupts import stopped, stopping
from ..options import measuring_option
from ..output import Output, Result, emit
from ..progress import step
from ..spread import spread
from ..streams import say
from ..trial import tried, verdict

_EXAMPLE: Final = '[tool.mnv3prof.devices.pi] with ssh = "HOST" in pyproject.toml'


@spread
def devices(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Devices, or destinations of ssh.", show_default="those that have an entry"
        ),
    ] = None,
    *,
    check: Annotated[
        bool, measuring_option("--check", help="Run a small block on each backend and compare its output.")
    ] = False,
    output: Output,
) -> None:
    """Describe other devices: processor, memory, Python, runtimes and state.

    A device is an entry [tool.mnv3prof.devices.NAME] of pyproject.toml, an entry [NAME] of devices.toml in
    the user's configuration folder, or a destination of ssh. Nothing is installed there: for what is
    missing, the command is shown. Exits with 1 if a device does not answer, or if --check fails or finds
    nothing to check.

    Example: mnv3prof devices pi --check
    """
    wanted = dict.fromkeys(names or known_devices())
    if not wanted:
        raise InputError(f"devices: there is no entry; expected a name, {_EXAMPLE}, or one in {users_file()}")
    settings, refused = _settings(wanted, strict=bool(names))
    with stopping(lambda: "nothing was changed"), step(f"asking {', '.join(each.name for each in settings)}"):
        contacts = list(together(lambda device, stop: Contact(device, stop=stop), settings))
        for contact in contacts:
            contact.worker.end()
    targets = _targets(contacts) if check else ()
    timings = _checked(targets) if targets else ()
    documents = [*(_document(contact, timings, check=check) for contact in contacts), *refused]
    emit(Result(devices_sheets(documents), devices_data(documents), lambda: {"devices": documents}), output)
    if any(timing.stopped == "interrupted" for timing in timings):
        raise stopped("not all runtimes were checked; the same command starts again")
    failed = any(timing.status != "ok" for timing in timings)
    unchecked = {each["name"] for each in documents} - {timing.target.device for timing in timings}
    if failed or (check and unchecked) or not all(each["answers"] for each in documents):
        raise typer.Exit(1)


def _settings(wanted: Iterable[str], *, strict: bool) -> tuple[list[Device], list[dict[str, Any]]]:
    """Return the devices, and documents of those whose entry is wrong. strict: raise InputError instead."""
    settings, refused = [], []
    for name in wanted:
        try:
            settings.append(device_of(name))
        except InputError as error:
            if strict:
                raise
            about = {
                "name": name,
                "reached_by": "",
                "emulated": False,
                "answers": False,
                "problem": "wrong entry",
            }
            refused.append({**about, "reason": str(error)})
    return settings, refused


def _targets(contacts: Sequence[Contact]) -> tuple[Target, ...]:
    """Return a target for each runtime that is there and can be converted for here."""
    places = [
        f"{name}@{contact.device.name}"
        for contact in contacts
        for name in remote_names()
        if contact.missing(name) is None and convertible(name).ok
    ]
    dtypes: tuple[Dtype, ...] = ("fp32",)
    return combinations(places, dtypes, (1,), (1,)) if places else ()


def _checked(targets: tuple[Target, ...]) -> tuple[Timing, ...]:
    with opened(usable_folder(say)) as folder, Machines(targets) as machines:
        return tried(targets, folder, "checking", machines)


def _document(contact: Contact, timings: Sequence[Timing], *, check: bool) -> dict[str, Any]:
    """Return what is known of a device."""
    device, machine = contact.device, contact.machine
    head = {"name": device.name, "reached_by": device.shown, "emulated": device.emulated}
    if isinstance(machine, Failed):
        silent = any(each in machine.reason for each in ("not answer", "no answer", "be reached"))
        problem = "does not answer" if silent else "cannot be used"
        return {**head, "answers": False, "problem": problem, "reason": machine.reason}
    runtimes = [_runtime(contact, name, machine.versions, timings, check=check) for name in remote_names()]
    about = {key: value for key, value in asdict(machine).items() if key != "versions"}
    return {**head, "answers": True, "reason": "", **about, "runtimes": runtimes}


def _runtime(
    contact: Contact, name: str, versions: Mapping[str, str], timings: Sequence[Timing], *, check: bool
) -> dict[str, Any]:
    missing = contact.missing(name)
    place = f"{name}@{contact.device.name}"
    found = next((verdict(each) for each in timings if each.target.place == place), None)
    if check and found is None and missing is None:
        found = f"not run: {convertible(name).reason}"
    return {
        "name": name,
        "version": versions.get(backend(name).PACKAGE),
        "reason": missing.reason if missing else "",
        "check": found,
    }
