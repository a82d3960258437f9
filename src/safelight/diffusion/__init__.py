"""Model families, samplers and the engine that paints rows step by step; also the embedded models' training."""
