"""Archives of torch.export: the same graph as the program's in memory, and what is refused."""

import io
import json
import random
import subprocess
import sys
import time
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import damaged_bytes, damaged_values
from networks import Tied
from torch import nn

import mnv3prof
from mnv3prof.capture import pt2
from mnv3prof.capture.export import exported, program_of
from mnv3prof.capture.lower import lower
from mnv3prof.capture.program import Ref
from mnv3prof.capture.pt2 import read_program, read_pt2
from mnv3prof.capture.pt2.symbols import Symbols
from mnv3prof.capture.sources import captured_file
from mnv3prof.cli.main import run as command
from mnv3prof.graph.errors import InputError
from mnv3prof.graph.graph import Graph, Tensor


class Attention(nn.Module):
    """Attention behind a convolution; several outputs of one operator, of which some are views."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        first, second = self.conv(x).split(4, 1)
        z = torch.cat([second, first], 1).flatten(2).transpose(1, 2)
        z = self.attention(z, z, z, need_weights=False)[0]
        values, places = z.topk(3, 1)
        return {"y": self.linear(values.float()).reshape(-1), "places": places}


class Regions(nn.Module):
    """Regions that only change a mode, constants, a buffer, a parameter that is not read, and infinity."""

    mask: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.items = nn.ModuleList([nn.Linear(8, 8)])
        self.unused = nn.Parameter(torch.ones(7))
        self.register_buffer("mask", torch.ones(8, 8))

    def forward(self, x: Any, y: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            x = self.items[0](self.linear(x))
            with torch.enable_grad():
                x = self.items[0](x)
        x = x.float()
        x = torch.relu_(x.masked_fill(x > 0, float("-inf")))
        return x @ (self.linear.weight @ self.mask), x + y.to(torch.float32)


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2)
        self.conv = nn.Conv2d(6, 8, (3, 1), padding="same", groups=2)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.GroupNorm(2, 8)

    def forward(self, x: Any) -> Any:
        x = self.norm(self.pool(self.conv(self.up(x)))).chunk(2, 1)
        return nn.functional.gelu(x[1]).mean((2, 3)).contiguous()


IMAGE = (torch.zeros(1, 3, 8, 8),)
CASES = {
    "tied": (Tied, (torch.zeros(1, 3, dtype=torch.int64),)),
    "attention": (Attention, IMAGE),
    "regions": (Regions, (torch.zeros(1, 4, 8), torch.zeros(1, 4, 8, dtype=torch.int64))),
    "transposed": (Transposed, (torch.zeros(1, 4, 8, 8),)),
    "preset": (lambda: mnv3prof.build(mnv3prof.read_table("small")), (torch.zeros(1, 3, 64, 64),)),
}


def saved(folder: Path, program: Any, name: str = "net.pt2") -> Path:
    path = folder / name
    torch.export.save(program, path)
    return path


def read(path: Path) -> Graph:
    return read_pt2(path, path.name, "net")


def model_of(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("models/model.json")]
        return json.loads(archive.read(name))


def archive_of(model: Any, **others: Any) -> bytes:
    """others: more files, by name."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        text = model if isinstance(model, bytes) else json.dumps(model).encode()
        archive.writestr("net/models/model.json", text)
        for name, content in others.items():
            archive.writestr(name, content)
    return data.getvalue()


def refused(path: Path, data: bytes, message: str) -> None:
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"{path.name}: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, "x"], "the padding of .* is out of range"),
        ([2, {"a": 1}], "the padding of .* is out of range"),
        ([0.5, 1], "the padding of .* is out of range"),
        ([None, 1], "the padding of .* is out of range"),
    ],
)
def test_a_geometry_of_other_than_integers(tmp_path: Path, value: Any, message: str) -> None:
    model = model_of(saved(tmp_path, exported(nn.Conv2d(3, 4, 3, 2, 1), IMAGE)))
    (conv,) = (node for node in model["graph_module"]["graph"]["nodes"] if "conv2d" in node["target"])
    (padding,) = (each for each in conv["inputs"] if each["name"] == "padding")
    padding["arg"] = {"as_ints": value}
    (tmp_path / "bad.pt2").write_bytes(archive_of(model))
    with pytest.raises(InputError, match=message):
        captured_file(tmp_path / "bad.pt2")


@pytest.mark.parametrize("name", CASES)
def test_equals_the_program_in_memory(tmp_path: Path, name: str) -> None:
    """Layers, storages, weights, constants and blocks are those of the program before it was saved."""
    build, inputs = CASES[name]
    program = exported(build(), inputs)
    expected = lower(program_of(program, "net")).graph
    graph = read(saved(tmp_path, program))
    assert graph == expected
    assert graph.fused == expected.fused


