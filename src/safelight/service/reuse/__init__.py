"""Earlier pictures and latents in RAM and on disk, which `latents` decides about."""
