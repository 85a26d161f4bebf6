"""Checks of every request, and headers of every response."""

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Refuses requests for unknown host names and from other sites, and adds headers to all responses.

    With DNS rebinding, a browser sends requests of another site to this machine, with the host name of that site.
    Therefore the host name must be an IP address, localhost or one of `names`.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str] = ()) -> None:
        """Args:
        app: application that answers requests.
        names: additional host names of the page, without ports.
        """
        self.app, self.names = app, {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        answer: ASGIApp = self.app
        if not self._knows(host):
            answer = _refusal(f"{host[:100]} is not an allowed host name; add it to --allowed_hosts.")
        elif origin is not None and scope["method"] not in ("GET", "HEAD") and not self._same(origin, host):
            answer = _refusal("Requests from other sites are refused.")
        await answer(scope, receive, send_guarded)

    def _knows(self, host: str) -> bool:
        name = _name_of(f"//{host}")
        return name is not None and (name in self.names or _is_address(name))

    def _same(self, origin: str, host: str) -> bool:
        """Whether a request comes from this page; a reverse proxy may have replaced the name in `host`."""
        name = _name_of(origin)
        return origin.partition("://")[2].lower() == host.lower() or (name in self.names and name != "localhost")


def _refusal(message: str) -> JSONResponse:
    return JSONResponse({"detail": message}, 403)


def _name_of(address: str) -> str | None:
    """Returns the host name in an address; None if there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
