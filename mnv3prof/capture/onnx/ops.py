"""ONNX operators: their operation in graph.ops.

An operator is a product with a formula, or in the list of operators without multiply-accumulates, or
unknown: then it has no price.
"""

from collections.abc import Mapping
from typing import Final

from ...graph.graph import Geometry, Shape
from ...graph.ops import OPS
from .node import Node
from .products import PRODUCTS, Found, window

SETTINGS: Final = frozenset(("Clip", "Pad", "Resize", "Upsample", "QuantizeLinear", "DequantizeLinear"))
"""Operators whose first input alone is a tensor; the others are settings."""

DRAWS: Final = (
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
)  # fmt: skip
"""Operators that draw random numbers."""
_SAME: Final = (
    "Relu Sigmoid HardSigmoid HardSwish Tanh Elu Selu Softplus Mish Softmax Add Sub Mul Div Neg Abs Sqrt Exp "
    "Log Pow Erf Sin Cos Floor Ceil Round Sign Reciprocal Where CumSum Mod ArgMax ArgMin Dropout Concat "
    "Gather Cast Range Swish"
)
_NAMES: Final[dict[str, str]] = {
    **{name: name.lower() for name in _SAME.split()},
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "instance_norm",
    **dict.fromkeys(("RMSNormalization", "SimplifiedLayerNormalization"), "rms_norm"),
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "LogSoftmax": "log_softmax",
    **dict.fromkeys(
        ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsNaN", "IsInf"), "compare"
    ),
    **dict.fromkeys(
        ("And", "Or", "Not", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseNot", "BitwiseXor"), "logical"
    ),
    **dict.fromkeys(("GlobalAveragePool", "ReduceMean", "AveragePool"), "avg_pool"),
    **dict.fromkeys(("GlobalMaxPool", "MaxPool"), "max_pool"),
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceL2": "vector_norm",
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"), "view"),
    **dict.fromkeys(("Transpose", "Pad"), "copy"),
    **dict.fromkeys(
        ("Split", "Slice", "GatherElements", "GatherND", "ScatterElements", "ScatterND"), "gather"
    ),
    **dict.fromkeys(("Scatter", "Trilu", "Compress"), "gather"),
    **dict.fromkeys(("Expand", "Tile"), "repeat"),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), "pixel_shuffle"),
    **dict.fromkeys(("ConstantOfShape", "EyeLike"), "fill"),
    **dict.fromkeys(DRAWS, "random"),
    "CastLike": "cast",
    "QuantizeLinear": "quantize",
    "DequantizeLinear": "dequantize",
    "TopK": "sort",
    "ReverseSequence": "flip",
}
"""Operations without multiply-accumulates, by ONNX's name."""
_OF_TWO: Final = {"Max": "maximum", "Min": "minimum", "Sum": "add"}
"""Elementwise operators of any number of operands."""
_POOLS: Final = ("AveragePool", "MaxPool")
_RESIZED: Final = {"nearest": "upsample_nearest", "linear": "upsample_bilinear", "cubic": "upsample_bicubic"}


def find(node: Node, shapes: Mapping[str, Shape], values: Mapping[str, float]) -> Found:
    """Return the operation of a node.

    shapes: with the batch. values: of constants with one element. Raises InputError for a product that
    has no formula.
    """
    if rule := PRODUCTS.get(node.op):
        return rule(node, shapes)
    operands = node.inputs[1:3] if node.op == "BatchNormalization" else None
    return Found(_name(node, shapes, values), _geometry(node, shapes), operands=operands)


def _name(node: Node, shapes: Mapping[str, Shape], values: Mapping[str, float]) -> str:
    if node.op == "Clip":
        return _clip(node, values)
    if node.op == "Gelu":
        return "gelu_tanh" if node.attributes.get("approximate") == b"tanh" else "gelu"
    if node.op in _OF_TWO:
        operands = len(node.inputs)
        return _OF_TWO[node.op] if operands == 2 else f"{node.op.lower()} of {operands}"
    if node.op in ("Resize", "Upsample"):
        return _resize(node, shapes)
    if node.op == "BatchNormalization" and node.attributes.get("training_mode"):
        return "batch_stat_norm"
    name = node.op.lower()
    return _NAMES.get(node.op) or (f"onnx {name}" if name in OPS else name)


def _clip(node: Node, values: Mapping[str, float]) -> str:
    """Bounds are attributes before opset 11, and inputs since then."""
    operands = (*node.inputs, "", "")[1:3]
    lower, upper = (
        values.get(name) if name else node.attributes.get(key)
        for name, key in zip(operands, ("min", "max"), strict=True)
    )
    if lower == 0 and (upper == 6 or (upper is None and not operands[1])):
        return "relu" if upper is None else "relu6"
    if not operands[1] and upper is None:
        return "maximum"
    return "minimum" if not operands[0] and lower is None else "hardtanh"


def _resize(node: Node, shapes: Mapping[str, Shape]) -> str:
    """Return the operation; the prices of interpolations are those of images, without antialiasing."""
    mode = node.attributes.get("mode", b"nearest")
    name = _RESIZED.get(mode.decode("utf-8", "replace") if isinstance(mode, bytes) else "", "resize")
    image = len(shapes[node.outputs[0]]) == 4 and not node.attributes.get("antialias")
    return name if image or name == "upsample_nearest" else "resize"


def _geometry(node: Node, shapes: Mapping[str, Shape]) -> Geometry | None:
    kernel = node.attributes.get("kernel_shape")
    if node.op not in _POOLS or not kernel:
        return None
    return window(node, tuple(kernel), shapes[node.inputs[0]], shapes[node.outputs[0]])
