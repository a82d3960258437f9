"""What is expected of lengths that are not known."""


class LengthEstimate:
    """The running mean of the output lengths of finished requests."""

    def __init__(self, first_tokens: float) -> None:
        """Begin with a guess, which counts like one request."""
        self._sum, self._count = first_tokens, 1

    @property
    def mean(self) -> float:
        return self._sum / self._count

    def remaining(self, generated: int) -> int:
        """Return how many tokens a sequence is expected to have yet, at least 1."""
        return max(1, round(self.mean) - generated)

    def observe(self, output_tokens: int) -> None:
        """Learn from a finished request."""
        self._sum += output_tokens
        self._count += 1
