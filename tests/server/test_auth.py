"""The key guards every route but liveness, and a server without one stays on this machine."""

import base64

import openai
import pytest

from fakes.app_routes import all_routes, example
from fakes.live_server import LiveServer, web
from safelight.server.app import make_app
from safelight.server.errors import UnsafeBind
from safelight.server.middleware.auth import PUBLIC_PATHS, check_bind
from safelight.server.settings import ServerSettings

KEY = "correct horse ü"


@pytest.fixture(scope="module")
def guarded():
    with LiveServer(api_key=KEY) as server:
        yield server


def test_every_route_but_liveness_wants_the_key(guarded):
    routes = all_routes(guarded.app)
    assert {"/", "/v1/images/generations", "/v1/chat/completions", "/v1/queue", "/metrics", "/openapi.json"} <= {
        path for path, _ in routes
    }
    open_paths = {
        path for path, method in routes if web.request(method, guarded.url + example(path)).status_code != 401
    }
    assert open_paths == PUBLIC_PATHS == {"/health/live"}


@pytest.mark.parametrize(
    "path", ["/nothing", "/health/live/", "/health/live/../ready", "//health/live", "/HEALTH/LIVE"]
)
def test_what_is_no_route_wants_the_key_too(guarded, path):
    assert web.get(guarded.url + path).status_code == 401


def test_the_official_client_gets_in_with_the_key():
    with (
        LiveServer(api_key="sesame") as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="sesame", max_retries=0) as client,
    ):
        assert client.images.generate(prompt="x").data


def test_a_wrong_key_is_an_authentication_error(guarded):
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.images.generate(prompt="x")
        assert caught.value.code == "invalid_api_key"


def test_a_browser_is_asked_for_a_password(guarded):
    answer = web.get(guarded.url)
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.headers["x-request-id"]


def test_the_key_is_taken_as_a_password_whatever_the_name(guarded):
    credentials = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    answer = web.get(f"{guarded.url}/v1/models", headers={"authorization": f"Basic {credentials}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Basic", "Basic !!", "Basic eA==", "Digest x", "\x80"])
def test_half_a_credential_does_not_get_in(guarded, header):
    answer = web.get(f"{guarded.url}/v1/models", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_listening_beyond_this_machine_needs_a_key(host):
    with pytest.raises(UnsafeBind, match="--api-key"):
        check_bind(ServerSettings(worker_argv=(), host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "example.org"])
def test_with_a_key_any_address_will_do(host):
    check_bind(ServerSettings(worker_argv=(), host=host, api_key="k"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_key(host):
    check_bind(ServerSettings(worker_argv=(), host=host))


def test_an_application_cannot_be_made_around_that_check():
    with pytest.raises(UnsafeBind):
        make_app(ServerSettings(worker_argv=(), host="0.0.0.0"))


def test_the_key_does_not_show_when_settings_are_printed():
    assert "sesame" not in repr(ServerSettings(worker_argv=(), api_key="sesame"))
