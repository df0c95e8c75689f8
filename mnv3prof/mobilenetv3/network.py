"""Build a table's PyTorch module, and split it into the parts that are timed."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from ..graph.errors import require
from .expand import expand
from .modules import Norm, SamePadding, SqueezeExcite, activation_module
from .names import (
    FLATTEN,
    SQUEEZE_NAMES,
    Slots,
    Step,
    head_slots,
    row_paths,
    row_slots,
    stem_slots,
    tail_steps,
)
from .stages import (
    ActivationStage,
    ConvStage,
    LinearStage,
    RowStages,
    SqueezeStage,
    head_stages,
    one_row,
    row_stages,
    stem_stage,
)
from .table import Row, Table


class Bottleneck(nn.Module):
    """Block of a table row: expand, depthwise, squeeze-excite, project, and identity.

    The stages are modules with the names of the table's release, run in order. The input is added to the
    output if the stride is 1, both widths are equal, and the row has identity.
    """

    block: nn.Sequential
    """With torchvision's names."""

    def __init__(self, row: Row, in_channels: int, table: Table) -> None:
        super().__init__()
        self._assemble(one_row(table, row, in_channels), table)

    @classmethod
    def of(cls, stages: RowStages, table: Table) -> "Bottleneck":
        """Return the block of a row's stages."""
        block = cls.__new__(cls)
        nn.Module.__init__(block)
        block._assemble(stages, table)
        return block

    def _assemble(self, row: RowStages, table: Table) -> None:
        for stage, slots in zip(row.stages, row_slots(table.names, "", row.stages), strict=True):
            if isinstance(stage, SqueezeStage):
                names = SQUEEZE_NAMES[table.names]
                module = SqueezeExcite(*stage[:3], *stage[4:6], bias=stage.bias, names=names)
                _attach(self, slots.conv, module)
            elif isinstance(stage, ActivationStage):
                _attach(self, slots.activation, activation_module(stage.activation))
            else:
                _attach_stage(self, stage, slots, table)
        self.adds, self.in_place = row.adds, row.in_place

    def forward(self, x: Tensor) -> Tensor:
        result = x
        for stage in self.children():
            result = stage(result)
        if self.adds and self.in_place:
            result += x
        elif self.adds:
            result = result + x
        return result


