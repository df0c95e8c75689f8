"""Time from cold to the counts of networks that are no layer table."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pytest
import torch
from terminal import SCRIPT

_TESTS = str(Path(__file__).parent.parent)
_ENVIRONMENT = {**os.environ, "PYTHONPATH": _TESTS}
_LIBRARIES = [sys.executable, "-c", "import torch, torchvision_oracle"]
_RESNET = [
    sys.executable,
    "-c",
    "import torchvision_oracle, sys\nfrom mnv3prof.cli.main import main\n"
    "sys.argv = ['mnv3prof', 'flops', 'torchvision:resnet50']\nmain()",
]
_LARGE = [SCRIPT, "flops", "large"]
_PAIRS = 10


def _seconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_ENVIRONMENT, check=True
    )
    return perf_counter() - start


def _ratio(benchmark: Any, ours: list[str], peer: list[str]) -> float:
    """Median of `ours` over median of `peer`, of interleaved pairs."""
    times: list[tuple[float, float]] = []
    for command in (ours, peer):
        _seconds(command)  # fills the file cache
    benchmark.pedantic(lambda: times.append((_seconds(ours), _seconds(peer))), rounds=_PAIRS)
    mine, others = (median(each) for each in zip(*times, strict=True))
    print(f"\nours {mine:.3f} s, peer {others:.3f} s, ratio {mine / others:.3f}")
    return float(mine / others)


def test_a_module_against_importing_its_libraries(benchmark: Any) -> None:
    assert _ratio(benchmark, _RESNET, _LIBRARIES) <= 1.6


@pytest.mark.parametrize(("kind", "most"), [("onnx", 3), ("pt2", 2), ("tflite", 2)])
def test_a_file_against_a_layer_table(benchmark: Any, tmp_path: Path, kind: str, most: float) -> None:
    file = tmp_path / f"net.{kind}"
    module, image = _network(), torch.zeros(1, 3, 64, 64)
    if kind == "onnx":
        torch.onnx.export(module, (image,), file, dynamo=False)
    elif kind == "pt2":
        torch.export.save(torch.export.export(module, (image,)), file)
    else:
        import litert_torch

        litert_torch.convert(module, (image,)).export(str(file))
    assert _ratio(benchmark, [SCRIPT, "flops", str(file)], _LARGE) <= most


def _network() -> Any:
    """Return the network of the files: MobileNetV3-Large."""
    import mnv3prof

    return mnv3prof.build(mnv3prof.read_table("large")).eval()
