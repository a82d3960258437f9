"""What clients write and read: types of bodies and responses, and how bodies are read."""
