"""Options that select and change the network, and its weights."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec.structs import asdict, replace

from ..budgets.figures import Side, sides
from ..capture.shapes import parse_shapes
from ..cost.counts import Dtype
from ..graph.errors import InputError, about
from ..mobilenetv3.expand import image_size
from ..mobilenetv3.variants import vary
from ..mobilenetv3.width_rules import WIDTH_RULES, WidthRule
from ..record.run import Subject
from ..source import Source, at_one_input, open_source
from .options import DEFAULT_SOURCE, network_option


def input_option(default: str) -> Any:
    """Return the option --input. default: what the help shows as its default."""
    return network_option(
        "--input",
        metavar="SIZE",
        help="Image size, height x width, e.g. 192x256; of a network that is no table also 3x224x224.",
        show_default=default,
    )


class Settings(msgspec.Struct, frozen=True):
    """The input size and the changes to the network."""

    input: Annotated[str | None, input_option("224, or that of a saved run")] = None
    width: Annotated[float, network_option("--width", help="Width multiplier, e.g. 0.75.")] = 1.0
    width_rule: Annotated[
        WidthRule,
        network_option("--width-rule", help="Whose widths: the table's own (paper), or those of a release."),
    ] = "paper"
    reduced_tail: Annotated[
        bool, network_option("--reduced-tail", help="Halve the channels from the last row of stride 2 on.")
    ] = False
    dilated: Annotated[
        bool, network_option("--dilated", help="Replace the last stride of 2 by dilation 2.")
    ] = False
    classes: Annotated[
        int | None,
        network_option(
            "--classes",
            help="Number of classes; 0 ends the network before the pool.",
            show_default="those of the source",
        ),
    ] = None
    standard_conv: Annotated[
        bool,
        network_option(
            "--standard-conv", help="Replace each depthwise + project pair by one standard k×k convolution."
        ),
    ] = False
    dense_depthwise: Annotated[
        bool, network_option("--dense-depthwise", help="Replace each depthwise convolution by a dense one.")
    ] = False
    without_se: Annotated[bool, network_option("--without-se", help="Remove every squeeze-excite.")] = False
    activation: Annotated[
        str | None,
        network_option(
            "--activation",
            metavar="NAME",
            help="Use one activation everywhere: relu, relu6, hardswish, swish, ...",
        ),
    ] = None

    def variant(self, known: Subject, source: str = "") -> Subject:
        """Return `known` with these changes, at --input. source: its name in an InputError."""
        if known.captured:
            return self._captured(known, source or known.captured.text)
        with about(f"{source or known.name} with {self._as_options()}"):
            table = vary(
                known.table,
                width=self.width,
                width_rule=self.width_rule,
                reduced_tail=self.reduced_tail,
                dilated=self.dilated,
                classes=self.classes,
                standard_conv=self.standard_conv,
                dense_depthwise=self.dense_depthwise,
                without_se=self.without_se,
                activation=self.activation,
            )
        size = known.input if self.input is None else image_size(self.input, "--input")
        return known.varied(table) if size == known.input else Subject(table, size)

    def _captured(self, known: Subject, source: str) -> Subject:
        """Return a captured network at --input. Raises InputError for a change, which a table can have."""
        if self != Settings(input=self.input):
            raise InputError(
                f"{source}: is no layer table, which {self._as_options()} would change; expected a network "
                "that is made so, e.g. package.module:function(width=0.5)"
            )
        assert known.captured is not None
        if self.input is None or _has_shapes(known, self.input):
            return known
        known.captured.require_named()
        return open_source(known.captured.text, self.input).subject

    def _as_options(self) -> str:
        """Return the changes to the table as on a command line."""
        options, default = [], asdict(Settings(input=self.input))
        for name, value in asdict(self).items():
            if value != default[name]:
                text = f"{value:g}" if isinstance(value, float) else value
                options.append(f"--{name.replace('_', '-')}{'' if value is True else f' {text}'}")
        return " ".join(options)[:80]

    def changes_structure(self) -> bool:
        """True if an option changes the operations, not only the sizes."""
        return self != self.without_structure()

    def without_structure(self) -> "Settings":
        """Return these settings without the options that change the operations."""
        return replace(self, standard_conv=False, dense_depthwise=False, without_se=False, activation=None)

    def resolve(
        self, *sources: Source, dtype: Dtype | None = None, batch: int | None = None
    ) -> tuple[Side, ...]:
        """Return each source as a saved run, or as a network with these changes.

        A network compared with a run gets the run's dtype and batch, and its input unless --input is given.
        dtype, batch: as of sides().
        Raises InputError if these settings would change a saved run.
        """
        if all(source.runs for source in sources) and self != Settings():
            names = " and ".join(source.text for source in sources)
            raise InputError(f"{names}: options of the network cannot change a saved run")
        return sides(*at_one_input(sources), change=self.variant, dtype=dtype, batch=batch)


def _has_shapes(known: Subject, text: str) -> bool:
    """Return True if the inputs of a captured network are those of --input."""
    given, shapes = parse_shapes(text, "--input"), [tensor.shape for tensor in known.graph.inputs]
    if len(given) == 1 and given[0].pixels:
        return all(shape[-2:] == given[0].shape for shape in shapes)
    return [each.shape for each in given] == shapes


class WeightsOptions(msgspec.Struct, frozen=True):
    """The weights of the network."""

    weights: Annotated[
        Path | None,
        network_option(
            "--weights",
            metavar="FILE",
            help="Weights that train saved, or a state_dict with the network's names.",
            show_default="random",
        ),
    ] = None

    def subject(self, source: Source | None, settings: Settings) -> Subject:
        """Return the network of `source` with the changes of `settings` and the weights of --weights.

        Without a source it is the checkpoint's network. The checkpoint's input replaces that of the source.
        Raises InputError if the weights do not fit the network.
        """
        known = (source or open_source(DEFAULT_SOURCE)).subject
        if self.weights is None:
            return settings.variant(known, source.text if source else "")
        if known.captured:
            raise InputError(
                f"--weights: {known.captured.text} is no layer table; expected one, or no --weights"
            )
        from ..workers.weights import misfit, read_weights

        checkpoint = read_weights(self.weights)
        table = checkpoint.table if source is None and checkpoint.table else known.table
        known = Subject(table, checkpoint.input or known.input)
        subject = self._classed(settings.variant(known), settings, checkpoint.classes)
        if problem := misfit(checkpoint, subject.table):
            for rule in WIDTH_RULES if settings.width != 1 else ():
                with suppress(InputError):  # a rule that does not describe the table
                    other = replace(settings, width_rule=rule).variant(known)
                    if not misfit(checkpoint, self._classed(other, settings, checkpoint.classes).table):
                        problem = f"{self.weights}: was scaled by another rule; expected --width-rule {rule}"
            raise InputError(problem)
        return replace(subject, weights=checkpoint.weights)

    def _classed(self, subject: Subject, settings: Settings, classes: int | None) -> Subject:
        """Return the network with the classes of the weights, unless --classes is given or it has none."""
        kept = settings.classes is not None or not subject.table.classes
        try:
            return subject.varied(vary(subject.table, classes=None if kept else classes))
        except InputError as error:
            raise InputError(f"{self.weights}: the classifier's bias: {error}") from None
