"""Single tasks of the command line, done by a running server or by a worker started for one task."""
