"""The machines of a measurement: this one, and other devices by name."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from math import inf
from secrets import token_hex
from threading import Event
from typing import Final, Protocol, Self, TypeVar

from ..device.protocol import Begin, Begun, Describe, Held, Hold, Machine, MeasureRoof
from ..device.runtimes import runtime
from ..record.run import HERE, Host, Runtime
from ..record.target import Target
from ..workers.backends import backend, is_simulated, remote_names
from ..workers.devices import device_of
from ..workers.links.remote import Device
from ..workers.peak_burst import Device as Rated
from ..workers.remote import RemoteWorker, remote_worker
from ..workers.requests import Subjects
from ..workers.worker import Failed, Worker, runtime_worker
from .obstacles import obstacle

_Answer = TypeVar("_Answer")
_Asked = TypeVar("_Asked")
_Found = TypeVar("_Found")

_CONTACT_S: Final = 30.0
"""Time limit of starting a worker on a device and of each answer of it; an emulated one takes 6 s."""


class Where(Protocol):
    """Where targets run."""

    def obstacle(self, target: Target) -> Failed | None:
        """Return the known reason why nothing can be timed on the target, or None."""

    def worker(self, target: Target, subjects: Subjects, starts: float = inf) -> Worker:
        """Return a worker that times parts of the subjects on a target."""

    def only_checks(self, target: Target) -> bool:
        """Return True if times of the target mean nothing."""


class Contact:
    """A device that was asked what it is. machine: its answer, or why there is none.

    Its worker lives as long as the contact, and keeps others from measuring there. threads: that will be used
    there. within_s: limit of an answer. stop: when it is set, nothing is waited for.
    """

    def __init__(
        self, device: Device, threads: int = 1, within_s: float = _CONTACT_S, stop: Event | None = None
    ) -> None:
        self.device = device
        self.worker = RemoteWorker(partial(device.link, threads), starts=1)
        self.chips: dict[str, str | Failed] = {}
        self._within_s, self._stop = min(within_s, _CONTACT_S), stop
        packages = {backend(name).PACKAGE for name in remote_names()} - {""}
        found = self._ask(self.worker, Describe(("numpy", *sorted(packages))), Machine)
        self.machine: Machine | Failed = found if isinstance(found, Failed) else self._with_cpus(found)

    def _ask(self, worker: RemoteWorker, request: object, kind: type[_Answer]) -> _Answer | Failed:
        """Return the answer. A failure is of the device, and says its name."""
        answer = worker.ask(request, kind, self._within_s, self._stop)
        if not isinstance(answer, Failed):
            return answer
        name = self.device.name
        reason = answer.reason if answer.reason.startswith(f"{name} ") else f"{name}: {answer.reason}"
        return Failed("not available", reason)

    def _with_cpus(self, machine: Machine) -> Machine | Failed:
        """Return the machine, or why the CPUs of the device's entry cannot be used."""
        name, wanted = self.device.name, {*self.device.cpus}
        if wanted and not machine.allowed:
            reason = f"{name} lets no program choose its CPUs: remove cpus from its entry"
            return Failed("not available", reason)
        if lacking := sorted(wanted - {*machine.allowed}):
            what = f"{'CPU' if len(lacking) == 1 else 'CPUs'} {_numbered(lacking)} not exist on {name}"
            return Failed("not available", f"{what} ({_numbered(machine.allowed)})")
        if wanted and wanted != {*machine.cpus}:
            return Failed("not available", f"{name} does not let this user choose the CPUs of its entry")
        return machine

    def hold(self, owner: str) -> None:
        """Keep others from measuring on the device; if one does, that is why this measurement cannot.

        owner: of this measurement.
        """
        if isinstance(self.machine, Failed):
            return
        name = self.device.name
        held = self.worker.ask(Hold(owner, name), Held, self._within_s, self._stop)
        if isinstance(held, Failed):
            measured = held.status == "unsupported"
            self.machine = Failed("not available", f"{name}{'' if measured else ':'} {held.reason}")
        elif held.name:
            reason = f"{held.name} and {name} are the same machine; expected one of the names"
            self.machine = Failed("not available", reason)

    def ask_for_chips(self, backends: Iterable[str]) -> None:
        """Ask for the chip of each backend that has a choice of them, e.g. a GPU."""
        for name in backends:
            if isinstance(self.machine, Failed) or not hasattr(runtime(name), "chip"):
                continue
            with RemoteWorker(self.device.link) as worker:
                answer = self._ask(worker, Begin(name), Begun)
            self.chips[name] = answer if isinstance(answer, Failed) else answer.chip

    def missing(self, name: str) -> Failed | None:
        """Return why a backend does not run there, or None."""
        if isinstance(self.machine, Failed):
            return self.machine
        package = backend(name).PACKAGE
        lacks = [each for each in ("numpy", package) if each and each not in self.machine.versions]
        if lacks:
            command = f"{self.device.shown} {self.device.python} -m pip install {' '.join(lacks)}"
            verb = "is" if len(lacks) == 1 else "are"
            reason = f"{' and '.join(lacks)} {verb} not installed on {self.device.name}: {command}"
            return Failed("not available", reason)
        chip = self.chips.get(name, "")
        return chip if isinstance(chip, Failed) else None

    def host(self, backends: Iterable[str], known: Host | None = None) -> Host:
        """Return the machine as a run has it, with what was measured of the `known` one."""
        if isinstance(self.machine, Failed):
            return known or Host(cpu="", cores=0, memory_bytes=0, gpu="", os="", python="", versions={})
        found = self.machine
        runtimes = {}
        for name in backends:
            file = backend(name)
            chip, runs = self.chips.get(name, "cpu"), self.missing(name) is None
            version = found.versions.get(file.PACKAGE, "")
            shown = "" if isinstance(chip, Failed) else chip
            runtimes[name] = Runtime(version, shown, file.PEAK if runs else "")
        chips = {each.chip for each in runtimes.values()} - {"cpu", ""}
        return Host(
            cpu=found.cpu,
            cores=found.cores,
            memory_bytes=found.memory_bytes,
            gpu=", ".join(sorted(chips)),
            os=found.os,
            python=found.python,
            versions=found.versions,
            runtimes=runtimes,
            peak_rates=known.peak_rates if known else (),
            other_loads=known.other_loads if known else (),
            model=found.model,
            state=found.state,
            governors=found.governors,
            capacities=found.capacities,
            emulated=self.device.emulated,
            cpus=found.cpus,
        )


