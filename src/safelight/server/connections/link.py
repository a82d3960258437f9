"""Joins requests to their connections."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.server.connections.protocol import CONNECTION, GuardedConnection

_DISCONNECT: Message = {"type": "http.disconnect"}
_CLOSE = (b"connection", b"close")


class ConnectionLink:
    """Middleware that tells a connection when a request has its response, and a request when its client has left.

    uvicorn does not tell a request whose client had sent further requests before it left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        connection = scope.get("state", {}).pop(CONNECTION, None)
        if scope["type"] != "http" or connection is None:
            await self._app(scope, receive, send)
            return
        await self._app(scope, _receive(connection, receive), _send(connection, send))


def _receive(connection: GuardedConnection, receive: Receive) -> Receive:
    is_body_over = False

    async def guarded() -> Message:
        nonlocal is_body_over
        if is_body_over:
            connection.listen()
            await connection.left.wait()
            return _DISCONNECT
        message = await receive()
        is_body_over = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return guarded


def _send(connection: GuardedConnection, send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            connection.has_response_begun = True
            if connection.is_last:
                message["headers"] = [*message["headers"], _CLOSE]
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            connection.answered()

    return guarded
