"""Wrong keys are limited and logged, and the keys file is followed while the server runs."""

import base64

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fakes.live_server import LiveServer, eventually, null_worker_argv, web
from fakes.noting_log import NotingLog
from fakes.tenants import QUEUE, ROUTE, People, Site
from safelight.access.caller import ANONYMOUS, Caller
from safelight.access.keys_file import KeysFileError, add_key, remove_keys
from safelight.access.wrong_keys import BURST_ENDS_S
from safelight.server.access import Access
from safelight.server.access_metrics import AccessMetrics
from safelight.server.app import make_app
from safelight.server.middleware.auth import check_bind
from safelight.server.settings import ServerSettings

ADDRESS, OTHER = "192.0.2.1", "192.0.2.2"
LONG = "a-key-that-is-long-enough"


class HandClock:
    def __init__(self):
        self.now = 0.0

    def now_s(self):
        return self.now


class Gate:
    """The access of a server, with a clock in the hands of the test."""

    def __init__(self, **settings):
        self.clock, self.log, self.registry = HandClock(), NotingLog(), CollectorRegistry()
        self.access = Access(
            ServerSettings(worker_argv=(), **settings),
            clock=self.clock,
            metrics=AccessMetrics(self.registry),
            log=self.log,
        )

    def ask(self, key, peer=ADDRESS):
        """The caller, or the status of the refusal."""
        answer = self.access.identify([] if key is None else [b"Bearer " + key.encode()], peer)
        return answer if isinstance(answer, Caller) else answer.status

    def metric(self, line):
        return line in generate_latest(self.registry).decode().splitlines()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "keys.txt"


def test_without_any_key_everyone_is_the_anonymous_administrator():
    assert Gate().ask(None) == ANONYMOUS
    assert Gate().ask("whatever") == ANONYMOUS


def test_the_single_key_is_an_administrators_also_beside_a_keys_file(file):
    key, _ = add_key(file, "alice", "user")
    gate = Gate(api_key=LONG, keys=file)
    assert (gate.ask(LONG).role, gate.ask(LONG).tenant, gate.ask(key).tenant) == ("admin", "", "alice")


def test_wrong_keys_beyond_the_limit_get_a_429_with_a_time_to_come_back():
    gate = Gate(api_key=LONG, wrong_keys_per_minute=2)
    assert [gate.ask("wrong") for _ in range(4)] == [401, 401, 429, 429]
    problem = gate.access.identify([b"Bearer wrong"], ADDRESS)
    assert (problem.code, problem.headers) == ("too_many_wrong_keys", {"Retry-After": "30"})


def test_a_right_key_passes_from_an_address_with_many_wrong_ones():
    gate = Gate(api_key=LONG, wrong_keys_per_minute=1)
    assert [gate.ask("wrong") for _ in range(3)] == [401, 429, 429]
    assert gate.ask(LONG).role == "admin"


def test_a_request_without_a_key_is_no_wrong_key():
    gate = Gate(api_key=LONG, wrong_keys_per_minute=1)
    assert [gate.ask(None) for _ in range(5)] == [401] * 5
    assert gate.log.facts("wrong key") == []


def test_a_burst_of_wrong_keys_is_two_log_lines_with_the_address_and_without_the_key():
    gate = Gate(api_key=LONG)
    for _ in range(100):
        gate.ask("wrong-but-secret")
    gate.ask("wrong-but-secret", peer=OTHER)
    gate.clock.now = BURST_ENDS_S
    gate.access.report_wrong_keys()
    assert gate.log.facts("wrong key") == [{"peer": ADDRESS, "count": 1}, {"peer": OTHER, "count": 1}]
    assert gate.log.facts("wrong keys") == [{"peer": ADDRESS, "count": 99}]
    assert "secret" not in str(gate.log.entries)


def test_what_is_not_reported_yet_is_when_the_server_ends():
    gate = Gate(api_key=LONG)
    gate.ask("wrong"), gate.ask("wrong")
    gate.access.report_wrong_keys(is_end=True)
    assert gate.log.facts("wrong keys") == [{"peer": ADDRESS, "count": 1}]


def test_wrong_keys_are_counted_by_answer():
    gate = Gate(api_key=LONG, wrong_keys_per_minute=1)
    for _ in range(3):
        gate.ask("wrong")
    assert gate.metric('safelight_wrong_keys_total{answer="refused"} 1.0')
    assert gate.metric('safelight_wrong_keys_total{answer="limited"} 2.0')


@pytest.mark.parametrize(("key", "warns"), [("short", True), (LONG, False)])
def test_a_key_that_can_be_guessed_is_warned_of(key, warns):
    assert bool(Gate(api_key=key).log.facts("api key is short")) == warns


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o644, True)])
def test_a_keys_file_that_others_can_read_is_warned_of(mode, warns, file):
    add_key(file, "alice", "user")
    file.chmod(mode)
    assert bool(Gate(keys=file).log.facts("keys file is open to others")) == warns


