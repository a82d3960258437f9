"""One earlier picture, by its facts; its bytes are in a store."""

import msgspec

from safelight.core.reuse import ReuseScope


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier picture that was made from nothing earlier.

    Attributes:
        id: names its bytes in the store.
        owner: the tenant that it was painted for.
        partition: of its `Identity`; `exact_key` is that of its request.
        noises: the levels of its captured estimates, from high to low; `latents_ids` are their handles, in this order.
        weights: fingerprint of its model's.
        sampler, schedule: how its level was run, and the noise level at which each step of it starts.
        created_s: Unix time.
        size_bytes: of everything that the store holds of it.
        steps: that were run, in `compute_s` seconds.
        score: that a gate gave it, if one looked.
    """

    id: str
    owner: str
    scope: ReuseScope
    partition: str
    exact_key: str
    prompt: str
    model: str
    width: int
    height: int
    seed: int
    steps: int
    noises: tuple[float, ...] = ()
    latents_ids: tuple[str, ...] = ()
    weights: str = ""
    sampler: str = ""
    schedule: tuple[float, ...] = ()
    created_s: float
    compute_s: float
    size_bytes: int
    prompt_tokens: int = 0
    score: float | None = None
