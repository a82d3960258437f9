"""What a process that computes must be told before torch is loaded, so that it rounds alike whenever it runs."""

import os
from collections.abc import Mapping
from types import MappingProxyType

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "MKL_CBWR": "AUTO",
        "MKL_DYNAMIC": "FALSE",
        "OMP_DYNAMIC": "FALSE",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
)
"""MKL's conditional numerical reproducibility, a fixed number of threads, and cuBLAS's reproducible workspace."""


def prepare_environment() -> None:
    """Set `ENVIRONMENT` for this process, except what is set already; call it before torch is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
