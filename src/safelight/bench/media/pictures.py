"""Whether what came is a picture, of the kind that was asked for; and a look at all that comes."""

import base64
import binascii
import hashlib
import io
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, UnidentifiedImageError

from safelight.bench.failures import Failure
from safelight.bench.media.saving import MediaFolder
from safelight.bench.media.videos import Decode, Frame, inspect_video
from safelight.bench.records import GenerationResult, Record
from safelight.bench.requests import Shape
from safelight.core.errors import InvalidParameter, shorten
from safelight.shapes.caption import parse
from safelight.shapes.score import score

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""Pillow reads many more, and would start other programs for some."""

MOST_PIXELS = 1 << 26
MOST_PICTURES = 16
"""One is asked for, and some models give it in layers."""

MOST_WAITING_BYTES = 256 << 20
"""Pictures that wait to be looked at hold so much; those that come on top are left unchecked, and counted."""

THREADS = 2


@dataclass(frozen=True, kw_only=True)
class PictureInspection:
    """What a picture showed: `digest` tells its pixels from others."""

    digest: bytes
    scene_score: float | None = None


def inspect_picture(
    picture: str | bytes, *, shape: Shape, told_format: str | None, caption: str | None = None
) -> PictureInspection:
    """Open a picture.

    Args:
        picture: base64 or a file.
        shape: as asked for; a size that was left to the server is not checked.
        told_format: what the answer says that it is.
        caption: of a scene, to score the picture by.

    Raises:
        Failure: if it is none, or not as asked for.
    """
    pixels = _pixels(_file(picture), shape, told_format)
    if all(low == high for low, high in map(_range, pixels.split())):
        raise Failure("blank", "all pixels are alike")
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
    return PictureInspection(digest=digest, scene_score=None if caption is None else _score(pixels, caption))


def _file(picture: str | bytes) -> bytes:
    if isinstance(picture, bytes):
        return picture
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failure("bad_base64", f"{len(picture):,} characters: {error}") from None


def _pixels(file: bytes, shape: Shape, told_format: str | None) -> Image.Image:
    try:
        with Image.open(io.BytesIO(file), formats=FORMATS) as opened:
            _check(opened, shape, told_format)
            return opened.convert("RGB")
    except Failure:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise Failure("damaged", f"{len(file):,} bytes that are none of {known}: {shorten(file[:16])}") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything at bytes that others made
        raise Failure("damaged", f"{len(file):,} bytes that cannot be decoded: {error}") from None


def _score(pixels: Image.Image, caption: str) -> float:
    try:
        return score(np.asarray(pixels), parse(caption)).share
    except InvalidParameter as error:
        raise Failure("wrong_size", f"it cannot be scored: {error}") from None


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
    result_of: GenerationResult
    held_bytes: int


class _Stopped(Exception):
    """Nobody waits for what this looks at any more."""


@dataclass
class Checker:
    """Saves pictures and looks at them, in threads, so that requests are sent on time; findings go into the records.

    Attributes:
        looks: open every picture and video; else they are only saved.
        decode: what decodes videos; None has only their files' outermost parts looked at.
        scores_scenes: score every picture by its prompt, as the caption of a scene.
        album: saves what came; None saves nothing.
        waiting: requests whose pictures are still to be looked at.
        unchecked: requests whose pictures were left out: too much was waiting, looking failed, or it was stopped.
        was_cut: whether something was left out since it was stopped.
        error: the first that looking failed with, which is no fault of the pictures.
    """

    inspects: bool = True
    decode: Decode | None = None
    scores_scenes: bool = False
    media_folder: MediaFolder | None = None
    waiting: int = 0
    unchecked: int = 0
    was_cut: bool = False
    error: Exception | None = None
    _queue: queue.SimpleQueue[_Waiting | None] = field(default_factory=queue.SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _prompts: dict[bytes, str] = field(default_factory=dict)
    _waiting_bytes: int = 0
    _is_stopped: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def problems(self) -> Sequence[str]:
        """What went wrong here, in sentences."""
        found = [] if self.error is None else [f"not all pictures could be looked at: {self.error!r}"]
        if self.media_folder is not None and self.media_folder.problem:
            found.append(f"not all pictures were saved: {self.media_folder.problem}")
        return found

    def start(self) -> None:
        """Begin to look."""
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def put(self, record: Record, result_of: GenerationResult) -> None:
        """Have a request's pictures looked at."""
        held_bytes = sum(map(len, result_of.pictures))
        with self._lock:
            if self._waiting_bytes and self._waiting_bytes + held_bytes > MOST_WAITING_BYTES:
                self.unchecked += 1
                return
            self.waiting += 1
            self._waiting_bytes += held_bytes
        self._queue.put(_Waiting(record, result_of, held_bytes))

    def stop(self) -> None:
        """Leave out all that was not looked at yet."""
        self._is_stopped = True

    def finish(self) -> None:
        """Look at all that are waiting, and end; may be called again."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            try:
                self._judge(waiting.record, waiting.result_of)
            finally:
                with self._lock:
                    self.waiting -= 1
                    self._waiting_bytes -= waiting.held_bytes

    def _judge(self, record: Record, result_of: GenerationResult) -> None:
        try:
            self._check_stop()
            self._save(record, result_of)
            if self.inspects:
                self._look(record, result_of)
        except Failure as failure:
            record.failure, record.message = failure.kind, failure.message
        except _Stopped:
            self._leave_out()
            self.was_cut = True
        except Exception as error:  # noqa: BLE001 - what is unknown must neither end the thread nor be lost
            self._leave_out()
            self.error = self.error or error

    def _leave_out(self) -> None:
        with self._lock:
            self.unchecked += 1

    def _check_stop(self) -> None:
        if self._is_stopped:
            raise _Stopped

    def _save(self, record: Record, result_of: GenerationResult) -> None:
        if self.media_folder is None:
            return
        for number, picture in enumerate(result_of.pictures[:MOST_PICTURES]):
            try:
                file = _file(picture)
            except Failure as failure:
                self.media_folder.note(f"what came for {record.request.request_id} is no base64: {failure.message}")
            else:
                self.media_folder.save(record.request.request_id, number, file)

    def _look(self, record: Record, result_of: GenerationResult) -> None:
        request, caption = record.request, record.request.prompt if self.scores_scenes else None
        if (count := len(result_of.pictures)) > MOST_PICTURES:
            raise Failure("too_large", f"{count:,} pictures came in place of 1, and at most {MOST_PICTURES} may")
        for picture in result_of.pictures:
            self._check_stop()
            if result_of.is_video:
                assert isinstance(picture, bytes)
                decode = None if self.decode is None else self._frames
                video = inspect_video(picture, shape=request.shape, fps=request.fps, decode=decode)
                self._check_new(video.digest, request.prompt)
                record.is_still = video.is_still
            else:
                found = inspect_picture(picture, shape=request.shape, told_format=result_of.format, caption=caption)
                self._check_new(found.digest, request.prompt)
                record.scene_score = found.scene_score

    def _frames(self, file: bytes, demuxer: str) -> Iterator[Frame]:
        """Decode until it is stopped, since a video may take minutes."""
        assert self.decode is not None
        for frame in self.decode(file, demuxer):
            self._check_stop()
            yield frame

    def _check_new(self, digest: bytes, prompt: str) -> None:
        with self._lock:
            first = self._prompts.setdefault(digest, prompt)
        if first != prompt:
            raise Failure("repeated", f"it came for {first!r:.80} before, now for {prompt!r:.80}")
