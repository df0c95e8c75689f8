"""LiteRT's flatbuffer (tflite), by litert-torch."""

from pathlib import Path
from typing import Any

from ...cost.counts import Dtype
from . import Part, batches

WHAT = "LiteRT (tflite); int8 by PT2E, static, per channel"
DTYPES: tuple[Dtype, ...] = ("fp32", "int8")
CONVERTER = "litert-torch"
PACKAGES = ("torch", "litert-torch", "torchao")
SUFFIX = ".tflite"
SLOW = True
ALIASES = ("tflite",)


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the part as a flatbuffer."""
    import litert_torch

    module, options = _quantized(part) if dtype == "int8" else (part.module, {})
    file = folder / "part.tflite"
    litert_torch.convert(module, (part.given,), **options).export(str(file))
    return file


def _quantized(part: Part) -> tuple[Any, dict[str, Any]]:
    import torch
    from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
    from litert_torch.quantize.quant_config import QuantConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    quantizer = PT2EQuantizer().set_global(config)
    prepared = prepare_pt2e(torch.export.export(part.module, (part.given,)).module(), quantizer)
    for inputs in batches(part):
        prepared(inputs)
    options = {"quant_config": QuantConfig(pt2e_quantizer=quantizer)}
    return convert_pt2e(prepared, fold_quantize=False), options
