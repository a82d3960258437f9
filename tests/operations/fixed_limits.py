"""The limits that no flag sets, by their names in the table of `docs/operations.md`."""

from safelight.access.keys_file import MAX_FILE_BYTES
from safelight.access.wrong_keys import MAX_ADDRESSES
from safelight.adapters.registry import MAX_PER_PICTURE
from safelight.control.config import MAX_ATTEMPTS, MAX_WAITING_BYTES, ORPHAN_WAIT_S
from safelight.core.level import MAX_STEPS
from safelight.server.connections.limits import MAX_HEADERS, MAX_PIPELINED, MOST_KEPT
from safelight.server.json_scan import MAX_JSON_BACKSLASHES, MAX_JSON_QUOTES, MAX_JSON_SYNTAX_BYTES
from safelight.server.log_forms import MOST_CHARACTERS
from safelight.server.log_stream import MAX_LINES
from safelight.server.middleware.limits import MAX_PATH_BYTES, MAX_QUERY_BYTES
from safelight.server.routes.adapters import READ_WITHIN_S
from safelight.server.settings import MAX_STORED, MAX_STORED_BYTES
from safelight.server.span_export import ExportLimits
from safelight.server.wire.bodies import MAX_BOUNDARY_BYTES, MOST_FIELDS, MOST_FILES
from safelight.server.wire.fields import MAX_CONTROLS
from safelight.service.paint_request import MAX_PICTURES, MAX_PROMPT_CHARACTERS
from safelight.service.pictures import MOST_PIXELS
from safelight.service.reuse.disk import MAX_WRITING_BYTES
from safelight.service.reuse.disk import READ_WITHIN_S as READ_PICTURE_WITHIN_S
from safelight.service.reuse.recorder import MOST_RECORDINGS
from safelight.worker.controlnet_service.service import CALL_WITHIN_S

FIXED_LIMITS = {
    "busy connections": [MOST_KEPT],
    "headers, trailers": [MAX_HEADERS],
    "bytes of the framing of a chunked body (extensions, trailers)": [],
    "pipelined requests that wait, of all connections": [MAX_PIPELINED],
    "log lines that wait to be written": [MAX_LINES],
    "bytes of the input pictures of waiting requests": [MAX_WAITING_BYTES],
    "share of the queue of one tenant, with `--keys`": [],
    "attempts of a picture, one for each worker that dies with it": [MAX_ATTEMPTS],
    "wait for a worker while no live worker serves the model": [ORPHAN_WAIT_S],
    "quotes, backslashes, and bytes outside of texts, of a JSON body or field": [
        MAX_JSON_QUOTES,
        MAX_JSON_BACKSLASHES,
        MAX_JSON_SYNTAX_BYTES,
    ],
    "bytes of a path and of a query string": [MAX_PATH_BYTES, MAX_QUERY_BYTES],
    "fields, files and bytes of the boundary of a form": [MOST_FIELDS, MOST_FILES, MAX_BOUNDARY_BYTES],
    "pictures of one request": [MAX_PICTURES],
    "characters of a prompt": [MAX_PROMPT_CHARACTERS],
    "steps of a picture": [MAX_STEPS],
    "pixels of a picture that is sent": [MOST_PIXELS],
    "LoRAs of a picture, and ControlNets of a picture": [MAX_PER_PICTURE, MAX_CONTROLS],
    "pictures kept for `response_format: url`, and answers kept for `Idempotency-Key`": [MAX_STORED, MAX_STORED_BYTES],
    "addresses whose wrong keys are counted": [MAX_ADDRESSES],
    "size of the keys file": [MAX_FILE_BYTES],
    "time in which a worker reads an adapter that is added": [READ_WITHIN_S],
    "time of one call of the ControlNet service": [CALL_WITHIN_S],
    "characters of one value of a log entry": [MOST_CHARACTERS],
    "spans that wait for the collector of traces": [ExportLimits().max_waiting],
    "time to send the last spans at the end": [ExportLimits().flush_s],
    "time of a read from `--reuse-dir`": [READ_PICTURE_WITHIN_S],
    "bytes of earlier pictures that wait for a slow disk": [MAX_WRITING_BYTES],
    "pictures whose estimates are collected at once": [MOST_RECORDINGS],
}
