"""Modules that a text names: torchvision:NAME, timm:NAME, package.module:attribute(...), each with :part.

Importing a module and calling a function runs their code. Weights are not downloaded.
"""

import ast
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from ..device.streams import redirected
from ..graph.errors import InputError, did_you_mean, one_line, printable, quote
from ..graph.graph import Shape
from ..record.run import Captured

_IMAGE: Final = (3, 224, 224)
_FRAMES: Final = 16
_PACKAGE: Final = str(Path(__file__).parent.parent)
_STANDARD_LIBRARY: Final = str(Path(traceback.__file__).parent)
_ADDRESS: Final = re.compile(r" (?:object )?at 0x[0-9a-f]+")
_LONGEST: Final = 150
"""Letters of an exception that a message has."""
_EXAMPLE: Final = "package.module:function(width=0.5)"


class Reference(NamedTuple):
    """A parsed reference. module: "torchvision", "timm" or a module of Python. part: path of a submodule."""

    text: str
    module: str
    attribute: str
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any]
    part: str


class Built(NamedTuple):
    """A module, and the shapes of its inputs without the batch."""

    module: Any
    inputs: tuple[Shape, ...]


def parse(text: str) -> Reference:
    """Parse a reference. Raises InputError."""
    module, _, rest = text.partition(":")
    head, part = _divided(rest)
    if not module or not head:
        raise InputError(f"{text}: names no network; expected torchvision:NAME, timm:NAME or {_EXAMPLE}")
    if module.endswith(".py") and Path(module.replace(".", "/").removesuffix("/py") + ".py").is_file():
        raise InputError(f"{text}: names a file; expected its module, {module.removesuffix('.py')}:{rest}")
    if rest.endswith(":") and not part:
        raise InputError(f"{text}: ends in a colon; expected the path of a module after it, or none")
    if not all(name.isidentifier() for name in module.split(".")):
        raise InputError(f"{text}: {quote(module)} is not a module's name; expected e.g. {_EXAMPLE}")
    if module in _ZOOS:
        return Reference(text, module, head, None, {}, part)
    attribute, args, kwargs = _call(text, head)
    return Reference(text, module, attribute, args, kwargs, part)


def _divided(rest: str) -> tuple[str, str]:
    """Divide "function(':'):part" at the first colon outside of the call."""
    colons = [n for n, character in enumerate(rest) if character == ":"]
    for colon in colons:
        if "(" not in rest[:colon] or _is_expression(rest[:colon]):
            return rest[:colon], rest[colon + 1 :]
    return rest, ""


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _call(text: str, head: str) -> tuple[str, tuple[Any, ...] | None, dict[str, Any]]:
    """Return attribute and arguments of "attribute" or "attribute(1, b=2)"."""
    refusal = InputError(
        f"{text}: {quote(head)} is not allowed; expected a name, or a call with literals only"
    )
    try:
        node = ast.parse(head, mode="eval").body
        called = isinstance(node, ast.Call)
        name = node.func if isinstance(node, ast.Call) else node
        attribute = ast.unparse(name)
        if not all(part.isidentifier() for part in attribute.split(".")):
            raise refusal
        if not isinstance(node, ast.Call):
            return attribute, None, {}
        args = tuple(ast.literal_eval(each) for each in node.args)
        kwargs = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords if each.arg}
        if len(kwargs) < len(node.keywords) or not called:
            raise refusal
    except (SyntaxError, ValueError, MemoryError, RecursionError, TypeError):
        raise refusal from None
    return attribute, args, kwargs


def build(reference: Reference, *, meta: bool) -> Built:
    """Build the module. meta: without memory for its weights. Raises InputError."""
    from torch import nn

    make, inputs = _ZOOS[reference.module](reference) if reference.module in _ZOOS else _own(reference)
    made = _on_meta(make) if meta else ()
    if not made:
        with running(reference.text, reference.attribute):
            made = (make(),)
    (module,) = made
    if not isinstance(module, nn.Module):
        _refuse_made(reference, module)
    if reference.module == "torchvision" and isinstance(size := getattr(module, "image_size", None), int):
        inputs = ((3, size, size),)  # of a vision transformer, whose positions are fixed
    part = _part(module, reference)
    with running(reference.text, reference.attribute):
        return Built(without_data(part) if meta else part, inputs)


def _refuse_made(reference: Reference, made: object) -> NoReturn:
    what, expected = f"of type {type(made).__name__}", "an nn.Module"
    if isinstance(made, type):
        what, expected = f"the class {made.__name__}", f"an instance, e.g. {made.__name__}()"
    raise InputError(f"{reference.text}: {reference.attribute} is {what}; expected {expected}")


def _on_meta(make: Callable[[], Any]) -> tuple[Any, ...]:
    """Return what was made without memory for its weights, or (): a constructor that reads values cannot run
    so, and the real one reports its errors.
    """
    import torch

    try:
        with quiet(), torch.device("meta"):
            return (make(),)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return ()


