"""Which running pictures pause for an urgent one."""
