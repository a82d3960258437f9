"""What is asked: datasets by the names of vLLM-Omni's benchmark, and our own."""
