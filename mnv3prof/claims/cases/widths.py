"""K9: latency per MAC of widths that are multiples of 8, compared with other widths."""

from statistics import mean
from typing import Final, NamedTuple

from ...analysis.compare import Change, by_interval
from ...graph.parts import part_layers
from ...mobilenetv3.table import Row, Table
from ...record.findings import Evidence, Finding, Measured, Series
from ...record.run import Subject
from ..claim import Claim, TimingRequest, finding, not_measured
from ..compared import SLOWER, is_slower, measured_on, overall_on_mobile

K9: Final = Claim(
    "K9",
    "Channel counts that are divisible by 8 suit mobile acceleration.",
    "suit it",
    "not in the paper's text; make_divisible(v, 8) in TF-slim's code of it",
)
CLAIMS: Final = (K9,)

MIDDLE: Final = 112
WIDTHS: Final = tuple(range(MIDDLE - 8, MIDDLE + 9))
_BLOCK: Final = "1"
_INPUT: Final = 28


class _Point(NamedTuple):
    """Nanoseconds per 1,000 MACs at a width, with the 95 % interval of the median."""

    width: int
    value: float
    low: float
    high: float


def timed(_: Subject) -> tuple[TimingRequest, ...]:
    """Return a block of every width from MIDDLE − 8 to MIDDLE + 8."""
    return tuple(TimingRequest(named(width), network_of_width(width), _BLOCK) for width in WIDTHS)


def named(width: int) -> str:
    """Name the network of a width in a run."""
    return f"width {width}"


def network_of_width(width: int) -> Subject:
    """Make a network whose block 1 has `width` channels at 14×14: 3×3 depthwise and projection."""
    row = Row(width, width, 3, 1, se=False, activation="HS")
    return Subject(Table(name=named(width), stem=width, rows=(row,), last=8, classes=8), (_INPUT, _INPUT))


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Judge K9."""
    curves: dict[str, list[_Point]] = {}
    for name in evidence.places():
        points = [p for w in WIDTHS if (p := _point(w, evidence.measured(named(w), _BLOCK, name)))]
        if len(points) == len(WIDTHS):
            curves[name] = points
    if not curves:
        return (not_measured(K9, evidence, rule=SLOWER),)
    changes = {name: _others_to_multiples(points) for name, points in curves.items()}
    verdict, why = overall_on_mobile({n: is_slower(r) for n, r in changes.items()}, evidence)
    results = ", ".join(f"{r} on {name}" for name, r in changes.items())
    return (
        finding(
            K9,
            verdict,
            how=measured_on(evidence, curves),
            why=why,
            rule=SLOWER,
            found=f"Time per MAC, other widths ÷ multiples of 8: {results}.",
            working=tuple(_line(name, p) for name, points in curves.items() for p in points),
            series=tuple(
                Series(name, "channels", "ns per 1,000 MACs", tuple((float(p.width), *p[1:]) for p in points))
                for name, points in curves.items()
            ),
        ),
    )


def products(width: int) -> int:
    """Return the MACs of the block that is timed: 14 · 14 · (9 · w + w · w)."""
    return sum(layer.macs for layer in part_layers(network_of_width(width).graph, _BLOCK))


def _point(width: int, measured: Measured | None) -> _Point | None:
    timing = measured.timing if measured else None
    summary = timing.summary if timing and timing.status == "ok" else None
    if timing is None or summary is None or timing.contended:
        return None
    scale = 1e12 / products(width)
    return _Point(width, *(scale * seconds for seconds in (summary.median, summary.low, summary.high)))


def _others_to_multiples(points: list[_Point]) -> Change:
    """Return the ratio of the mean time per MAC of other widths to that of multiples of 8."""
    groups = [[p for p in points if (p.width % 8 == 0) is multiple] for multiple in (False, True)]
    (value, low, high), (base, base_low, base_high) = (
        (mean(p.value for p in g), mean(p.low for p in g), mean(p.high for p in g)) for g in groups
    )
    return by_interval(value / base, low / base_high, high / base_low)


def _line(name: str, point: _Point) -> str:
    mark = " = 8 · " + str(point.width // 8) if point.width % 8 == 0 else ""
    return (
        f"{name}, {point.width}{mark}: {products(point.width):,} MACs, {point.value:.2f} ns per 1,000 "
        f"({point.low:.2f} to {point.high:.2f})"
    )
