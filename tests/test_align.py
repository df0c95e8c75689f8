"""Which blocks of two networks are compared."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from subjects import subject

from mnv3prof.graph.align import aligned, joined
from mnv3prof.mobilenetv3.expand import expand
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.variants import vary
from mnv3prof.source import read_table

rows = st.lists(
    st.builds(
        Row,
        st.sampled_from([16, 32]),
        st.just(16),
        st.sampled_from([3, 5]),
        st.just(1),
        st.booleans(),
        st.just("RE"),
    ),
    min_size=1,
    max_size=8,
)


def _graph(rows: Any) -> Any:
    return expand(Table(name="n", stem=16, rows=tuple(rows), last=8, classes=4), (16, 16))


@given(rows)
def test_a_network_is_aligned_with_itself(rows: Any) -> None:
    graph = _graph(rows)
    assert aligned(graph, graph) == {name: name for name in graph.block_names}


@given(rows, rows)
def test_counterparts_are_one_to_one_in_order_and_complete_where_the_lengths_agree(
    old: Any, new: Any
) -> None:
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
def test_a_row_that_is_left_out_leaves_the_others_aligned(rows: Any, place: Any) -> None:
    place %= len(rows)
    found = aligned(_graph(rows), _graph([*rows[:place], *rows[place + 1 :]])) if len(rows) > 1 else {}
    graph = _graph(rows)
    assert all(
        graph.keys[old] == _graph([*rows[:place], *rows[place + 1 :]]).keys[new] for new, old in found.items()
    )


def test_a_width_and_a_variant_change_blocks_in_their_place() -> None:
    large = subject("large").graph
    for changed in (vary(read_table("large"), width=0.75), vary(read_table("large"), standard_conv=True)):
        found = aligned(large, expand(changed, (224, 224)))
        assert found == {name: name for name in large.block_names}


def test_a_changed_row_is_the_counterpart_of_what_it_was() -> None:
    table = read_table("small")
    changed = replace(table, rows=(*table.rows[:5], replace(table.rows[5], expand=120), *table.rows[6:]))
    found = aligned(subject("small").graph, expand(changed, (224, 224)))
    assert found == {name: name for name in subject("small").graph.block_names}


def test_large_and_small_are_aligned_by_the_size_of_their_outputs() -> None:
    """Large has rows 1; 2, 3; 4 to 6; 7 to 12; 13 to 15 at 112, 56, 28, 14 and 7 pixels, Small none; 1; 2, 3; 4 to 8;
    9 to 11. Large's 1 and the stem alone are of one structure with Small's: the stem.
    """
    expected = {
        "stem": "stem",
        "1": "2",
        "2": "4",
        "3": "5",
        "4": "7",
        "5": "8",
        "6": "9",
        "7": "10",
        "8": "11",
        "9": "13",
        "10": "14",
        "11": "15",
        "head": "head",
        "classifier": "classifier",
    }
    large, small = subject("large").graph, subject("small").graph
    assert aligned(large, small) == expected
    assert aligned(small, large) == {old: new for new, old in expected.items()}
    assert aligned(subject("large", 256).graph, subject("small", (160, 192)).graph) == expected


def test_rows_that_are_taken_out_leave_the_others_beside_themselves() -> None:
    """Without rows 8 to 12 row 13 reads 80 channels, not 112: another structure, but the same output."""
    large = subject("large")
    table = replace(large.table, rows=(*large.table.rows[:7], *large.table.rows[12:]))
    rows = joined([large.graph, expand(table, large.input)])
    kept = [(str(n), str(n)) for n in range(1, 8)]
    gone = [(str(n), None) for n in range(8, 13)]
    rest = [("13", "8"), ("14", "9"), ("15", "10"), ("head", "head"), ("classifier", "classifier")]
    assert rows == [("stem", "stem"), *kept, *gone, *rest]


def test_what_a_network_has_alone_stands_behind_what_it_follows() -> None:
    small = subject("small")
    first, *others = small.table.rows
    table = replace(
        small.table, rows=(first, first, *others)
    )  # now block 2, with another stride than the one before
    rows = joined([small.graph, expand(table, small.input), small.graph])
    assert [row[1] for row in rows if row[1]] == list(expand(table, small.input).block_names)
    assert (
        [row[0] for row in rows if row[0]]
        == [row[2] for row in rows if row[2]]
        == list(small.graph.block_names)
    )
    assert all(row[0] == row[2] for row in rows)


@given(st.lists(rows, min_size=1, max_size=4))
def test_every_block_is_in_one_row_and_in_order(tables: Any) -> None:
    graphs = [_graph(each) for each in tables]
    found = joined(graphs)
    for place, graph in enumerate(graphs):
        assert [row[place] for row in found if row[place]] == list(graph.block_names)
    assert all(any(row) for row in found)


def _longest_common(old: Any, new: Any) -> Any:
    """The length of the longest common subsequence, by its definition."""
    if not old or not new:
        return 0
    if old[0] == new[0]:
        return 1 + _longest_common(old[1:], new[1:])
    return max(_longest_common(old[1:], new), _longest_common(old, new[1:]))


@given(rows, rows)
def test_as_many_equal_blocks_as_possible_are_counterparts(old: Any, new: Any) -> None:
    before, after = _graph(old), _graph(new)
    a, b = ([graph.keys[name] for name in graph.block_names] for graph in (before, after))
    found = aligned(before, after)
    assert sum(after.keys[n] == before.keys[o] for n, o in found.items()) == _longest_common(a, b)
