"""Gates: small networks that say whether a light model's picture is good enough."""
