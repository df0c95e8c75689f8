"""The parts of a network of a file: an ONNX model is divided, a TFLite model is timed as a whole."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any, Final

import torch

from ..device.runtimes import Unsupported
from ..graph.errors import InputError
from ..graph.parts import NET
from ..record.run import Captured, Subject
from .captured import ends
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
        if len(subject.graph.inputs) > 1:
            raise Unsupported("a network with several inputs is not timed")
        self.kind, self.path = captured.kind, Path(captured.text)
        _require_same(self.path, captured)
        self.subject = subject
        self._folder = tempfile.TemporaryDirectory(prefix="mnv3prof-")
        self._pieces: Any = None
        self._image: Any = None

    def part(self, name: str) -> Part:
        """Return the network or a block, with its input in the network."""
        return self._onnx(name) if self.kind == "onnx" else self._tflite(name)

    def _onnx(self, name: str) -> Part:
        from ..capture.onnx.pieces import OUTPUT, Pieces, run

        graph = self.subject.graph
        if self._pieces is None:
            shapes = [tensor.shape for tensor in graph.inputs]
            try:
                self._pieces = Pieces(self.path, graph.name, shapes)
            except InputError as error:
                raise Unsupported(str(error)) from None
            self._image = _image(self._pieces.model.graph.input[0])
        block = graph.block(name)
        if block is None and name != NET:
            raise Unsupported("a module in an ONNX file is not timed; expected a block")
        first, last = ends(graph, block) if block else (graph.inputs[0].name, graph.outputs[0])
        if block is None and len(graph.outputs) > 1:
            raise Unsupported(f"it returns {len(graph.outputs)} tensors; a part with one is timed")
        given = self._pieces.values(self._image, [first])[first]
        model = self._pieces.piece(first, last)
        expected = run(model, {"x": given})[OUTPUT]
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
        (source,), targets = reference.get_input_details(), reference.get_output_details()
        if len(targets) > 1 or source["dtype"].__name__ != "float32":
            raise Unsupported(
                "a network with several outputs, or an input that is not of floats, is not timed"
            )
        image = torch.randn(*source["shape"].tolist(), generator=torch.Generator().manual_seed(_SEED)).numpy()
        reference.set_tensor(source["index"], image)
        reference.invoke()
        return _part(name, image, reference.get_tensor(targets[0]["index"]), self.path)


def _require_same(path: Path, captured: Captured) -> None:
    """Raise Unsupported if the file is not the one that was counted."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Unsupported(f"{captured.text} cannot be read ({error.strerror})") from None
    if digest != captured.sha256:
        raise Unsupported(f"{captured.text} has changed since it was counted")


def _image(value: Any) -> Any:
    """Return a random input of a model's size. Raises Unsupported for one that is not of floats."""
    if value.type.tensor_type.elem_type != 1:
        raise Unsupported("a network whose input is not of floats is not timed")
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return torch.randn(shape, generator=torch.Generator().manual_seed(_SEED)).numpy()


def _part(name: str, given: Any, expected: Any, file: Path) -> Part:
    image = torch.from_numpy(given.copy())
    return Part(name, torch.nn.Identity(), image, torch.from_numpy(expected.copy()), image, file)
