"""Adapters and compositions for the tests of the package."""

from safelight.adapters.registry import Registered
from safelight.core.adapter import AdapterHandle, AdapterSpec, AdapterUse, composition_of

MODEL, OTHER_MODEL = "shapes-large", "shapes-small"


def lora(name="outline", *, model=MODEL, weights_bytes=100, rank=8):
    return AdapterSpec(
        name=name, kind="lora", model=model, weights_bytes=weights_bytes, ranks=(rank,), parts=("transformer",)
    )


def controlnet(name="edges", *, model=MODEL, weights_bytes=100):
    return AdapterSpec(name=name, kind="controlnet", model=model, weights_bytes=weights_bytes)


def handle(name, generation=1):
    return AdapterHandle(name=name, generation=generation)


def registered(spec, generation=1):
    return Registered(spec=spec, handle=handle(spec.name, generation))


def composition(**scales):
    return composition_of(AdapterUse(handle=handle(name), scale=scale) for name, scale in scales.items())
