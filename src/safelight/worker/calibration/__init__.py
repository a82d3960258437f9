"""Measures a model on this machine, through the engine of a worker."""
