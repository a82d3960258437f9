"""A shortcut to the routes that paint pictures."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]
ErrorHandler = Callable[[Request, Exception], Awaitable[Response]]


class DirectRoutes:
    """Innermost middleware: calls the handlers of some routes itself, and passes other requests to the application.

    FastAPI's dispatch to a handler takes longer than all other work for a small picture. The application has the same
    routes, for its OpenAPI document and for requests with other methods.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        handlers: Mapping[tuple[str, str], Handler],
        error_handlers: Mapping[type[Exception], ErrorHandler],
    ) -> None:
        """Wrap `app`.

        Args:
            app: the application.
            handlers: by method and path; each reads its request itself.
            error_handlers: make the responses to errors of handlers, as in the application.
        """
        self._app = app
        self._handlers = handlers
        self._error_handlers = error_handlers
        self._errors = tuple(error_handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        handler = self._handlers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await handler(request)
        except self._errors as error:
            response = await self._error_handler(error)(request, error)
        await response(scope, receive, send)

    def _error_handler(self, error: Exception) -> ErrorHandler:
        return next(handler for kind, handler in self._error_handlers.items() if isinstance(error, kind))
