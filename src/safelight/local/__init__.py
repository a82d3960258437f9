"""The worker pool of this machine: each worker is a process."""
