"""What `GET /v1/models` reports, and how requests name models."""

import pytest

from fakes.live_server import LiveServer, web
from safelight.control.policies import policies_from


@pytest.fixture(scope="module")
def renamed():
    """A server with an alias and a policy."""
    with LiveServer(aliases={"large": "null-large"}, policies=policies_from(["routing=affinity"])) as server:
        yield server


def test_the_official_client_lists_models(client):
    assert [model.id for model in client.models.list()] == ["null-large", "null-small"]


def test_the_official_client_retrieves_a_model_with_its_abilities(client):
    model = client.models.retrieve("null-small")
    assert model.safelight["samplers"] == ["ddim", "euler", "dpm++2m"]


def test_an_unknown_model_is_a_404(http):
    assert http.get("/v1/models/null-lrge").json()["error"]["code"] == "model_not_found"


def test_a_model_card_has_the_limits_of_a_request(http):
    card = http.get("/v1/models/null-small").json()["safelight"]
    assert card["limits"] == {
        "max_prompt_chars": 4000,
        "max_images": 10,
        "max_steps": 200,
        "size_multiple": 16,
        "min_side": 16,
        "max_side": 128,
        "max_loras": 8,
        "max_controlnets": 4,
    }


def test_a_prompt_of_the_reported_limit_is_painted_and_one_more_character_is_refused(http):
    most = http.get("/v1/models/null-small").json()["safelight"]["limits"]["max_prompt_chars"]
    answers = [http.post("/v1/images/generations", json={"prompt": "a" * length}) for length in (most, most + 1)]
    assert [answer.status_code for answer in answers] == [200, 400]


def test_a_model_card_has_its_aliases_and_the_policies(renamed):
    cards = {card["id"]: card["safelight"] for card in web.get(f"{renamed.url}/v1/models").json()["data"]}
    assert [cards[name]["aliases"] for name in ("null-large", "null-small")] == [["large"], []]
    assert cards["null-small"]["policies"]["routing"] == "affinity"


def test_a_model_is_found_by_its_alias(renamed):
    assert web.get(f"{renamed.url}/v1/models/large").json()["id"] == "null-large"


def test_a_request_may_name_a_model_by_its_alias(renamed):
    body = {"prompt": "a", "model": "large"}
    answer = web.post(f"{renamed.url}/v1/images/generations", json=body).json()
    assert answer["safelight"]["model"] == "null-large"


def test_the_document_offers_aliases_among_the_models(renamed):
    fields = web.get(f"{renamed.url}/openapi.json").json()["components"]["schemas"]["GenerationRequest"]["properties"]
    assert fields["model"]["anyOf"][0]["enum"] == ["null-large", "null-small", "large"]
