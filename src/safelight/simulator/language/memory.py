"""Memory for keys and values, in blocks of tokens."""


class BlockMemory:
    """Counts free blocks."""

    def __init__(self, *, blocks: int, block_tokens: int) -> None:
        self._blocks, self._block_tokens = blocks, block_tokens
        self.free = blocks

    def needed(self, tokens: int) -> int:
        """Return the blocks that so many tokens of one sequence take."""
        return -(-tokens // self._block_tokens)

    def fits_alone(self, tokens: int) -> bool:
        """Whether one sequence of so many tokens fits an empty memory."""
        return self.needed(tokens) <= self._blocks

    def take(self, blocks: int) -> None:
        assert blocks <= self.free, "blocks are taken only if they are free"
        self.free -= blocks

    def give_back(self, blocks: int) -> None:
        self.free += blocks
        assert self.free <= self._blocks, "blocks are given back once"
