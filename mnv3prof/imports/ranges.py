"""Texts with a line of minimum, maximum and mean in ms for each network, after the settings of the tool."""

import re
from collections.abc import Callable

from .found import MS, Found, Place, few, name_in, reported


def ranges_in(
    place: Place, fields: "re.Pattern[str]", tool: str, runs_on: Callable[[str], tuple[str, str]]
) -> list[Found]:
    """Return a run for each network.

    fields: of a network's line, the groups name, min, max and mean; of settings, one of loops, threads and
    device. runs_on: returns the backend and the accelerator for a device, "" before the tool has said one.
    """
    counts: dict[str, int] = {}
    backend, accelerator = runs_on("")
    found = []
    for field in fields.finditer(place.text):
        at, what = field.start(), field.lastgroup
        if what == "device":
            backend, accelerator = runs_on(field[what])
        elif what in ("loops", "threads"):
            counts[what] = place.count(field[what], what, at)
        else:
            times = {name: place.time_or_zero(field[name], MS, at) for name in ("min", "max")}
            times["mean"] = place.time(field["mean"], MS, at)
            found.append(
                Found(
                    backend=backend,
                    tool=tool,
                    label=name_in(field["name"]),
                    threads=counts.get("threads"),
                    accelerator=accelerator,
                    reported=reported(place.line(at), tool, counts.get("loops"), times),
                )
            )
    return few(found, place.where)
