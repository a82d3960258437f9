"""One device in one process: executes the effects of a replica over an engine."""
