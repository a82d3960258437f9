"""The worker's side: a ControlNet whose weights are in the ControlNet service."""

import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
import torch

from safelight.core.errors import AdapterFileError, ControlNetServiceEnded, ControlNetServiceLost
from safelight.core.frames import frame, read_body
from safelight.diffusion.controlnets.architecture import ControlNetInputs
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.families.residuals import Residuals
from safelight.worker.controlnet_service.messages import (
    Compute,
    Computed,
    Ended,
    Load,
    Loaded,
    Refused,
    ServiceRequest,
    ServiceResponse,
    decode_response,
    pack_inputs,
    unpack_residuals,
)

RETRY_S = 0.05
SocketFile = tuple[int, int]
"""Inode and time of change of a socket's file; each process of the service makes another one."""

LOAD_TRIES = 2
"""How often one ControlNet is requested if the service ends while loading it."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Time-outs of a worker, in seconds.

    Attributes:
        start_s: for the service to start, or to start again.
        load_s: for weights that it loads.
        answer_s: for residuals, while it computes those of other workers among them.
    """

    start_s: float = 60.0
    load_s: float = 300.0
    answer_s: float = 90.0


PATIENCE = Patience()


class RemoteControlNet:
    """One ControlNet in the service, on its own connection; the service keeps it until the connection is closed."""

    def __init__(self, connection: socket.socket, *, answer_s: float) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self._answer_s = answer_s
        self._number = 0
        self._weights_bytes = 0
        weakref.finalize(self, _close, connection, self._answers)

    @classmethod
    def load(
        cls, address: Path, folder: Path, base: ControlNetBase, *, patience: Patience = PATIENCE
    ) -> "RemoteControlNet":
        """Load the ControlNet in a diffusers folder through the service at a Unix socket.

        Raises:
            AdapterFileError: as `ControlNet.load`, or if the service cannot load it for another reason.
            ControlNetServiceLost: if the service does not start or answer in time.
            ControlNetServiceEnded: if the service ends each time.
        """
        ended: SocketFile | None = None
        with _losses_raised():
            for _ in range(LOAD_TRIES):
                connection, ended = _connect(address, within_s=patience.start_s, ended=ended)
                net = cls(connection, answer_s=patience.answer_s)
                with suppress(ConnectionError):
                    net._load(Load(folder=str(folder), base=base), within_s=patience.load_s)
                    return net
        raise ControlNetServiceEnded(
            f"The ControlNet service ended {LOAD_TRIES} times while it loaded {folder.name!r}."
        )

    @property
    def weights_bytes(self) -> int:
        """Bytes of its weights in the service."""
        return self._weights_bytes

    def start(self, inputs: ControlNetInputs) -> Callable[[], Residuals]:
        """Send what the ControlNet reads; what is returned waits for its residuals.

        Both raise ControlNetServiceLost.
        """
        self._number += 1
        with _losses_raised():
            self._send(Compute(number=self._number, tensors=pack_inputs(inputs)), within_s=self._answer_s)
        return partial(self._residuals, self._number, inputs.latents.device)

    def _residuals(self, number: int, device: torch.device) -> Residuals:
        with _losses_raised():
            while True:
                match self._receive():
                    # An earlier call may have been abandoned before its answer came.
                    case Computed(number=answered, tensors=tensors) if answered == number:
                        return unpack_residuals(tensors, device=device)
                    case Ended(reason=reason):
                        raise ControlNetServiceLost(f"The ControlNet service failed: {reason}")

    def _load(self, request: Load, *, within_s: float) -> None:
        self._send(request, within_s=within_s)
        match self._receive():
            case Loaded(weights_bytes=weights_bytes):
                self._weights_bytes = weights_bytes
            case Refused(message=message):
                raise AdapterFileError(message)
            case Ended(reason=reason):
                raise AdapterFileError(f"It cannot be read ({reason}).")

    def _send(self, request: ServiceRequest, *, within_s: float) -> None:
        self._connection.settimeout(within_s)
        self._connection.sendall(frame(request))

    def _receive(self) -> ServiceResponse:
        body = read_body(self._answers)
        if body is None:
            raise ConnectionResetError
        answer: ServiceResponse = decode_response(body)
        return answer


def _connect(address: Path, *, within_s: float, ended: SocketFile | None) -> tuple[socket.socket, SocketFile]:
    """Return a connection to the service once it listens, and its socket's file.

    The service whose socket's file is `ended` has ended. Its socket may take connections until its process is gone.
    """
    give_up_s = time.monotonic() + within_s
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(within_s)
        try:
            file = _socket_file(address)
            if file == ended:
                raise ConnectionRefusedError
            connection.connect(str(address))
        except OSError:
            connection.close()
            if time.monotonic() >= give_up_s:
                raise TimeoutError from None
            time.sleep(RETRY_S)
        else:
            return connection, file


def _socket_file(address: Path) -> SocketFile:
    state = address.stat()
    return state.st_ino, state.st_ctime_ns


def _close(connection: socket.socket, answers: BinaryIO) -> None:
    answers.close()
    connection.close()


@contextmanager
def _losses_raised() -> Iterator[None]:
    """Describe the state of the service, for an error message."""
    try:
        yield
    except TimeoutError:
        raise ControlNetServiceLost("The ControlNet service does not answer in time.") from None
    except OSError:
        raise ControlNetServiceLost("The ControlNet service has ended.") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise ControlNetServiceLost(f"The ControlNet service cannot be understood: {error}") from error
