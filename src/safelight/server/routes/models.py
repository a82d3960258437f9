"""`GET /v1/models`: the served models, and what requests can set."""

from fastapi import APIRouter

from safelight.control.levels import find_model
from safelight.core.model import ModelSpec
from safelight.server.routes.openapi_responses import errors
from safelight.server.service import TheService
from safelight.server.wire.models import ModelAbilities, ModelCard, ModelList

router = APIRouter(tags=["models"])

OWNER = "safelight"
CREATED = 0
"""Local models have no meaningful creation date."""


@router.get("/v1/models", responses=errors(), operation_id="list_models")
async def list_models(service: TheService) -> ModelList:
    """Return the served models; empty while the first worker loads them."""
    return ModelList(data=[_card(model) for model in service.hub.models.values()])


@router.get("/v1/models/{model}", responses=errors(404), operation_id="get_model")
async def get_model(model: str, service: TheService) -> ModelCard:
    """Return one served model."""
    return _card(find_model(model, service.hub.models))


def _card(model: ModelSpec) -> ModelCard:
    return ModelCard(
        id=model.name,
        created=CREATED,
        owned_by=OWNER,
        safelight=ModelAbilities(
            family=model.family,
            size=f"{model.width}x{model.height}",
            size_multiple=model.size_multiple,
            max_side=model.max_side,
            steps=model.steps,
            guidance_scale=model.guidance_scale,
            sampler=model.sampler,
            samplers=list(model.samplers),
        ),
    )
