"""Other sites may neither steer a server on this machine nor read from it."""

import pytest

from fakes.live_server import LiveServer, web

ROUTE = "/v1/images/generations"


def own_host(http):
    return f"{http.base_url.host}:{http.base_url.port}"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_a_strange_host_name_is_refused(http, host):
    answer = http.get("/v1/models", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_loopback_names_are_answered(http, host):
    assert http.get("/v1/models", headers={"host": host}).status_code == 200


def test_a_proxys_name_is_answered_when_it_is_allowed():
    with LiveServer(allowed_hosts=("paint.example",), is_awaited=False) as server:
        assert web.get(f"{server.url}/v1/models", headers={"host": "paint.example"}).status_code == 200


def test_beyond_loopback_every_name_is_answered_but_an_empty_one():
    with LiveServer(host="0.0.0.0", api_key="k", is_awaited=False) as server:
        statuses = [
            web.get(f"{server.url}/v1/models", headers={"host": host, "authorization": "Bearer k"}).status_code
            for host in ("paint.example", "")
        ]
    assert statuses == [200, 400]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", ""])
def test_a_page_of_another_origin_cannot_paint(http, origin):
    answer = http.post(ROUTE, json={"prompt": "x"}, headers={"origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")


def test_a_cross_site_request_without_origin_is_refused(http):
    answer = http.post(ROUTE, json={"prompt": "x"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_our_own_page_can_paint(http):
    headers = {"origin": f"http://{own_host(http)}", "sec-fetch-site": "same-origin"}
    assert http.post(ROUTE, json={"prompt": "x"}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nothing", "/page.js"])
def test_every_answer_forbids_sniffing_and_foreign_code(http, path):
    headers = http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(("path", "media_type"), [("/", "html"), ("/page.css", "css"), ("/page.js", "javascript")])
def test_the_page_is_served(http, path, media_type):
    answer = http.get(path)
    assert answer.status_code == 200
    assert media_type in answer.headers["content-type"]
