"""The parts of a network of a file: an ONNX model is divided, a TFLite model is timed as a whole."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from ..device.runtimes import Unsupported, input_names, litert
from ..graph.errors import InputError
from ..graph.parts import NET
from ..record.run import Captured, Subject
from .captured import ends, random_input, require_constant, require_timed
from .formats import Part

_SEED: Final = 0


class FileParts:
    """A network of a file and its parts, at batch 1. Raises Unsupported for what cannot be timed."""

    def __init__(self, subject: Subject, batch: int) -> None:
        assert subject.captured is not None
        captured = subject.captured
        try:
            captured.require_named()
            captured.require_runnable()
        except InputError as error:
            raise Unsupported(str(error)) from None
        if batch != 1:
            raise Unsupported(f"a .{captured.kind} file is timed at batch 1")
        require_timed(captured.dtypes)
        self.kind, self.path = captured.kind, Path(captured.text)
        _require_same(self.path, captured)
        self.subject = subject
        self._folder = tempfile.TemporaryDirectory(prefix="mnv3prof-")
        self._pieces: Any = None

    def part(self, name: str) -> Part:
        """Return the network or a part, with its input in the network."""
        require_constant(self.subject.graph, name)
        return self._onnx(name) if self.kind == "onnx" else self._tflite(name)

    def _onnx(self, name: str) -> Part:
        from ..capture.onnx.pieces import Pieces, run

        graph = self.subject.graph
        if self._pieces is None:
            try:
                self._pieces = Pieces(self.path, graph.name, [tensor.shape for tensor in graph.inputs])
            except InputError as error:
                raise Unsupported(str(error)) from None
        _, read, handed = ends(graph, name)
        sizes = [
            [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in self._pieces.model.graph.input
        ]
        given = self._pieces.values(self._images(sizes), read)
        model = self._pieces.piece(read, handed)
        names = input_names(len(given))
        expected = [*run(model, dict(zip(names, given, strict=True))).values()]
        file = Path(self._folder.name) / f"{len(list(Path(self._folder.name).iterdir()))}.onnx"
        file.write_bytes(model.SerializeToString())
        return _part(name, given, expected, file)

    def _tflite(self, name: str) -> Part:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        if name != NET:
            raise Unsupported("a part of a .tflite file is not timed; expected the whole network")
        reference = Interpreter(
            str(self.path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        reference.allocate_tensors()
        in_file = reference.get_input_details()
        images = self._images([source["shape"].tolist() for source in in_file])
        sources, targets = litert.ends(reference)
        by_index = {source["index"]: image for source, image in zip(in_file, images, strict=True)}
        given = [by_index[source["index"]] for source in sources]
        for index, image in by_index.items():
            reference.set_tensor(index, image)
        reference.invoke()
        expected = [np.asarray(litert.reader(reference, target)()) for target in targets]
        return _part(name, given, expected, self.path)

    def _images(self, sizes: Sequence[Sequence[int]]) -> list[Any]:
        """Return random inputs of these sizes."""
        assert self.subject.captured is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            ends = zip(sizes, self.subject.captured.dtypes, strict=True)
            return [random_input(size, dtype).numpy() for size, dtype in ends]


def _require_same(path: Path, captured: Captured) -> None:
    """Raise Unsupported if the file is not the one that was counted."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unsupported(f"{captured.text} cannot be read ({error.strerror})") from None
    if digest != captured.sha256:
        raise Unsupported(f"{captured.text} has changed since it was counted")


def _part(name: str, given: Sequence[Any], expected: Sequence[Any], file: Path) -> Part:
    images, results = (tuple(torch.from_numpy(each.copy()) for each in ends) for ends in (given, expected))
    return Part(name, torch.nn.Identity(), images, results, images, file)
