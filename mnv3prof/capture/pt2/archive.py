"""The description of a program in an archive of torch.export."""

import io
import zipfile
import zlib
from typing import Any, Final, TypeVar

import msgspec

from ...graph.errors import InputError

MOST_TEXT: Final = 200_000_000
"""Maximum number of bytes of the description, inflated."""
_MAJOR: Final = 8
"""The version of the description that is read."""
EXPECTED: Final = "expected an archive of torch.export.save"

_Kind = TypeVar("_Kind")


class Meta(msgspec.Struct):
    """Sizes, strides and the number of the dtype of a tensor."""

    sizes: list[dict[str, Any]]
    strides: list[dict[str, Any]] = []
    dtype: int = 0


class Argument(msgspec.Struct):
    """An argument of a call."""

    arg: dict[str, Any]
    name: str = ""


class Node(msgspec.Struct):
    """A call."""

    target: str
    inputs: list[Argument]
    outputs: list[dict[str, Any]]
    metadata: dict[str, Any] = {}
    name: str | None = None


class Inner(msgspec.Struct):
    """A graph: calls, and what is known of its tensors."""

    nodes: list[Node]
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    tensor_values: dict[str, Meta]


class Signature(msgspec.Struct):
    """What the inputs and outputs are."""

    input_specs: list[dict[str, dict[str, Any]]]
    output_specs: list[dict[str, dict[str, Any]]]


class Module(msgspec.Struct):
    """A graph with its signature. ranges: least and most of each symbolic size."""

    graph: Inner
    signature: Signature
    ranges: dict[str, dict[str, Any]] = {}


class Described(msgspec.Struct):
    """A program."""

    graph_module: Module
    range_constraints: dict[str, dict[str, Any]] = {}


class Stored(msgspec.Struct):
    """Where a weight is stored: weights of one place are one."""

    path_name: str
    tensor_meta: dict[str, Any] = {}


class Weights(msgspec.Struct):
    """Where weights are stored, by name."""

    config: dict[str, Stored]


class Version(msgspec.Struct):
    """A version."""

    major: int
    minor: int = 0


class Versioned(msgspec.Struct):
    """The version of a description."""

    schema_version: Version


def described(data: bytes) -> tuple[Module, dict[str, Stored]]:
    """Return the description of the program, and where its weights are. Raises InputError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [each for each in archive.infolist() if _is_in(each.filename, "models", ".json")]
            if len(found) != 1:
                raise InputError(f"has {len(found)} programs; {EXPECTED} of PyTorch 2.7 or newer, with one")
            text = _text(archive, found[0])
            stored = [e for e in archive.infolist() if _is_in(e.filename, "weights", "_weights_config.json")]
            places = _text(archive, stored[0]) if len(stored) == 1 else b'{"config": {}}'
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        RuntimeError,
    ) as error:
        raise InputError(f"is no archive that can be read ({error}); {EXPECTED}") from None
    return _module(text), _decoded(places, Weights).config


def _module(text: bytes) -> Module:
    version = _decoded(text, Versioned).schema_version
    if version.major != _MAJOR:
        raise InputError(f"its schema is {version.major}.{version.minor}; expected {_MAJOR}.x")
    found = _decoded(text, Described)
    found.graph_module.ranges = found.range_constraints
    return found.graph_module


def _decoded(text: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"its program is damaged ({error}); {EXPECTED}") from None


def _text(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return a description as text, without inflating more than is allowed."""
    if entry.file_size > MOST_TEXT:
        raise InputError(f"its program is too large; expected at most {MOST_TEXT:,} bytes")
    with archive.open(entry) as file:
        return file.read(MOST_TEXT)


def _is_in(file: str, folder: str, suffix: str) -> bool:
    return file.endswith(suffix) and file.split("/")[-2:-1] == [folder]
