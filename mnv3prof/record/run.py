"""A run: what was measured, on which machine. It can be re-rendered and resumed."""

from functools import cached_property
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import replace

from ..cost.conventions import Reading
from ..cost.counts import Dtype
from ..graph.bounds import require_bounds
from ..graph.errors import InputError, about
from ..graph.graph import Graph
from ..mobilenetv3.expand import expand
from ..mobilenetv3.table import Table
from .accuracy import Accuracy
from .plan import NOT_READ, RuntimePlan
from .target import Positive, Target
from .timing import Count, Operator, Timing

SCHEMA: Final = 2
"""Incremented when a field changes its name or meaning, not when fields are added."""

ASKING_INTERRUPTED: Final = "Interrupted before every runtime was asked for its operators."
"""Note of a run that was interrupted while operators were profiled."""
PEAKS_INTERRUPTED: Final = "Interrupted before the peak rates and the other load were measured to the end."
"""Note of a run that was interrupted after its timings."""
COUNTERS_INTERRUPTED: Final = "Interrupted before a FLOP counter was run."
"""Note of a run that was interrupted before it has a result of another FLOP counter."""
CLASSIFYING_INTERRUPTED: Final = "Interrupted before every target's accuracy was measured."
"""Note of a run that was interrupted while images were classified."""
_INTERRUPTED: Final = (ASKING_INTERRUPTED, PEAKS_INTERRUPTED, COUNTERS_INTERRUPTED, CLASSIFYING_INTERRUPTED)

CapturedKind = Literal["module", "onnx", "tflite", "pt2"]
"""What a graph was captured from; a module can be run."""

HERE: Final = ""
"""Device name of the machine on which the run was made."""

Rate = Annotated[float, msgspec.Meta(gt=0, le=1e21)]
"""Range of a valid peak rate."""

CPUs = Annotated[float, msgspec.Meta(ge=0, le=2**20)]


class PeakRates(msgspec.Struct, frozen=True):
    """Highest measured rates of a device: MAC/s of a matrix product, bytes/s read and written by a copy.

    name: PyTorch's name of the device, e.g. "cpu" or "cuda".
    """

    name: str
    dtype: Dtype
    threads: Positive
    macs_per_s: Rate
    bytes_per_s: Rate


class Runtime(msgspec.Struct, frozen=True):
    """A backend on a host. chip: "cpu" or the GPU's name. peak: the name of the peak rates that apply to it,
    or "".

    compiles: True if loading a part compiles it for seconds, at the same time as other backends load.
    """

    version: str
    chip: str
    peak: str
    compiles: bool = False


class OtherLoad(msgspec.Struct, frozen=True):
    """CPUs that other processes used before sampling and after it; None if sampling was interrupted."""

    before: CPUs
    after: CPUs | None = None


class Host(msgspec.Struct, frozen=True):
    """A machine. versions: by distribution; runtimes: by backend; other_loads: one each time it was
    measured. Of other devices also: model: of the board or computer; state: at the start, as of
    device.state; governors: that set clock rates; capacities: relative speeds of the cores; cpus: the numbers
    of those that were used, () where not known; emulated: its times mean nothing.

    >>> host = mnv3prof.read_run("run.json").host
    >>> host.cores > 0, "torch" in host.versions
    (True, True)
    """

    cpu: str
    cores: Count
    memory_bytes: Count
    gpu: str
    os: str
    python: str
    versions: dict[str, str]
    runtimes: dict[str, Runtime] = {}
    peak_rates: tuple[PeakRates, ...] = ()
    other_loads: tuple[OtherLoad, ...] = ()
    model: str = ""
    state: dict[str, float] = {}
    governors: tuple[str, ...] = ()
    capacities: tuple[int, ...] = ()
    emulated: bool = False
    cpus: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"Host({self.cpu!r}, {self.cores} cores, {len(self.runtimes)} runtimes)"


class Weights(msgspec.Struct, frozen=True):
    """Trained weights. file: its name; sha256: of the file, in hexadecimal.

    data: what they were trained on, accuracy: the share of its held-out part that they get right;
    "" and None where the file does not tell.
    """

    file: str
    sha256: str
    data: str = ""
    accuracy: float | None = None


