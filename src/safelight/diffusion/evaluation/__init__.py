"""How well the embedded models and adapters do what they are for."""
