"""Which adapters there are, where their weights are, and when to fold them into the model."""
