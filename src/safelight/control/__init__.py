"""All decisions: the fleet controller, the replica machine, and their policies; pure functions of events and time."""
