"""Commands that take structs of options."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

import msgspec


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a struct by the struct's fields, for Typer."""
    hints = get_type_hints(command, include_extras=True)
    structs = {
        name: hint
        for name, hint in hints.items()
        if inspect.isclass(hint) and issubclass(hint, msgspec.Struct)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in structs:
            parameters.append(parameter.replace(annotation=hints[name]))
            continue
        annotations = get_type_hints(structs[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=annotations[field.name],
            )
            for field in msgspec.structs.fields(structs[name])
        ]

    @wraps(command)
    def spread_command(**values: Any) -> None:
        options = {
            name: struct(**{field: values.pop(field) for field in struct.__struct_fields__})
            for name, struct in structs.items()
        }
        command(**values, **options)

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    spread_command.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    spread_command.__annotations__ = {p.name: p.annotation for p in keyword}
    del spread_command.__wrapped__  # Typer would read the parameters of the original function
    return spread_command
