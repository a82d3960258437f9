"""The client's part of what `safelight` itself offers."""

from safelight.api.async_client import AsyncClient
from safelight.api.client import Client
from safelight.api.picture import Picture, Preview

__all__ = ["AsyncClient", "Client", "Picture", "Preview"]
