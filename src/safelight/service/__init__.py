"""The fleet controller driven by a clock over any pool of workers: requests in, pictures out; it knows no HTTP."""
