"""The routing policies: which worker a request goes to."""
