"""Conditions of another device that make its times worse or unsteady, and what to do about each."""

from typing import Final

from ..device.clock import PRODUCT
from ..device.state import BATTERY, CELSIUS, HZ, LOAD, THROTTLED, UNDER_VOLTAGE
from ..record.run import Host, Run
from ..record.timing import MOST_PRODUCT, Burst

MOST_LOAD: Final = 0.5
"""Load at the start by cores, above which other programs are said to run."""
STEADY: Final = 1.05
"""Ratio of the highest clock rate to the lowest, above which it is said to vary."""


def conditions(run: Run, device: str) -> tuple[str, ...]:
    """Return a sentence per condition that a device reported while it was measured."""
    host = run.hosts[device]
    bursts = [b for timing in run.timings if timing.target.device == device for b in timing.bursts]
    found = [
        _limited(device, bursts),
        _supplied(device, host, bursts),
        _unsteady(device, host, bursts),
        _mixed(device, host),
        _loaded(device, host),
        _slowed(device, bursts),
    ]
    return tuple(filter(None, found))


def _share(bursts: list[Burst], name: str) -> str:
    """Return "3 of 20 bursts", "" for none."""
    count = sum(bool(burst.state.get(name)) for burst in bursts)
    return f"{count} of {len(bursts)} bursts" if count else ""


def _limited(device: str, bursts: list[Burst]) -> str:
    if not (share := _share(bursts, THROTTLED)):
        return ""
    hottest = max((burst.state[CELSIUS] for burst in bursts if CELSIUS in burst.state), default=None)
    at = "" if hottest is None else f", at up to {hottest:.0f} °C"
    return f"{device} limited its clock in {share}{at}: cool it, and measure again."


def _supplied(device: str, host: Host, bursts: list[Burst]) -> str:
    if share := _share(bursts, UNDER_VOLTAGE):
        return f"The supply of {device} was too weak in {share}: use a stronger one."
    if host.state.get(BATTERY):
        return f"{device} ran on its battery: connect it to power."
    return ""


def _unsteady(device: str, host: Host, bursts: list[Burst]) -> str:
    clocks = [burst.state[HZ] for burst in bursts if HZ in burst.state]
    if not clocks or not host.governors or host.governors == ("performance",):
        return ""
    low, high = min(clocks), max(clocks)
    if high <= STEADY * low:
        return ""
    return (
        f"The clock of {device} varied from {low / 1e9:.2f} to {high / 1e9:.2f} GHz, set by the governor "
        f"{', '.join(host.governors)}: choose performance there to keep it steady."
    )


def _mixed(device: str, host: Host) -> str:
    if len(set(host.capacities)) < 2:
        return ""
    return f"{device} has cores of several speeds: its fastest were used, unless its entry names cpus."


def _loaded(device: str, host: Host) -> str:
    load = host.state.get(LOAD, 0.0)
    if load <= MOST_LOAD * host.cores:
        return ""
    return f"{device} had a load of {load:.1f} at the start: close other programs there."


def _slowed(device: str, bursts: list[Burst]) -> str:
    times = [burst.state[PRODUCT] for burst in bursts if PRODUCT in burst.state]
    slow = sum(time > MOST_PRODUCT * min(times) for time in times)
    if slow < 0.1 * len(times) or not slow:
        return ""
    return (
        f"A fixed product on {device} took over {MOST_PRODUCT - 1:.0%} longer than at best beside {slow} of "
        f"{len(times)} bursts: the device was throttled or shared, or moved the process to a slower core."
    )
