"""Check a network against its budgets, and find the top contributors to exceeded ones."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from ..analysis.compare import compare, state
from ..cost.counts import Dtype
from ..graph.align import aligned
from ..graph.errors import InputError, quote
from ..graph.parts import NET, identical_blocks, part_layers, selected_parts
from ..record.target import Target, paired
from ..record.timing import NO_SAMPLES, Timing
from .figures import LATENCY, Side, Unit, part_figure, targets_of, timings_by_part, unit_of
from .limits import Budget, Level

_MOST_LISTED: Final = 3

_Size = tuple[Dtype, int]
"""The dtype and batch on which bytes depend."""

BudgetStatus = Literal["within", "exceeded", "unclear", "not measured", "not comparable"]
"""Whether a value is within its limit; unclear if what is known of the value does not tell."""


class Contributor(msgspec.Struct, frozen=True):
    """A contributor: a block, its value, its share of the network's value, its baseline value."""

    block: str
    value: int | float
    share: float | None
    baseline: int | float | None = None


class Judgment(msgspec.Struct, frozen=True, kw_only=True):
    """Verdict on one budget.

    target, baseline_target: of a latency and its baseline. dtype, batch: of a metric in bytes, if several
    are checked or the budget names one. baseline_dtype, baseline_batch: those of the baseline, if they
    differ. limit, value, baseline: in `unit`, or None. reason: why the budget was not checked or is
    unclear, or why a latency above the limit is within it. contributors: top contributors to an exceeded
    budget.

    >>> (judgment,) = mnv3prof.check("small", {"macs": "50M"}).judgments
    >>> judgment.status, judgment.value, judgment.margin
    ('exceeded', 56510400, -6510400)
    """

    budget: Budget
    unit: Unit
    status: BudgetStatus
    target: Target | None = None
    baseline_target: Target | None = None
    dtype: Dtype | None = None
    batch: int | None = None
    baseline_dtype: Dtype | None = None
    baseline_batch: int | None = None
    limit: int | float | None = None
    value: int | float | None = None
    baseline: int | float | None = None
    reason: str = ""
    contributors: tuple[Contributor, ...] = ()

    @property
    def measured_as(self) -> str:
        """Settings of a latency, or dtype and batch of a metric in bytes; "" without any.

        If those of the baseline differ, both: "fp32, batch 1, 1 thread → int8, batch 1, 1 thread".
        """
        if self.target is None:
            sizes = _named_size(self.baseline_dtype, self.baseline_batch), _named_size(self.dtype, self.batch)
            return " → ".join(filter(None, sizes))
        known = [each for each in (self.baseline_target, self.target) if each]
        named = any(each.device for each in known)  # the budget's name has the backend
        return " → ".join(
            dict.fromkeys(f"{each.place}, {each.settings}" if named else each.settings for each in known)
        )

    @property
    def margin(self) -> int | float | None:
        """Limit minus value; negative if the value is above the limit."""
        return None if self.limit is None or self.value is None else self.limit - self.value

    @property
    def breach(self) -> Level | None:
        """Severity: the budget's; None if within the limit. "not measured" is an error at every level."""
        if self.status == "within":
            return None
        return "error" if self.status == "not measured" else self.budget.level


def _named_size(dtype: Dtype | None, batch: int | None) -> str:
    return ", ".join([*([dtype] if dtype else []), *([f"batch {batch}"] if batch else [])])


def judge(budgets: Iterable[Budget], checked: Side, baseline: Side | None) -> tuple[Judgment, ...]:
    """Check every budget; a latency at each target that it was measured at.

    A relative budget needs the baseline.
    """
    judged: list[Judgment] = []
    for each in budgets:
        budget = _of_one_part(checked, each)
        if budget.name.startswith(LATENCY):
            judged += _judge_times(budget, checked, baseline)
        else:
            sizes = _sizes(budget, checked)
            judged += [_judge_figure(budget, size, len(sizes) > 1, checked, baseline) for size in sizes]
    return tuple(judged)


def _sizes(budget: Budget, checked: Side) -> list[_Size]:
    """Return the (dtype, batch) pairs to check a metric at: the budget's, or all measured ones."""
    if budget.dtype:
        return [(budget.dtype, checked.batch)]
    if unit_of(budget.metric) != "bytes":
        return [(checked.dtype, checked.batch)]
    if budget.name.startswith(("peak.", "arena")):
        return list(checked.sizes)
    return list({dtype: (dtype, batch) for dtype, batch in reversed(checked.sizes)}.values())[::-1]


