"""What an order policy must do."""

from typing import Final, Protocol

from safelight.core.request import ImageRequest

PATIENCE_S: Final = 30.0

Place = tuple[float, ...]
"""A place in the queue, compared number by number; the last number is a unique sequence number."""


class OrderPolicy(Protocol):
    """Gives each request a fixed place in the queue.

    Attributes:
        patience_s: a request that arrives more than this many seconds later goes behind, so that none waits forever.
            With 0, requests that miss their deadlines keep their places; otherwise see `late_place`.
        weighs: whether places depend on `service_s`; a policy without this attribute does not weigh.
    """

    @property
    def name(self) -> str: ...

    @property
    def patience_s(self) -> float: ...

    @property
    def weighs(self) -> bool: ...

    def place(self, request: ImageRequest, sequence: int, *, service_s: float = 0.0) -> Place:
        """Return the place of `request`, which takes `service_s` seconds alone; smaller places go first."""
        ...


def weighs(order: OrderPolicy) -> bool:
    """Return whether places of `order` depend on how long requests take."""
    return getattr(order, "weighs", False)
