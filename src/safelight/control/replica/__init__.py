"""The decisions of one worker: events of its loop in, effects out."""
