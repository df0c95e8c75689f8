from typing import Any

import pytest
import torch
from hypothesis import given, settings
from random_tables import Tracer, small_sizes, tables
from some import some
from torch import nn

from mnv3prof.cost.counts import count, total
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.modules import SamePadding
from mnv3prof.mobilenetv3.network import build, parts
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.source import read_table

PRESETS = ["large", "small"]


def _oracle(name: str, **options: Any) -> Any:
    import torchvision_oracle

    return getattr(torchvision_oracle, f"mobilenet_v3_{name}")(**options)


def _images(size: Any = 64, batch: int = 2) -> Any:
    return torch.randn(batch, 3, size, size)


@pytest.mark.parametrize(("name", "keys"), [("large", 312), ("small", 244)])
def test_state_dict_has_torchvisions_keys_and_shapes(name: str, keys: int) -> None:
    ours, theirs = build(read_table(name)).state_dict(), _oracle(name).state_dict()
    assert list(ours) == list(theirs)
    assert len(ours) == keys
    assert [v.shape for v in ours.values()] == [v.shape for v in theirs.values()]


@pytest.mark.parametrize("name", PRESETS)
def test_one_seed_gives_torchvisions_weights(name: str) -> None:
    torch.manual_seed(7)
    ours = build(read_table(name)).state_dict()
    torch.manual_seed(7)
    theirs = _oracle(name).state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {}),
        ({"width": 0.5, "width_rule": "torchvision"}, {"width_mult": 0.5}),
        ({"width": 1.3, "width_rule": "torchvision"}, {"width_mult": 1.3}),
        ({"reduced_tail": True}, {"reduced_tail": True}),
        ({"dilated": True}, {"dilated": True}),
        ({"classes": 10}, {"num_classes": 10}),
        (
            {"width": 0.75, "width_rule": "torchvision", "reduced_tail": True, "dilated": True},
            {"width_mult": 0.75, "reduced_tail": True, "dilated": True},
        ),
    ],
)
def test_a_torchvision_checkpoint_loads_and_the_outputs_are_equal(
    name: str, changes: dict[str, Any], options: dict[str, Any]
) -> None:
    ours, theirs = build(vary(read_table(name), **changes)), _oracle(name, **options)
    for module in theirs.modules():  # batch norm that does something
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = _images()
    with torch.no_grad():
        assert torch.equal(ours.eval()(images), theirs.eval()(images))


@pytest.mark.parametrize("name", PRESETS)
def test_training_steps_as_torchvision_does(name: str) -> None:
    ours, theirs = build(read_table(name)), _oracle(name)
    ours.load_state_dict(theirs.state_dict())
    images = _images()
    for model in (ours, theirs):
        torch.manual_seed(1)  # dropout
        model.train()(images).square().sum().backward()
    for (key, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad), key  # type: ignore[arg-type]
    for (key, mine), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):  # type: ignore[assignment]
        assert torch.equal(mine, other), key


@given(tables, small_sizes)
@settings(max_examples=30)
def test_parts_compose_to_the_whole(table: Table, size: Any) -> None:
    model = build(table).eval()
    images = torch.randn(1, table.channels, *size)
    x = images
    names = []
    with torch.no_grad():
        for name, part in parts(model):
            names.append(name)
            x = part(x)
        assert torch.equal(x, model(images))
    assert tuple(names) == expand(table).block_names


@given(tables)
@settings(max_examples=150)
def test_counted_parameters_are_the_modules(table: Table) -> None:
    trained = sum(parameter.numel() for parameter in build(table).parameters())
    assert total(count(expand(table, 32))).params == trained


@pytest.mark.parametrize("name", ["large", "small", "large-minimal", "small-minimal"])
@pytest.mark.parametrize(
    "changes",
    [
        {"standard_conv": True},
        {"dense_depthwise": True},
        {"without_se": True},
        {"activation": "relu"},
        {"activation": "swish"},
        {"width": 0.35},
        {"width": 1.25, "standard_conv": True},
    ],
)
def test_variants_build_with_exactly_the_counted_parameters(name: str, changes: dict[str, Any]) -> None:
    table = vary(read_table(name), **changes)
    with torch.device("meta"):
        trained = sum(parameter.numel() for parameter in build(table).parameters())
    assert total(count(expand(table))).params == trained


