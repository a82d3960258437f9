"""The built-in page in a headless Chromium, against the real server with workers that paint grey."""

import base64
import io
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from types import MappingProxyType
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from fakes.live_server import LiveServer
from safelight.server.settings import MAX_BODY_BYTES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
STEP_S = 0.05
PATIENCE_MS = 15_000
WIDE = ViewportSize(width=1440, height=900)
NARROW = ViewportSize(width=390, height=844)
FEW_STEPS, MANY_STEPS = "4", "200"
LORAS = ("mask", "outline", "small-glow")
CONTROL_NETS = ("control-depth", "control-edges")
RED, BLUE, GREY = (200, 30, 30), (20, 40, 220), (128, 128, 128)


@dataclass(frozen=True, kw_only=True)
class Visit:
    """An open page, and what it let slip: errors on the console, and the hosts that it asked."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def ask(self, prompt: str, fields: Mapping[str, str] = MappingProxyType({})) -> None:
        """Fill in the form, by the labels of its fields, and generate."""
        self.page.evaluate("document.getElementById('advanced').open = true")
        self.page.get_by_label("What should the picture show?").fill(prompt)
        for label, value in ({"Steps": FEW_STEPS} | dict(fields)).items():
            self.page.locator("#compose").get_by_label(label, exact=True).fill(value)
        self.page.get_by_role("button", name="Generate").click()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    adapters = tmp_path_factory.mktemp("adapters")
    for name in LORAS + CONTROL_NETS:
        (adapters / f"{name}.safetensors").touch()
    with LiveServer(step_s=STEP_S, adapters=(adapters,)) as server:
        yield f"{server.url}/"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium), so the page is not tried in a browser")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address) -> Iterator[Visit]:
    context = chromium.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="dark")
    context.set_default_timeout(PATIENCE_MS)
    visit = Visit(page=context.new_page())
    visit.page.on("console", lambda message: visit.errors.append(message.text) if message.type == "error" else None)
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
    visit.page.goto(address)
    expect(visit.page.locator("#model option")).to_have_count(2)
    yield visit
    context.close()


def prints(visit: Visit, state: str):
    return visit.page.locator(f".print[data-state={state}]")


def expect_prints(visit: Visit, state: str, count: int = 1) -> None:
    expect(prints(visit, state)).to_have_count(count)


def test_every_module_of_the_page_is_fetched_early():
    page = files("safelight.server") / "page"
    preloads = re.findall(r'rel="modulepreload" href="([^"]+)"', (page / "index.html").read_text("utf-8"))
    assert sorted([*preloads, "page.js"]) == sorted(file.name for file in page.iterdir() if file.name.endswith(".js"))


def test_the_page_loads_without_complaint_and_asks_no_other_host(visit, address):
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    assert visit.errors == []
    assert visit.hosts - {""} == {urlsplit(address).netloc}


def test_a_prompt_becomes_a_picture_with_its_provenance(visit):
    visit.ask("a red circle", {"Seed": "4321"})
    expect_prints(visit, "finished")
    picture = visit.page.locator(".print .final")
    assert picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [64, 64]
    facts = visit.page.locator(".facts").inner_text()
    assert all(word in facts for word in ("null-large", "4321", "queue", "compute"))


def lora(visit: Visit, name: str):
    return visit.page.get_by_role("slider", name=name, exact=True)


def told_loras(visit: Visit) -> list[str]:
    """What the finished prints say of LoRAs, the last one first."""
    facts = visit.page.locator(".print[data-state=finished] .facts")
    return [text.partition("loras")[2].strip() for text in facts.all_inner_texts()]


def test_loras_are_off_until_they_are_chosen(visit):
    expect(lora(visit, "outline")).to_have_js_property("valueAsNumber", 0)
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    assert told_loras(visit) == [""]


def test_chosen_loras_reach_the_server_with_their_scales(visit):
    lora(visit, "outline").fill("0.85")
    lora(visit, "mask").fill("-0.5")
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    assert told_loras(visit) == ["mask \N{MINUS SIGN}0.5, outline 0.85"]


def test_a_click_switches_a_lora_on_in_full_and_another_one_off(visit):
    visit.page.get_by_role("button", name="Switch outline on").click()
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    visit.page.get_by_role("button", name="Switch outline off").click()
    visit.ask("a red circle")
    expect_prints(visit, "finished", 2)
    assert told_loras(visit) == ["", "outline 1.0"]


def test_only_the_loras_of_the_chosen_model_are_offered_and_asked_for(visit):
    lora(visit, "outline").fill("1")
    visit.page.get_by_label("Model").select_option("null-small")
    expect(visit.page.locator(".lora label")).to_have_text(["small-glow"])
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    assert told_loras(visit) == [""]


def test_reuse_brings_the_loras_back(visit):
    lora(visit, "mask").fill("1.5")
    visit.ask("a green cross")
    expect_prints(visit, "finished")
    lora(visit, "mask").fill("0")
    lora(visit, "outline").fill("2")
    visit.page.get_by_role("button", name="Use this prompt and seed again").click()
    expect(lora(visit, "mask")).to_have_value("1.5")
    expect(lora(visit, "outline")).to_have_value("0")


def test_several_pictures_have_seeds_that_count_up(visit):
    visit.ask("a red circle", {"Pictures": "6", "Seed": "10"})
    expect_prints(visit, "finished", 6)
    facts = visit.page.locator(".facts").all_inner_texts()
    assert all(f"seed {seed}" in " ".join(fact.split()) for seed, fact in zip(range(10, 16), facts, strict=True))


def test_a_picture_develops_before_your_eyes(visit):
    visit.ask("a red circle", {"Steps": MANY_STEPS})
    card = prints(visit, "running")
    expect(card.locator(".latent")).to_be_visible()
    expect(card.locator(".status")).to_contain_text("of 200")
    assert 0 < card.locator("progress").evaluate("bar => bar.value") < 1


def test_the_queue_lists_a_running_picture_with_its_progress_and_age(visit):
    visit.ask("a purple star", {"Steps": MANY_STEPS})
    job = visit.page.locator(".job.mine")
    expect(job).to_contain_text("a purple star")
    expect(job.locator(".job-line")).to_contain_text("/200")
    expect(job.locator(".job-line")).to_contain_text("old")


def test_cancelling_on_the_card_stops_the_picture_and_empties_the_queue(visit):
    visit.ask("a red circle", {"Steps": MANY_STEPS})
    prints(visit, "running").get_by_role("button", name="Cancel").click()
    expect_prints(visit, "cancelled")
    expect(visit.page.locator(".job")).to_have_count(0)


def test_cancelling_in_the_queue_stops_the_picture(visit):
    visit.ask("a red circle", {"Steps": MANY_STEPS})
    visit.page.get_by_role("list", name="Queue").get_by_role("button", name="Cancel: a red circle").click()
    expect_prints(visit, "cancelled")


def test_a_cancelled_picture_can_be_tried_again(visit):
    visit.ask("a red circle", {"Steps": MANY_STEPS})
    prints(visit, "running").get_by_role("button", name="Cancel").click()
    prints(visit, "cancelled").get_by_role("button", name="Retry").click()
    expect_prints(visit, "running")


def test_pictures_beyond_the_open_connections_wait_and_can_be_cancelled(visit):
    visit.ask("a red circle", {"Pictures": "6", "Steps": MANY_STEPS})
    waiting = visit.page.locator(".print", has_text="Waiting for a free connection")
    expect(waiting).to_have_count(2)
    waiting.first.get_by_role("button", name="Cancel").click()
    expect_prints(visit, "cancelled")
    expect(waiting).to_have_count(1)


def test_an_error_is_shown_in_the_card_in_the_servers_words(visit):
    visit.ask("a red circle", {"Steps": "100000"})
    expect(prints(visit, "failed").locator(".trouble")).to_contain_text("num_inference_steps")


def test_a_deadline_that_cannot_be_met_shows_when_to_come_back(visit):
    visit.ask("a red circle", {"Deadline, in seconds": "0.001"})
    card = prints(visit, "failed")
    expect(card.locator(".trouble")).to_contain_text("wanted within 0.001 s")
    expect(card.get_by_role("button", name="Retry in")).to_be_disabled()
    expect(card.get_by_role("button", name="Retry", exact=True)).to_be_enabled()


def test_markup_in_a_prompt_is_shown_as_text(visit):
    prompt = "<img src=x onerror=\"document.title='owned'\"> a red circle"
    visit.ask(prompt)
    expect_prints(visit, "finished")
    expect(visit.page.locator(".asked")).to_have_text(prompt)
    assert visit.page.title() == "Safelight"


def test_the_keyboard_alone_makes_enlarges_and_removes_a_picture(visit):
    keyboard = visit.page.keyboard
    expect(visit.page.get_by_label("What should the picture show?")).to_be_focused()
    keyboard.press("ControlOrMeta+a")
    keyboard.type("a red circle")
    keyboard.press("Enter")
    expect_prints(visit, "finished")
    visit.page.get_by_role("button", name="Enlarge: a red circle").focus()
    keyboard.press("Enter")
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    keyboard.press("Escape")
    expect(visit.page.get_by_role("dialog")).to_be_hidden()
    visit.page.get_by_role("button", name="Remove").focus()
    keyboard.press("Enter")
    expect(visit.page.locator(".print")).to_have_count(0)
    expect(visit.page.get_by_label("What should the picture show?")).to_be_focused()


def test_shift_enter_starts_a_line_and_generates_nothing(visit):
    prompt = visit.page.get_by_label("What should the picture show?")
    prompt.fill("a red circle")
    prompt.press("Shift+Enter")
    expect(prompt).to_have_value("a red circle\n")
    expect(visit.page.locator(".print")).to_have_count(0)


def test_reuse_brings_prompt_and_seed_back(visit):
    visit.ask("a green cross", {"Seed": "77"})
    expect_prints(visit, "finished")
    visit.page.get_by_label("What should the picture show?").fill("")
    visit.page.get_by_label("Seed", exact=True).fill("")
    visit.page.get_by_role("button", name="Use this prompt and seed again").click()
    expect(visit.page.get_by_label("What should the picture show?")).to_have_value("a green cross")
    expect(visit.page.get_by_label("Seed", exact=True)).to_have_value("77")


def test_the_downloaded_file_is_the_picture(visit):
    visit.ask("a green cross", {"Seed": "77"})
    with visit.page.expect_download() as downloading:
        visit.page.get_by_role("link", name="Download").click()
    assert downloading.value.suggested_filename == "safelight-77.png"
    with Image.open(downloading.value.path()) as picture:
        assert picture.size == (64, 64)


def test_the_copied_curl_command_survives_quotes(visit, address):
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.ask("a painter's circle")
    visit.page.get_by_role("button", name="Copy as a curl command").click()
    expect(visit.page.locator(".icon-button.done")).to_be_visible()
    command = visit.page.evaluate("navigator.clipboard.readText()")
    assert command.startswith(f"curl -s {address}v1/images/generations")
    assert "a painter'\\''s circle" in command


def test_a_lost_connection_is_said_and_found_again(visit):
    visit.page.context.set_offline(True)
    expect(visit.page.locator("#banner")).to_contain_text("connection to the server is lost")
    expect(visit.page.locator("#pulse")).to_have_text("Connection lost")
    visit.page.context.set_offline(False)
    expect(visit.page.locator("#banner")).to_be_hidden()
    expect(visit.page.locator("#pulse")).to_have_text("Ready")


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def flat(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


def opened(data_url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2]))).convert("RGB")


def painted(visit: Visit) -> Image.Image:
    """The print that was finished last."""
    return opened(prints(visit, "finished").first.locator(".final").get_attribute("src"))


def open_section(visit: Visit, name: str) -> None:
    visit.page.locator("summary", has_text=name).click()


def transfer_of(visit: Visit, name: str, content: bytes):
    """What a drag or the clipboard carries: one file."""
    return visit.page.evaluate_handle(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name));
            return transfer;
        }""",
        [name, base64.b64encode(content).decode()],
    )