class Captured(msgspec.Struct, frozen=True):
    """A network that is no layer table, and its graph.

    text: what names it, e.g. "torchvision:resnet50" or "net.onnx". kind: what it was captured from.
    dtypes: of its inputs. sha256: of the file, "" for a module. saved: the graph is from a saved run, so that
    nobody named the network in this process: its code is not run and its file is not opened. programs: folder
    of the exported programs of a module that was given as an object, by batch, while it is measured.
    """

    text: str
    kind: CapturedKind
    graph: Graph
    dtypes: tuple[str, ...] = ()
    sha256: str = ""
    saved: bool = False
    programs: str = ""

    def require_named(self) -> None:
        """Raise InputError if the network is known from a saved run only."""
        if self.saved:
            raise InputError(
                f"{self.text}: is known from a saved run, whose code and files are not opened; expected the "
                "network itself as SOURCE"
            )

    def require_runnable(self) -> None:
        """Raise InputError for a .pt2 file: loading it runs code that is in it."""
        if self.kind == "pt2":
            raise InputError(
                f"{self.text}: a .pt2 file is counted, not run; to time it, name the module that made it"
            )


_REFERENCES: Final[dict[CapturedKind, str]] = {
    "module": "PyTorch eager in fp32",
    "onnx": "ONNX Runtime without optimizations",
    "tflite": "LiteRT without XNNPACK",
    "pt2": "PyTorch eager in fp32",
}


class Subject(msgspec.Struct, frozen=True, dict=True):
    """A network at an input size. weights: None for random weights from a fixed seed.

    listed: its layer table, or None. input: (height, width) in pixels; of a captured network, the last two
    sizes of its first input. captured: None for a layer table.

    >>> subject = mnv3prof.load("large", (192, 256))
    >>> subject.table, subject.input
    (Table('MobileNetV3-Large', 15 rows), (192, 256))
    """

    listed: Table | None
    input: tuple[int, int]
    weights: Weights | None = None
    captured: Captured | None = None

    def __repr__(self) -> str:
        return (
            f"Subject({self.name!r}, {self.graph.size if self.captured else '×'.join(map(str, self.input))})"
        )

    @property
    def name(self) -> str:
        """The network's name."""
        return self.captured.graph.name if self.captured else self.table.name

    @property
    def table(self) -> Table:
        """The layer table. Raises InputError if there is none."""
        if self.listed is None:
            name = self.captured.text if self.captured else "the network"
            raise InputError(
                f"{name}: is no layer table; expected one, e.g. what `mnv3prof table --from` makes of it"
            )
        return self.listed

    @cached_property
    def graph(self) -> Graph:
        """The graph at this input."""
        return self.captured.graph if self.captured else expand(self.table, self.input)

    def is_same_network(self, other: "Subject") -> bool:
        """Return True if both are one network at one input, whatever their weights."""
        ours, theirs = (each.captured and replace(each.captured, saved=False) for each in (self, other))
        return (self.listed, self.input, ours) == (other.listed, other.input, theirs)

    def varied(self, table: Table) -> "Subject":
        """Return another table at the same input, with random weights."""
        if table == self.listed and self.weights is None:
            return self
        return self._varied.setdefault(table, Subject(table, self.input))

    @property
    def module(self) -> Any:
        """The nn.Module that was given as an object in this process, else None."""
        return self.__dict__.get("_module")

    def of_module(self, module: Any) -> "Subject":
        """Return a captured network that remembers the module it was captured from."""
        subject = replace(self)
        subject.__dict__["_module"] = module
        return subject

    @cached_property
    def _varied(self) -> dict[Table, "Subject"]:
        return {}


