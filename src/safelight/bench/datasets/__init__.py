"""Datasets: where the requests of a load come from."""
