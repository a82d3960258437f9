"""Several people with keys of their own at one server."""

import json
import threading
from contextlib import contextmanager

import httpx2

from fakes.live_server import PATIENCE_S, eventually
from safelight.access.keys_file import add_key

ROUTE, QUEUE, ADAPTERS = "/v1/images/generations", "/v1/queue", "/v1/adapters"


class People:
    """Keys of two users, an administrator and a scraper of metrics, in a file."""

    def __init__(self, folder):
        self.file = folder / "keys.txt"
        roles = {"alice": "user", "bob": "user", "operator": "admin", "prometheus": "metrics"}
        self.keys = {name: add_key(self.file, name, role)[0] for name, role in roles.items()}

    def add(self, name, role="user"):
        """Give a tenant a further key."""
        return add_key(self.file, name, role)[0]


class Site:
    """A server that several people use."""

    def __init__(self, server, people):
        self.server = server
        self.people = people

    def request(self, who, method, path, **options):
        """Send a request with the key of `who`, a name or a key; without one for None."""
        key = self.people.keys.get(who, who)
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        with httpx2.Client(verify=False, timeout=PATIENCE_S) as client:
            return client.request(method, self.server.url + path, headers=headers, **options)

    def get(self, who, path):
        return self.request(who, "GET", path)

    def paint(self, who, *, path=ROUTE, key=None, **body):
        headers = {"Idempotency-Key": key} if key else {}
        asked = {"num_inference_steps": 1} | body
        if "messages" not in body:
            asked = {"prompt": f"a circle for {who}"} | asked
        return self.request(who, "POST", path, json=asked, headers=headers)

    def cancel(self, who, picture_id):
        return self.request(who, "POST", f"{QUEUE}/{picture_id}/cancel")

    def queue(self, who):
        return self.get(who, QUEUE).json()

    def ids(self, who):
        """What `who` sees in the queue."""
        return {entry["id"] for entry in self.queue(who)["requests"]}

    @contextmanager
    def painting(self, who, **body):
        """Paint within a `with`, for long; yields an id, or None if it is refused, and a list for the answer."""
        answers, before = [], self.ids(who)
        long = {"num_inference_steps": 100} | body
        thread = threading.Thread(target=lambda: answers.append(self.paint(who, **long)))
        thread.start()
        new = eventually(lambda: self.ids(who) - before or answers)
        picture_id = None if answers else min(new)
        try:
            yield picture_id, answers
        finally:
            self.cancel(who, picture_id)
            thread.join()

    def logged(self, event):
        """The log lines of an event, latest last."""
        lines = [json.loads(line) for line in self.server.log.splitlines()]
        return [line for line in lines if line["event"] == event]

    def audits(self, action):
        """What the audit says about an action, latest last."""
        return [line for line in self.logged("audit") if line["action"] == action]

    def metric(self, name):
        """The value of a metric, by its name with labels."""
        lines = self.get("operator", "/metrics").text.splitlines()
        return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(name + " ")), "nan"))
