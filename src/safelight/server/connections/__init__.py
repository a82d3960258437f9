"""Limits of connections: their number, time and silence, and the form of a request before anything reads it."""
