"""Load generation: configuration, arrivals, warm-up, sending."""
