"""`safelight bench`."""
