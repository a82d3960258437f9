"""What holds for every test: one thread, no luck."""

import os

from hypothesis import settings

# Before anything imports torch: several threads on a busy machine are slower than one, and erratic.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time, and no clock: a slow machine is not a failure.
settings.register_profile("safelight", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("safelight")
