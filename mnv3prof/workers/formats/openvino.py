"""OpenVINO IR, from ONNX: OpenVINO's own converter would send telemetry."""

from pathlib import Path

from ...cost.counts import Dtype
from . import Added, Part, onnx

WHAT = "OpenVINO IR; int8 from the quantized ONNX model"
DTYPES = onnx.DTYPES
CONVERTER = "onnx"
PACKAGES = (*onnx.PACKAGES, "openvino")
SUFFIX = ".xml"

_ADDED = ("Pad", "Transpose")


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the network as part.xml, its weights as part.bin, uncompressed."""
    import openvino

    source = onnx.convert(part, dtype, folder)
    file = folder / "part.xml"
    openvino.save_model(openvino.Core().read_model(source), file, compress_to_fp16=False)
    source.unlink()
    return file


def added(file: Path) -> tuple[Added, ...]:
    """Return the pads and transposes of a network."""
    from xml.etree import ElementTree

    layers = ElementTree.parse(file).iter("layer")
    return tuple(
        Added(layer.attrib["type"], layer.attrib["name"])
        for layer in layers
        if layer.attrib["type"] in _ADDED
    )
