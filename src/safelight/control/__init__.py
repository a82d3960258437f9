"""The decision machine: events in, commands out; it takes no time, draws no luck and does no work."""
