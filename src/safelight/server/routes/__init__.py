"""HTTP routes, and what they share between a checked body and its response."""
