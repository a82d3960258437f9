"""Safelight serves text-to-image diffusion models under deadlines."""

__version__ = "0.1.0"
