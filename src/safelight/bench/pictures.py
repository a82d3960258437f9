"""Whether what came is a picture, of the kind that was asked for; and a look at all that comes."""

import base64
import binascii
import hashlib
import io
import queue
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from safelight.bench.asks import Shape
from safelight.bench.failures import Failure
from safelight.bench.records import Record, Served
from safelight.bench.videos import Decode, look_at_video
from safelight.shapes.caption import parse
from safelight.shapes.score import score

MOST_PIXELS = 1 << 26
MOST_WAITING_BYTES = 256 << 20
"""Pictures that wait to be looked at hold so much; those that come on top are left unchecked, and counted."""

THREADS = 2
MOST_NAME_CHARACTERS = 100

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a picture showed: `digest` tells its pixels from others."""

    digest: bytes
    scene_score: float | None = None


def look(picture: str | bytes, *, shape: Shape, told_format: str | None, caption: str | None = None) -> Look:
    """Open a picture.

    Args:
        picture: base64 or a file.
        shape: as asked for; a size that was left to the server is not checked.
        told_format: what the answer says that it is.
        caption: of a scene, to score the picture by.

    Raises:
        Failure: if it is none, or not as asked for.
    """
    file = _file(picture)
    try:
        with Image.open(io.BytesIO(file)) as opened:
            _check(opened, shape, told_format)
            pixels = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Failure("damaged", f"{len(file):,} bytes that cannot be decoded: {error}") from None
    if all(low == high for low, high in map(_range, pixels.split())):
        raise Failure("blank", "all pixels are alike")
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
    share = None if caption is None else score(np.asarray(pixels), parse(caption)).share
    return Look(digest=digest, scene_score=share)


def _file(picture: str | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure("bad_base64", f"{len(picture):,} characters: {error}") from None


def _check(opened: Image.Image, shape: Shape, told_format: str | None) -> None:
    width, height = opened.size
    if width * height > MOST_PIXELS:
        raise Failure("too_large", f"the picture has {width}x{height} pixels")
    if shape.width and shape.height and (width, height) != (shape.width, shape.height):
        raise Failure("wrong_size", f"{width}x{height} in place of {shape.width}x{shape.height}")
    found = (opened.format or "").lower()
    if told_format and told_format.lower().replace("jpg", "jpeg") != found:
        raise Failure("wrong_format", f"{found} in place of {told_format}")


def _range(band: Image.Image) -> tuple[object, object]:
    """Return the least and the greatest value of a band of bytes."""
    low, high = band.getextrema()
    return low, high


@dataclass(frozen=True)
class _Waiting:
    record: Record
    served: Served
    held_bytes: int


@dataclass
class Checker:
    """Saves pictures and looks at them, in threads, so that requests are sent on time; findings go into the records.

    Attributes:
        looks: open every picture and video; else they are only saved.
        decode: what decodes videos; None has only their files' outermost parts looked at.
        scores_scenes: score every picture by its prompt, as the caption of a scene.
        folder: where to save what came; None saves nothing.
        trouble: why nothing more is saved.
        unchecked: pictures that were left out, since too many were waiting.
    """

    looks: bool = True
    decode: Decode | None = None
    scores_scenes: bool = False
    folder: Path | None = None
    trouble: str = ""
    unchecked: int = 0
    _queue: queue.SimpleQueue[_Waiting | None] = field(default_factory=queue.SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _prompts: dict[bytes, str] = field(default_factory=dict)
    _waiting_bytes: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to look."""
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def put(self, record: Record, served: Served) -> None:
        """Have a request's pictures looked at."""
        held_bytes = sum(map(len, served.pictures))
        with self._lock:
            if self._waiting_bytes and self._waiting_bytes + held_bytes > MOST_WAITING_BYTES:
                self.unchecked += 1
                return
            self._waiting_bytes += held_bytes
        self._queue.put(_Waiting(record, served, held_bytes))

    def finish(self) -> None:
        """Look at all that are waiting, and end."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            record = waiting.record
            try:
                self._save(record, waiting.served)
                if self.looks:
                    self._look(record, waiting.served)
            except Failure as failure:
                record.failure, record.message = failure.kind, failure.message
            with self._lock:
                self._waiting_bytes -= waiting.held_bytes

    def _save(self, record: Record, served: Served) -> None:
        if self.folder is None or self.trouble:
            return
        name = _UNFIT.sub("_", record.ask.request_id)[:MOST_NAME_CHARACTERS].lstrip(".")
        ending = "mp4" if served.is_video else _UNFIT.sub("_", served.format or "png")
        try:
            for number, picture in enumerate(served.pictures):
                (self.folder / f"{name}-{number}.{ending}").write_bytes(_file(picture))
        except OSError as error:
            self.trouble = f"{self.folder}: {error.strerror or error}"

    def _look(self, record: Record, served: Served) -> None:
        ask, caption = record.ask, record.ask.prompt if self.scores_scenes else None
        for picture in served.pictures:
            if served.is_video:
                assert isinstance(picture, bytes)
                video = look_at_video(picture, shape=ask.shape, fps=ask.fps, decode=self.decode)
                self._check_new(video.digest, ask.prompt)
                record.is_still = video.is_still
            else:
                found = look(picture, shape=ask.shape, told_format=served.format, caption=caption)
                self._check_new(found.digest, ask.prompt)
                record.scene_score = found.scene_score

    def _check_new(self, digest: bytes, prompt: str) -> None:
        with self._lock:
            first = self._prompts.setdefault(digest, prompt)
        if first != prompt:
            raise Failure("repeated", f"it came for {first!r:.80} before, now for {prompt!r:.80}")
