"""When earlier pictures and latents may serve a new request: identity, similarity, vetoes, levels, eviction."""
