"""One page about a trace that needs nothing but itself."""
