"""Layers around every route, each plain ASGI."""
