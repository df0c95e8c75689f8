"""Published results of MobileNetV3, to compare with counted and measured ones."""

from typing import Final

import msgspec
from msgspec.structs import replace

from .files import preset
from .table import Table
from .variants import vary

PAPER: Final = "Howard et al., Searching for MobileNetV3, arXiv 1905.02244"


class Published(msgspec.Struct, frozen=True):
    """One row of the paper's results on ImageNet.

    net: the preset. side: of the square input, in pixels. top1: accuracy in percent. madds_m, params_m:
    in millions. pixel1_ms: fp32 latency on one thread of a Pixel 1's big core.
    """

    net: str
    width: float
    side: int
    top1: float
    madds_m: int
    params_m: float
    pixel1_ms: float
    source: str = f"{PAPER} v5, Table 9"


_V1: Final = f"{PAPER} v1 (v5 has no such row)"
PUBLISHED: Final = (
    Published("large", 1.25, 224, 76.6, 356, 7.5, 77.0),
    Published("large", 1.0, 224, 75.2, 217, 5.4, 51.2),
    Published("large", 0.75, 224, 73.3, 155, 4.0, 39.8),
    Published("large", 0.5, 224, 68.8, 69, 2.6, 21.7),
    Published("large", 0.35, 224, 64.2, 40, 2.2, 15.1),
    Published("large", 1.0, 256, 76.0, 282, 5.4, 65.6),
    Published("large", 1.0, 192, 73.7, 160, 5.4, 38.0),
    Published("large", 1.0, 160, 71.7, 112, 5.4, 27.8),
    Published("large", 1.0, 128, 68.4, 73, 5.4, 17.8),
    Published("large", 1.0, 96, 63.3, 43, 5.4, 12.5),
    Published("small", 1.25, 224, 70.4, 91, 3.6, 23.6),
    Published("small", 1.0, 224, 67.5, 57, 2.5, 15.8),
    Published("small", 0.75, 224, 65.4, 44, 2.0, 12.8),
    Published("small", 0.5, 224, 58.0, 21, 1.6, 7.7),
    Published("small", 0.35, 224, 49.8, 12, 1.4, 5.7),
    Published("small", 1.0, 256, 68.5, 74, 2.5, 20.0),
    Published("small", 1.0, 192, 65.4, 42, 2.9, 16.3, _V1),
    Published("small", 1.0, 160, 62.8, 30, 2.5, 8.6),
    Published("small", 1.0, 128, 57.3, 20, 2.5, 5.8),
    Published("small", 1.0, 96, 51.7, 12, 2.5, 4.4),
)


def published(table: Table | None, size: tuple[int, int]) -> Published | None:
    """Return the paper's results for this network at this input (height, width), or None."""
    if table is None:
        return None
    for row in PUBLISHED:
        if (row.side, row.side) == size:
            known = vary(preset(row.net), width=row.width)
            if replace(known, name=table.name) == table:
                return row
    return None