def _baseline_size(size: _Size, budget: Budget, checked: Side, baseline: Side) -> _Size:
    """Return the (dtype, batch) of a baseline's metric: a measured one; for a table, `size`."""
    if baseline.run is None or size in baseline.sizes:
        return size
    if budget.dtype:
        return budget.dtype, baseline.batch
    pairs = paired(targets_of(baseline.run), targets_of(checked.run)).pairs
    compared = ((old.dtype, old.batch) for new, old in pairs.items() if (new.dtype, new.batch) == size)
    return next(compared, baseline.sizes[0])


def _judge_figure(
    budget: Budget, size: _Size, several: bool, checked: Side, baseline: Side | None
) -> Judgment:
    """several: True if the budget is checked at other sizes too."""
    new = part_figure(checked.subject.graph, budget.metric, budget.part, *size)
    dtype, batch = size if several else (budget.dtype, None)
    judgment = Judgment(
        budget=budget,
        unit=new.unit,
        status="within",
        dtype=dtype,
        batch=batch,
        limit=budget.limit,
        value=new.value,
    )
    known: Mapping[str, int] = {}
    if budget.change is not None and baseline is not None:
        was = _baseline_size(size, budget, checked, baseline)
        part = _counterpart(baseline, checked, budget.part)
        if part is None:
            why = f"{baseline.source} has no counterpart of {budget.part}"
            return replace(judgment, status="not measured", reason=why)
        old = part_figure(baseline.subject.graph, budget.metric, part, *was)
        if old.value is None:
            return replace(judgment, status="not measured", reason=new.reason or old.reason)
        limit = int(old.value * (1 + budget.change))  # rounded down, since values are integers
        judgment = replace(judgment, limit=limit, baseline=old.value)
        if was != size and new.unit == "bytes":
            judgment = replace(
                judgment, dtype=size[0], batch=size[1], baseline_dtype=was[0], baseline_batch=was[1]
            )
        same = aligned(baseline.subject.graph, checked.subject.graph) if budget.part == NET else {}
        known = {block: old.blocks[name] for block, name in same.items() if name in old.blocks}
    if new.value is None or (new.reason and new.value <= (judgment.limit or 0)):
        status: BudgetStatus = "not measured" if new.value is None else "unclear"
        return replace(judgment, status=status, reason=new.reason)
    return _limited(judgment, new.blocks, known)


def _of_one_part(checked: Side, budget: Budget) -> Budget:
    """Return a budget with its part as the network calls it. Raises InputError for none, or several."""
    graph, where = checked.subject.graph, f"budget {budget.name}"
    part, *more = selected_parts(graph, [budget.part], where)
    if more or (part != budget.part and not part_layers(graph, budget.part)):
        expected = "a block, backbone, net or a module's path"
        raise InputError(f"{where}: {quote(budget.part)} is several parts; expected one: {expected}")
    return budget if part == budget.part else replace(budget, name=f"{budget.metric}.{part}")


def _counterpart(baseline: Side, checked: Side, part: str) -> str | None:
    """Return the part of the baseline's network to compare a part with; None without any."""
    old, new = baseline.subject.graph, checked.subject.graph
    if new.block(part) is not None:
        return aligned(old, new).get(part)
    return part if part_layers(old, part) else None


def _judge_times(budget: Budget, checked: Side, baseline: Side | None) -> list[Judgment]:
    backend = budget.metric.removeprefix(LATENCY)
    timings, reason = _of_backend(checked, backend, budget, budget.part)
    if not timings:
        return [_judgment(budget, None, "not measured", reason)]
    return [_judge_time(budget, timing, checked, baseline) for timing in timings]


