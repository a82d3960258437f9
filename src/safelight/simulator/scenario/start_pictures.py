"""What pictures of a trace start from."""

from collections.abc import Mapping
from typing import Any, Final

from safelight.core.errors import shorten
from safelight.core.pixels import Pixels
from safelight.core.source import PictureSource
from safelight.simulator.errors import BadScenario

MASKED: Final = "inpainting"
FROM_PICTURES: Final = ("image-to-image", MASKED)
FROM_NOISE: Final = "text-to-image"

ROUNDING: Final = 1e-9
"""Is added to a share of steps, since the quotient of two whole numbers may be too small."""


def source_of(row: Mapping[str, Any], size: tuple[int, int]) -> PictureSource | None:
    """Return the start picture of a row of a trace, without its bytes; None starts from noise.

    Args:
        row: with `task`, `strength` and `frames`. A task that is not of Hugging Face starts from noise.
        size: width and height of the picture.

    Raises:
        BadScenario: for a video.
    """
    task, strength = row["task"], row["strength"]
    if (row["frames"] or 0) > 1 or (task or "").endswith("-to-video"):
        raise BadScenario(
            f"has the request {shorten(row['request_id'] or '')} for a video, and only pictures are simulated; leave "
            "it out of the trace, or let `replace` have 'task'.",
            place="workload",
        )
    if task not in FROM_PICTURES and (task is not None or strength is None):
        return None
    return PictureSource(
        image=Pixels(width=size[0], height=size[1], rgb=b""),
        mask=b"" if task == MASKED else None,
        strength=None if strength is None else min(1.0, strength + ROUNDING),
    )
