"""LitServe with one worker that answers with the picture: `lit_serve.py PORT`. It ends with its input."""

import os
import signal
import sys
import threading

import litserve
from picture import answer


class Picture(litserve.LitAPI):
    """Encodes in LitServe's worker process."""

    def setup(self, device):
        """Load nothing."""

    def predict(self, request):
        """Return the answer to any request."""
        return answer()


def end_with_input():
    """Interrupt this process when its input is closed, by the process that started it or by the end of that process."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    threading.Thread(target=end_with_input, daemon=True).start()
    server = litserve.LitServer(Picture(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
