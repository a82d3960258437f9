"""Members that other packages add to a family of ours, such as a sampler or a routing policy."""

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

from safelight.core.errors import ExtensionError


class Named(Protocol):
    """A member of a family: users choose it by its name."""

    @property
    def name(self) -> str: ...


Member = TypeVar("Member", bound=Named)


def with_installed(group: str, members: Iterable[Member]) -> tuple[Member, ...]:
    """Return our own `members` of a family, then those that installed packages add under an entry point of `group`.

    An entry point names an object like those of the family's tuple, for example in a `pyproject.toml`:
    `[project.entry-points."safelight.samplers"]` with `heun = "my_package:HEUN"`.

    Raises:
        ExtensionError: if one cannot be imported, has no name, or has a name that is taken.
    """
    found = {member.name: member for member in members}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            member: Member = entry.load()
            name = member.name
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ExtensionError(group, entry.value, f"it cannot be loaded ({reason})") from error
        if name in found:
            raise ExtensionError(group, entry.value, f"the name {name!r} is taken")
        found[name] = member
    return tuple(found.values())
