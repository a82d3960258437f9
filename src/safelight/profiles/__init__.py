"""What was measured about each model, and what follows from it."""
