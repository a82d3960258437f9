"""Checks and saves pictures in threads."""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safelight.bench.failures import Failure
from safelight.bench.media.pictures import decode_file, inspect_picture
from safelight.bench.media.saving import MediaFolder
from safelight.bench.media.videos import Decode, Frame, inspect_video
from safelight.bench.records import GenerationResult, Record

MOST_PICTURES = 16
"""One is asked for, and some models return it in layers."""

MOST_WAITING_BYTES = 256 << 20
"""The largest size of all pictures that wait for a check; further ones are left unchecked, and counted."""

THREADS = 2


@dataclass(frozen=True)
class _Waiting:
    record: Record
    result: GenerationResult
    held_bytes: int


class _Stopped(Exception):
    """The checker was stopped."""


@dataclass
class Checker:
    """Saves and checks pictures in threads, so that requests are sent on time; results go into the records.

    Attributes:
        looks: open every picture and video; else they are only saved.
        decode: decodes videos; with None, only the structure of a video file is checked.
        scores_scenes: whether every picture is scored by its prompt, as the caption of a scene.
        media_folder: saves pictures; None saves none.
        waiting: requests whose pictures are not checked yet.
        unchecked: requests whose pictures were skipped: too much was waiting, a check had an error, or it was stopped.
        was_cut: whether something was skipped because it was stopped.
        error: the first error of a check itself, which says nothing about the pictures.
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
        """Errors of saving and checking, in sentences."""
        found = [] if self.error is None else [f"not all pictures could be looked at: {self.error!r}"]
        if self.media_folder is not None and self.media_folder.problem:
            found.append(f"not all pictures were saved: {self.media_folder.problem}")
        return found

    def start(self) -> None:
        """Start the threads."""
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def put(self, record: Record, result: GenerationResult) -> None:
        """Queue a request's pictures."""
        held_bytes = sum(map(len, result.pictures))
        with self._lock:
            if self._waiting_bytes and self._waiting_bytes + held_bytes > MOST_WAITING_BYTES:
                self.unchecked += 1
                return
            self.waiting += 1
            self._waiting_bytes += held_bytes
        self._queue.put(_Waiting(record, result, held_bytes))

    def stop(self) -> None:
        """Skip everything that is not checked yet."""
        self._is_stopped = True

    def finish(self) -> None:
        """Check everything that is queued, and end the threads; may be called again."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (waiting := self._queue.get()) is not None:
            try:
                self._check(waiting.record, waiting.result)
            finally:
                with self._lock:
                    self.waiting -= 1
                    self._waiting_bytes -= waiting.held_bytes

    def _check(self, record: Record, result: GenerationResult) -> None:
        try:
            self._check_stop()
            self._save(record, result)
            if self.inspects:
                self._inspect(record, result)
        except Failure as failure:
            record.failure, record.message = failure.kind, failure.message
        except _Stopped:
            self._count_unchecked()
            self.was_cut = True
        except Exception as error:  # noqa: BLE001 - what is unknown must neither end the thread nor be lost
            self._count_unchecked()
            self.error = self.error or error

    def _count_unchecked(self) -> None:
        with self._lock:
            self.unchecked += 1

    def _check_stop(self) -> None:
        if self._is_stopped:
            raise _Stopped

    def _save(self, record: Record, result: GenerationResult) -> None:
        if self.media_folder is None:
            return
        for number, picture in enumerate(result.pictures[:MOST_PICTURES]):
            try:
                file = decode_file(picture)
            except Failure as failure:
                self.media_folder.note_problem(
                    f"what came for {record.request.request_id} is no base64: {failure.message}"
                )
            else:
                self.media_folder.save(record.request.request_id, number, file)

    def _inspect(self, record: Record, result: GenerationResult) -> None:
        request, caption = record.request, record.request.prompt if self.scores_scenes else None
        if (count := len(result.pictures)) > MOST_PICTURES:
            raise Failure("too_large", f"{count:,} pictures came in place of 1, and at most {MOST_PICTURES} may")
        for picture in result.pictures:
            self._check_stop()
            if result.is_video:
                assert isinstance(picture, bytes)
                decode = None if self.decode is None else self._frames
                video = inspect_video(picture, shape=request.shape, fps=request.fps, decode=decode)
                self._check_new(video.digest, request.prompt)
                record.is_still = video.is_still
            else:
                found = inspect_picture(picture, shape=request.shape, stated_format=result.format, caption=caption)
                self._check_new(found.digest, request.prompt)
                record.scene_score = found.scene_score

    def _frames(self, file: bytes, demuxer: str) -> Iterator[Frame]:
        """Decode until the checker is stopped, since a video may take minutes."""
        assert self.decode is not None
        for frame in self.decode(file, demuxer):
            self._check_stop()
            yield frame

    def _check_new(self, digest: bytes, prompt: str) -> None:
        with self._lock:
            first = self._prompts.setdefault(digest, prompt)
        if first != prompt:
            raise Failure("repeated", f"it came for {first!r:.80} before, now for {prompt!r:.80}")
