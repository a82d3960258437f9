"""Adapters and compositions for the tests of the room."""

from safelight.core.adapter import AdapterSpec, AdapterUse, composition_of

MODEL, OTHER_MODEL = "shapes-large", "shapes-small"


def lora(name="outline", *, model=MODEL, weights_bytes=100, rank=8):
    return AdapterSpec(
        name=name, kind="lora", model=model, weights_bytes=weights_bytes, ranks=(rank,), parts=("transformer",)
    )


def controlnet(name="edges", *, model=MODEL, weights_bytes=100):
    return AdapterSpec(name=name, kind="controlnet", model=model, weights_bytes=weights_bytes)


def composition(**scales):
    return composition_of(AdapterUse(name=name, scale=scale) for name, scale in scales.items())
