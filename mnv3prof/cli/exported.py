"""What `export` prints: files, errors, and operators that converters added."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..bench.export import Exported
from ..record.run import Weights
from ..render.sheet import Column, Sheet
from ..show.timing_notes import weights_notes
from ..workers.formats import Added

_MOST_NAMED: Final = 6
"""Longer lists of added operators are cut."""

_Sizes = Mapping[str, Mapping[str, int]]


def exported_document(
    exported: Mapping[str, Exported], sizes: _Sizes, weights: Weights | None
) -> dict[str, Any]:
    """Return the JSON document of exported parts. sizes: of the written files, by part and path."""
    parts = [
        {
            "part": part,
            "files": sizes[part],
            "ran_on": each.backend,
            "max_abs_err": each.max_abs_err,
            "max_rel_err": each.max_rel_err,
            "wrong": each.wrong,
            "added": None if each.added is None else [op._asdict() for op in each.added],
        }
        for part, each in exported.items()
    ]
    return {"weights": weights, "parts": parts}


def exported_sheet(
    exported: Mapping[str, Exported], sizes: _Sizes, title: str, weights: Weights | None
) -> Sheet:
    """Return a row for each file, and notes on errors and added operators."""
    columns = (
        Column("part", "Part", "text"),
        Column("file", "File", "text"),
        Column("bytes", "Size", "bytes"),
    )
    rows = tuple((part, path, size) for part, files in sizes.items() for path, size in files.items())
    notes = (*_result_notes(exported), *_added_notes(exported), *weights_notes(weights))
    return Sheet(title, columns, rows, notes=notes)


def _result_notes(exported: Mapping[str, Exported]) -> list[str]:
    """Return the largest error of the verified parts, and what is wrong with the others."""
    (backend,) = {each.backend for each in exported.values()}
    errors = {part: each.max_rel_err or 0 for part, each in exported.items() if not each.wrong}
    worst = max(errors, key=lambda part: errors[part], default="")
    where = f" (part {worst})" if len(exported) > 1 else ""
    error = f"maximum error against PyTorch {errors.get(worst, 0):.1e}{where}, relative to its largest output"
    return [
        *([f"Run on {backend}: {error}."] if errors else []),
        *(
            f"Part {part} on {backend}: {each.wrong}; not written."
            for part, each in exported.items()
            if each.wrong
        ),
    ]


def _added_notes(exported: Mapping[str, Exported]) -> list[str]:
    """Return the operators that the converter added, by name for one part, by number for several."""
    added = {part: each.added for part, each in exported.items() if each.added and not each.wrong}
    if not added:
        return []
    if len(exported) == 1:
        (operators,) = added.values()
        return [f"Added by the converter: {_counted(operators, named=True)}."]
    parts: dict[str, list[str]] = {}
    for part, operators in added.items():
        parts.setdefault(_counted(operators), []).append(part)
    groups = (f"{operators} in {', '.join(names)}" for operators, names in parts.items())
    return [f"Added by the converter: {'; '.join(groups)}."]


def _counted(operators: Sequence[Added], *, named: bool = False) -> str:
    """Count operators by kind: "2 PAD (a, b), 1 TRANSPOSE (c)"."""
    counts = Counter(op.kind for op in operators)
    return ", ".join(
        f"{count} {kind}"
        + (f" ({_listed([op.name for op in operators if op.kind == kind])})" if named else "")
        for kind, count in counts.items()
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join([*names[:_MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
