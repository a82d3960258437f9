"""Pictures as a cache keeps them."""

import msgspec

from latents.makers import an_entry
from safelight.core.pixels import Pixels
from safelight.service.reuse.kept_picture import KeptPicture

LATENTS = (b"first latents", b"second")


def a_kept(**changes) -> KeptPicture:
    entry = msgspec.structs.replace(an_entry(width=4, height=2, size_bytes=43), **changes)
    return KeptPicture(entry=entry, picture=Pixels(width=4, height=2, rgb=bytes(range(24))), latents=LATENTS)
