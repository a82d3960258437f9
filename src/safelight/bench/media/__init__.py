"""Pictures and videos as files: reading, checking, saving."""
