"""Metrics of a run, their confidence intervals, and comparisons."""