class Machines:
    """The machine it runs on, and the devices that targets name, which are contacted and held meanwhile.

    find: returns the settings of a device. known: hosts of the run that is continued, by device. within_s:
    limit of an answer.
    """

    def __init__(
        self,
        targets: Collection[Target] = (),
        find: Callable[[str], Device] = device_of,
        known: Mapping[str, Host] | None = None,
        within_s: float = _CONTACT_S,
    ) -> None:
        self._within_s = within_s
        self._wanted: dict[str, list[Target]] = {}
        for target in targets:
            if target.device != HERE:
                self._wanted.setdefault(target.device, []).append(target)
        self._devices = {name: find(name) for name in self._wanted}
        self._known = known or {}
        self.contacts: dict[str, Contact] = {}

    def __enter__(self) -> Self:
        """Contact the devices, all at the same time."""
        owner = token_hex(8)
        try:
            together(lambda name, stop: self._contact(name, owner, stop), tuple(self._devices))
        except BaseException:  # an interrupt: no device stays held
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the contacts."""
        with ExitStack() as stack:
            for contact in self.contacts.values():
                stack.callback(contact.worker.end)

    def _contact(self, name: str, owner: str, stop: Event) -> None:
        wanted = self._wanted[name]
        threads = max(target.threads for target in wanted)
        contact = self.contacts[name] = Contact(self._devices[name], threads, self._within_s, stop)
        contact.hold(owner)
        contact.ask_for_chips(dict.fromkeys(target.backend for target in wanted))
        before = self._known.get(name)
        if isinstance(contact.machine, Machine) and before and before.cpu not in ("", contact.machine.cpu):
            reason = f"{name} has another processor than in the run: {contact.machine.cpu}, not {before.cpu}"
            contact.machine = Failed("not available", reason)

    def obstacle(self, target: Target) -> Failed | None:
        """Return the known reason why nothing can be timed on the target, or None."""
        failed = obstacle(target)
        if failed or target.device == HERE:
            return failed
        return self.contacts[target.device].missing(target.backend)

    def worker(self, target: Target, subjects: Subjects, starts: float = inf) -> Worker:
        """Return a worker that times parts of the subjects on a target."""
        if target.device == HERE:
            return runtime_worker(target, subjects, starts)
        return remote_worker(self._devices[target.device], target, starts)

    def only_checks(self, target: Target) -> bool:
        """Return True if times of the target mean nothing."""
        return target.device != HERE and self._devices[target.device].emulated

    def host(self, name: str, backends: Iterable[str]) -> Host:
        """Return a device as a run has it."""
        return self.contacts[name].host(backends, self._known.get(name))

    def rater(self, name: str, rated: Rated) -> tuple[Worker, object]:
        """Return a worker that measures peak rates of a device, and the request for a burst of them."""
        return RemoteWorker(partial(self._devices[name].link, rated.threads), starts=2), MeasureRoof()


def _numbered(cpus: Sequence[int]) -> str:
    """Return "0 and 1 do", "0 to 7 do", "77 does"."""
    if len(cpus) == 1:
        return f"{cpus[0]} does"
    if len(cpus) > 2 and list(cpus) == list(range(cpus[0], cpus[-1] + 1)):
        return f"{cpus[0]} to {cpus[-1]} do"
    return f"{', '.join(map(str, cpus[:-1]))} and {cpus[-1]} do"


def together(ask: Callable[[_Asked, Event], _Found], asked: Sequence[_Asked]) -> tuple[_Found, ...]:
    """Return ask(each, stop) of all, each in a thread. An interrupt sets `stop`, and all are waited for."""
    if not asked:
        return ()
    stop = Event()
    with ThreadPoolExecutor(len(asked)) as executor:
        try:
            jobs = [executor.submit(ask, each, stop) for each in asked]
            return tuple(job.result() for job in jobs)
        except BaseException:
            stop.set()
            raise


@cache
def found_on(name: str, within_s: float = inf) -> tuple[str, ...]:
    """Return the backends whose runtime is on a device, without simulated ones; all, if there is none or the
    device does not answer.
    """
    contact = Contact(device_of(name), within_s=within_s)
    contact.ask_for_chips(each for each in remote_names() if contact.missing(each) is None)
    contact.worker.end()
    there = [each for each in remote_names() if contact.missing(each) is None]
    real = [each for each in there if not is_simulated(each, str(contact.chips.get(each, "")))]
    return tuple(real) or remote_names()
