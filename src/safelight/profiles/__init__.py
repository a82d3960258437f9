"""Measurements of models, and estimates from them."""
