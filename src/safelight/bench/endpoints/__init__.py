"""Endpoints of diffusion servers: how a request is put to each, and what is read from its answer."""
