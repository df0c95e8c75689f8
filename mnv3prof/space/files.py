"""Parse spaces in TOML; errors name file, stage and key."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Final, get_args

from msgspec.structs import replace

from ..graph.errors import InputError, about, any_of, printable, quote, suggestion
from ..mobilenetv3.cells import cell_value
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.fields import ROW_RULES, Rule, integer
from ..mobilenetv3.files import MAX_TABLE_BYTES, parse_toml
from ..mobilenetv3.table import TABLE_RULES
from ..mobilenetv3.variants import MAX_MULTIPLIER
from ..mobilenetv3.width_rules import WidthRule
from ..record.atomic import read_file
from .space import MOST_ENTRIES, MOST_IN_ALL, Context, Space, Stage

SPACES: Final = ("ofa", "near-large", "near-small")
MOST_CONTEXTS: Final = 1_000
_MOST_STAGES: Final = 32
_MOST_ROWS: Final = 16
_OUTER: Final = ("head", "last", "classes")
"""Keys of the table of which one value is chosen for a network."""
_SPACE: Final = ("input", "width", "width_rule", "stage")
_ROW: Final = tuple(name for name in ROW_RULES if name not in ("out", "stride"))
_STAGE: Final = ("out", "stride", "depth", "ratio", *_ROW)
_RATIO: Final = Rule("a number from 0.125 to 64", lambda v: type(v) in (int, float) and 0.125 <= v <= 64)
_DEPTH: Final = integer(_MOST_ROWS)
_WIDTH: Final = Rule(
    f"a number above 0, at most {MAX_MULTIPLIER:g}",
    lambda v: type(v) in (int, float) and 0 < v <= MAX_MULTIPLIER,
)


def preset_space(name: str) -> Space:
    """Return the space of a preset. name: one of SPACES."""
    path = Path(__file__).parent / "presets" / f"{name}.toml"
    return parse_space(path.read_bytes(), path.name, name)


def open_space(text: str) -> Space:
    """Return the space of a preset or a TOML file. Raises InputError."""
    if text in SPACES:
        return preset_space(text)
    path, where = Path(text), printable(text)
    if not _is_utf8(text):
        raise InputError(f"{where}: the name is not UTF-8; expected another name of the file")
    if path.suffix.lower() != ".toml":
        raise InputError(f"{where}: is not a space; expected a file .toml, or {any_of(SPACES)}")
    data = read_file(path, MAX_TABLE_BYTES, f"expected a space in TOML, or {any_of(SPACES)}")
    return replace(parse_space(data, where, printable(path.stem)[:200]), file=text)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # it has bytes that are no text
        return False
    return True


def parse_space(data: bytes, where: str, name: str) -> Space:
    """Parse the space in the bytes of a TOML file. Raises InputError about `where`. name: if it has none."""
    if len(data) > MAX_TABLE_BYTES:
        raise InputError(f"{where}: is too large for a space; expected at most {MAX_TABLE_BYTES:,} bytes")
    try:
        document = parse_toml(data.decode("utf-8-sig"), where)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{where}, line {line}: the bytes are not UTF-8; save the file as UTF-8") from None
    return space_from(document, where, name)


def is_space(text: str) -> bool:
    """Return True if a text names a preset, or a file with stages."""
    path = Path(text)
    if text in SPACES or path.suffix.lower() != ".toml" or not path.is_file():
        return text in SPACES
    return has_stages(read_file(path, MAX_TABLE_BYTES, "expected a space or a table"))


def has_stages(data: bytes) -> bool:
    """Return True for the bytes of a space, not of a table or of no TOML."""
    with suppress(InputError, UnicodeDecodeError):
        return "stage" in parse_toml(data.decode("utf-8-sig"), "")
    return False


def space_from(document: Mapping[str, Any], where: str, name: str) -> Space:
    """Return the space in a decoded file. Raises InputError about `where`."""
    if "stage" not in document:
        what = "is a layer table, not a space" if "rows" in document else "is no space"
        raise InputError(f"{where}: {what}; expected tables [[stage]]")
    known = (*_SPACE, *(key for key in TABLE_RULES if key != "stages"))
    for key in document:
        if key not in known:
            raise InputError(f"{where}: the key {quote(key)} is unknown; {suggestion(key, known)}")
    given = document.get("stage")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_STAGES:
        raise InputError(f"{where}, key stage: expected 1 to {_MOST_STAGES} tables [[stage]]")
    stages = tuple(_stage(each, f"{where}, stage {n}") for n, each in enumerate(given, 1))
    rule = document.get("width_rule", "paper")
    if rule not in get_args(WidthRule):
        raise InputError(
            f"{where}, key width_rule: {quote(rule)} is not allowed; "
            f"{suggestion(str(rule), get_args(WidthRule))}"
        )
    fixed = {
        key: _outer(key, document[key], f"{where}, key {key}")
        for key in TABLE_RULES  # in this order, whatever the file's
        if key in document and key not in (*_SPACE, *_OUTER)
    }
    called = fixed.pop("name", name)
    space = Space(called, _contexts(document, where), stages, tuple(fixed.items()), rule)
    if space.entries > MOST_IN_ALL:
        raise InputError(
            f"{where}: its choices make {space.entries:,} entries over all widths and inputs; expected at "
            f"most {MOST_IN_ALL:,}: fewer of them, or fewer choices"
        )
    with about(where):
        space.network(0)  # what cannot be combined is refused here
        space.network(space.size - 1)
    return space


def _contexts(document: Mapping[str, Any], where: str) -> tuple[Context, ...]:
    widths = [float(each) for each in _listed(document.get("width", 1.0), _WIDTH, f"{where}, key width")]
    sizes = document.get("input", 224)
    inputs = [
        image_size(each, f"{where}, key input") for each in (sizes if isinstance(sizes, list) else [sizes])
    ]
    _require_distinct(widths, f"{where}, key width")
    _require_distinct(inputs, f"{where}, key input")
    outer: list[tuple[str, tuple[Any, ...]]] = []
    for key in _OUTER:
        if key in document:
            choices = document[key] if isinstance(document[key], list) else [document[key]]
            choices = choices or [[]]  # none, of which there is no choice
            found = tuple(_outer(key, each, f"{where}, key {key}") for each in choices)
            _require_distinct(found, f"{where}, key {key}")
            outer.append((key, found))
    count = len(widths) * len(inputs) * prod(len(choices) for _, choices in outer)
    if not 1 <= count <= MOST_CONTEXTS:
        raise InputError(
            f"{where}: width, input, head, last and classes have {count:,} combinations; expected 1 to "
            f"{MOST_CONTEXTS:,}"
        )
    return tuple(
        Context(width, size, tuple(zip((key for key, _ in outer), values, strict=True)))
        for width, size, *values in product(widths, inputs, *(choices for _, choices in outer))
    )


def _require_distinct(values: Sequence[Any], where: str) -> None:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise InputError(f"{where}: choice {number + 1} is there twice; expected once")


def _outer(key: str, value: Any, where: str) -> Any:
    with about(where):
        found = cell_value(key, value)
    if not TABLE_RULES[key].accepts(found):
        raise InputError(f"{where}: {quote(value)} is not allowed; expected {TABLE_RULES[key].expected}")
    return found


def _stage(given: Any, where: str) -> Stage:
    if not isinstance(given, dict):
        raise InputError(f"{where}: {quote(given)} is not a stage; expected a table")
    once = given.get("stage", {})
    if not isinstance(once, dict):
        raise InputError(f"{where}, key stage: {quote(once)} is not allowed; expected keys such as stage.se")
    for key in (*given, *(f"stage.{key}" for key in once)):
        known = (
            (*_STAGE, "stage")
            if not key.startswith("stage.")
            else tuple(f"stage.{k}" for k in ("ratio", *_ROW))
        )
        if key not in known:
            raise InputError(f"{where}: the key {quote(key)} is unknown; {suggestion(key, known)}")
    for key in ("out", "kernel"):
        if key not in given and key not in once:
            raise InputError(f"{where}: the key {key} is missing; expected one value or a list of choices")
    both = [key for key in _STAGE if key in given and key in once]
    if both:
        raise InputError(f"{where}: {both[0]} is there for the stage and for its rows; expected one of them")
    if sum(key in values for key in ("expand", "ratio") for values in (given, once)) != 1:
        raise InputError(f"{where}: expected either expand or ratio")
    stage = Stage(
        out=_listed(given["out"], ROW_RULES["out"], f"{where}, key out"),
        stride=_stride(given.get("stride", 1), where),
        depth=_listed(given.get("depth", 1), _DEPTH, f"{where}, key depth"),
        once=_by_key(once, f"{where}, key stage"),
        each=_by_key({key: value for key, value in given.items() if key in ("ratio", *_ROW)}, where),
    )
    if stage.entries > MOST_ENTRIES:
        raise InputError(
            f"{where}: its choices make {stage.entries:,} entries; expected at most {MOST_ENTRIES:,}: "
            f"{_exploding(stage)}"
        )
    return stage


def _exploding(stage: Stage) -> str:
    """Name the choice that has the most part in the number of entries."""
    deepest = max(stage.depth)
    if deepest > 1 and stage.each:
        key, values = max(stage.each, key=lambda pair: len(pair[1]))
        return (
            f"{key} has {len(values)} choices in each of up to {deepest} rows; make it stage.{key}, "
            "or divide the stage"
        )
    key, values = max((("out", stage.out), *stage.once), key=lambda pair: len(pair[1]))
    return f"{key} has {len(values)} choices"


def _by_key(given: Mapping[str, Any], where: str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the choices in the order of the columns of a row, whatever the file's."""
    ordered = sorted(given, key=("ratio", *ROW_RULES).index)
    return tuple((key, _listed(given[key], _rule(key), f"{where}, key {key}", key)) for key in ordered)


