"""The size of pictures and videos."""

import msgspec


class Shape(msgspec.Struct, frozen=True, gc=False):
    """What the work of a request depends on; the server chooses what is None."""

    width: int | None = None
    height: int | None = None
    frames: int | None = None
    steps: int | None = None

    @property
    def size(self) -> str:
        """Width, height and number of frames, for display."""
        if self.width is None or self.height is None:
            return "as served"
        return f"{self.width}x{self.height}" + (f"x{self.frames}" if self.frames else "")

    @property
    def description(self) -> str:
        """Size and steps, for display."""
        return self.size + (f", {self.steps} steps" if self.steps else "")
