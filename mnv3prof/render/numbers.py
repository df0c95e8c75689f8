"""Numbers with three or four digits, for sentences and cells."""


def compact(value: float) -> str:
    """Format a count: "216.6 M"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.99995:  # rounds up to 1.0
            return f"{value / size:.1f} {unit}"
    return f"{value:,.0f}"


def in_bytes(size: int) -> str:
    """Write a size in full: "1 byte", "4,096 bytes"."""
    return f"{size:,} byte{'' if abs(size) == 1 else 's'}"


def milliseconds(seconds: float) -> str:
    """Format a time with three significant digits: "3.21 ms", "412 µs"."""
    rounded = float(f"{seconds:.3g}")
    scale, unit = (1e3, "ms") if rounded >= 1e-3 else (1e6, "µs")
    digits = 2 if rounded * scale < 10 else 1 if rounded * scale < 100 else 0
    return f"{seconds * scale:,.{digits}f} {unit}"
