"""`GET /v1/models`: the served models, and what requests can set."""

from fastapi import APIRouter

from safelight.cascade.cascade import Cascade
from safelight.core.level import MAX_STEPS
from safelight.core.model import ModelSpec
from safelight.server.routes.openapi_responses import errors
from safelight.server.state import ServerState, TheState, model_of
from safelight.server.wire.fields import MAX_CONTROLS, MAX_LORAS
from safelight.server.wire.models import CascadeParts, ModelAbilities, ModelCard, ModelLimits, ModelList
from safelight.service.paint_request import MAX_PICTURES, MAX_PROMPT_CHARACTERS

router = APIRouter(tags=["models"])

OWNER = "safelight"
CREATED = 0
"""Local models have no meaningful creation date."""


@router.get("/v1/models", responses=errors(), operation_id="list_models")
async def list_models(state: TheState) -> ModelList:
    """Return the served models; empty while the first worker loads them."""
    return ModelList(data=[_card(model, state) for model in state.service.named.values()])


@router.get("/v1/models/{model}", responses=errors(404), operation_id="get_model")
async def get_model(model: str, state: TheState) -> ModelCard:
    """Return one served model, found by its name or by an alias."""
    return _card(model_of(model, state), state)


def _card(model: ModelSpec, state: ServerState) -> ModelCard:
    settings = state.settings
    cascade = state.service.controller.cascades.get(model.name)
    return ModelCard(
        id=model.name,
        created=CREATED,
        owned_by=OWNER,
        safelight=ModelAbilities(
            aliases=[alias for alias, name in settings.aliases.items() if name == model.name],
            limits=_limits(model),
            policies=dict(settings.policies.names),
            family=model.family,
            size=f"{model.width}x{model.height}",
            size_multiple=model.size_multiple,
            max_side=model.max_side,
            steps=model.steps,
            guidance_scale=model.guidance_scale,
            sampler=model.sampler,
            samplers=list(model.samplers),
            cascade=None if cascade is None else _parts(cascade),
        ),
    )


def _parts(cascade: Cascade) -> CascadeParts:
    return CascadeParts(
        light=cascade.light,
        heavy=cascade.heavy,
        gate=cascade.gate,
        has_router=cascade.router is not None,
        threshold=cascade.threshold,
        best_share=cascade.best_share,
    )


def _limits(model: ModelSpec) -> ModelLimits:
    return ModelLimits(
        max_prompt_chars=MAX_PROMPT_CHARACTERS,
        max_images=MAX_PICTURES,
        max_steps=MAX_STEPS,
        size_multiple=model.size_multiple,
        min_side=model.size_multiple,
        max_side=model.max_side,
        max_loras=MAX_LORAS,
        max_controlnets=MAX_CONTROLS,
    )
