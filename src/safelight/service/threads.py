"""Threads that are started before there is work for them, since later the system may have none left."""

import threading
from concurrent.futures import ThreadPoolExecutor


def started_threads(count: int, *, name: str) -> ThreadPoolExecutor:
    """Return an executor whose `count` threads run already; `name` begins their names.

    Raises:
        RuntimeError: if the system has no more threads.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix=name)
    all_run = threading.Barrier(count + 1)
    for _ in range(count):
        threads.submit(all_run.wait)
    all_run.wait()
    return threads