def drop(visit: Visit, zone: str, content: bytes, name: str = "picture.png") -> None:
    visit.page.locator(zone).dispatch_event("drop", {"dataTransfer": transfer_of(visit, name, content)})


def give_start(visit: Visit, image: Image.Image) -> None:
    open_section(visit, "Start from a picture")
    drop(visit, "#start-zone", file_of(image))
    expect(visit.page.locator("#mask-canvas")).to_be_visible()


def give_controls(visit: Visit, images: Sequence[Image.Image]) -> None:
    open_section(visit, "Control pictures")
    for count, image in enumerate(images, start=1):
        drop(visit, "#control-zone", file_of(image))
        expect(visit.page.locator(".control")).to_have_count(count)


def sent(visit: Visit, fields: Mapping[str, str] = MappingProxyType({})) -> tuple[str, dict]:
    """Generate; the path and the body of the request, once its picture is there."""
    before = prints(visit, "finished").count()
    with visit.page.expect_request("**/v1/images/*") as asking:
        visit.ask("a red circle", fields)
    expect_prints(visit, "finished", before + 1)
    return urlsplit(asking.value.url).path, asking.value.post_data_json


def test_a_dropped_control_picture_is_shown_and_sent(visit):
    give_controls(visit, [flat(BLUE)])
    shown = visit.page.get_by_role("group", name="Control picture 1").locator("img")
    assert opened(shown.get_attribute("src")).getpixel((9, 9)) == BLUE
    path, body = sent(visit)
    assert path == "/v1/images/generations"
    assert opened(body["controls"][0]["image"]).getpixel((9, 9)) == BLUE


