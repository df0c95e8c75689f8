"""ONNX, which several runtimes read."""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ...cost.counts import Dtype
from ...device.runtimes import Unsupported, input_names, output_names
from . import Added, Part, batches

WHAT = "ONNX; int8 as QDQ, static, per channel"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
CONVERTER = "onnx"
PACKAGES = ("torch", "onnx", "onnxruntime")
SUFFIX = ".onnx"
OPSETS: dict[Dtype, range] = {"fp32": range(9, 21), "int8": range(13, 21)}
"""Before 9 the exporter does not fold batch norm, and 20 is its last; per-channel scales came with 13."""

_ADDED = ("Pad", "Transpose")


def convert(part: Part, dtype: Dtype, folder: Path, opset: int | None = None) -> Path:
    """Write the part as an ONNX model with inputs x, x1, ... and outputs y, y1, ...

    opset: of the exporter. If None, parts of layer tables are written without it, and others in its default.
    Before 14, hard-swish is written as HardSigmoid and Mul.
    """
    from ..direct.onnx import onnx_model
    from ..direct.operations import operations_of

    file = folder / "part.onnx"
    if part.file:
        if opset is not None:
            raise Unsupported("an ONNX file keeps its opset")
        shutil.copyfile(part.file, file)
        if dtype == "int8":
            _quantize(part, file)
        return file
    if opset is None and (operations := operations_of(part)):
        file.write_bytes(onnx_model(operations, len(part.given[0])))
    else:
        _export(part, file, opset)
    if dtype == "int8":
        _quantize(part, file)
    return file


def _export(part: Part, file: Path, opset: int | None) -> None:
    import torch

    ends = {"input_names": input_names(len(part.given)), "output_names": output_names(len(part.expected))}
    options: Any = {**ends, "opset_version": opset, "dynamo": False}
    torch.onnx.export(part.module, part.given, file, **options)


def _quantize(part: Part, file: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    quantized = file.with_name("part.int8.onnx")
    quantize_static(
        file,
        quantized,
        _Reader(part, {value.name for value in onnx.load(file, load_external_data=False).graph.input}),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    quantized.replace(file)


def added(file: Path) -> tuple[Added, ...]:
    """Return the pads and transposes of a model, but not those of constants, which a runtime folds."""
    import onnx

    graph = onnx.load(file).graph
    computed = {given.name for given in graph.input} - {constant.name for constant in graph.initializer}
    found = []
    for node in graph.node:
        if computed.intersection(node.input):
            computed.update(node.output)
            found += [Added(node.op_type, node.name)] if node.op_type in _ADDED else []
    return tuple(found)


class _Reader:
    """Iterates over the calibration inputs in batches of the model's size."""

    def __init__(self, part: Part, known: Collection[str]) -> None:
        names = input_names(len(part.given))
        self._feeds: Iterator[dict[str, Any]] = iter(
            {name: each.numpy() for name, each in zip(names, inputs, strict=True) if name in known}
            for inputs in batches(part)
        )

    def get_next(self) -> dict[str, Any] | None:
        """Return the next feed, or None after the last."""
        return next(self._feeds, None)