def captured_subject(captured: Captured, where: str) -> Subject:
    """Return a captured network as a subject. Raises InputError about `where` for one out of range."""
    graph = captured.graph
    with about(where):
        require_bounds(graph)
        if captured.kind == "module" and len(captured.dtypes) != len(graph.inputs):
            raise InputError("dtypes has not one entry per input; expected as many as inputs")
    height, width = (1, 1, *graph.inputs[0].shape)[-2:]
    return Subject(None, (height, width), None, captured)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run. created: UTC time in ISO 8601. command: the command line. commit: of the repository that it was
    started in, "" for none.

    hosts: machines by device, including HERE; subjects: networks by variant, the main one as "". readings:
    results of other FLOP counters for the main network; plans: arenas that runtimes plan for it;
    accuracies: of whole networks with trained weights.

    >>> run = mnv3prof.read_run("run.json")
    >>> run.subject, [timing.part for timing in run.timings]
    (Subject('MobileNetV3-Small', 224×224), ['net'])
    """

    created: str
    command: str
    commit: str = ""
    hosts: dict[str, Host]
    subjects: dict[str, Subject]
    timings: tuple[Timing, ...] = ()
    operators: tuple[Operator, ...] = ()
    readings: tuple[Reading, ...] = ()
    plans: tuple[RuntimePlan, ...] = ()
    accuracies: tuple[Accuracy, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = f"{len(self.timings)} timings, {len(self.targets)} targets"
        return f"Run({self.subject.name!r}, {self.created}, {counts})"

    @property
    def reference(self) -> str:
        """What outputs are compared with."""
        captured = self.subject.captured
        return _REFERENCES[captured.kind if captured else "module"]

    @property
    def was_interrupted(self) -> bool:
        """True if the user interrupted the command that measured it."""
        return (
            any(note in self.notes for note in _INTERRUPTED)
            or any(timing.stopped == "interrupted" for timing in self.timings)
            or any(reading.status == "not run" for reading in self.readings)
            or any(plan.reason == NOT_READ for plan in self.plans)
        )

    def to_resume(self) -> "Run":
        """Return the run without the marks of an interrupt, except those of its timings."""
        return msgspec.structs.replace(
            self,
            readings=tuple(reading for reading in self.readings if reading.status != "not run"),
            plans=tuple(plan for plan in self.plans if plan.reason != NOT_READ),
            notes=tuple(note for note in self.notes if note not in _INTERRUPTED),
        )

    @property
    def host(self) -> Host:
        """The machine on which the run was made."""
        return self.hosts[HERE]

    @property
    def subject(self) -> Subject:
        """The main network."""
        return self.subjects[""]

    @property
    def variants(self) -> dict[str, Subject]:
        """The other networks, by name."""
        return {name: subject for name, subject in self.subjects.items() if name}

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of the timings, in the order of the request."""
        return tuple(dict.fromkeys(timing.target for timing in self.timings))

    @property
    def measured_as(self) -> tuple[Dtype, int]:
        """Dtype and batch of the first target, for which bytes are given."""
        return self.sizes[0]

    @property
    def sizes(self) -> tuple[tuple[Dtype, int], ...]:
        """Each dtype and batch that was timed, or requested if nothing was timed."""
        timed = dict.fromkeys(t.target for t in self.timings if t.bursts or t.reported)
        sizes = dict.fromkeys((target.dtype, target.batch) for target in timed or self.targets)
        return tuple(sizes) or (("fp32", 1),)

    @property
    def processors(self) -> str:
        """CPUs of the machines that the timings are from, with other devices' names, and the GPUs that were
        used.
        """
        devices = dict.fromkeys(target.device for target in self.targets) or {HERE: None}
        cpus = [self.processor_of(device) for device in devices]
        runtimes = [self.hosts[target.device].runtimes.get(target.backend) for target in self.targets]
        gpus = [runtime.chip for runtime in runtimes if runtime and runtime.chip != "cpu"]
        return ", ".join(filter(None, dict.fromkeys((*cpus, *gpus))))

    def processor_of(self, device: str) -> str:
        """Return the CPU of a machine, with the name of another device: "Cortex-A76 (pi)"."""
        cpu = self.hosts[device].cpu
        return f"{cpu} ({device})" if cpu and device else cpu or device

    def planned(self, dtype: Dtype, batch: int) -> tuple[RuntimePlan, ...]:
        """Return the plans of the network at this dtype and batch."""
        return tuple(plan for plan in self.plans if (plan.dtype, plan.batch) == (dtype, batch))
