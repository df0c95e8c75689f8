"""Random tables and inputs: every option, odd sizes, widths that 8 does not divide."""

from hypothesis import strategies as st

from mnv3prof.mobilenetv3.table import ACTIVATIONS, Row, Table

activations = st.sampled_from(sorted(ACTIVATIONS))
widths = st.integers(1, 40)

rows = st.builds(
    Row,
    expand=widths,
    out=widths,
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    se=st.booleans(),
    activation=activations,
    dilation=st.sampled_from([1, 1, 2]),
    identity=st.sampled_from([True, True, False]),
)

tables = st.builds(
    Table,
    name=st.just("random"),
    rows=st.lists(rows, min_size=1, max_size=5).map(tuple),
    stem=widths,
    head=st.none() | widths,
    last=widths,
    classes=widths,
    stem_activation=activations,
    head_activation=activations,
    conv=st.sampled_from(["separable", "separable", "standard", "dense-depthwise"]),
    norm_between=st.booleans(),
    se_ratio=st.integers(1, 16),
    se_form=st.sampled_from(["conv", "linear"]),
    se_activation=st.sampled_from(["relu", "relu6"]),
    se_gate=st.sampled_from(["hardsigmoid", "hardsigmoid_relu6", "sigmoid"]),
    divisor=st.sampled_from([1, 4, 8]),
)

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
small_sizes = st.tuples(st.integers(1, 80), st.integers(1, 80))
