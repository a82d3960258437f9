"""Order policies: the places of requests in the queue."""
