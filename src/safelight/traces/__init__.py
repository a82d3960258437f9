"""Requests as they were asked for and what became of them: recorded, served, simulated or synthesized, in one table."""