def _judge_time(budget: Budget, new: Timing, checked: Side, baseline: Side | None) -> Judgment:
    if new.seconds is None:
        return _judgment(budget, new, "not measured", f"it is {state(new)}")
    if budget.change is None or baseline is None:
        return _judge_absolute(budget, new, checked)
    part = _counterpart(baseline, checked, budget.part)
    if part is None:
        why = f"{baseline.source} has no counterpart of {budget.part}"
        return _judgment(budget, new, "not measured", why)
    before, reason = _of_backend(baseline, new.target.backend, budget, part)
    pairs = paired(targets_of(baseline.run), targets_of(checked.run)).pairs
    old = next((t for t in before if t.target == pairs.get(new.target)), None)
    if old is None or baseline.run is None or checked.run is None:
        why = reason or f"{baseline.source} was not measured at {new.target.settings} on {new.target.backend}"
        return _judgment(budget, new, "not measured", why)
    if old.seconds is None:
        return _judgment(budget, new, "not measured", f"in {baseline.source} it is {state(old)}")
    scale = new.target.batch / old.target.batch  # times of different batches are compared per image
    base = scale * old.seconds
    limit = base * float(1 + budget.change)
    judgment = replace(_judgment(budget, new), limit=limit, baseline=base, baseline_target=old.target)
    moved = compare(old, new, baseline.run, checked.run)
    if moved.low is None:
        return replace(judgment, status="not comparable", reason=moved.reason)
    how = "" if moved.clock == "wall" else f"by {moved.clock} time, "
    if moved.verdict != "slower" or moved.low <= 1 + budget.change:
        reason = f"not significant: {how}the change is {moved}" if new.seconds > limit else ""
        return replace(judgment, reason=reason)
    if budget.part != NET:
        return replace(judgment, status="exceeded", reason=f"{how}the change is {moved}" if how else "")
    known = _blocks(baseline, old)
    same = aligned(baseline.subject.graph, checked.subject.graph)
    earlier = {block: scale * known[was] for block, was in same.items() if was in known}
    contributors = _top(_blocks(checked, new), new.seconds, earlier)
    reason = f"{how}the change is {moved}" if how else ""
    return replace(judgment, status="exceeded", reason=reason, contributors=contributors)


def _judge_absolute(budget: Budget, new: Timing, checked: Side) -> Judgment:
    """Compare a time with a limit that needs no baseline."""
    blocks = _blocks(checked, new) if budget.part == NET else {}
    reason = f"reported with {NO_SAMPLES}" if new.without_samples else ""
    judgment = _limited(_judgment(budget, new, reason=reason), blocks, {})
    if judgment.status == "exceeded" and new.contended:
        why = "above the limit, but the machine was busy; measure again"
        return replace(judgment, status="unclear", reason=why, contributors=())
    return judgment


def _of_backend(checked: Side, backend: str, budget: Budget, part: str) -> tuple[list[Timing], str]:
    """Return a part's timings on `backend`, or the reason why there are none."""
    if checked.run is None:
        return [], f"{checked.source} is a table, which has no times; profile it and check the run"
    ours = [t for t in checked.run.timings if backend in (t.target.backend, t.target.place) and not t.variant]
    measured = identical_blocks(checked.subject.graph).get(part, part)
    known = [t for t in ours if t.part == measured and budget.dtype in (None, t.target.dtype)]
    if known:
        return known, ""
    if not ours:
        return [], f"{checked.source} was not measured on {backend}"
    if not any(t.part == measured for t in ours):
        what = "the whole network" if part == NET else f"part {part}"
        return [], f"{checked.source} has only other parts on {backend}, not {what}"
    return [], f"{checked.source} was not measured at {budget.dtype} on {backend}"


def _judgment(
    budget: Budget, timing: Timing | None, status: BudgetStatus = "within", reason: str = ""
) -> Judgment:
    return Judgment(
        budget=budget,
        unit=unit_of(budget.metric),
        status=status,
        target=timing.target if timing else None,
        limit=budget.limit,
        value=timing.seconds if timing else None,
        reason=reason,
    )


def _limited(judgment: Judgment, new: Mapping[str, float], old: Mapping[str, float]) -> Judgment:
    if judgment.value is None or judgment.limit is None or judgment.value <= judgment.limit:
        return judgment
    return replace(judgment, status="exceeded", contributors=_top(new, judgment.value, old))


def _blocks(checked: Side, like: Timing) -> dict[str, float]:
    """Return each measured block's seconds per call on the target of `like`."""
    if checked.run is None:
        return {}
    return {
        part: timing.seconds
        for part, timings in timings_by_part(checked.run).items()
        for timing in timings
        if checked.subject.graph.block(part) is not None and timing.target == like.target
        if timing.seconds is not None
    }


def _top(new: Mapping[str, float], whole: float, old: Mapping[str, float]) -> tuple[Contributor, ...]:
    """Return the top contributors. new, old: values of the blocks; whole: the network's."""
    return tuple(
        Contributor(block, new[block], new[block] / whole if whole else None, old.get(block))
        for block in sorted(filter(new.get, new), key=lambda block: -new[block])[:_MOST_LISTED]
    )
