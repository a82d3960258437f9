"""Formats that traces come in: each module reads one, and `safelight.traces.reading` finds out which."""