@given(tables, small_sizes)
@settings(max_examples=50)
def test_every_layer_has_the_name_shapes_and_attributes_that_hooks_see(table: Table, size: Any) -> None:
    seen = {}

    def hook(name: str) -> Any:
        def record(module: Any, inputs: Any, output: Any) -> None:
            seen[name] = (module, tuple(inputs[0].shape[1:]), tuple(output.shape[1:]))

        return record

    model = build(table).eval()
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(hook(name))
    with torch.no_grad():
        model(torch.zeros(1, table.channels, *size))

    functional = {"mul", "add", "flatten", "unflatten"}
    graph = expand(table, size)
    layers = [x for x in graph.layers if x.name.rpartition(".")[2] not in functional]
    names = [layer.name for layer in layers]
    idle = {name for name, (module, *_) in seen.items() if isinstance(module, SamePadding)} - {*names}
    assert names == [name for name in seen if name not in idle]
    assert all(seen[name][1] == seen[name][2] for name in idle)  # it pads nothing at this size
    for layer in layers:
        module, in_shape, out_shape = seen[layer.name]
        assert (graph.in_shape(layer), layer.out_shape) == (in_shape, out_shape), layer.name
        if isinstance(module, nn.Conv2d):
            found = layer.geometry
            assert (module.kernel_size, module.stride) == (some(found).kernel, some(found).stride)
            assert tuple(zip(module.padding, module.padding, strict=True)) == some(found).padding
            assert (module.dilation, module.groups) == (some(found).dilation, some(found).groups)
        state = {f"{layer.name}.{key}": tuple(p.shape) for key, p in module.named_parameters()}
        assert dict(layer.weights) == state


@given(tables, small_sizes)
@settings(max_examples=60)
def test_functional_layers_are_what_the_forward_pass_calls(table: Table, size: Any) -> None:
    graph = expand(table, size)
    traced = Tracer().trace(build(table).eval())
    called = [str(node.target) for node in traced.nodes if node.op in ("call_function", "call_method")]
    wanted = {
        "mul": sum("mul" in name for name in called),
        "add": sum("add" in name for name in called),
        "flatten": sum("flatten" in name for name in called),  # as a module it is a leaf
        "unflatten": sum("getitem" in name for name in called),
    }
    composed = sum(1 for x in graph.layers if x.op in ("hardswish_relu6", "hardswish_clamp"))
    gates = sum(1 for x in graph.layers if x.op == "hardsigmoid_relu6")
    wanted["mul"] -= composed
    wanted["add"] -= composed + gates
    modules = {node.target for node in traced.nodes if node.op == "call_module"}
    ends = [layer.name.rpartition(".")[2] for layer in graph.layers if layer.name not in modules]
    assert {end: ends.count(end) for end in wanted} == wanted
    assert all(layer.operation.kind == "view" for layer in graph.layers if layer.name.endswith("flatten"))


def test_options_of_the_table_reach_the_module() -> None:
    table = Table(
        name="options",
        stem=8,
        rows=(Row(24, 8, 3, 1, True, "HS"),),
        dropout=0.5,
        bn_eps=1e-4,
        bn_momentum=0.3,
        se_form="linear",
        se_activation="relu6",
        se_gate="sigmoid",
        head_activation="SW",
        stem_activation="RE",
        last=12,
        classes=3,
        head=20,
    )
    model = build(table)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-4, 0.3)}
    excite = model.features[1].block[2]  # type: ignore[index]
    assert (type(excite.fc1), type(excite.activation), type(excite.scale_activation)) == (  # type: ignore[union-attr]
        nn.Linear,
        nn.ReLU6,
        nn.Sigmoid,
    )
    assert model.classifier[2].p == 0.5
    assert [type(model.features[0][2]), type(model.classifier[1])] == [nn.ReLU, nn.SiLU]  # type: ignore[index]
    assert model(torch.zeros(2, 3, 9, 7)).shape == (2, 3)


def test_without_norm_between_the_pair_is_bare() -> None:
    table = Table(name="bare", stem=8, rows=(Row(8, 4, 3, 1, False, "HS"),), norm_between=False)
    pair = build(table).features[1].block
    assert [type(layer) for stage in pair for layer in stage] == [nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]  # type: ignore[union-attr]


@pytest.mark.parametrize("training", [True, False])
def test_parts_are_in_the_models_mode(training: bool) -> None:
    model = build(read_table("small")).train(training)
    assert {part.training for _, part in parts(model)} == {training}
