"""Options that belong together as one dataclass, which a command takes as one argument."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, get_type_hints

Result = TypeVar("Result")


def grouped(command: Callable[..., Result]) -> Callable[..., Result]:
    """Return `command` with the fields of its dataclass arguments as options of their own, for typer.

    The fields are annotated as options are; each has a default.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {
        name: kind for name, kind in hints.items() if name != "return" and isinstance(kind, type) and is_dataclass(kind)
    }
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(command).parameters.items()
        if name not in groups
    ]
    names = {name: [field.name for field in fields(kind)] for name, kind in groups.items()}
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=get_type_hints(kind, include_extras=True)[field.name],
        )
        for kind in groups.values()
        for field in fields(kind)
    ]

    @wraps(command)
    def called(**given: Any) -> Result:  # noqa: ANN401 - whatever the options are
        made = {name: kind(**{option: given.pop(option) for option in names[name]}) for name, kind in groups.items()}
        return command(**given, **made)

    parameters = [*own, *options]
    vars(called)["__signature__"] = inspect.Signature(parameters, return_annotation=hints.get("return"))
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
