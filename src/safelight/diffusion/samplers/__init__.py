"""Samplers: how one noise level leads to the next, and the grids of noise levels that they walk."""
