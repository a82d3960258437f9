"""What can go wrong between a client and a server.

SafelightError
└── ServerError
    ├── NoAnswer
    │   ├── ServerUnreachable no server listens at the address
    │   ├── ServerTimeout     it accepted the connection, and sent nothing for too long
    │   └── ConnectionLost    the connection ended before the answer was complete
    ├── NotSafelight          the answer is not one of Safelight's
    └── RequestRefused        the server refuses the request, in its own words
        └── ServerBusy        it may accept the request later

A request that the server accepted and could not complete is `safelight.core.errors.WorkFailed`.
"""

from http import HTTPStatus

from safelight.core.errors import SafelightError


class ServerError(SafelightError):
    """A server gave no usable answer."""


class NoAnswer(ServerError):
    """No complete answer came."""


class ServerUnreachable(NoAnswer):
    """No server listens at the address."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"No server answers at {url} ({reason}); start one with `safelight serve`.")


class ServerTimeout(NoAnswer):
    """The server sent nothing for too long."""

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(f"The server at {url} sent nothing for {timeout_s:g} s; allow more time, or look at its log.")


class ConnectionLost(NoAnswer):
    """The connection ended before the answer was complete."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The connection to {url} ended before the answer was complete ({reason}); try again.")


class NotSafelight(ServerError):
    """The answer is not one of Safelight's."""

    def __init__(self, url: str) -> None:
        super().__init__(f"The server at {url} is not Safelight; check the address.")


class RequestRefused(ServerError):
    """The server refuses the request.

    Attributes:
        status: HTTP status.
        code: a short, stable name of the reason; None if the server gives none.
        param: the field of the request that is wrong; None if no single one is.
    """

    def __init__(self, message: str, *, status: int, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def is_misuse(self) -> bool:
        """Whether the request itself is wrong, so that it would be refused again."""
        return self.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}


class ServerBusy(RequestRefused):
    """The server does not accept the request now: its queue is full, a deadline cannot be met, or it is not ready.

    Attributes:
        retry_after_s: seconds until another attempt may succeed; None if the server does not say.
    """

    def __init__(
        self, message: str, *, status: int, code: str | None, param: str | None, retry_after_s: float | None
    ) -> None:
        super().__init__(message, status=status, code=code, param=param)
        self.retry_after_s = retry_after_s
