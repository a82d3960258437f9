"""How plots and report pages look, and how their files are written."""
