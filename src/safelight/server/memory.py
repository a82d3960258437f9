"""How the allocator of the C library treats large blocks."""

import ctypes
from typing import Final

LARGE_BLOCK_BYTES: Final = 1 << 20

_M_MMAP_THRESHOLD: Final = -3
"""Of `mallopt` in glibc."""


def give_large_blocks_back() -> bool:
    """Have the C library return each block of `LARGE_BLOCK_BYTES` or more to the system as soon as it is free.

    By default glibc raises that threshold to 32 MiB when large blocks come and go, and the process then keeps the
    memory of the bodies and pictures that it has served. Returns whether the library has this setting; only glibc does.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    set_option.argtypes = (ctypes.c_int, ctypes.c_int)
    return bool(set_option(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES))