def test_several_files_chosen_together_become_control_pictures_each(visit):
    open_section(visit, "Control pictures")
    with visit.page.expect_file_chooser() as choosing:
        visit.page.get_by_role("button", name="Drop, paste or choose a picture for a ControlNet").click()
    files = {"blue.png": file_of(flat(BLUE)), "notes.txt": b"no picture at all", "red.png": file_of(flat(RED))}
    choosing.value.set_files([{"name": name, "mimeType": "", "buffer": content} for name, content in files.items()])
    _, body = sent(visit)
    assert [opened(control["image"]).getpixel((9, 9)) for control in body["controls"]] == [BLUE, RED]
    expect(visit.page.locator("#control-trouble")).to_contain_text("notes.txt")


def test_control_pictures_go_with_the_control_net_and_the_scale_chosen(visit):
    give_controls(visit, [flat(BLUE), flat(RED)])
    first = visit.page.get_by_role("group", name="Control picture 1")
    first.get_by_label("ControlNet").select_option("control-edges")
    first.get_by_role("slider", name="Scale").fill("0.65")
    _, body = sent(visit)
    asked = [(control["name"], control["scale"]) for control in body["controls"]]
    assert asked == [("control-edges", 0.65), ("control-edges", 1)]
    expect(visit.page.locator(".facts")).to_contain_text("control-edges 0.65, control-edges 1.0")


