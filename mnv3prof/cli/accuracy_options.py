"""The option that names the data on which the accuracy of trained weights is measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from ..graph.errors import InputError
from ..graph.parts import NET
from ..record.run import Run, Weights
from .interrupts import stopping
from .options import data_option, measuring_option
from .progress import progress

if TYPE_CHECKING:
    from ..bench.profile import Request


class AccuracyOptions(msgspec.Struct, frozen=True):
    """The images on which the accuracy of --weights is measured."""

    data: Annotated[
        Path | None,
        data_option(
            measuring_option,
            ", on which --weights was trained, for the accuracy on its held-out images",
            "scikit-learn's digits, if it was trained on them",
        ),
    ] = None

    def examined(self, request: "Request") -> "tuple[Request, str]":
        """Return the request with the held-out images of its weights, and a note if there are none.

        Without a checkpoint of train, or without the whole network among the parts, it stays as it is.
        Raises InputError if --data does not belong to the weights.
        """
        subject = request.subjects[""]
        if subject.weights is None or not subject.weights.data or NET not in request.parts[""]:
            self._refuse(subject.weights)
            return request, ""
        from ..train.data import DIGITS
        from ..train.held_out import held_out

        with stopping(lambda: "nothing was measured yet"), progress() as on_progress:
            try:
                return request._replace(held_out=held_out(subject, self.data, on_progress)), ""
            except InputError as error:
                if self.data is not None:
                    raise
                hint = "" if subject.weights.data == DIGITS else "; --data DIR names their folder"
                return request, f"Accuracy was not measured: {error}{hint}."

    def _refuse(self, weights: Weights | None) -> None:
        """Raise InputError if --data is given, although no accuracy is measured."""
        if self.data is None:
            return
        if weights is None:
            raise InputError("--data: random weights have no accuracy; expected --weights FILE too")
        if not weights.data:
            raise InputError(
                f"--data: {weights.file} does not tell its training images; expected a checkpoint of train"
            )
        raise InputError("--data: the whole network is not among the parts; expected net among --parts")


def noted(run: Run, note: str) -> Run:
    """Return the run with a note more, unless that is empty or known."""
    return msgspec.structs.replace(run, notes=tuple(filter(None, dict.fromkeys((*run.notes, note)))))
