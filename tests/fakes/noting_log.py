"""A log that the test reads."""


class NotingLog:
    """Keeps what is logged, as level, event and facts."""

    def __init__(self):
        self.entries = []

    def debug(self, event, **facts):
        self.entries.append(("debug", event, facts))

    def info(self, event, **facts):
        self.entries.append(("info", event, facts))

    def warning(self, event, **facts):
        self.entries.append(("warning", event, facts))

    def error(self, event, **facts):
        self.entries.append(("error", event, facts))

    def facts(self, event):
        """The facts of each entry of this event."""
        return [facts for _, logged, facts in self.entries if logged == event]