def _rule(key: str) -> Rule:
    return _RATIO if key == "ratio" else ROW_RULES[key]


def _stride(given: Any, where: str) -> Any:
    """Return a stride, of which there is no choice: that of each axis is [[1, 2]], as an input's size is."""
    is_nested = isinstance(given, list) and len(given) == 1 and isinstance(given[0], list)
    found = cell_value("stride", given[0] if is_nested else given)
    if not ROW_RULES["stride"].accepts(found) or (isinstance(given, list) and not is_nested):
        raise InputError(
            f"{where}, key stride: {quote(given)} is not allowed; expected one stride, such as 2, or that of "
            "height and width, such as [[1, 2]]"
        )
    return found


def _listed(given: Any, rule: Rule, where: str, key: str = "") -> tuple[Any, ...]:
    """Return the choices of a key, of which there is at least one and each once. Raises InputError."""
    values = given if isinstance(given, list) else [given]
    found: list[Any] = []
    for value in values:
        with about(where):
            known = cell_value(key, value) if key else value
        if not rule.accepts(known):
            raise InputError(f"{where}: {quote(value)} is not allowed; expected {rule.expected}")
        if any(type(known) is type(each) and known == each for each in found):
            raise InputError(f"{where}: {quote(value)} is there twice; expected once")
        found.append(known)
    if not found:
        raise InputError(f"{where}: has no choice; expected at least one")
    return tuple(found)
