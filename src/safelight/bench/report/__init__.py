"""Plots, report pages and request logs."""
