"""Safelight serves text-to-image diffusion models under deadlines.

`Engine` generates pictures in this program; `Client` and `AsyncClient` send requests to a server. They are loaded at
their first use, so that `import safelight` stays quick.
"""

from typing import TYPE_CHECKING

from safelight.core.version import __version__ as __version__

if TYPE_CHECKING:
    from safelight.api.engine import Engine
    from safelight.api.public import AsyncClient, Client, Picture, Preview

__all__ = ["AsyncClient", "Client", "Engine", "Picture", "Preview", "__version__"]


def __getattr__(name: str) -> object:
    """Return a public name that has not been used yet.

    Raises:
        AttributeError: if there is no such name.
        ImportError: for `Engine`, if the extra `[serve]` is not installed.
    """
    if name in {"AsyncClient", "Client", "Picture", "Preview"}:
        from safelight.api import public  # noqa: PLC0415 - loaded at its first use

        return getattr(public, name)
    if name == "Engine":
        return _engine()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _engine() -> object:
    try:
        from safelight.api.engine import Engine  # noqa: PLC0415 - loaded at its first use
    except ModuleNotFoundError as error:
        extra = "which comes with the extra [serve]: pip install 'safelight[serve]'"
        raise ImportError(f"Engine needs {error.name}, {extra}.", name=error.name) from error
    return Engine
