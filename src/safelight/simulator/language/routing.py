"""Replicas of a language model as the controller's routing policies see them."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from safelight.control.routing.protocol import RoutedRequest, RoutingPolicy, routing_key
from safelight.simulator.language.jobs import LanguageRequest
from safelight.simulator.language.replica import LanguageReplica


@dataclass(frozen=True, kw_only=True)
class ReplicaView:
    """A replica, for one request at one moment; what is not known of lengths is estimated."""

    number: int
    replica: LanguageReplica
    now: float
    has_room: bool = True

    @property
    def load(self) -> int:
        return len(self.replica.sequences)

    @property
    def batch_rows(self) -> int:
        return self.replica.max_sequences

    @property
    def work_left_s(self) -> float:
        """Seconds of full iterations, without overhead of adapters, for the tokens that are expected."""
        return self.replica.work_left_s

    @property
    def finish_s(self) -> float:
        return self.now + self.replica.work_left_s + self.replica.request_s

    @property
    def rows_by_composition(self) -> Collection[int]:
        return Counter(each.request.adapter for each in self.replica.sequences).values()


@dataclass(frozen=True, kw_only=True)
class ReplicaFleet:
    """All replicas; each takes any number of requests."""

    workers: Sequence[ReplicaView]
    adapter: str | None

    @property
    def with_room(self) -> Sequence[ReplicaView]:
        return self.workers

    @cached_property
    def hosting(self) -> Sequence[ReplicaView]:
        return [each for each in self.workers if self.adapter is None or each.replica.hosts(self.adapter)]

    @property
    def total_load(self) -> int:
        return sum(each.load for each in self.workers)

    @property
    def least_loaded(self) -> ReplicaView:
        return min(self.workers, key=lambda each: each.load)


def route(
    request: LanguageRequest, sequence: int, replicas: Sequence[LanguageReplica], policy: RoutingPolicy, now: float
) -> int:
    """Return the replica that a policy chooses; where it would let the request wait, that with the fewest requests.

    Args:
        request: that has arrived.
        sequence: how many have arrived before it.
        replicas: at least one.
        policy: of the controller's family.
        now: in seconds.
    """
    views = [ReplicaView(number=number, replica=replica, now=now) for number, replica in enumerate(replicas)]
    fleet = ReplicaFleet(workers=views, adapter=request.adapter)
    routed = RoutedRequest(
        sequence=sequence,
        key=routing_key(request.adapter or request.id),
        has_adapter=request.adapter is not None,
    )
    return (policy.choose(routed, fleet, now) or fleet.least_loaded).number
