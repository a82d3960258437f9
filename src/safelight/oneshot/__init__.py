"""What the command line wants done once: by a server that runs, or by a worker started for it alone."""
