"""One replica of a language model, iteration by iteration."""

from collections import OrderedDict
from collections.abc import Sequence as Many
from dataclasses import dataclass

from safelight.adapters.mode import ModeCosts, ModePolicy, Queue, QueuedRow
from safelight.core.adapter import NO_ADAPTERS, AdapterHandle, AdapterUse, Composition, composition_of
from safelight.simulator.language.jobs import LanguageRequest, Sequence
from safelight.simulator.language.lengths import LengthEstimate
from safelight.simulator.language.memory import BlockMemory


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """What a replica has and costs.

    Attributes:
        max_sequences: of one iteration.
        max_tokens: of one iteration: those of prompts, and one of each sequence that decodes.
        kv_blocks: of memory, of `block_tokens` tokens each.
        prefill_s_per_token: further seconds of an iteration for each token of a prompt.
        swap_s_per_block: seconds of moving one block to or from host memory.
        adapter_slots: adapters on the device.
        adapter_load_s: seconds of copying one to the device.
        expected_tokens: of an output, before any has finished.
        costs: of iterations by sequences, and of adapter modes.
    """

    max_sequences: int
    max_tokens: int
    kv_blocks: int
    block_tokens: int
    prefill_s_per_token: float
    swap_s_per_block: float
    adapter_slots: int
    adapter_load_s: float
    expected_tokens: float
    costs: ModeCosts


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration took, and which sequences it finished.

    Attributes:
        tokens: that went through the model: whole prompts of new sequences, and one of each of the others.
    """

    seconds: float
    finished: tuple[Sequence, ...]
    sequences: int
    tokens: int
    adapter_loads: int
    has_switched: bool
    preemptions: int


class LanguageReplica:
    """Runs iterations over the sequences that the adapter mode chooses, oldest first."""

    def __init__(self, config: LanguageConfig, policy: ModePolicy) -> None:
        self._config, self._policy = config, policy
        self._memory = BlockMemory(blocks=config.kv_blocks, block_tokens=config.block_tokens)
        self._lengths = LengthEstimate(config.expected_tokens)
        self._sequences: OrderedDict[str, Sequence] = OrderedDict()
        self._resident: OrderedDict[str, None] = OrderedDict()
        self._folded: Composition = NO_ADAPTERS
        self._compositions: dict[str | None, Composition] = {None: NO_ADAPTERS}

    @property
    def sequences(self) -> Many[Sequence]:
        """All that it has not finished, oldest first."""
        return tuple(self._sequences.values())

    @property
    def free_blocks(self) -> int:
        return self._memory.free

    @property
    def max_sequences(self) -> int:
        return self._config.max_sequences

    @property
    def request_s(self) -> float:
        """Seconds that a request of the expected length would take alone."""
        return self._lengths.remaining(0) * self._config.costs.tick_s(1)

    @property
    def work_left_s(self) -> float:
        """Seconds of full iterations that the tokens which are expected of all sequences would take."""
        tokens = sum(self._lengths.remaining(each.generated) for each in self._sequences.values())
        full = min(len(self._sequences), self.max_sequences)
        return tokens * self._config.costs.tick_s(full) / full if full else 0.0

    def hosts(self, adapter: str) -> bool:
        """Whether an adapter is on the device."""
        return adapter in self._resident

    def fits(self, request: LanguageRequest) -> bool:
        """Whether it could ever serve a request."""
        fits_iteration = request.prompt_tokens <= self._config.max_tokens
        return fits_iteration and self._memory.fits_alone(request.prompt_tokens + request.output_tokens + 1)

    def add(self, request: LanguageRequest) -> None:
        """Take a request that fits."""
        self._sequences[request.id] = Sequence(request)

    def iterate(self, now: float) -> Iteration | None:
        """Run one iteration that begins at `now`; None if there is nothing to do."""
        if not self._sequences:
            return None
        queue = Queue(rows=self._rows(), max_denoiser_rows=self._config.max_sequences, folded=self._folded)
        choice = self._policy.choose(queue, self._config.costs, now)
        batch, swapped, preemptions = self._batch([self._sequences[row.id] for row in choice.rows])
        has_switched = choice.mode.folded != self._folded
        self._folded = choice.mode.folded
        loads = self._load({each.request.adapter for each in batch if each.request.adapter is not None})
        rows = [self._row(each) for each in batch]
        prompt_tokens = sum(each.request.prompt_tokens for each in batch if each.is_new)
        tokens = prompt_tokens + sum(not each.is_new for each in batch)
        seconds = (
            self._config.costs.ticking_s(self._folded, rows)
            + prompt_tokens * self._config.prefill_s_per_token
            + swapped * self._config.swap_s_per_block
            + loads * self._config.adapter_load_s
            + (self._config.costs.switch_s if has_switched else 0.0)
        )
        for each in batch:
            each.began_s = now if each.began_s is None else each.began_s
            each.generated += 1
            each.compute_s += seconds
        return Iteration(
            seconds=seconds,
            finished=self._finish(batch),
            sequences=len(batch),
            tokens=tokens,
            adapter_loads=loads,
            has_switched=has_switched,
            preemptions=preemptions,
        )

    def _rows(self) -> tuple[QueuedRow, ...]:
        return tuple(map(self._row, self._sequences.values()))

    def _row(self, sequence: Sequence) -> QueuedRow:
        return QueuedRow(
            id=sequence.request.id,
            composition=self._composition(sequence.request.adapter),
            steps_left=self._lengths.remaining(sequence.generated),
        )

    def _composition(self, adapter: str | None) -> Composition:
        known = self._compositions.get(adapter)
        if known is None:
            assert adapter is not None
            use = AdapterUse(handle=AdapterHandle(name=adapter, generation=1), scale=1.0)
            known = self._compositions[adapter] = composition_of([use])
        return known

    def _batch(self, wanted: Many[Sequence]) -> tuple[list[Sequence], int, int]:
        """Return the sequences that memory, slots and tokens have room for, moved blocks, and preempted sequences."""
        batch: list[Sequence] = []
        adapters: set[str] = set()
        tokens = swapped = preemptions = 0
        for sequence in wanted:
            if len(batch) == self._config.max_sequences:
                break
            own = sequence.request.adapter
            lacks_slot = own is not None and own not in adapters and len(adapters) == self._config.adapter_slots
            cost = sequence.request.prompt_tokens if sequence.is_new else 1
            if lacks_slot or tokens + cost > self._config.max_tokens:
                continue
            moved = self._make_room(sequence, batch)
            if moved is None:
                break
            preemptions += moved[1]
            swapped += moved[0] + sequence.swapped_blocks
            sequence.swapped_blocks = 0
            batch.append(sequence)
            tokens += cost
            if own is not None:
                adapters.add(own)
        return batch, swapped, preemptions

    def _make_room(self, sequence: Sequence, batch: Many[Sequence]) -> tuple[int, int] | None:
        """Take the blocks that a sequence needs; preempt younger ones if that helps.

        Returns the blocks moved to host memory and how many sequences were preempted; None if there is no room, which
        cannot be for the first one of a batch.
        """
        needed = self._memory.needed(sequence.tokens) - sequence.blocks
        moved = preempted = 0
        if needed > self._memory.free:
            victims = self._victims(sequence, batch)
            if needed > self._memory.free + sum(each.blocks for each in victims):
                return None
            for victim in victims:
                if needed <= self._memory.free:
                    break
                self._memory.give_back(victim.blocks)
                moved, preempted = moved + victim.blocks, preempted + 1
                victim.swapped_blocks, victim.blocks = victim.blocks, 0
                victim.preemptions += 1
        self._memory.take(needed)
        sequence.blocks += needed
        return moved, preempted

    def _victims(self, sequence: Sequence, batch: Many[Sequence]) -> list[Sequence]:
        """Return the sequences that may be preempted for this one, youngest first.

        These are the younger ones that are not in the batch; for the first one of a batch, all others.
        """
        running = {each.request.id for each in batch}
        found = []
        for each in reversed(self._sequences.values()):
            if each is sequence:
                if batch:
                    break
            elif each.blocks and each.request.id not in running:
                found.append(each)
        return found

    def _load(self, adapters: set[str]) -> int:
        """Put adapters on the device, in place of those that were used longest ago; return how many were copied."""
        copied = 0
        for adapter in sorted(adapters):
            copied += adapter not in self._resident
            self._resident[adapter] = None
            self._resident.move_to_end(adapter)
        while len(self._resident) > self._config.adapter_slots:
            self._resident.popitem(last=False)
        return copied

    def _finish(self, batch: Many[Sequence]) -> tuple[Sequence, ...]:
        finished = tuple(each for each in batch if each.is_finished)
        for each in finished:
            self._memory.give_back(each.blocks)
            self._lengths.observe(each.request.output_tokens)
            del self._sequences[each.request.id]
        return finished
