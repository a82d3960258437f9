"""Messages on a byte stream: a four-byte big-endian length, then MessagePack of a tagged struct."""

import struct
from typing import BinaryIO

import msgspec

from safelight.core.work import WorkerCommand, WorkerEvent

HEADER = struct.Struct(">I")
LONGEST_BODY = 2**32 - 1

_encoder = msgspec.msgpack.Encoder()
decode_command = msgspec.msgpack.Decoder(WorkerCommand).decode
decode_event = msgspec.msgpack.Decoder(WorkerEvent).decode


def frame(message: msgspec.Struct) -> bytes:
    """Return `message` as one frame, header included; raises ValueError if it is too long for one."""
    body = _encoder.encode(message)
    if len(body) > LONGEST_BODY:
        raise ValueError(f"A message has {len(body)} bytes, and at most {LONGEST_BODY} go into one.")
    return HEADER.pack(len(body)) + body


def read_body(stream: BinaryIO) -> bytes | None:
    """Return the body of the next frame of a blocking stream, or None when the stream has ended."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    body = stream.read(length)
    return body if len(body) == length else None
