"""Which blocks of two networks are compared."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from subjects import subject

from mnv3prof.graph.align import aligned
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.source import read_table

rows = st.lists(
    st.builds(
        Row, st.sampled_from([16, 32]), st.just(16), st.sampled_from([3, 5]), st.just(1), st.booleans(),
        st.just("RE"),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def _graph(rows):
    return expand(Table(name="n", stem=16, rows=tuple(rows), last=8, classes=4), (16, 16))


@given(rows)
def test_a_network_is_aligned_with_itself(rows):
    graph = _graph(rows)
    assert aligned(graph, graph) == {name: name for name in graph.block_names}


@given(rows, rows)
def test_counterparts_are_one_to_one_in_order_and_complete_where_the_lengths_agree(old, new):
    before, after = _graph(old), _graph(new)
    found = aligned(before, after)
    places = [before.block_names.index(name) for name in found.values()]
    assert list(found) == [name for name in after.block_names if name in found]
    assert places == sorted(set(places))
    assert found["stem"] == "stem"
    if len(old) == len(new):
        assert len(found) == len(after.blocks) or any(
            before.keys[o] == after.keys[n] for n, o in found.items()
        )


@given(rows, st.integers(0, 7))
def test_a_row_that_is_left_out_leaves_the_others_aligned(rows, place):
    place %= len(rows)
    found = aligned(_graph(rows), _graph([*rows[:place], *rows[place + 1 :]])) if len(rows) > 1 else {}
    graph = _graph(rows)
    assert all(
        graph.keys[old] == _graph([*rows[:place], *rows[place + 1 :]]).keys[new] for new, old in found.items()
    )


def test_a_width_and_a_variant_change_blocks_in_their_place():
    large = subject("large").graph
    for changed in (vary(read_table("large"), width=0.75), vary(read_table("large"), standard_conv=True)):
        found = aligned(large, expand(changed, (224, 224)))
        assert found == {name: name for name in large.block_names}


def test_a_changed_row_is_the_counterpart_of_what_it_was():
    table = read_table("small")
    changed = replace(table, rows=(*table.rows[:5], replace(table.rows[5], expand=120), *table.rows[6:]))
    found = aligned(subject("small").graph, expand(changed, (224, 224)))
    assert found == {name: name for name in subject("small").graph.block_names}


def test_large_and_small_share_their_stem_only():
    assert aligned(subject("large").graph, subject("small").graph) == {"stem": "stem"}
