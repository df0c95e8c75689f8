"""Which network a command is about: the options that change one, and whose weights run."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec.structs import asdict, replace

from ..budgets.figures import Found
from ..graph.errors import InputError, about
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.variants import WidthRule, vary
from ..record.run import Subject
from ..source import Source, open_source
from .options import DEFAULT_SOURCE


def _network(name: str, text: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel="Network")


class Settings(msgspec.Struct, frozen=True):
    """Which network, at which input."""

    input: Annotated[
        str | None,
        _network(
            "--input",
            "Image size in pixels, e.g. 192x256 (height x width); default 224, a saved run's own, or 32 for "
            "train on digits.",
        ),
    ] = None
    width: Annotated[float, _network("--width", "Width multiplier, as 0.75.")] = 1.0
    width_rule: Annotated[
        WidthRule,
        _network(
            "--width-rule", "Scale expansions with their input and keep the last layer (paper), or scale all."
        ),
    ] = "paper"
    reduced_tail: Annotated[
        bool, _network("--reduced-tail", "Halve the channels from the last row of stride 2 on.")
    ] = False
    dilated: Annotated[bool, _network("--dilated", "Dilate by 2 instead of the last stride of 2.")] = False
    classes: Annotated[int | None, _network("--classes", "Number of classes.")] = None
    standard_conv: Annotated[
        bool,
        _network("--standard-conv", "Make each depthwise + project pair one standard k×k convolution."),
    ] = False
    dense_depthwise: Annotated[
        bool, _network("--dense-depthwise", "Make only the depthwise convolutions dense.")
    ] = False
    without_se: Annotated[bool, _network("--without-se", "Leave out every squeeze-excite.")] = False
    activation: Annotated[
        str | None, _network("--activation", "One activation everywhere: relu, relu6, hardswish, swish, ...")
    ] = None

    def variant(self, known: Subject, source: str = "") -> Subject:
        """`known` with these changes, at the input asked for; with random weights. source: what names it.

        Raises InputError about the source and the options.
        """
        with about(f"{source or known.table.name} with {self._given()}"):
            table = vary(
                known.table, width=self.width, width_rule=self.width_rule, reduced_tail=self.reduced_tail,
                dilated=self.dilated, classes=self.classes, standard_conv=self.standard_conv,
                dense_depthwise=self.dense_depthwise, without_se=self.without_se, activation=self.activation,
            )  # fmt: skip
        size = known.input if self.input is None else image_size(self.input, "--input")
        return known.varied(table) if size == known.input else Subject(table, size)

    def _given(self) -> str:
        """The options of the table that were given, as on a command line."""
        given = {name: value for name, value in asdict(self).items() if name != "input"}
        default = asdict(Settings())
        changed = {f"--{n.replace('_', '-')}": v for n, v in given.items() if v != default[n]}
        said = {name: f"{value:g}" if isinstance(value, float) else value for name, value in changed.items()}
        return " ".join(name if value is True else f"{name} {value}" for name, value in said.items())[:80]

    def changes_structure(self) -> bool:
        """Whether an option asks for other operations, not only for other sizes."""
        return self != self.without_structure()

    def without_structure(self) -> "Settings":
        """These settings without the options that ask for other operations."""
        return replace(self, standard_conv=False, dense_depthwise=False, without_se=False, activation=None)

    def found(self, *sources: Source) -> tuple[Found, ...]:
        """What each source names: a run as it was measured, or a network changed as asked.

        A network beside a run has the run's dtype and batch, and its input unless another is asked for.
        """
        runs = [source.run for source in sources]
        if None not in runs and self != Settings():
            names = " and ".join(source.text for source in sources)
            raise InputError(f"{names}: options of the network cannot change a saved run; leave them out")
        how = next((run.measured_as for run in runs if run), ("fp32", 1))
        return tuple(
            Found(source.text, run.subject, *run.measured_as, run)
            if run
            else Found(source.text, self.variant(subject, source.text), *how)
            for source, run, (subject,) in zip(sources, runs, at_one_input(sources), strict=True)
        )


def at_one_input(sources: Sequence[Source]) -> Iterator[tuple[Subject, ...]]:
    """The networks of each source, that of a table at the input of the first run beside it, if any."""
    size = next((run.subject.input for source in sources for run in source.runs), None)
    for source in sources:
        subjects = source.subjects
        yield subjects if source.runs or size is None else tuple(replace(s, input=size) for s in subjects)


class Checkpoint(msgspec.Struct, frozen=True):
    """Whose weights run."""

    weights: Annotated[
        Path | None,
        _network(
            "--weights", "Weights that train wrote, or a state_dict as torchvision's; random by default."
        ),
    ] = None

    def network(self, source: Source | None, settings: Settings) -> Subject:
        """The network that `source` names, changed as asked, with the weights of --weights.

        The checkpoint's table takes the place of a source that is not given, and its input that of any
        source. Raises InputError where the weights are of another network.
        """
        known = (source or open_source(DEFAULT_SOURCE)).subject
        if self.weights is None:
            return settings.variant(known, source.text if source else "")
        from ..bench.weights import misfit, read_weights

        found = read_weights(self.weights)
        table = found.table if source is None and found.table else known.table
        known = Subject(table, found.input or known.input)
        subject = self._classed(settings.variant(known), settings, found.classes)
        if problem := misfit(found, subject.table):
            other = replace(settings, width_rule="torchvision")
            by_torchvision = self._classed(other.variant(known), settings, found.classes).table
            if settings.width != 1 and not misfit(found, by_torchvision):
                problem = f"{self.weights}: is scaled by another rule; expected --width-rule torchvision"
            raise InputError(problem)
        return replace(subject, weights=found.weights)

    def _classed(self, subject: Subject, settings: Settings, classes: int | None) -> Subject:
        """The network with as many classes as the weights have, unless others are asked for."""
        try:
            return subject.varied(vary(subject.table, classes=None if settings.classes else classes))
        except InputError as error:
            raise InputError(f"{self.weights}: classifier.3.bias: {error}") from None
