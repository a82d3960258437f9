"""Runs scenarios: one run for each policy, load and seed, perhaps in several processes."""
