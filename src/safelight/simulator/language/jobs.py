"""Requests for text, and their state in a replica."""

import msgspec


class LanguageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text that is asked for.

    Attributes:
        output_tokens: how many it will have; no policy knows that before.
        adapter: the LoRA, or none.
    """

    id: str
    arrived_s: float
    prompt_tokens: int
    output_tokens: int
    adapter: str | None = None
    deadline_s: float | None = None


class Sequence:
    """A request in a replica.

    Attributes:
        generated: output tokens so far.
        blocks: of memory that it holds; 0 before it begins, and while it is preempted.
        swapped_blocks: that wait in host memory while it is preempted.
        began_s: when its first iteration began.
        compute_s: seconds of iterations that it took part in.
    """

    __slots__ = ("began_s", "blocks", "compute_s", "generated", "preemptions", "request", "swapped_blocks")

    def __init__(self, request: LanguageRequest) -> None:
        self.request = request
        self.generated = self.blocks = self.swapped_blocks = self.preemptions = 0
        self.began_s: float | None = None
        self.compute_s = 0.0

    @property
    def tokens(self) -> int:
        """Tokens whose keys and values it needs in the next iteration."""
        return self.request.prompt_tokens + self.generated + 1

    @property
    def is_new(self) -> bool:
        """Whether its prompt was not read yet."""
        return self.began_s is None

    @property
    def is_finished(self) -> bool:
        return self.generated >= self.request.output_tokens
