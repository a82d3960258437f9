"""`safelight adapters`, with a real worker where an adapter is read."""

import json

import pytest
import torch
from safetensors.torch import save_file

from fakes.live_server import LiveServer, web
from safelight.cli import main
from safelight.local.adapter_folder import find_adapters
from safelight.local.model_folders import SHIPPED_ADAPTERS, SHIPPED_MODELS
from safelight.oneshot.server import announce_adapter

MODEL = "shapes-small"
LAYER = "transformer_blocks.0.attn.to_q"


def run(arguments, capsys):
    """Return exit status, standard output and standard error of one command line."""
    status = main(["adapters", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def write_lora(folder, *, rank=2, layer=LAYER):
    """Write the folder that PEFT would, with more beside it, for one layer of the small model."""
    config = json.loads((SHIPPED_MODELS / MODEL / "transformer" / "config.json").read_text())
    width = config["attention_head_dim"] * config["num_attention_heads"]
    factors = {"lora_A": torch.ones(rank, width), "lora_B": torch.ones(width, rank)}
    folder.mkdir()
    save_file(
        {f"base_model.model.{layer}.{factor}.weight": values for factor, values in factors.items()},
        folder / "adapter_model.safetensors",
    )
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": ["to_q"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "README.md").write_text("Painted by hand.")
    return folder


def names_at(server):
    return [card["id"] for card in web.get(f"{server.url}/v1/adapters").json()["data"]]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The folder of the user's own adapters, which is not there yet."""
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("data") / "adapters"
        environment.setenv("SAFELIGHT_ADAPTERS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def server(own):
    with LiveServer(adapters=(own,)) as server:
        yield server


@pytest.fixture(scope="module")
def added(own, server, tmp_path_factory):
    """An adapter that has been added while a server runs, as `glow`."""
    source = write_lora(tmp_path_factory.mktemp("downloads") / "glow-v2")
    assert main(["adapters", "add", "glow", str(source), "--model", MODEL, "--server", server.url]) == 0
    return own / "glow"


def test_adding_copies_weights_and_settings_and_nothing_else(added):
    assert {file.name for file in added.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}


def test_a_running_server_is_told_what_was_added(added, server):
    assert added.name in names_at(server)


def test_the_list_tells_own_and_shipped_adapters(added, capsys):
    _, out, _ = run(["list", "--json"], capsys)
    listed = {row["name"]: row["is_shipped"] for row in json.loads(out)}
    assert listed == {added.name: False, **dict.fromkeys(find_adapters([SHIPPED_ADAPTERS]), True)}


def test_the_list_can_be_read(added, capsys):
    status, out, _ = run(["list"], capsys)
    assert (status, added.name in out) == (0, True)


def test_inspecting_tells_what_an_adapter_is(added, capsys):
    _, out, _ = run(["inspect", added.name, "--model", MODEL, "--json"], capsys)
    told = json.loads(out)
    assert (told["kind"], told["model"], told["ranks"], told["parts"]) == ("lora", MODEL, [2], ["transformer"])
    assert (told["name"], told["path"]) == (added.name, str(added))


def test_an_adapter_that_fits_no_model_is_refused_and_not_kept(own, tmp_path, capsys):
    source = write_lora(tmp_path / "foreign", layer="no.such.layer")
    status, _, err = run(["add", "foreign", str(source), "--model", MODEL], capsys)
    assert (status, "no.such.layer" in err) == (1, True)
    assert "foreign" not in find_adapters([own])


def test_a_name_that_is_taken_is_refused(added, tmp_path, capsys):
    status, _, err = run(["add", added.name, str(tmp_path)], capsys)
    assert (status, "already" in err) == (2, True)


@pytest.mark.parametrize("name", [".hidden", "../up", "a/b", "", "x" * 65])
def test_a_name_that_no_request_could_use_is_refused(name, own, tmp_path, capsys):
    status, _, err = run(["add", name, str(tmp_path)], capsys)
    assert (status, "up to 64 letters" in err) == (2, True)


def test_a_path_that_leads_nowhere_is_misuse(own, tmp_path, capsys):
    status, _, err = run(["add", "glow-2", str(tmp_path / "nothing")], capsys)
    assert (status, "PATH" in err) == (2, True)


def test_removing_deletes_the_files_and_tells_the_running_server(own, server, capsys):
    own.mkdir(exist_ok=True)
    path = own / "gone.safetensors"
    path.write_bytes(b"weights")
    announce_adapter("gone", url=server.url, api_key=None)
    status, _, _ = run(["remove", "gone", "--server", server.url], capsys)
    assert (status, path.exists(), "gone" in names_at(server)) == (0, False, False)


def test_an_adapter_that_the_server_does_not_know_can_be_removed_too(own, server, capsys):
    own.mkdir(exist_ok=True)
    path = own / "late.safetensors"
    path.write_bytes(b"weights")
    status, _, _ = run(["remove", "late", "--server", server.url], capsys)
    assert (status, path.exists()) == (0, False)


def test_a_shipped_adapter_cannot_be_removed(own, capsys):
    shipped, path = next(iter(find_adapters([SHIPPED_ADAPTERS]).items()))
    status, _, err = run(["remove", shipped], capsys)
    assert (status, path.exists()) == (2, True)
    assert "comes with Safelight" in err


def test_removing_what_is_not_there_is_misuse(own, capsys):
    status, _, err = run(["remove", "nothing"], capsys)
    assert (status, "'nothing'" in err) == (2, True)
