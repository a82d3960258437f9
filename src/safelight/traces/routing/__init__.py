"""Who would have served each request of a trace, had it been routed otherwise."""
