"""Wrong keys by address: how many are answered, and what is logged of them.

A right key passes from any address at any time, since many people may share one (NAT, a proxy). So the limit does not
slow down guessing, which the length of a key makes hopeless; it bounds the work and the log lines of a client that
sends a wrong key over and over, and tells it when to come back.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

WRONG_KEYS_PER_MINUTE: Final = 10
MAX_ADDRESSES: Final = 4096
BURST_ENDS_S: Final = 60.0
"""Silence after which the next wrong key of an address is news again."""

REPORT_EVERY_S: Final = 60.0

_PERIOD_S: Final = 60.0
_IPV6_NETWORK_BITS: Final = 64
_LONGEST_ADDRESS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Wrong keys of one address, after the first one, that are reported together."""

    peer: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one wrong key.

    Attributes:
        wait_s: seconds after which a further wrong key is answered as such; None if this one is.
        is_first: whether a burst begins with it.
    """

    wait_s: float | None
    is_first: bool


@dataclass(slots=True)
class _Bucket:
    peer: str
    tokens: float
    filled_s: float
    last_s: float
    reported_s: float
    count: int = 0


class WrongKeys:
    """Counts wrong keys by address, for `max_addresses` of them; the one quiet for longest is forgotten first."""

    def __init__(self, *, per_minute: int = WRONG_KEYS_PER_MINUTE, max_addresses: int = MAX_ADDRESSES) -> None:
        self._per_minute = per_minute
        self._max_addresses = max_addresses
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._reports: list[Burst] = []

    def __len__(self) -> int:
        return len(self._buckets)

    def note(self, peer: str, now: float) -> Verdict:
        """Count one wrong key of `peer`."""
        name = network_of(peer)
        bucket = self._buckets.get(name)
        is_first = bucket is None or now - bucket.last_s >= BURST_ENDS_S
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(peer[:_LONGEST_ADDRESS], self._per_minute, now, now, now)
            self._drop_surplus(now)
        elif now - bucket.reported_s >= REPORT_EVERY_S:
            self._report(bucket, now)
        self._buckets.move_to_end(name)
        rate = self._per_minute / _PERIOD_S
        bucket.tokens = min(self._per_minute, bucket.tokens + (now - bucket.filled_s) * rate)
        bucket.filled_s = bucket.last_s = now
        bucket.count += not is_first
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return Verdict(wait_s=None, is_first=is_first)
        return Verdict(wait_s=(1 - bucket.tokens) / rate, is_first=is_first)

    def reports(self, now: float) -> list[Burst]:
        """Return the bursts that have ended, or lasted for `REPORT_EVERY_S`, since the last call.

        Their first keys are not counted: the caller knows these from `note`.
        """
        while self._buckets:
            name, bucket = next(iter(self._buckets.items()))
            if now - bucket.last_s < BURST_ENDS_S:
                break
            self._report(bucket, now)
            del self._buckets[name]
        reports, self._reports = self._reports, []
        return reports

    def _drop_surplus(self, now: float) -> None:
        while len(self._buckets) > self._max_addresses:
            self._report(self._buckets.popitem(last=False)[1], now)

    def _report(self, bucket: _Bucket, now: float) -> None:
        if bucket.count:
            self._reports.append(Burst(peer=bucket.peer, count=bucket.count))
        bucket.count = 0
        bucket.reported_s = now


def network_of(peer: str) -> str:
    """Return what shares a limit: an IPv4 address, or an IPv6 network of 64 bits, which one client can have alone."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:_LONGEST_ADDRESS]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_NETWORK_BITS), strict=False))
