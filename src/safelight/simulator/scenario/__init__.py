"""Scenario files: what is simulated, as TOML; one module for each section of a file."""