@pytest.mark.parametrize("content", ["alice user sl_plain\n", "", "# nobody\n"])
def test_a_server_does_not_start_with_a_file_that_it_cannot_use(content, file):
    file.write_text(content)
    with pytest.raises(KeysFileError, match=r"keys\.txt"):
        make_app(ServerSettings(worker_argv=(), keys=file))


def test_with_a_keys_file_any_address_will_do(file):
    check_bind(ServerSettings(worker_argv=(), host="0.0.0.0", keys=file))


# Over HTTP


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    people = People(tmp_path_factory.mktemp("keys"))
    argv = null_worker_argv(step_s=0.02)
    with LiveServer(worker_argv=argv, keys=people.file, keys_check_s=0.02, wrong_keys_per_minute=5) as server:
        yield Site(server, people)


def test_a_limited_address_is_told_so_over_http(site):
    answers = [site.get("wrong", QUEUE) for _ in range(7)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "www-authenticate" not in answers[-1].headers
    assert site.get("alice", QUEUE).status_code == 200
    assert site.logged("wrong key")[-1]["peer"] == "127.0.0.1"


def test_a_key_in_the_address_opens_nothing(site):
    key = site.people.keys["alice"]
    for query in (f"key={key}", f"api_key={key}", f"access_token={key}"):
        assert web.get(f"{site.server.url}{QUEUE}?{query}").status_code == 401
    assert key not in site.server.log


def test_two_authorization_headers_open_nothing(site):
    right = f"Bearer {site.people.keys['alice']}"
    for headers in ([right, right], [right, "Bearer wrong"], ["Bearer wrong", right]):
        answer = web.get(site.server.url + QUEUE, headers=[("authorization", header) for header in headers])
        assert answer.status_code in {401, 429}


def test_a_user_name_in_basic_counts_for_nothing(site):
    credentials = base64.b64encode(b"operator:" + site.people.keys["alice"].encode()).decode()
    answer = web.get(f"{site.server.url}/metrics", headers={"authorization": f"Basic {credentials}"})
    assert answer.status_code == 403


def test_an_added_key_opens_and_a_removed_one_closes_without_a_restart(site):
    key = site.people.add("carl")
    eventually(lambda: site.get(key, QUEUE).status_code == 200)
    remove_keys(site.people.file, "carl")
    eventually(lambda: site.get(key, QUEUE).status_code in {401, 429})
    last = site.audits("reload_keys")[-1]
    assert (last["keys"], last["tenants"], len(last["removed"]), last["added"]) == (4, 4, 1, [])


def test_accepted_pictures_of_a_removed_key_are_finished(site):
    key = site.people.add("dora")
    eventually(lambda: site.get(key, QUEUE).status_code == 200)
    with site.painting(key, num_inference_steps=30) as (_, answers):
        remove_keys(site.people.file, "dora")
        eventually(lambda: answers)
    assert answers[0].status_code == 200


def test_a_broken_file_keeps_the_keys_and_readiness_and_is_logged_and_counted(site):
    content = site.people.file.read_text()
    site.people.file.write_text(content + "erin user sl_in-plain-text\n")
    eventually(lambda: "(erin)" in site.server.log)
    assert site.metric("safelight_keys_file_broken") == 1
    assert site.get("alice", "/health/ready").status_code == 200
    assert site.paint("alice").status_code == 200
    assert site.metric('safelight_keys_file_reads_total{result="refused"}') >= 1
    assert [line for line in site.logged("keys file refused") if "(erin)" in line["reason"]]
    assert "plain-text" not in site.server.log
    site.people.file.write_text(content)
    eventually(lambda: site.metric("safelight_keys_file_broken") == 0)


def test_a_right_role_after_a_reload_counts_for_a_key_in_use(site):
    assert site.get("bob", "/metrics").status_code == 403
    content = site.people.file.read_text()
    site.people.file.write_text(content.replace("bob user", "bob admin"))
    eventually(lambda: site.get("bob", "/metrics").status_code == 200)
    site.people.file.write_text(content)
    eventually(lambda: site.get("bob", "/metrics").status_code == 403)


def test_liveness_needs_no_key_whatever_is_sent(site):
    for header in ("Bearer wrong", "Basic !!", ""):
        assert web.get(f"{site.server.url}/health/live", headers={"authorization": header}).status_code == 200


def test_a_body_is_not_read_without_a_key(site):
    answer = web.post(site.server.url + ROUTE, content=b"{" * 1000, headers={"content-type": "application/json"})
    assert answer.status_code == 401
