"""Level policies: how a request is served, within the constraints that its client has set."""
