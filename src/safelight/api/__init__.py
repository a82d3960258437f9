"""The public Python interface: `Client` over HTTP. `from safelight import Client` loads it."""
