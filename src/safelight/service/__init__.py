"""Drives the fleet controller with a clock over any pool of workers: requests in, pictures out; no HTTP."""
