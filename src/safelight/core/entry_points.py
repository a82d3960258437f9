"""Members that installed packages add to a family, such as a sampler or a routing policy."""

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

from safelight.core.errors import ExtensionError


class Named(Protocol):
    """A member of a family: users choose it by its name."""

    @property
    def name(self) -> str: ...


Member = TypeVar("Member", bound=Named)


def _name(member: Named) -> str:
    return member.name


def with_installed(
    group: str, members: Iterable[Member], *, key: Callable[[Member], str] = _name
) -> tuple[Member, ...]:
    """Return our own `members` of a family, then those of installed packages with an entry point in `group`.

    An entry point names an object like those of the family's tuple, for example in a `pyproject.toml`:
    `[project.entry-points."safelight.samplers"]` with `heun = "my_package:HEUN"`.

    Args:
        group: such as `safelight.samplers`.
        members: our own.
        key: returns what must be unique among members.

    Raises:
        ExtensionError: if one cannot be imported, has no name, or has a name that is taken.
    """
    found = {key(member): member for member in members}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            member: Member = entry.load()
            name = key(member)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ExtensionError(group, entry.value, f"it cannot be loaded ({reason})") from error
        if name in found:
            raise ExtensionError(group, entry.value, f"the name {name!r} is taken")
        found[name] = member
    return tuple(found.values())
