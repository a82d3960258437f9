"""HTTP routes, and the path that they share from a validated body to a response."""