class MobileNetV3(nn.Module):
    """Network of a table: (N, channels, H, W) images to (N, classes) logits.

    Without classes, to the (N, C, H, W) output of the head. Initialized as in torchvision: convolutions
    Kaiming-normal over fan-out, linear weights N(0, 0.01), biases zero.

    >>> network = mnv3prof.build(mnv3prof.read_table("small"))
    >>> isinstance(network, mnv3prof.MobileNetV3), network.classifier[3].out_features
    (True, 1000)
    """

    features: nn.Sequential
    avgpool: nn.Module
    classifier: nn.Sequential
    """With torchvision's names."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        stem = stem_stage(table)
        _attach_stage(self, stem, stem_slots(table, stem), table)
        for path, row in zip(row_paths(table), row_stages(table), strict=True):
            _attach(self, path, Bottleneck.of(row, table))
        heads = list(head_stages(table))
        for stage, slots in zip(heads, head_slots(table, heads), strict=True):
            _attach_stage(self, stage, slots, table)
        tail = tail_steps(table)
        self._order = list(self._modules)
        for step in tail:
            _attach_step(self, step, table)
            new = [FLATTEN] if step == Step("flatten") else [n for n in self._modules if n not in self._order]
            self._order += new
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        for name in self._order:
            x = torch.flatten(x, 1) if name == FLATTEN else getattr(self, name)(x)
        return x


def build(table: Table) -> MobileNetV3:
    """Build the network of `table`, in training mode, initialized by torch's global generator.

    It has the module paths, shapes and parameters of expand(table). Its state_dict has the keys of the
    release that table.names says: for Large and Small torchvision's. Raises InputError for anything but a
    Table.

    >>> sum(p.numel() for p in mnv3prof.build(mnv3prof.read_table("large")).parameters())
    5483032
    """
    require(table, Table, "build", "what mnv3prof.read_table returns")
    return MobileNetV3(table)


def is_as_built(model: MobileNetV3) -> bool:
    """Return True if the module still has the layers of its table."""
    with torch.device("meta"):
        new = MobileNetV3(model.table)
    return type(model) is MobileNetV3 and _outline(model) == _outline(new)


def _outline(model: nn.Module) -> list[object]:
    modules = [(name, type(each), each.extra_repr()) for name, each in model.named_modules()]
    return [*modules, *((name, tuple(value.shape)) for name, value in model.state_dict().items())]


def parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    """Yield (name, module) of each block of expand(): stem, rows, head and classifier.

    The head includes pooling and flatten, so the parts compose to the whole network. Each part is in the
    model's mode, training or evaluation. Raises InputError for anything but what build() returns.

    >>> [name for name, _ in mnv3prof.parts(mnv3prof.build(mnv3prof.read_table("small")))][:3]
    ['stem', '1', '2']
    """
    require(model, MobileNetV3, "parts", "what mnv3prof.build returns")
    return _parts(model)


def _parts(model: MobileNetV3) -> Iterator[tuple[str, nn.Module]]:
    for block in expand(model.table).blocks:
        called = [nn.Flatten(1) if path == FLATTEN else model.get_submodule(path) for path in block.modules]
        yield block.name, called[0] if len(called) == 1 else nn.Sequential(*called).train(model.training)


def _attach(root: nn.Module, path: str, module: nn.Module) -> None:
    """Add `module` at `path` below `root`, in Sequentials that are made where they are missing."""
    *folders, name = path.lstrip(".").split(".")
    for folder in folders:
        if folder not in root._modules:
            root.add_module(folder, nn.Sequential())
        root = root.get_submodule(folder)
    root.add_module(name, module)


def _attach_stage(root: nn.Module, stage: ConvStage | LinearStage, slots: Slots, table: Table) -> None:
    """Add the modules of a stage at their paths, in the order in which they run."""
    if isinstance(stage, ConvStage) and stage.pads:
        _attach(root, slots.pad, SamePadding(stage.kernel, stage.stride, stage.dilation))
    _attach(root, slots.conv, _conv(stage) if isinstance(stage, ConvStage) else _linear(stage))
    if stage.norm:
        _attach(root, slots.norm, _norm(table, flat=isinstance(stage, LinearStage))(stage.out))
    if stage.activation:
        _attach(root, slots.activation, activation_module(stage.activation))


def _attach_step(root: nn.Module, step: Step, table: Table) -> None:
    """Add the module of a step after the head; flatten in forward() has none."""
    if step.kind == "pool":
        _attach(root, step.path, nn.AdaptiveAvgPool2d(1))
    elif step.kind == "dropout":
        _attach(root, step.path, nn.Dropout(table.dropout))  # not in place: backward needs ReLU's output
    elif step.kind == "flatten" and step.path:
        _attach(root, step.path, nn.Flatten(1))
    elif step.stage is not None:
        _attach_stage(root, step.stage, step.slots, table)


def _conv(stage: ConvStage) -> nn.Conv2d:
    return nn.Conv2d(
        stage.channels,
        stage.out,
        stage.kernel,
        stage.stride,
        stage.padding,
        stage.dilation,
        stage.groups,
        bias=stage.bias,
    )


def _linear(stage: LinearStage) -> nn.Linear:
    return nn.Linear(stage.channels, stage.out, bias=stage.bias)


def _norm(table: Table, *, flat: bool) -> Norm:
    norm = nn.BatchNorm1d if flat else nn.BatchNorm2d
    return partial(norm, eps=table.bn_eps, momentum=table.bn_momentum)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)