def test_each_control_picture_takes_the_next_control_net_until_four_are_there(visit):
    give_controls(visit, [flat(BLUE)] * 4)
    chosen = visit.page.get_by_label("ControlNet", exact=True).evaluate_all("nodes => nodes.map((node) => node.value)")
    assert chosen == ["control-depth", "control-edges", "control-depth", "control-depth"]
    expect(visit.page.locator("#control-zone")).to_be_hidden()


def test_a_control_picture_that_is_removed_is_not_sent(visit):
    give_controls(visit, [flat(BLUE)])
    visit.page.get_by_role("button", name="Remove the control picture").click()
    _, body = sent(visit)
    assert "controls" not in body


def test_a_model_without_control_nets_is_sent_no_control_pictures(visit):
    give_controls(visit, [flat(BLUE)])
    visit.page.get_by_label("Model").select_option("null-small")
    expect(visit.page.locator("#controls-section")).to_be_hidden()
    _, body = sent(visit)
    assert "controls" not in body


def test_a_start_picture_goes_to_edits_with_its_strength(visit):
    give_start(visit, flat(RED))
    visit.page.get_by_role("slider", name="Strength").fill("0.5")
    path, body = sent(visit)
    assert (path, body["strength"], "mask" in body) == ("/v1/images/edits", 0.5, False)
    assert painted(visit).getpixel((9, 9)) == RED
    facts = " ".join(visit.page.locator(".facts").inner_text().split())
    assert "steps 2 of 4 strength 0.5" in facts


def test_without_a_start_picture_generations_are_asked_again(visit):
    give_start(visit, flat(RED))
    visit.page.get_by_role("button", name="Remove", exact=True).click()
    path, body = sent(visit)
    assert (path, body.keys() & {"image", "mask", "strength"}) == ("/v1/images/generations", set())


