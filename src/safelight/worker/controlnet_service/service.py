"""The service's side: each ControlNet once, for all workers that use it."""

import socket
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from weakref import WeakValueDictionary

import msgspec
import torch

from safelight.core.errors import AdapterFileError
from safelight.core.frames import frame, read_body
from safelight.diffusion.controlnets.local import LocalControlNet
from safelight.diffusion.families.controlnet_base import ControlNetBase
from safelight.diffusion.placement import Placement
from safelight.worker.controlnet_service.messages import (
    Compute,
    Computed,
    Ended,
    Load,
    Loaded,
    Refused,
    ServiceRequest,
    ServiceResponse,
    decode_request,
    pack_residuals,
    unpack_inputs,
)
from safelight.worker.controlnet_service.watch import watched

BACKLOG = 128
CALL_WITHIN_S = 60.0
"""Time limit of a call of a ControlNet; the process ends if a call takes longer, and is restarted."""


class ControlNets:
    """The ControlNets in use; a folder whose files have changed is another ControlNet."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self._nets: WeakValueDictionary[bytes, LocalControlNet] = WeakValueDictionary()
        self._lock = Lock()

    @property
    def weights_bytes(self) -> int:
        """Bytes of all their weights."""
        return sum(net.weights_bytes for net in list(self._nets.values()))

    def get(self, folder: Path, base: ControlNetBase) -> LocalControlNet:
        """Load a ControlNet unless somebody holds it; raises AdapterFileError as `LocalControlNet.load`."""
        key = msgspec.msgpack.encode((str(folder), _state(folder), base))
        with self._lock:
            net = self._nets.get(key)
            if net is None:
                net = self._nets[key] = LocalControlNet.load(folder, base, placement=self.placement)
            return net


class ControlNetService:
    """Answers workers on a Unix socket: each connection holds one ControlNet, and one call runs at a time."""

    def __init__(self, listener: socket.socket, nets: ControlNets, *, call_within_s: float = CALL_WITHIN_S) -> None:
        self._listener = listener
        self._call_within_s = call_within_s
        self.nets = nets
        self._calls = Lock()
        self._accepting = Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Accept no further connection, and begin no further call."""
        self._calls.acquire()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        session = _Session(self.nets, self._calls, self._call_within_s)
        with connection, connection.makefile("rb") as requests, suppress(OSError), torch.inference_mode():
            while not session.is_over and (body := read_body(requests)) is not None:
                connection.sendall(session.answer(body))


class _Session:
    """One connection: its ControlNet, and its answers."""

    def __init__(self, nets: ControlNets, calls: Lock, call_within_s: float) -> None:
        self._nets = nets
        self._calls = calls
        self._call_within_s = call_within_s
        self._net: LocalControlNet | None = None
        self.is_over = False

    def answer(self, body: bytes) -> bytes:
        """Return a frame; an invalid message is answered, never raised."""
        try:
            return frame(self._answer(decode_request(body)))
        except AdapterFileError as error:
            self.is_over = True
            return frame(Refused(message=str(error)))
        except Exception as error:  # noqa: BLE001 - see above
            self.is_over = True
            return frame(Ended(reason=f"{type(error).__name__}: {error}"))

    def _answer(self, request: ServiceRequest) -> ServiceResponse:
        match request:
            case Load(folder=folder, base=base) if self._net is None:
                self._net = self._nets.get(Path(folder), base)
                return Loaded(weights_bytes=self._net.weights_bytes)
            case Compute(number=number, tensors=tensors) if self._net is not None:
                return Computed(number=number, tensors=self._compute(self._net, tensors))
        raise ValueError(f"{type(request).__name__} comes out of turn")

    def _compute(self, net: LocalControlNet, tensors: bytes) -> bytes:
        inputs = unpack_inputs(tensors, device=self._nets.placement.device)
        with self._calls, watched(self._call_within_s):
            # On a GPU the call returns at once; packing waits for the result.
            return pack_residuals(net(inputs))


def listen(address: Path) -> socket.socket:
    """Return a socket that listens at `address`, for this user only; it replaces the socket of a previous process."""
    if address.is_socket():
        address.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    address.chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def _state(folder: Path) -> list[tuple[str, int, int, int]]:
    """Return a value that changes when a file in the folder does; the load reports dangling links."""
    stats = ((path.name, path.stat()) for path in sorted(folder.glob("*")) if path.exists())
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
