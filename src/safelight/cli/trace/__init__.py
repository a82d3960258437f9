"""`safelight trace`."""
