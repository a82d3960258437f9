"""The routes of an application."""

from starlette.routing import Route


def all_routes(app):
    """Every path with its methods, as the router itself would match them."""
    return [(route.path, method) for route in _flatten(app.routes) for method in sorted(route.methods)]


def example(path):
    """A path that a route with parameters matches."""
    return path.replace("{", "").replace("}", "")


def _flatten(routes):
    for route in routes:
        if isinstance(route, Route) or hasattr(route, "methods"):
            yield route
        else:
            yield from _flatten(route.original_router.routes)
