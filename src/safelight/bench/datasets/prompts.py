"""Prompts from files: lines of text, lines of JSON, and VBench's folders and lists."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from safelight.bench.datasets.dataset import Dataset, DatasetOptions, LoadedRequests, from_prompts
from safelight.bench.datasets.digest import sha256_of_files
from safelight.bench.datasets.json_text import Count, Positive, Seed, read_json
from safelight.bench.datasets.published import cached_file
from safelight.bench.errors import BadLoad
from safelight.bench.media.inputs import Input, InputReader
from safelight.bench.media.shape import Shape
from safelight.bench.requests import LoadRequest
from safelight.core.errors import shorten

Names = str | list[str] | None

OTHERWISE = (
    "Name a file with --dataset-path, as VBench has under prompts/prompts_per_dimension; "
    "--dataset random needs no file."
)
PICTURES = "VBench-I2V's pictures are not fetched; requests start from those of --input-image, or from white ones"
NO_PROMPT = ("<", "{", "\0")
"""Prefixes of HTML pages, JSON errors and binary files."""


class PromptRow(msgspec.Struct, frozen=True, kw_only=True):
    """The known fields of a line of JSON; other fields go into the request unchanged."""

    prompt: str
    negative_prompt: str | None = None
    width: Count | None = None
    height: Count | None = None
    num_frames: Count | None = None
    num_inference_steps: Count | None = None
    seed: Seed | None = None
    fps: Count | None = None
    guidance_scale: float | None = None
    slo_ms: Positive | None = None
    image_paths: Names = None
    image_path: Names = None
    image_urls: Names = None
    video_paths: Names = None
    video_path: Names = None
    video_urls: Names = None

    @property
    def inputs(self) -> Sequence[str]:
        """Pictures, then videos, each from the first field of vLLM-Omni that is set."""
        pictures = self.image_paths or self.image_path or self.image_urls
        videos = self.video_paths or self.video_path or self.video_urls
        return [*_listed_names(pictures), *_listed_names(videos)]


def _listed_names(names: Names) -> Sequence[str]:
    return [names] if isinstance(names, str) else names or ()


class ParsedLine(NamedTuple):
    """A line of JSON: its location, its known fields, and the others."""

    location: str
    row: PromptRow
    extra: dict[str, object]


def read_prompts(options: DatasetOptions) -> LoadedRequests:
    """Read lines of text or of JSON, repeated if there are too few."""
    path = options.file("prompts")
    texts = _numbered_lines(path)
    if not texts[0][1].startswith("{"):
        return replace(from_prompts(options, [text for _, text in texts]), sha256=sha256_of_files([path]))
    return _rows(options, path, texts)


def read_custom(options: DatasetOptions) -> LoadedRequests:
    """Read lines of JSON, as vLLM-Omni's benchmark does under this name."""
    path = options.file("custom")
    return _rows(options, path, _numbered_lines(path))


def _rows(options: DatasetOptions, path: Path, texts: Sequence[tuple[int, str]]) -> LoadedRequests:
    lines = [_line(text, f"Line {number} of {shorten(str(path))}") for number, text in texts]
    files = InputReader()
    requests = [
        _request_of(number, line, files.read(line.row.inputs, folder=path.parent, location=line.location), options)
        for number, line in enumerate(islice(cycle(lines), options.count))
    ]
    return LoadedRequests(requests=requests, sha256=sha256_of_files([path]))


def read_vbench(options: DatasetOptions) -> LoadedRequests:
    """Read VBench's prompts: the published file, a text with one prompt a line, a JSON list, or a folder of texts."""
    if options.path is None:
        file = cached_file("vbench", options.task, options.sources, check=_check_published, otherwise=OTHERWISE)
        files, notes = [file.path], [file.note, *([PICTURES] if _is_list(file.path.name) else [])]
    else:
        files, notes = _files(options.file("vbench", hint=f" {OTHERWISE}")), []
    prompts = [prompt for file in files for prompt in _prompts(file, file.name)]
    return replace(from_prompts(options, prompts), sha256=sha256_of_files(files), notes=notes)


def _files(path: Path) -> list[Path]:
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise BadLoad(f"The folder {shorten(str(path))} has no .txt files with prompts.")
    return files


def _check_published(path: Path, name: str) -> None:
    try:
        prompts = _prompts(path, name)
    except BadLoad:
        raise BadLoad(f"it is no {'list' if _is_list(name) else 'text'} with prompts.") from None
    for prompt in prompts:
        if prompt.startswith(NO_PROMPT):
            raise BadLoad(f"{shorten(prompt)} is no prompt.")


def _prompts(path: Path, name: str) -> Sequence[str]:
    return _listed(path) if _is_list(name) else _lines(path)


def _is_list(name: str) -> bool:
    return name.endswith(".json")


class _Listed(msgspec.Struct):
    prompt_en: str


def _listed(path: Path) -> Sequence[str]:
    listed = read_json(
        path.read_bytes(), list[_Listed], location=f"{shorten(str(path))} is no list of VBench's prompts"
    )
    found = [each.prompt_en for each in listed]
    if not found:
        raise BadLoad(f"{shorten(str(path))} has no prompt.")
    return found


def _lines(path: Path) -> Sequence[str]:
    return [line for _, line in _numbered_lines(path)]


def _numbered_lines(path: Path) -> Sequence[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadLoad(f"{shorten(str(path))} is not UTF-8: {error}.") from None
    except IsADirectoryError:
        raise BadLoad(f"{shorten(str(path))} is a folder; name a file with prompts.") from None
    found = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise BadLoad(f"{shorten(str(path))} has no prompt.")
    return found


def _line(text: str, location: str) -> ParsedLine:
    row = read_json(text, PromptRow, location=location, is_strict=False)
    fields = read_json(text, dict[str, object], location=location)
    return ParsedLine(
        location, row, {name: value for name, value in fields.items() if name not in PromptRow.__struct_fields__}
    )


def _request_of(number: int, line: ParsedLine, inputs: tuple[Input, ...], options: DatasetOptions) -> LoadRequest:
    row, shape = line.row, options.shape
    return LoadRequest(
        request_id=f"bench-{number}",
        prompt=row.prompt,
        negative_prompt=row.negative_prompt,
        shape=Shape(
            row.width or shape.width,
            row.height or shape.height,
            row.num_frames or shape.frames,
            row.num_inference_steps or shape.steps,
        ),
        seed=options.seed if row.seed is None else row.seed,
        fps=row.fps or options.fps,
        guidance_scale=row.guidance_scale,
        inputs=inputs,
        deadline_s=None if row.slo_ms is None else row.slo_ms / 1000,
        extra=line.extra or None,
    )


PROMPTS = Dataset(name="prompts", read=read_prompts)
CUSTOM = Dataset(name="custom", read=read_custom)
VBENCH = Dataset(name="vbench", read=read_vbench)