def test_what_is_painted_over_is_made_anew_and_the_rest_is_kept(visit):
    give_start(visit, flat(RED))
    canvas = visit.page.locator("#mask-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    visit.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.75 * box["height"], steps=4)
    visit.page.mouse.up()
    expect(visit.page.locator("#mask-hint")).to_contain_text("% is made anew")
    _, body = sent(visit)
    picture = painted(visit)
    assert [picture.getpixel((x, 32)) for x in (2, 16, 30, 60)] == [RED, GREY, RED, RED]
    assert body["strength"] == 1


def test_a_cleared_mask_is_not_sent_and_the_strength_is_what_it_was(visit):
    give_start(visit, flat(RED))
    visit.page.locator("#mask-canvas").click()
    visit.page.get_by_role("button", name="Clear mask").click()
    _, body = sent(visit)
    assert ("mask" in body, body["strength"]) == (False, 0.8)


@pytest.mark.parametrize("paint", [(0, 0, 0, 0), (255, 255, 255, 255)], ids=["transparent", "white"])
def test_a_mask_can_come_from_a_file_by_keyboard(visit, paint):
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste(paint, (32, 0, 64, 64))
    # Awaited from the start, since Chromium takes a moment to hand its file choosers over.
    with visit.page.expect_file_chooser() as choosing:
        give_start(visit, flat(RED))
        visit.page.get_by_role("button", name="Drop or choose a file as mask").focus()
        visit.page.keyboard.press("Enter")
    choosing.value.set_files({"name": "mask.png", "mimeType": "image/png", "buffer": file_of(mask)})
    expect(visit.page.locator("#mask-hint")).to_contain_text("50 % is made anew")
    sent(visit)
    assert [painted(visit).getpixel((x, 32)) for x in (10, 50)] == [RED, GREY]


def test_a_mask_that_keeps_everything_is_refused_in_place(visit):
    give_start(visit, flat(RED))
    drop(visit, "#mask-zone", file_of(flat((0, 0, 0))))
    expect(visit.page.locator("#mask-trouble")).to_contain_text("keeps everything")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"no picture at all", "“notes.txt” is no picture"),
        ("notes.png", b"no picture at all", "“notes.png” is no picture"),
        ("empty.png", b"", "“empty.png” is an empty file"),
        ("cut.png", b"\x89PNG\r\n\x1a\n", "“cut.png” is no picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_place(visit, name, content, words):
    open_section(visit, "Control pictures")
    drop(visit, "#control-zone", content, name)
    expect(visit.page.locator("#control-trouble")).to_contain_text(words)
    expect(visit.page.locator(".control")).to_have_count(0)
    drop(visit, "#control-zone", file_of(flat(BLUE)))
    expect(visit.page.locator(".control")).to_have_count(1)
    expect(visit.page.locator("#control-trouble")).to_be_hidden()


def test_a_picture_of_fifty_megapixels_is_sent_smaller(visit):
    give_start(visit, Image.new("1", (10_000, 5_000)))
    _, body = sent(visit)
    assert opened(body["image"]).size == (2048, 1024)


def test_a_picture_that_is_long_as_png_becomes_a_jpeg_so_that_six_fit_one_request(visit):
    open_section(visit, "Start from a picture")
    drop(visit, "#start-zone", file_of(Image.effect_noise((1536, 1536), 60)))
    _, body = sent(visit)
    assert body["image"].startswith("data:image/jpeg;base64,")
    assert 6 * len(body["image"]) < MAX_BODY_BYTES


def test_other_formats_become_png(visit):
    open_section(visit, "Start from a picture")
    drop(visit, "#start-zone", file_of(flat(BLUE), "GIF"), "picture.gif")
    _, body = sent(visit)
    assert body["image"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert opened(body["image"]).getpixel((9, 9)) == BLUE


def test_a_photo_is_sent_upright(visit):
    exif = Image.Exif()
    exif[0x0112] = 6
    open_section(visit, "Start from a picture")
    drop(visit, "#start-zone", file_of(flat(BLUE, (96, 64)), "JPEG", exif=exif), "photo.jpg")
    _, body = sent(visit)
    assert opened(body["image"]).size == (64, 96)


def test_the_size_follows_the_proportions_of_the_start(visit):
    give_start(visit, flat(RED, (300, 200)))
    _, body = sent(visit)
    assert body["size"] == "96x64"


def test_a_print_becomes_the_start_of_the_next(visit):
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    visit.page.get_by_role("button", name="Start from this picture").click()
    expect(visit.page.locator("#start-image")).to_be_visible()
    path, body = sent(visit)
    assert path == "/v1/images/edits"
    assert opened(body["image"]).getpixel((9, 9)) == GREY


@pytest.mark.parametrize(
    ("section", "zone", "shown"),
    [("Start from a picture", "#start-zone", "#start-image"), ("Control pictures", "#control-zone", ".control img")],
)
def test_a_print_can_be_dragged_into_a_zone_whose_section_opens_on_the_way(visit, section, zone, shown):
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    visit.page.locator(".enlarge").hover()
    visit.page.mouse.down()
    visit.page.locator("summary", has_text=section).hover()
    visit.page.locator(zone).hover()
    visit.page.mouse.up()
    expect(visit.page.locator(shown)).to_have_attribute("src", visit.page.locator(".final").get_attribute("src"))


def test_a_pasted_picture_goes_where_the_focus_is(visit):
    for section in ("Start from a picture", "Control pictures"):
        open_section(visit, section)
    visit.page.locator("#control-choose").focus()
    visit.page.locator("#control-choose").evaluate(
        """(node, clipboardData) =>
            node.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }))""",
        transfer_of(visit, "pasted.png", file_of(flat(BLUE))),
    )
    expect(visit.page.locator(".control")).to_have_count(1)
    expect(visit.page.locator("#start-image")).to_be_hidden()


def test_reuse_brings_the_pictures_back(visit):
    give_start(visit, flat(RED))
    visit.page.locator("#mask-canvas").click()
    give_controls(visit, [flat(BLUE)])
    _, first = sent(visit, {"Seed": "5"})
    visit.page.get_by_role("button", name="Remove", exact=True).first.click()
    visit.page.get_by_role("button", name="Remove the control picture").click()
    visit.page.get_by_role("button", name="Use this prompt and seed again").click()
    expect(visit.page.get_by_label("What should the picture show?")).to_be_focused()
    _, again = sent(visit, {"Seed": "5"})
    assert again == first


def test_the_copied_curl_command_paints_the_same_from_pictures_in_files(visit, tmp_path):
    if missing := [tool for tool in ("bash", "curl", "jq") if shutil.which(tool) is None]:
        pytest.skip(f"no {' and no '.join(missing)} on PATH, so the command cannot be run")
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    give_start(visit, Image.effect_noise((64, 64), 50).convert("RGB"))
    visit.page.locator("#mask-canvas").click()
    give_controls(visit, [flat(BLUE)])
    _, body = sent(visit)
    visit.page.get_by_role("button", name="Copy as a curl command").click()
    said = "Copied. It reads start.png, mask.png, control1.png in the current folder."
    expect(visit.page.locator(".status")).to_have_text(said)
    pictures = {"start": body["image"], "mask": body["mask"], "control1": body["controls"][0]["image"]}
    for name, url in pictures.items():
        (tmp_path / f"{name}.png").write_bytes(base64.b64decode(url.partition(",")[2]))
    command = visit.page.evaluate("navigator.clipboard.readText()")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.tobytes() == painted(visit).tobytes()


def test_every_control_has_a_name(visit):
    give_start(visit, flat(RED))
    give_controls(visit, [flat(BLUE)])
    visit.ask("a red circle")
    expect_prints(visit, "finished")
    nameless = visit.page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select, textarea, progress, [role=img]")]
            .filter((node) => node.checkVisibility())
            .filter((node) => !(node.ariaLabel || node.labels?.length || node.textContent.trim() || node.ariaHidden))
            .map((node) => node.outerHTML)"""
    )
    assert nameless == []


def test_nothing_moves_for_those_who_asked_for_stillness(visit):
    visit.ask("a red circle", {"Steps": MANY_STEPS})
    expect_prints(visit, "running")
    assert visit.page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_open_sections_fit_the_width(visit, viewport):
    visit.page.set_viewport_size(viewport)
    give_start(visit, flat(RED, (128, 32)))
    give_controls(visit, [flat(BLUE)] * 2)
    sticking_out = visit.page.evaluate(
        """() => [...document.querySelectorAll("#compose *")]
            .filter((node) => node.checkVisibility() && !node.closest(".unseen"))
            .filter((node) => node.getBoundingClientRect().right > compose.getBoundingClientRect().right)
            .map((node) => node.outerHTML)"""
    )
    assert sticking_out == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") == viewport["width"]


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_fits_and_is_not_blank(visit, tmp_path, viewport, scheme):
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.set_viewport_size(viewport)
    visit.ask("a red circle", {"Pictures": "2"})
    expect_prints(visit, "finished", 2)
    shot = tmp_path / f"page-{scheme}-{viewport['width']}.png"
    visit.page.screenshot(path=shot, full_page=True)
    with Image.open(shot) as image:
        picture = image.convert("RGB")
    brightness = sum(picture.resize((1, 1)).getpixel((0, 0))) / 3
    assert picture.width == viewport["width"]
    assert len(picture.getcolors(picture.width * picture.height) or ()) > 200
    assert (brightness < 100) if scheme == "dark" else (brightness > 155)
