"""Types that every package shares: requests, levels, jobs, outcomes, worker messages and errors."""
