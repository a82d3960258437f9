"""What one worker decides: events of its loop go in, effects come out."""