def test_macs_and_parameters(tmp_path: Path) -> None:
    graph = read(saved(tmp_path, exported(Attention(), IMAGE)))
    projections, scores = 64 * 8 * 32, 2 * 2 * 64 * 64 * 4
    assert sum(layer.macs for layer in graph.layers) == 8 * 64 * 27 + projections + scores + 3 * 8 * 5
    costs = mnv3prof.total(mnv3prof.count(graph))
    parameters = sum(parameter.numel() for parameter in Attention().parameters())
    assert (costs.params, costs.unpriced) == (parameters, ())


def test_published_figures(tmp_path: Path) -> None:
    import torchvision_oracle

    path = saved(tmp_path, exported(torchvision_oracle.mobilenet_v2(), (torch.zeros(1, 3, 224, 224),)))
    costs = mnv3prof.total(mnv3prof.count(read(path)))
    assert (costs.macs, costs.params) == (300_774_272, 3_504_872)


def test_the_program(tmp_path: Path) -> None:
    path = saved(tmp_path, exported(Attention(), IMAGE))
    program = read_program(path, "f", "net")
    calls = {call.target: call for call in program.calls}
    assert program.inputs == (Tensor("x", (1, 3, 8, 8)),)
    conv = calls["aten.conv2d.default"]
    weight = conv.arguments["weight"]
    assert (conv.arguments["input"], conv.arguments["padding"]) == (Ref("x"), [1, 1])
    assert program.weights[weight.name] == Tensor("conv.0.weight", (8, 3, 3, 3))
    assert [path for path, _ in conv.stack] == ["conv", "conv.0"]
    assert conv.stack[1][1].endswith("Conv2d")
    assert calls["aten.relu_.default"].storage
    assert len(program.outputs) == 2
    assert "running_mean" in " ".join(program.constants)


def test_constants_and_what_is_not_read(tmp_path: Path) -> None:
    build, inputs = CASES["regions"]
    graph = read(saved(tmp_path, exported(build(), inputs)))
    assert [layer.macs for layer in graph.constants] == [8 * 8 * 8]
    assert graph.unused == (Tensor("unused", (7,)),)
    linear = [layer for layer in graph.layers if layer.op == "linear"]
    assert [(layer.path, layer.macs) for layer in linear] == [
        ("linear", 256),
        ("items.0", 256),
        ("items.0", 256),
    ]
    assert sum(prod(each.shape) for each in {t for layer in graph.layers for t in layer.weights}) == 2 * 72


def test_no_torch_and_no_code_of_the_archive(tmp_path: Path) -> None:
    """torch.export.load would unpickle the sample inputs."""
    path = saved(tmp_path, exported(Attention(), IMAGE))
    trap = b"cposix\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    path.write_bytes(archive_of(model_of(path), **{"net/data/sample_inputs/model.pt": trap}))
    code = (
        "import sys, pathlib; from mnv3prof.capture.pt2 import read_pt2; "
        f"print(len(read_pt2(pathlib.Path({str(path)!r}), 'f', 'n').layers) > 9, "
        "*{'torch', 'numpy', 'pickle'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["True"]
    assert not (tmp_path / "ran").exists()


def test_is_counted_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured before that is said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mnv3prof.bench.peaks.PeakMeter.burst", None)
    saved(tmp_path, exported(Attention(), IMAGE))
    sentence = "net.pt2: a .pt2 file is counted, not run; to time it, name the module that made it"
    for told in (["latency", "net.pt2", "--on", "cpu"], ["report", "net.pt2", "--on", "cpu"]):
        assert command(told) == 2
        assert capsys.readouterr().err.splitlines()[-1] == f"mnv3prof: {sentence}"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert command(["report", "net.pt2", "-o", "run.json"]) == 0
    assert sentence in mnv3prof.read_run("run.json").notes[0]


def test_symbolic_sizes(tmp_path: Path) -> None:
    """A graph at a size is that of an archive with fixed sizes; a batch is 1."""
    axes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("height", min=9, max=64)}
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Upsample(scale_factor=2), nn.Flatten(2), nn.ReLU()
    ).eval()
    program = torch.export.export(net, (torch.zeros(2, 3, 20, 16),), dynamic_shapes=(axes,), strict=False)
    path = saved(tmp_path, program)
    wanted = read(saved(tmp_path, torch.export.export(net, (torch.zeros(1, 3, 24, 16),)), "fixed.pt2"))
    for shape in ((3, 24, 16), (24, 16)):
        assert read_pt2(path, path.name, "net", [shape]) == wanted
    for shapes, message in (
        ([], r"has the open size s\d+ x 3 x s\d+ x 16; expected an input in numbers, e\.g\. 3x224x224"),
        ([(3, 24, 24)], r"the input 3x24x24 does not fit"),
        ([(3, 8, 16)], r"s\d+ is 8; the file allows 9 to 64"),
        ([(3, 24, 16)] * 2, "it has 1 inputs; expected as many sizes, not 2"),
    ):
        with pytest.raises(InputError, match=rf"^net\.pt2: .*{message}"):
            read_pt2(path, path.name, "net", shapes)


