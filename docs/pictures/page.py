"""Take page.png: headless Chromium plays with the built-in page of a running server, and takes a picture of it.

Run `safelight serve`, then `python docs/pictures/page.py http://127.0.0.1:8000`. It needs Chromium on PATH.
"""  # noqa: INP001 - a script, beside what it makes

import io
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from safelight.shapes.controls import edges
from safelight.shapes.scene import PlacedObject, Scene

GOAL = Path(__file__).with_name("page.png")
VIEWPORT = ViewportSize(width=1440, height=900)
PATIENCE_MS = 120_000

LAYOUT = Scene(
    background="beige",
    objects=(
        PlacedObject(size="medium", colour="blue", shape="star", x=17, y=45),
        PlacedObject(size="medium", colour="red", shape="heart", x=46, y=19),
    ),
)


def paint(page: Page, prompt: str, *, seed: int, loras: Mapping[str, str] = MappingProxyType({})) -> None:
    """Fill in the form, generate, and wait for the picture."""
    count = page.locator(".print").count()
    page.get_by_label("What should the picture show?").fill(prompt)
    page.get_by_label("Seed", exact=True).fill(str(seed))
    for slider in page.locator(".lora input").all():
        slider.fill(loras.get((slider.get_attribute("id") or "").removeprefix("lora-"), "0"))
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".print[data-state=finished]")).to_have_count(count + 1)


def play(page: Page) -> None:
    """Paint six pictures: plain, in styles, where a drawing says, and one from another."""
    page.locator("#advanced summary").click()
    paint(page, "a small yellow star above a medium blue square on a gray background", seed=7)
    paint(page, "a large red circle on a white background", seed=7, loras={"rose": "0.9", "spotlight": "0.4"})
    paint(page, "a medium pink heart left of a medium green triangle on a beige background", seed=5)
    page.locator(".print").first.get_by_role("button", name="Start from this picture").click()
    expect(page.locator("#start-image")).to_be_visible()
    page.get_by_role("slider", name="Strength").fill("0.6")
    paint(page, "a medium orange heart left of a medium green triangle on a beige background", seed=11)
    page.get_by_role("button", name="Remove", exact=True).first.click()
    page.locator("#start-section summary").click()
    page.locator("#controls-section summary").click()
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name="for a ControlNet").click()
    drawing = io.BytesIO()
    Image.fromarray(edges(LAYOUT)).save(drawing, "PNG")
    choosing.value.set_files({"name": "drawing.png", "mimeType": "image/png", "buffer": drawing.getvalue()})
    page.get_by_label("ControlNet", exact=True).select_option("edges")
    prompt = "a medium blue star left of a medium red heart on a beige background"
    paint(page, prompt, seed=2)
    paint(page, prompt, seed=2, loras={"mint": "1"})
    page.locator("#advanced summary").click()


def main(address: str) -> None:
    """Write the picture of the page at `address`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=VIEWPORT, color_scheme="light", reduced_motion="reduce")
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(address)
        expect(page.locator("#controls-section")).to_be_visible()
        play(page)
        page.evaluate("for (const list of [loras, compose]) list.scrollTo(0, 0)")
        page.screenshot(path=GOAL)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
