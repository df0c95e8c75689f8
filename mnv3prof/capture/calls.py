"""The call of a module in a network, as a module from tensors to tensors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Tensors = tuple[Tensor, ...]


class Flat(nn.Module):
    """Calls `net`, and returns the only tensor of its output, or a tuple of several, wherever it has them.

    places: of each argument the number of the input that it is, and the value of one that is none; by name
    or by position. None: the arguments are the inputs.
    """

    def __init__(self, net: nn.Module, places: "Mapping[str | int, _Place] | None" = None) -> None:
        super().__init__()
        self.net = net
        self.args: list[_Place] | None = None
        self.kwargs: dict[str, _Place] = {}
        if places is not None:
            self.args = [place for key, place in places.items() if isinstance(key, int)]
            self.kwargs = {key: place for key, place in places.items() if isinstance(key, str)}
        self.eval()  # converters set the modes of all inner modules to that of the outermost

    def forward(self, *inputs: Tensor) -> Tensor | Tensors:
        if self.args is None:
            found = self.net(*inputs)
        else:
            args = [value if n is None else inputs[n] for n, value in self.args]
            kwargs = {key: value if n is None else inputs[n] for key, (n, value) in self.kwargs.items()}
            found = self.net(*args, **kwargs)
        if isinstance(found, Tensor):
            return found
        tensors = tuple(tensors_in(found))
        return tensors[0] if len(tensors) == 1 else tensors


_Place = tuple[int | None, Any]


class Seen(NamedTuple):
    """How often a network calls a module. module, given: of the only call; None where it has lists."""

    times: int
    module: Flat | None
    given: Tensors


def tensors_in(output: Any) -> Iterator[Tensor]:
    """Yield the tensors in what a module returns."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for each in output.values():
            yield from tensors_in(each)
    elif isinstance(output, Sequence) and not isinstance(output, str):
        for each in output:
            yield from tensors_in(each)


def seen(net: nn.Module, path: str, given: Tensors) -> Seen:
    """Run a network, and return the calls of its module at `path`."""
    module = net.get_submodule(path)
    calls: list[tuple[Flat | None, Tensors]] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(_taken(module, dict([*enumerate(args), *kwargs.items()])))

    hook = module.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with torch.no_grad():
            net(*(each.clone() for each in given))
    finally:
        hook.remove()
    return Seen(len(calls), *(calls[0] if len(calls) == 1 else (None, ())))


def _taken(module: nn.Module, arguments: Mapping[str | int, Any]) -> tuple[Flat | None, Tensors]:
    """Return the module of a call, and copies of its tensors.

    A tensor that is several arguments stays one: attention computes less then.
    """
    inputs: dict[int, Tensor] = {}
    places: dict[str | int, _Place] = {}
    for key, value in arguments.items():
        if isinstance(value, Tensor):
            inputs.setdefault(id(value), value)
            places[key] = [*inputs].index(id(value)), None
        elif next(tensors_in(value), None) is not None:
            return None, ()
        else:
            places[key] = None, value
    copies = tuple(each.clone() for each in inputs.values())
    plain = {key: place[0] for key, place in places.items()} == {n: n for n in range(len(copies))}
    return Flat(module, None if plain else places), copies
