"""ncnn's param and bin, by pnnx."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cost.counts import Dtype
from ...device.runtimes import Unsupported
from . import Added, Part

if TYPE_CHECKING:
    from torch import Tensor, nn

WHAT = "ncnn"
DTYPES: tuple[Dtype, ...] = ("fp32",)
CONVERTER = "pnnx"
PACKAGES = ("torch", "pnnx", "ncnn")
SUFFIX = ".param"
MOST_IMAGES = 1

_ADDED = ("Padding", "Permute")


def convert(part: Part, dtype: Dtype, folder: Path) -> Path:
    """Write the network as part.ncnn.param, its weights as part.ncnn.bin: by pnnx, unless it is a part of a
    layer table.
    """
    main = folder / "part.ncnn.param"
    if (written := _written(part)) is not None:
        main.write_text(written[0], encoding="utf-8")
        main.with_suffix(".bin").write_bytes(written[1])
        return main
    _convert(part, folder)
    if left := dict.fromkeys(kind for kind, _ in _layers(main) if "." in kind or ":" in kind):
        raise Unsupported(f"ncnn has no layer for {', '.join(left)}, which pnnx left as it was")
    return main


def _written(part: Part) -> tuple[str, bytes] | None:
    from ..direct.ncnn import ncnn_model
    from ..direct.operations import operations_of

    operations = operations_of(part)
    return None if operations is None else ncnn_model(operations)


def _convert(part: Part, folder: Path) -> None:
    import pnnx

    # pnnx cannot name the children of a Sequential at the root.
    if part.file:
        _convert_file(part, folder)
    else:
        try:
            pnnx.export(_wrapped(part), str(folder / "part.pt"), part.given, fp16=False)
        except (FileNotFoundError, SyntaxError):  # of the script for PyTorch, which it writes and runs
            if not (folder / "part.ncnn.param").is_file():
                raise Unsupported("pnnx cannot convert it, and does not say why") from None
    _require_batches(part, folder / "part_ncnn.py")
    for file in folder.iterdir():  # a folder is __pycache__ of the module that pnnx writes and runs
        if file.name not in ("part.ncnn.param", "part.ncnn.bin"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()


def _convert_file(part: Part, folder: Path) -> None:
    """Convert an ONNX model by pnnx's program."""
    import pnnx

    source = folder / "part.onnx"
    shutil.copyfile(str(part.file), source)
    shapes = ",".join(f"[{','.join(map(str, each.shape))}]{_kind(each)}" for each in part.given)
    command = [pnnx.EXEC_PATH, source.name, f"inputshape={shapes}", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "part.ncnn.param").is_file():
        raise RuntimeError(f"pnnx wrote no model: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")


def _require_batches(part: Part, script: Path) -> None:
    """Raise Unsupported if pnnx did not take a first axis as the batch, in its script that runs the network.

    A block in the middle may be given one image as several, such as the patches of an image.
    """
    several = [n for n, given in enumerate(part.given) if len(given) > 1]
    text = script.read_text(encoding="utf-8") if several else ""
    for n in several:
        if f"in{n}.numpy(), batch_index=0" not in text:
            raise Unsupported(f"pnnx does not see that an input is {len(part.given[n])} for one image")


def _kind(tensor: "Tensor") -> str:
    """Return pnnx's name of a dtype."""
    letters = {"f": "f", "i": "i", "b": "bool"}
    values = tensor.numpy()
    return letters[values.dtype.kind] + (str(8 * values.itemsize) if values.dtype.kind != "b" else "")


def added(file: Path) -> tuple[Added, ...]:
    """Return the paddings and permutations in a param file: lines of a kind, a name, and numbers."""
    return tuple(Added(kind, name) for kind, name in _layers(file) if kind in _ADDED)


def _layers(file: Path) -> Iterator[tuple[str, str]]:
    """Yield kind and name of each layer of a param file, after its two lines of numbers."""
    for line in file.read_text(encoding="utf-8").splitlines()[2:]:
        kind, name, *_ = line.split()
        yield kind, name


def _wrapped(part: Part) -> "nn.Module":
    from torch import nn

    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = part.module

        def forward(self, *inputs: "Tensor") -> Any:
            return self.part(*inputs)

    return Wrapper().eval()
