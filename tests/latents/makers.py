"""Entries for tests."""

import msgspec

from safelight.latents.entry import Entry

ENTRY = Entry(
    id="one",
    owner="alice",
    scope="private",
    partition="p",
    exact_key="key",
    prompt="a red circle above a blue square",
    model="shapes-large",
    width=64,
    height=64,
    seed=7,
    steps=25,
    noises=(0.9, 0.5),
    latents_ids=("a", "b"),
    created_s=100.0,
    compute_s=1.0,
    size_bytes=10,
)


def an_entry(**changes) -> Entry:
    return msgspec.structs.replace(ENTRY, **changes)
