"""Plans for a fleet: where adapters are placed, and which requests move; pure functions of their arguments."""
