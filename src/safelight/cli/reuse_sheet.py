"""The sheet of `safelight reuse compare`: one prompt painted as different caches would."""

import base64
import html
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from safelight.core.job import Job
from safelight.core.pixels import Pixels
from safelight.diffusion.embedded import LARGE, SMALL
from safelight.diffusion.engine import DiffusionEngine
from safelight.diffusion.paint import make_job
from safelight.latents.entry import Entry
from safelight.latents.limits import CAPTURES
from safelight.latents.plan import started
from safelight.latents.predictor import FixedThresholds, Neighbour, StartChoice, StartQuery
from safelight.latents.vectors import similarity, vector_of
from safelight.latents.veto import veto
from safelight.reports.atomic_files import write_atomically
from safelight.shapes.caption import parse
from safelight.shapes.score import score

PREDICTOR = FixedThresholds()
SEED_OF_CACHED = 0
SHOWN, CAPTION, EDGE = 128, 46, 10
"""Pixels of a picture on a sheet, of the lines below it, and between pictures."""

STYLE = (
    "<style>body{font:15px system-ui;margin:2em}figure{display:inline-block;margin:.5em}"
    f"img{{width:{SHOWN}px;image-rendering:pixelated}}figcaption{{font-size:12px}}</style>"
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One picture of a sheet.

    Attributes:
        seconds: of painting it; 0 for one that was there.
        facts: share of the prompt's facts that hold, by the scene score; None for models of other domains.
    """

    title: str
    picture: Pixels
    steps: int
    seconds: float
    facts: float | None


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """What became of one prompt; `choice` says in words what the level predictor chose."""

    prompt: str
    similarity: float
    choice: str
    cells: Sequence[Cell]


def compared(
    folder: Path, cached: str, queries: Sequence[str], *, seed: int, on_picture: Callable[[int, int], None]
) -> list[SheetRow]:
    """Paint `cached` and keep its estimates; then show each query as caches of pictures and of estimates would."""
    engine = DiffusionEngine.load([folder])
    easel = _Easel(engine, folder.resolve().name, on_picture, total=1 + len(queries) * (3 + len(CAPTURES)))
    return easel.rows(cached, queries, seed)


class _Easel:
    """Paints with one engine, and counts pictures."""

    def __init__(
        self, engine: DiffusionEngine, model: str, on_picture: Callable[[int, int], None], *, total: int
    ) -> None:
        self._engine, self._model, self._on_picture, self._total = engine, model, on_picture, total
        self._painted = 0

    def rows(self, cached: str, queries: Sequence[str], seed: int) -> list[SheetRow]:
        picture, entry = self._with_estimates(cached)
        return [self._row(prompt, entry, picture, seed + number) for number, prompt in enumerate(queries)]

    def _row(self, prompt: str, entry: Entry, cached: Pixels, seed: int) -> SheetRow:
        job = make_job(self._engine.models, prompt, model=self._model, seed=seed)
        likeness = similarity(vector_of(prompt), vector_of(entry.prompt))
        near = Neighbour(prompt=entry.prompt, similarity=likeness, noises=entry.noises)
        chosen = PREDICTOR.choose(StartQuery(prompt=prompt, neighbour=near, model=self._model, noises=entry.schedule))
        against = veto(prompt, entry.prompt)
        cells = [Cell(title="cached picture", picture=cached, steps=0, seconds=0.0, facts=self._facts(cached, prompt))]
        for noise in entry.noises:
            level = started(job.level, entry, StartChoice(noise=noise), entry.schedule)
            if level is not None:
                cells.append(self._cell(f"from noise {noise:.2f}", msgspec.structs.replace(job, level=level)))
        level = None if against is not None else started(job.level, entry, chosen, entry.schedule)
        choice = "in full: nothing similar enough"
        if against is not None:
            choice = f"in full: {against}"
        elif level is not None:
            choice = f"start at step {level.first_step} of {level.steps}"
            fewer = msgspec.structs.replace(job.level, steps=level.steps_to_run)
            cells.append(self._cell("chosen start", msgspec.structs.replace(job, level=level)))
            cells.append(self._cell("fewer steps", msgspec.structs.replace(job, level=fewer)))
        cells.append(self._cell("in full", job))
        return SheetRow(prompt=prompt, similarity=likeness, choice=choice, cells=cells)

    def _cell(self, title: str, job: Job) -> Cell:
        began_s = time.perf_counter()
        picture = self._paint(job)
        return Cell(
            title=title,
            picture=picture,
            steps=job.level.steps_to_run,
            seconds=time.perf_counter() - began_s,
            facts=self._facts(picture, job.request.prompt),
        )

    def _with_estimates(self, prompt: str) -> tuple[Pixels, Entry]:
        job = make_job(self._engine.models, prompt, model=self._model, seed=SEED_OF_CACHED)
        job = msgspec.structs.replace(job, level=msgspec.structs.replace(job.level, captures=CAPTURES))
        found = []
        picture = self._paint(job, after=lambda: found.append(self._engine.captured(job.id)))
        captured = [each for each in found if each is not None]
        return picture, Entry(
            id="cached",
            owner="",
            scope="private",
            partition="",
            exact_key="",
            prompt=prompt,
            model=self._model,
            width=job.request.width,
            height=job.request.height,
            seed=SEED_OF_CACHED,
            steps=job.level.steps,
            noises=tuple(each.noise for each in captured),
            latents_ids=tuple(each.handle.id for each in captured),
            schedule=captured[0].noises,
            created_s=0.0,
            compute_s=0.0,
            size_bytes=0,
        )

    def _paint(self, job: Job, *, after: Callable[[], object] = lambda: None) -> Pixels:
        self._engine.begin([job])
        for _ in range(job.level.steps_to_run):
            self._engine.step([job.id])
            after()
        (picture,) = self._engine.finish([job.id])
        self._painted += 1
        self._on_picture(self._painted, max(self._total, self._painted))
        return picture

    def _facts(self, picture: Pixels, prompt: str) -> float | None:
        if self._model not in {LARGE, SMALL}:
            return None
        array = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
        return score(array, parse(prompt)).share


def write_sheet(rows: Sequence[SheetRow], path: Path, *, cached: str, model: str) -> None:
    """Write a sheet as a page or as one picture, by the end of the file's name."""
    if path.suffix.lower() == ".png":
        image = _as_picture(rows)
        write_atomically(path, lambda place: image.save(place, format="PNG"))
        return
    page = _as_page(rows, cached=cached, model=model)
    write_atomically(path, lambda place: place.write_text(page, encoding="utf-8"))


def _words(cell: Cell) -> list[str]:
    facts = "" if cell.facts is None else f", facts {cell.facts:.2f}"
    return [cell.title, f"{cell.steps} steps, {cell.seconds:.2f} s{facts}"]


def _image(picture: Pixels) -> Image.Image:
    return Image.frombytes("RGB", (picture.width, picture.height), picture.rgb)


def _as_picture(rows: Sequence[SheetRow]) -> Image.Image:
    """Return the rows below each other, each with its prompt above."""
    columns = max(len(row.cells) for row in rows)
    height = EDGE + 20 + SHOWN + CAPTION
    sheet = Image.new("RGB", (EDGE + columns * (SHOWN + 4 * EDGE), len(rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = number * height + EDGE
        draw.text((EDGE, top), f"{row.prompt}  (similarity {row.similarity:.3f}; {row.choice})", fill="black")
        for column, cell in enumerate(row.cells):
            left = EDGE + column * (SHOWN + 4 * EDGE)
            shown = _image(cell.picture)
            shown.thumbnail((SHOWN, SHOWN))
            sheet.paste(shown.resize((SHOWN, SHOWN * shown.height // shown.width)), (left, top + 20))
            draw.multiline_text((left, top + 24 + SHOWN), "\n".join(_words(cell)), fill="black")
    return sheet


def _as_page(rows: Sequence[SheetRow], *, cached: str, model: str) -> str:
    parts = [
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Reuse</title>",
        STYLE,
        f"<h1>Starts from an earlier picture</h1><p>{html.escape(model)}; cached: <q>{html.escape(cached)}</q></p>",
    ]
    for row in rows:
        parts.append(f"<h2>{html.escape(row.prompt)}</h2>")
        parts.append(f"<p>Similarity {row.similarity:.3f}; the level predictor: {html.escape(row.choice)}.</p>")
        parts += [_figure(cell) for cell in row.cells]
    return "\n".join(parts)


def _figure(cell: Cell) -> str:
    content = io.BytesIO()
    _image(cell.picture).save(content, format="PNG")
    source = base64.b64encode(content.getvalue()).decode()
    title, measured = map(html.escape, _words(cell))
    return (
        f'<figure><img alt="{title}" src="data:image/png;base64,{source}">'
        f"<figcaption>{title}<br>{measured}</figcaption></figure>"
    )
