"""One tiny model of each family, and what diffusers walks each sampler's grid with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)

from diffusion.makers import write_flux, write_stable_diffusion, write_stable_diffusion_3, write_stable_diffusion_xl

DIFFUSION_PEERS = {
    "ddim": DDIMScheduler.from_config,
    "euler": EulerDiscreteScheduler.from_config,
    "dpm++2m": DPMSolverMultistepScheduler.from_config,
}
FLOW_PEERS = {
    "euler": FlowMatchEulerDiscreteScheduler.from_config,
    "dpm++2m": lambda config: DPMSolverMultistepScheduler(
        use_flow_sigmas=True,
        prediction_type="flow_prediction",
        flow_shift=config["shift"],
        use_dynamic_shifting=config["use_dynamic_shifting"],
    ),
}
SCHNELL_PEERS = {"euler": FLOW_PEERS["euler"]}
"""diffusers' pipeline insists on a dynamic shift with the other."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How to write a model, its guidance, and its peers by sampler."""

    name: str
    write: Callable[[Path], Path]
    guidance: str = "classifier-free"
    peers: Mapping[str, Any]


MADE = (
    Made(name="sd", write=write_stable_diffusion, peers=DIFFUSION_PEERS),
    Made(name="sdxl", write=write_stable_diffusion_xl, peers=DIFFUSION_PEERS),
    Made(
        name="sdxl-no-zeros",
        write=partial(write_stable_diffusion_xl, force_zeros_for_empty_prompt=False),
        peers=DIFFUSION_PEERS,
    ),
    Made(name="sd3", write=partial(write_stable_diffusion_3, is_3_5=False, shift=3.0), peers=FLOW_PEERS),
    Made(name="sd3-without-t5", write=partial(write_stable_diffusion_3, has_t5=False, shift=3.0), peers=FLOW_PEERS),
    Made(name="sd3-dynamic", write=partial(write_stable_diffusion_3, use_dynamic_shifting=True), peers=FLOW_PEERS),
    Made(name="flux-dev", write=write_flux, guidance="embedded", peers=FLOW_PEERS),
    Made(name="flux-schnell", write=partial(write_flux, is_dev=False), guidance="none", peers=SCHNELL_PEERS),
)
