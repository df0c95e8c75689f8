"""Random tables and inputs: every option, odd sizes, widths that 8 does not divide."""

from itertools import pairwise
from typing import Any, get_args

import torch
from hypothesis import reject
from hypothesis import strategies as st

from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3.fields import (
    ACTIVATIONS,
    Form,
    Names,
    Padding,
    Scales,
    SeActivation,
    SeGate,
    SeOf,
    SePlace,
)
from mnv3prof.mobilenetv3.modules import SamePadding
from mnv3prof.mobilenetv3.table import HeadConv, LastLayer, Row, Table

activations = st.sampled_from(sorted(ACTIVATIONS))
widths = st.integers(1, 40)

strides = st.sampled_from([1, 1, 2, 2, 3, (2, 1), (1, 2)])
booleans = st.booleans()
shared: dict[str, Any] = {
    "conv": st.sampled_from(["separable", "separable", "standard", "dense-depthwise", "fused"]),
    "expand_conv": booleans,
    "conv_bias": booleans,
    "project_activation": st.sampled_from(["none", "none", *sorted(ACTIVATIONS)]),
    "se_ratio": st.integers(1, 16),
    "se_of": st.sampled_from(get_args(SeOf)),
    "se_divisor": st.sampled_from([1, 4, 8]),
    "se_form": st.sampled_from(get_args(Form)),
    "se_bias": booleans,
    "se_activation": st.sampled_from(get_args(SeActivation)),
    "se_gate": st.sampled_from(get_args(SeGate)),
    "se_place": st.sampled_from(get_args(SePlace)),
}
"""Options of a row or of the whole table."""


def _mostly(option: Any) -> Any:
    """Rows mostly have the table's own."""
    return st.one_of(*[st.none()] * 4, option)


rows = st.builds(
    Row,
    expand=widths,
    out=widths,
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=strides,
    se=booleans | booleans | st.integers(2, 20),
    activation=activations,
    dilation=st.sampled_from([1, 1, 2]),
    identity=st.sampled_from([True, True, False]),
    **{name: _mostly(option) for name, option in shared.items()},
)
plain_rows = st.builds(
    Row,
    expand=widths,
    out=widths,
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    se=booleans,
    activation=activations,
)
some_activation = st.none() | st.sampled_from(["none", *sorted(ACTIVATIONS)])
head_layers = widths | st.builds(
    HeadConv,
    out=widths,
    kernel=st.sampled_from([1, 1, 3]),
    bias=st.none() | booleans,
    norm=booleans,
    activation=some_activation,
)
last_layers = widths | st.builds(
    LastLayer,
    out=widths,
    form=st.sampled_from(get_args(Form)),
    bias=st.none() | booleans,
    norm=booleans,
    activation=some_activation,
)
options: dict[str, Any] = {
    "name": st.just("random"),
    "rows": st.lists(rows | plain_rows, min_size=1, max_size=5).map(tuple),
    "channels": st.sampled_from([3, 3, 1, 4]),
    "stem": widths,
    "stem_kernel": st.sampled_from([1, 3, 5]),
    "stem_stride": strides,
    "head": st.none() | widths | st.lists(head_layers, max_size=3).map(tuple),
    "last": widths | st.lists(last_layers, max_size=2).map(tuple),
    "classes": st.just(0) | widths | widths,
    "classifier_form": st.sampled_from(["linear", "linear", "conv"]),
    "stem_activation": activations,
    "head_activation": activations,
    "norm_between": booleans,
    "padding": st.sampled_from(get_args(Padding)),
    "divisor": st.sampled_from([1, 4, 8]),
    "stem_scales": st.sampled_from(get_args(Scales)),
    "head_scales": st.sampled_from(get_args(Scales)),
    "last_scales": st.sampled_from(get_args(Scales)),
    "dropout": st.sampled_from([0, 0.2, 0.5]),
    "bn_eps": st.sampled_from([1e-5, 1e-3, 0.01]),
    "bn_momentum": st.sampled_from([0, 0.1]),
    "names": st.sampled_from(get_args(Names)),
    **shared,
}


def _stages(count: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Divide so many rows into stages: each row but the first begins one, or does not."""
    begins = st.lists(booleans, min_size=count - 1, max_size=count - 1)
    starts = begins.map(lambda given: [0, *(n for n, begin in enumerate(given, 1) if begin), count])
    return starts.map(lambda given: tuple(end - start for start, end in pairwise(given)))


@st.composite
def _tables(draw: st.DrawFn) -> Table:
    """Draw a table; reject what cannot be combined."""
    fields = draw(st.fixed_dictionaries({key: options[key] for key in _ALWAYS}, optional=_OTHERS))
    if fields.get("names") == "timm" and draw(booleans):
        fields["stages"] = draw(_stages(len(fields["rows"])))
    try:
        return Table(**fields)
    except InputError:
        reject()


_ALWAYS = ("name", "rows")
_OTHERS = {key: option for key, option in options.items() if key not in _ALWAYS}
tables = _tables()

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
small_sizes = st.tuples(st.integers(1, 80), st.integers(1, 80))


class Tracer(torch.fx.Tracer):
    """Symbolic tracing, in which a padding, which needs the size, is one call."""

    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, SamePadding) or super().is_leaf_module(m, module_qualified_name)
