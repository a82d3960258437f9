"""A simulated fleet: the controller and the replicas of the server, in virtual time."""
