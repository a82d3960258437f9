"""Types of request and response bodies, and how bodies are read."""
