"""Modules that PyTorch's exporter writes into the names of ONNX files."""

import re

from ..names import capped


def module_path(*names: str) -> str:
    """Return the path of the module that the first of the names with one has, or "".

    TorchScript's exporter writes /features/features.0/features.0.0/Conv, where a container's child repeats
    the container's name and another module's does not: /layer1/layer1.0/conv1/Conv is layer1.0.conv1.
    """
    for name in names:
        if name.startswith("/"):
            return capped(_joined(_modules(name)))
    return ""


def _modules(name: str) -> list[str]:
    """Return the parts of a name before the operator, and before what a fusion adds to it."""
    parts = name.strip("/").split("/")
    while len(parts) > 1 and re.match(r"\w*Fusion", parts[-1]):
        parts.pop()
    return parts[:-1]


def _joined(parts: list[str]) -> str:
    parent = last = ""
    for part in parts:
        if not last or not part.startswith(f"{last}."):
            parent = f"{parent}{last}." if last else ""
        last = part
    return parent + last
