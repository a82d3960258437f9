"""One picture for the command line: from a server that runs, or from a worker started for it alone."""