def module_of(captured: Captured) -> Any:
    """Build the module of a captured network again, with weights. Raises InputError for one of a file."""
    require_module(captured)
    return build(parse(captured.text), meta=False).module


def batch_norm_options(captured: Captured) -> dict[str, float]:
    """Return bn_eps and bn_momentum of a table with a captured network's batch norms.

    {} for a network without a reference, and for batch norms that differ. Raises InputError.
    """
    import torch

    if captured.saved or captured.kind != "module" or ":" not in captured.text:
        return {}
    modules = build(parse(captured.text), meta=True).module.modules()
    norms = {(each.eps, each.momentum) for each in modules if isinstance(each, torch.nn.BatchNorm2d)}
    eps, momentum = norms.pop() if len(norms) == 1 else (0, None)
    if momentum is None or not (1e-12 <= eps < 1 and 0 <= momentum < 1):
        return {}
    return {"bn_eps": eps, "bn_momentum": momentum}


def require_module(captured: Captured) -> None:
    """Raise InputError for a network that is not named by a reference."""
    captured.require_named()
    if captured.kind != "module":
        raise InputError(f"{captured.text}: holds no PyTorch module; expected e.g. torchvision:resnet50")
    if ":" not in captured.text:
        raise InputError(
            f"{captured.text}: was given as an object; expected its name, e.g. package.module:function()"
        )


def without_data(module: Any) -> Any:
    """Return the module, or a copy of it on "meta" if it has weights with data."""
    plain = list(plain_tensors(module))
    tensors = (*module.parameters(), *module.buffers(), *(tensor for _, _, tensor in plain))
    return module if all(each.is_meta for each in tensors) else copy_without_data(module)


def copy_without_data(module: Any, device: str = "meta") -> Any:
    """Return a copy of the module with tensors of the same sizes on "meta", or on "cpu" without values."""
    import torch

    return copy_with(module, lambda tensor: torch.empty_like(tensor, device=device))


def copy_with(module: Any, made: Callable[[Any], Any]) -> Any:
    """Return a copy of the module with `made` of each tensor; a tensor of several names stays one.

    What cannot be copied, e.g. a lock, is shared.
    """
    import torch
    from torch import nn

    memo: dict[int, Any] = {}
    plain = [tensor for _, _, tensor in plain_tensors(module)]
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers(), *plain):
            new = made(tensor.detach())
            is_parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = nn.Parameter(new, requires_grad=False) if is_parameter else new
    try:
        return deepcopy(module, dict(memo))
    except Exception:  # of any type, by what an attribute is
        for owner in module.modules():
            for value in vars(owner).values():
                try:
                    deepcopy(value, dict(memo))
                except Exception:
                    memo[id(value)] = value
        return deepcopy(module, memo)


