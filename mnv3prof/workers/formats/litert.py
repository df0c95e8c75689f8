"""LiteRT's flatbuffer (tflite), by litert-torch."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...cost.counts import Dtype
from ...device.runtimes import Unsupported
from . import Added, Layout, Part, batches

WHAT = "LiteRT (tflite); int8 by PT2E, static, per channel"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
CONVERTER = "litert-torch"
PACKAGES = ("torch", "litert-torch", "torchao")
SUFFIX = ".tflite"
SLOW = True
ALIASES = ("tflite",)
LAYOUTS: tuple[Layout, ...] = ("nchw", "nhwc")

_ADDED = ("PAD", "PADV2", "TRANSPOSE")


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the part as a flatbuffer."""
    if part.file:
        if dtype != "fp32":
            raise Unsupported("the dtype of a file is not changed")
        return Path(shutil.copyfile(part.file, folder / "part.tflite"))
    import litert_torch

    module, options = _quantized(part) if dtype == "int8" else (part.module, {})
    file = folder / "part.tflite"
    litert_torch.convert(module, part.given, **options).export(str(file))
    return file


def _quantized(part: Part) -> tuple[Any, dict[str, Any]]:
    import torch
    from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
    from litert_torch.quantize.quant_config import QuantConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    quantizer = PT2EQuantizer().set_global(config)
    prepared = prepare_pt2e(torch.export.export(part.module, part.given).module(), quantizer)
    try:
        for inputs in batches(part):
            prepared(*inputs)
    except NotImplementedError:  # of a histogram
        raise Unsupported("its quantizer cannot take integers, such as the 2 of 2 * x") from None
    options = {"quant_config": QuantConfig(pt2e_quantizer=quantizer)}
    return convert_pt2e(prepared, fold_quantize=False), options


def added(file: Path) -> tuple[Added, ...]:
    """Return the pads and transposes of a flatbuffer, named by the module that they belong to."""
    return tuple(op for op in _operators(file.read_bytes()) if op.kind in _ADDED)


def _operators(data: bytes) -> Iterator[Added]:
    from ai_edge_litert import schema_py_generated as schema

    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    model = schema.Model.GetRootAs(data, 0)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for op in map(graph.Operators, range(graph.OperatorsLength())):
            code = model.OperatorCodes(op.OpcodeIndex())
            # Codes below 128 may stand in the older field only.
            kind = kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            yield Added(kind, _path(graph.Tensors(op.Outputs(0)).Name().decode()))


def _path(tensor: str) -> str:
    """Return the path of a tensor's module, "a.0" for "x.Net/y.Block_a/z.Conv2d_0;1"; else its own name."""
    _, *inner = tensor.partition(";")[0].split("/")
    path = ".".join(re.sub(r"^.*\._?[^_.]*_", "", each) for each in inner)
    return path.removeprefix("part.") or tensor.rpartition(".")[2]  # workers.layouts wraps the part
