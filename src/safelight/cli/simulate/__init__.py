"""`safelight simulate`: what policies would do to a workload on a fleet."""
