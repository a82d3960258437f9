"""Batching policies: which rows share a denoiser call."""
