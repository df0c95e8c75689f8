"""What is timed and exported as a part is what is counted as that part."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from networks import Attention, Classifies, Masked, Unknown
from torch import nn

import mnv3prof
from mnv3prof.cli.main import run
from mnv3prof.device.runtimes import Unsupported
from mnv3prof.graph.parts import part_layers, selected_parts
from mnv3prof.source import open_source
from mnv3prof.workers.captured import CapturedParts, ProgramParts, save_programs
from mnv3prof.workers.formats import computed

SHAPE = "4x16x16"


def _subject(name: str, shapes: str) -> Any:
    return open_source(f"networks:{name}", shapes).subject


def _convolutions(part: Any) -> int:
    """Run a part with its inputs, and count the convolutions that it calls."""
    with torch.profiler.profile() as profile, torch.no_grad():
        part.module(*part.given)
    return sum(event.count for event in profile.key_averages() if event.key == "aten::conv2d")


PARTS = [("backbone", 6), ("self.backbone", 1), ("list", 3), ("list.1", 1), ("list.1.0", 1), ("net", 6)]


@pytest.mark.parametrize(("part", "convolutions"), PARTS)
def test_a_part_is_what_is_counted(part: str, convolutions: int, tmp_path: Path) -> None:
    named = _subject("Classifies", SHAPE)
    given = mnv3prof.load(Classifies(), SHAPE)
    for parts in (CapturedParts(named, 2), ProgramParts(save_programs(given, [2], tmp_path), 2)):
        (name,) = selected_parts(parts.subject.graph, [part], "parts")
        assert sum(layer.op in {"conv", "pointwise"} for layer in part_layers(named.graph, name)) == (
            convolutions
        )
        assert _convolutions(parts.part(name)) == convolutions


def test_a_list_whose_modules_are_apart_is_named() -> None:
    parts = CapturedParts(_subject("Classifies", SHAPE), 1)
    with pytest.raises(
        Unsupported, match=r"never calls apart itself, .*; expected one of them, e\.g\. apart\.0"
    ):
        parts.part("apart")


def test_parts_of_an_exported_file(tmp_path: Path) -> None:
    """Torch's own export, of which a part has the paths of modules."""
    file = tmp_path / "net.onnx"
    torch.onnx.export(Classifies().eval(), (torch.zeros(1, 4, 16, 16),), file, dynamo=False)
    made = mnv3prof.measure(file, "onnxruntime", parts=["backbone", "list", "list.1.0"], budget_s=0.3)
    assert [(timing.part, timing.status) for timing in made.timings] == [
        ("backbone", "ok"), ("list", "ok"), ("list.1.0", "ok"),
    ]  # fmt: skip


def test_the_group_is_exported(tmp_path: Path) -> None:
    template = str(tmp_path / "{part}.onnx")
    arguments = ["export", "networks:Classifies", "--input", SHAPE, "-o", template]
    assert run([*arguments, "--parts", "backbone,self.backbone"]) == 0
    found = {
        file.stem: sum(node.op_type == "Conv" for node in onnx.load(file).graph.node)
        for file in tmp_path.iterdir()
    }
    assert found == {"backbone": 6, "self-backbone": 1}


def test_a_network_with_a_mask_is_timed_as_an_object(tmp_path: Path) -> None:
    mask = torch.zeros(1, 10, dtype=torch.bool)
    subject = mnv3prof.load(Masked(), (torch.zeros(1, 10, 8), mask))
    parts = ProgramParts(save_programs(subject, [1], tmp_path), 1)
    for name in (*subject.graph.block_names, "net"):
        part = parts.part(name)
        assert all(map(torch.equal, computed(part.module, part.given), part.expected))


@pytest.mark.parametrize("given", ["networks:Attention", Attention()])
def test_fused_attention_is_converted(given: Any) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    subject = mnv3prof.load(given, "[10x8]")
    made = mnv3prof.measure(subject, "onnxruntime", budget_s=0.3)
    assert {timing.status for timing in made.timings} == {"ok"}
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_an_operator_that_a_converter_does_not_know_is_unsupported() -> None:
    made = mnv3prof.measure(mnv3prof.load(Unknown(), "[8x8]"), "onnxruntime", parts="net", budget_s=0.3)
    (timing,) = made.timings
    assert (timing.status, "aten::special_i0e" in timing.reason) == ("unsupported", True)


@pytest.mark.parametrize(
    ("network", "shapes", "blocks"),
    [
        ("Masked", "[10x8],[10]:bool", ("first", "encoder.layers.0", "encoder.layers.1", "last")),
        ("Recurrent", "[10]:int64", ("gru", "one", "two")),
    ],
)
def test_masks_and_returned_states_do_not_join_blocks(
    network: str, shapes: str, blocks: tuple[str, ...]
) -> None:
    subject = _subject(network, shapes)
    assert subject.graph.block_names == blocks
    parts = CapturedParts(subject, 1)
    known = dict(zip((tensor.name for tensor in subject.graph.inputs), parts.whole.given, strict=True))
    for block in subject.graph.blocks:
        read, handed = subject.graph.ends(block.layers)
        part = parts.part(block.name)
        assert all(map(torch.equal, part.given, (known[name] for name in read)))
        known |= dict(zip(handed, part.expected, strict=True))
    for name, value in zip(subject.graph.outputs, parts.whole.expected, strict=True):
        assert torch.allclose(known[name], value, atol=1e-6)


class Wrapped(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.model = net

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.model(image / 255), -1)


def test_a_wrapper_has_the_blocks_of_what_it_wraps(tmp_path: Path) -> None:
    net = nn.Sequential(
        *(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()) for _ in range(9)),
        nn.Flatten(),
        nn.Linear(3 * 64, 5),
    )
    inner = mnv3prof.load(net, (3, 8, 8)).graph.block_names
    assert len(inner) == 10
    for wrapped in (Wrapped(net), Wrapped(Wrapped(net))):
        prefix = "model." if isinstance(wrapped.model, nn.Sequential) else "model.model."
        found = mnv3prof.load(wrapped, (3, 8, 8)).graph.block_names
        assert found == tuple(prefix + name for name in inner)
    assert mnv3prof.load(nn.Sequential(nn.Conv2d(3, 3, 3)), (3, 8, 8)).graph.block_names == ("0",)
