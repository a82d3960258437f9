"""Notes and progress on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from safelight.oneshot.picture import Progress as Note

notes = Console(stderr=True, highlight=False)


@contextmanager
def progress_bar(what: str) -> Iterator[Note]:
    """Show a progress bar if standard error is a terminal; yields a function that updates it."""
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
