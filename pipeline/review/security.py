"""Who may ask the review server for what.

- Only this machine: the server listens on the loopback, and a request must name it as its host, so
  that no page of another site reaches it under a name of its own (DNS rebinding).
- Only the reviewers: each has a link whose token is exchanged once for a cookie that scripts cannot
  read and other sites cannot use.
- Writes only from our page, in the name of its reviewer: a POST needs a header that no form and no
  other site can send, and that names the cookie's reviewer.
- Nothing is cached, framed, or loaded from elsewhere; the one script is a file of ours.
"""

import secrets
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost", "[::1]")
REVIEWER_HEADER = "x-dental-reviewer"
MOST_BYTES = 10_000  # of a request
HOURS = 12  # that a cookie lasts
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Access:
    """The links and sessions of the reviewers of one server."""

    def __init__(self, reviewers: Iterable[str], port: int):
        self.port = port
        self.links = {secrets.token_urlsafe(32): reviewer for reviewer in reviewers}
        self._sessions: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers share cookies between the ports of a host."""
        return f"dental_review_{self.port}"

    def urls(self) -> dict[str, str]:
        """The link of every reviewer that was not used yet."""
        return {
            name: f"http://127.0.0.1:{self.port}/login/{token}"
            for token, name in self.links.items()
        }

    def exchange(self, token: str) -> str | None:
        """The session for a link's token, which is then used up; None for any other token."""
        reviewer = self.links.pop(token, None)
        if reviewer is None:
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = reviewer
        return session

    def reviewer(self, request: Request) -> str | None:
        """Whose cookie a request has."""
        return self._sessions.get(request.cookies.get(self.cookie, ""))

    def refusal(self, request: Request) -> str | None:
        """Why a request with a valid cookie may not write; None if it may."""
        named = request.headers.get(REVIEWER_HEADER)
        if named is None:
            return f"the header {REVIEWER_HEADER} is missing"
        if named != self.reviewer(request):
            return "this page belongs to another reviewer; load it again"
        origin = request.headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts()}:
            return "the request comes from another site"
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "the request comes from another site"
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return f"the request is larger than {MOST_BYTES} bytes, or its size is unknown"
        return None

    def hosts(self) -> set[str]:
        """Names under which the server may be asked."""
        return {f"{host}:{self.port}" for host in HOSTS}


class Guard:
    """Refuses requests for another host, and adds the headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access):
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if Headers(scope=scope).get("host", "").lower() in self._access.hosts():
            await self._app(scope, receive, send_with_headers)
        else:
            refused = PlainTextResponse("Unknown host.", HTTPStatus.MISDIRECTED_REQUEST)
            await refused(scope, receive, send_with_headers)
