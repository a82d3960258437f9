"""A benchmark client: sends load to any diffusion server over HTTP, and measures it."""
