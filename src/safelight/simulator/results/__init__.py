"""What simulated runs gave: figures, intervals over seeds, timelines and report pages; all marked as simulated."""
