"""The registry of adapters, the residency of their weights, and when LoRAs are folded into a model."""