def test_a_symbolic_batch_is_1(tmp_path: Path) -> None:
    axes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(nn.Linear(8, 4), (torch.zeros(2, 8),), dynamic_shapes=axes, strict=False)
    (layer,) = read(saved(tmp_path, program)).layers
    assert (layer.macs, layer.out_shape) == (32, (4,))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Add(Mul(Integer(2), FloorDiv(Symbol('s0', positive=True), Integer(3))), Integer(-1))", 5),
        ("Max(Mod(Symbol('s0'), Integer(4)), Pow(Integer(2), Integer(3)))", 8),
        ("Pow(Symbol('s0'), Integer(99))", None),
        ("Mul(Integer(9223372036854775808), Integer(2))", None),
        ("FloorDiv(Integer(1), Integer(0))", None),
        ("Symbol('s1')", None),
        ("__import__('os').getcwd()", None),
        ("Add(" * 400, None),
    ],
)
def test_expressions(text: str, value: int | None) -> None:
    symbols = Symbols({})
    symbols.values["s0"] = 10
    assert symbols.value({"as_expr": {"expr_str": text}}) == value


def test_control_flow(tmp_path: Path) -> None:
    class Branch(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    program = torch.export.export(Branch(), (torch.zeros(1, 4),), strict=False)
    with pytest.raises(InputError, match=r"^net\.pt2: its operator 'cond' depends on data"):
        read(saved(tmp_path, program))


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, exported(Attention(), IMAGE))
    model = model_of(path)
    refused(path, b"", "is no archive that can be read")
    refused(path, b"PK\3\4" + b"\0" * 99, "is no archive that can be read")
    refused(path, archive_of(model, **{"net/models/other.json": "{}"}), "has 2 programs")
    refused(path, archive_of(b"[" * 100_000), "its program is damaged")
    refused(path, archive_of(b"{}"), "its program is damaged")
    refused(
        path,
        archive_of({**model, "schema_version": {"major": 9, "minor": 1}}),
        r"its schema is 9\.1; expected 8",
    )
    batch = json.loads(json.dumps(model))
    batch["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][0]["as_int"] = 4
    refused(path, archive_of(batch), "input 'x' has a batch of 4; expected 1")
    batch["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][1]["as_int"] = 2**62
    refused(path, archive_of(batch), "'x' has the size .* expected at most")
    twice = json.loads(json.dumps(model))
    twice["graph_module"]["graph"]["nodes"] *= 2
    refused(path, archive_of(twice), "is written twice")
    monkeypatch.setattr(pt2, "MOST_CALLS", 10)
    refused(path, archive_of(model), "expected at most 10")


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    start = time.perf_counter()
    refused(
        path,
        archive_of(b" " * (pt2.archive.MOST_TEXT + 1)),
        "its program is too large; expected at most 200,000,000",
    )
    lying = archive_of(b" " * 1_000_000 + b"{}").replace(
        (1_000_002).to_bytes(4, "little"), (9).to_bytes(4, "little")
    )
    refused(path, lying, "is no archive that can be read|its program is damaged")
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("name", ["attention", "regions"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    """Whatever the file, it is read or refused at once."""
    build, inputs = CASES[name]
    path = saved(tmp_path, exported(build(), inputs))
    data, model = path.read_bytes(), model_of(path)
    text = json.dumps(model).encode()
    for n in range(400):
        chance = random.Random(n)
        bad = (
            data[: chance.randrange(len(data))],
            damaged_bytes(data, chance),
            archive_of(damaged_bytes(text, chance)),
            archive_of(damaged_values(model, chance)),
        )[n % 4]
        path.write_bytes(bad)
        start = time.process_time()
        try:
            assert read(path).layers
        except InputError as error:
            assert str(error).startswith("net.pt2: ")
            assert "Traceback" not in str(error)
        assert time.process_time() - start < 10
