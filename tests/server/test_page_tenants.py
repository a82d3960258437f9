"""The page for a user of a server with several tenants, in a headless Chromium."""

import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from fakes.live_server import LiveServer, null_worker_argv
from fakes.tenants import People, Site

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MS = 15_000


@pytest.fixture
def site(tmp_path):
    argv = (*null_worker_argv(step_s=0.05), "--max-denoiser-rows", "1")
    people = People(tmp_path)
    with LiveServer(worker_argv=argv, keys=people.file) as server:
        yield Site(server, people)


@pytest.fixture
def page(site):
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium), so the page is not tried in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        credentials = {"username": "anyone", "password": site.people.keys["bob"]}
        context = browser.new_context(http_credentials=credentials)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(f"{site.server.url}/")
        yield page
        browser.close()


def test_a_user_sees_how_many_pictures_of_others_there_are_and_its_own_place_among_them(site, page):
    expect.set_options(timeout=PATIENCE_MS)
    with site.painting("alice", n=10):
        expect(page.locator("#queue-empty")).to_have_text("Nothing of yours is waiting; 10 pictures of others.")
        expect(page.locator("#queue")).not_to_contain_text("alice")
        with site.painting("bob"):
            expect(page.locator("#queue")).to_contain_text("a circle for bob")
            place = re.search(r"(\d+)(st|nd|rd|th)", page.locator("#queue").inner_text())
            assert int(place[1]) > 1
