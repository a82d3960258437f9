"""LoRAs by name: found in folders, added and removed while the server runs, and kept for whoever uses them."""

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from fakes.live_server import LiveServer, eventually, null_worker_argv, web

ROUTE, ADAPTERS, CHAT = "/v1/images/generations", "/v1/adapters", "/v1/chat/completions"
AT_START = ("outline.safetensors", "mask.safetensors", "small-mask.safetensors", "broken.safetensors", "not a name")
STEP_S = 0.01


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch() if "." in name else (folder / name).mkdir()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of adapters, two of them of no use."""
    folder = tmp_path_factory.mktemp("adapters")
    put(folder, *AT_START)
    return folder


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"


@pytest.fixture(scope="module")
def server(folder, outcomes):
    with LiveServer(step_s=STEP_S, adapters=(folder,), outcomes=outcomes) as server:
        yield server


def paint(server, *loras, **body):
    asked = {"prompt": "x", "num_inference_steps": 1} | ({"loras": list(loras)} if loras else {}) | body
    return web.post(server.url + ROUTE, json=asked)


def error_of(answer):
    return answer.json()["error"]


def names(server):
    return [card["id"] for card in web.get(server.url + ADAPTERS).json()["data"]]


def card(server, name):
    return web.get(f"{server.url}{ADAPTERS}/{name}").json()


def add(server, name):
    return web.post(server.url + ADAPTERS, json={"name": name})


def remove(server, name):
    return web.delete(f"{server.url}{ADAPTERS}/{name}")


def handles(server, name):
    """What a worker that joined now would be sent of an adapter."""
    commands = server.state.service.controller._fleet.adapters.commands
    return [command.handle for command in commands if command.handle.name == name]


@contextmanager
def painting(server, name, **body):
    """Paint for two seconds with an adapter, until the block ends; gives a list that will hold the answer."""
    answers = []
    body = {"num_inference_steps": 200} | body
    asking = threading.Thread(target=lambda: answers.append(paint(server, {"name": name}, **body)))
    asking.start()
    eventually(lambda: card(server, name)["pictures"])
    yield answers
    asking.join()


def cancel_all(server):
    for entry in web.get(f"{server.url}/v1/queue").json()["requests"]:
        web.post(f"{server.url}/v1/queue/{entry['id']}/cancel")


def test_adapters_in_the_servers_folders_are_there_from_the_start(server):
    assert names(server)[:2] == ["mask", "outline"]


def test_a_card_tells_what_an_adapter_is(server):
    assert card(server, "outline") == {
        "id": "outline",
        "object": "adapter",
        "kind": "lora",
        "model": "null-large",
        "ranks": [4],
        "parts": [],
        "weights_bytes": 1000,
        "pictures": 0,
    }


def test_what_cannot_be_used_at_the_start_is_in_the_log_and_does_no_harm(server):
    refused = [json.loads(line) for line in server.log.splitlines() if "adapter refused" in line]
    assert {line["adapter"] for line in refused} == {"broken", "not a name"}
    assert paint(server).status_code == 200


def test_an_unknown_card_is_a_404_with_the_nearest_name(server):
    answer = web.get(f"{server.url}{ADAPTERS}/outlien")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "adapter_not_found")
    assert "did you mean 'outline'?" in error_of(answer)["message"]


def test_provenance_lists_the_adapters_as_they_were_asked_for(server):
    asked = [{"name": "outline", "scale": 0.5}, {"name": "mask", "scale": -1.0}, {"name": "outline", "scale": 0.25}]
    assert paint(server, *asked).json()["safelight"]["loras"] == asked


def test_a_scale_that_is_left_out_is_1(server):
    assert paint(server, {"name": "outline"}).json()["safelight"]["loras"] == [{"name": "outline", "scale": 1.0}]


def test_a_whole_number_is_a_scale(server):
    assert paint(server, {"name": "outline", "scale": 2}).json()["safelight"]["loras"][0]["scale"] == 2


@pytest.mark.parametrize("scale", [0, 10, -10])
def test_scales_up_to_the_limit_are_taken(server, scale):
    assert paint(server, {"name": "outline", "scale": scale}).status_code == 200


@pytest.mark.parametrize("scale", [10.5, -11, 1e9, "1", None, True])
def test_what_is_no_scale_within_the_limit_is_refused_and_named(server, scale):
    answer = paint(server, {"name": "outline", "scale": scale})
    assert (answer.status_code, error_of(answer)["param"]) == (400, "loras[0].scale")
    assert repr(scale) in error_of(answer)["message"]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-1e999"])
def test_numbers_that_are_none_are_no_scales(server, literal):
    body = f'{{"prompt": "x", "loras": [{{"name": "outline", "scale": {literal}}}]}}'
    answer = web.post(server.url + ROUTE, content=body.encode(), headers={"content-type": "application/json"})
    assert (answer.status_code, error_of(answer)["param"]) == (400, "loras[0].scale")


def test_a_misspelt_field_of_a_lora_is_refused(server):
    assert error_of(paint(server, {"name": "outline", "strength": 1}))["param"] == "loras[0].strength"


def test_more_adapters_than_a_picture_may_have_are_refused(server):
    answer = paint(server, *[{"name": "outline"}] * 9)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "loras")


def test_both_ways_to_ask_together_may_not_exceed_the_limit_either(server):
    answer = paint(server, *[{"name": "outline"}] * 8, lora={"name": "mask"})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "too_many_adapters")


def test_an_unknown_adapter_is_a_not_found_error_that_offers_the_nearest(server):
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="EMPTY", max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="did you mean 'outline'") as caught,
    ):
        client.images.generate(prompt="x", extra_body={"loras": [{"name": "outlien"}]})
    assert (caught.value.code, caught.value.param) == ("adapter_not_found", "loras")


def test_an_adapter_for_another_model_is_refused_with_the_model_that_it_is_for(server):
    answer = paint(server, {"name": "small-mask"})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "adapter_misfit")
    assert "lora for 'null-small'" in error_of(answer)["message"]
    assert paint(server, {"name": "small-mask"}, model="null-small").status_code == 200


@pytest.mark.parametrize(
    "lora",
    [
        {"name": "outline", "scale": 0.5},
        {"lora_name": "outline", "lora_scale": 0.5},
        {"adapter": "outline", "scale": 0.5, "local_path": "/etc/passwd", "int_id": 7},
    ],
    ids=lambda lora: next(iter(lora)),
)
def test_a_lora_may_be_written_as_for_vllm_omni(server, lora):
    for answer in (
        paint(server, lora=lora),
        web.post(
            server.url + CHAT, json={"messages": [{"role": "user", "content": "x"}], "extra_body": {"lora": lora}}
        ),
    ):
        assert answer.json()["safelight"]["loras"] == [{"name": "outline", "scale": 0.5}]


def test_a_lora_by_path_alone_is_refused(server):
    answer = paint(server, lora={"path": "/etc/passwd"})
    assert (answer.status_code, error_of(answer)["param"]) == (400, "lora.name")


def test_chat_takes_loras_at_the_top_level_too(server):
    loras = [{"name": "mask", "scale": 2.0}]
    answer = web.post(server.url + CHAT, json={"messages": [{"role": "user", "content": "x"}], "loras": loras})
    assert answer.json()["safelight"]["loras"] == loras


def test_streams_take_loras(server):
    answer = paint(server, {"name": "outline", "scale": 0.5}, stream=True)
    last = json.loads(answer.text.strip().rpartition("data: ")[2])
    assert last["safelight"]["loras"] == [{"name": "outline", "scale": 0.5}]


def test_every_picture_of_several_holds_its_adapters_until_it_is_ready(server):
    with painting(server, "outline", n=3, num_inference_steps=20):
        assert card(server, "outline")["pictures"] == 3
    eventually(lambda: card(server, "outline")["pictures"] == 0)


def test_adding_makes_an_adapter_known(server, folder):
    put(folder, "late")
    assert add(server, "late").json() == card(server, "late")
    assert paint(server, {"name": "late"}).status_code == 200


def test_an_adapter_that_is_in_no_folder_cannot_be_added(server):
    answer = add(server, "outlien")
    assert (answer.status_code, error_of(answer)["param"]) == (404, "name")
    assert "did you mean 'outline'?" in error_of(answer)["message"]


@pytest.mark.parametrize("name", ["../outline", "/etc/passwd", "outline.safetensors", ".", ""])
def test_paths_are_no_names(server, name):
    assert add(server, name).status_code in {400, 404}


def test_an_adapter_cannot_be_added_twice(server):
    answer = add(server, "outline")
    assert (answer.status_code, error_of(answer)["code"]) == (409, "adapter_exists")


def test_a_broken_adapter_is_refused_in_the_workers_words(server):
    answer = add(server, "broken")
    assert answer.status_code == 400
    assert error_of(answer)["message"] == "'broken.safetensors' is broken."
    assert "broken" not in names(server)
    assert handles(server, "broken") == []


def test_a_name_that_no_adapter_can_have_is_refused_with_the_rule(server):
    answer = add(server, "not a name")
    assert (answer.status_code, error_of(answer)["param"]) == (400, "name")
    assert "64 letters" in error_of(answer)["message"]


def test_a_removed_adapter_is_gone(server, folder):
    put(folder, "passing")
    add(server, "passing")
    assert remove(server, "passing").json() == {"id": "passing", "object": "adapter", "deleted": True}
    assert "passing" not in names(server)
    assert paint(server, {"name": "passing"}).status_code == 404
    assert remove(server, "passing").status_code == 404
    assert handles(server, "passing") == []


def test_a_removed_adapter_is_kept_for_the_pictures_under_way_and_dropped_after_them(server, folder):
    put(folder, "leaving")
    add(server, "leaving")
    with painting(server, "leaving", num_inference_steps=50) as answers:
        remove(server, "leaving")
        assert paint(server, {"name": "leaving"}).status_code == 404
        assert len(handles(server, "leaving")) == 1
    assert answers[0].status_code == 200
    eventually(lambda: handles(server, "leaving") == [])


def test_a_name_can_be_given_anew_while_its_predecessor_is_in_use(server, folder):
    put(folder, "changing")
    add(server, "changing")
    with painting(server, "changing", num_inference_steps=50) as answers:
        remove(server, "changing")
        assert add(server, "changing").status_code == 200
        assert len(set(handles(server, "changing"))) == 2
        assert paint(server, {"name": "changing"}).status_code == 200
    assert answers[0].status_code == 200
    eventually(lambda: len(handles(server, "changing")) == 1)


def test_a_cancelled_picture_lets_its_adapters_go(server):
    with painting(server, "outline") as answers:
        cancel_all(server)
    assert answers[0].status_code == 410
    eventually(lambda: card(server, "outline")["pictures"] == 0)


def test_the_queue_names_no_handles(server):
    with painting(server, "outline"):
        assert "@" not in web.get(f"{server.url}/v1/queue").text
        cancel_all(server)


def test_the_outcome_log_has_adapters_by_name(server, outcomes):
    asked = [{"name": "outline", "scale": 0.5}, {"name": "mask", "scale": 0.125}]
    paint(server, *asked)
    eventually(lambda: server.outcomes(1)[-1]["loras"] == asked)
    assert "@" not in outcomes.read_text()


def test_the_api_document_names_the_adapters(server):
    fields = web.get(f"{server.url}/openapi.json").json()["components"]["schemas"]["GenerationRequest"]["properties"]
    allowed = fields["loras"]["anyOf"][0]["items"]["allOf"][1]["properties"]["name"]["enum"]
    assert {"outline", "mask"} <= set(allowed)


def test_a_worker_that_takes_the_place_of_a_dead_one_knows_the_adapters(server):
    (worker,) = server.state.service.pool.members
    with painting(server, "outline", num_inference_steps=50) as answers:
        os.kill(worker.pid, signal.SIGKILL)
    assert answers[0].status_code == 200
    assert answers[0].json()["safelight"]["retries"] == 1
    assert paint(server, {"name": "mask"}).status_code == 200


def test_a_picture_that_is_not_taken_lets_its_adapters_go(folder):
    argv = (*null_worker_argv(step_s=STEP_S), "--max-denoiser-rows", "2")
    with LiveServer(worker_argv=argv, adapters=(folder,), max_waiting=1) as server:
        assert paint(server, {"name": "outline"}, n=10).status_code == 429
        eventually(lambda: card(server, "outline")["pictures"] == 0)


def test_every_route_wants_the_key(folder):
    with LiveServer(api_key="sesame", adapters=(folder,)) as server:
        assert web.get(server.url + ADAPTERS).status_code == 401
        assert card(server, "outline")["error"]["code"] == "invalid_api_key"
        assert add(server, "outline").status_code == 401
        assert remove(server, "outline").status_code == 401
        known = web.get(server.url + ADAPTERS, headers={"authorization": "Bearer sesame"}).json()["data"]
        assert "outline" in {card["id"] for card in known}


def test_before_the_first_worker_nothing_can_be_added(folder):
    never_ready = (sys.executable, "-c", "import sys; sys.stdin.read()")
    with LiveServer(adapters=(folder,), worker_argv=never_ready, is_awaited=False) as server:
        assert names(server) == []
        assert add(server, "outline").status_code == 503
