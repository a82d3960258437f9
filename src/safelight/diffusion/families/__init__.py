"""Model families: how models are computed, each composed of text encoders, a denoiser and an autoencoder."""