def plain_tensors(module: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield (module, name, tensor) of attributes that are neither parameters nor buffers."""
    import torch

    for owner in module.modules():
        for name, value in vars(owner).items():
            if isinstance(value, torch.Tensor):
                yield owner, name, value


def _part(module: Any, reference: Reference) -> Any:
    if not reference.part:
        return module
    try:
        return module.get_submodule(reference.part)
    except AttributeError:
        paths = {path: path for path, _ in module.named_modules() if path}
        options = ", ".join(name for name, _ in module.named_children())
        known = f"expected one of {printable(options)[:120]}" if options else "it has no modules inside"
        expected = did_you_mean(reference.part, paths) or known
        raise InputError(f"{reference.text}: has no module {quote(reference.part)}; {expected}") from None


_Made = tuple[Callable[[], Any], tuple[Shape, ...]]


def _torchvision(reference: Reference) -> _Made:
    models = _imported("torchvision.models", reference.text, "torchvision")
    name = _listed(reference, models.list_models())
    builder = models.get_model_builder(name)
    weights = models.get_model_weights(name)
    best = max(weights, key=lambda each: each.meta.get("num_params", 0), default=None)
    options = {
        "weights": None,
        **({"weights_backbone": None} if "weights_backbone" in _parameters(builder) else {}),
    }
    size = _crop(best)
    shape: Shape = (3, *size)
    if ".video." in builder.__module__:
        shape = (3, _FRAMES, *size)
    inputs = (shape, shape) if ".optical_flow." in builder.__module__ else (shape,)
    return (lambda: builder(**options)), inputs


def _crop(weights: Any) -> tuple[int, int]:
    """Return height and width of the images that a release was evaluated on, else 224."""
    with suppress(Exception):  # weights without such a transform
        crop = weights.transforms().crop_size
        return (crop[0], crop[-1]) if isinstance(crop, (list, tuple)) else (crop, crop)
    return _IMAGE[1], _IMAGE[2]


def _parameters(function: Any) -> set[str]:
    import inspect

    return set(inspect.signature(function).parameters)


def _timm(reference: Reference) -> _Made:
    timm = _imported("timm", reference.text, "timm")
    name = _listed(reference, timm.list_models())
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    shape = tuple(config.input_size) if config else _IMAGE
    return (lambda: timm.create_model(name, pretrained=False)), (shape,)


_ZOOS: Final[dict[str, Callable[[Reference], _Made]]] = {"torchvision": _torchvision, "timm": _timm}


def _listed(reference: Reference, names: list[str]) -> str:
    if reference.attribute in names:
        return reference.attribute
    expected = (
        did_you_mean(reference.attribute, {name: name for name in names}) or f"expected one of {len(names)}"
    )
    raise InputError(
        f"{reference.text}: {reference.module} has no network {quote(reference.attribute)}; {expected}"
    )


def _own(reference: Reference) -> _Made:
    """Return what makes a module of the user's, whose folder may be the current one."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found = _imported(reference.module, reference.text, reference.module)
    for name in reference.attribute.split("."):
        with running(reference.text, name):
            known_here = hasattr(found, name)
        if not known_here:
            known = {each: each for each in dir(found) if not each.startswith("_")}
            expected = did_you_mean(name, known) or "expected a function, a class or an nn.Module"
            raise InputError(f"{reference.text}: {reference.module} has no {quote(name)}; {expected}")
        found = getattr(found, name)
    from torch import nn

    if isinstance(found, nn.Module):
        if reference.args is not None:
            raise InputError(
                f"{reference.text}: {reference.attribute} is an nn.Module; expected it without a call"
            )
        return (lambda: found), (_IMAGE,)
    if not callable(found):
        _refuse_value(reference, found)
    return (lambda: found(*(reference.args or ()), **reference.kwargs)), (_IMAGE,)


def _refuse_value(reference: Reference, found: object) -> NoReturn:
    kind = type(found).__name__
    raise InputError(
        f"{reference.text}: {reference.attribute} is of type {kind}; expected an nn.Module, or what makes one"
    )


def _imported(module: str, text: str, package: str) -> Any:
    with running(text, f"import {module}", package):
        return import_module(module)


@contextmanager
def quiet() -> Iterator[None]:
    """Send what the user's code prints and warns of to standard error; drop what libraries say."""
    with redirected((1,), 2), redirect_stdout(sys.stderr), warnings.catch_warnings(), _without_logs():
        warnings.simplefilter("default")
        warnings.showwarning = _Shown(sys.stderr)
        yield


class _Shown:
    """Shows each warning that a file of the user's gives once, in one printable line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._seen: set[str] = set()

    def __call__(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: object = None, line: object = None,
    ) -> None:  # fmt: skip
        """Show a warning: warnings.showwarning."""
        frame = sys._getframe(1)
        while frame.f_back and frame.f_code.co_filename == warnings.__file__:
            frame = frame.f_back
        if not _is_own(frame.f_code.co_filename):
            return
        where = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
        text = one_line(f"{where}: {category.__name__}: {message}")
        if text not in self._seen and self._stream is not None:
            self._seen.add(text)
            self._stream.write(f"{text}\n")


@contextmanager
def _without_logs() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def running(text: str, what: str, package: str = "") -> Iterator[None]:
    """Turn an exception of code that is not ours into an InputError with its own last line."""
    try:
        with quiet():
            yield
    except InputError:
        raise
    except ModuleNotFoundError as error:
        if package and error.name and package.split(".", maxsplit=1)[0] == error.name.split(".")[0]:
            raise InputError(
                f"{text}: the module {package} is not installed, and not in this folder"
            ) from None
        raise InputError(f"{text}: {what} needs the module {error.name}, which is not installed") from None
    except BaseException as error:
        raise InputError(f"{text}: {what} failed: {described(error)}") from None


def described(error: BaseException) -> str:
    """Return an exception's type and first lines, and the line that raised it. Raises an interrupt."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    lines = [line.strip() for line in said(error).splitlines() if line.strip()]
    told = lines[0] if lines else ""
    if len(lines) > 1 and lines[1].startswith("Explanation"):
        told = f"{told} {lines[1]}"
    told = _shortened(_ADDRESS.sub("", told))
    return f"{type(error).__name__}{': ' + told if told else ''}{line_of(error)}"


def _shortened(text: str) -> str:
    """Return a first line without the end of a long one, or the begin of what goes on in other lines."""
    short = text if len(text) <= _LONGEST else text[:_LONGEST].rpartition(" ")[0] or text[:_LONGEST]
    begin = short.removesuffix("(")
    return text if begin == text else f"{begin} ..."


def said(error: BaseException) -> str:
    """Return the text of an exception, "" if it cannot be had."""
    try:
        return str(error).strip()
    except Exception:  # of any type, by what the user wrote
        return ""


def line_of(error: BaseException) -> str:
    """Return " (net.py, line 7)" for the user's line that raised an exception, "" without one.

    A SyntaxError says where it is.
    """
    if isinstance(error, SyntaxError):
        return ""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def _is_own(file: str) -> bool:
    """Return True for a file of the user's."""
    return not re.search(r"[/\\](site|dist)-packages[/\\]", file) and not file.startswith(
        (_PACKAGE, _STANDARD_LIBRARY, "<")
    )
