"""A browser without a screen for an ASGI application: keeps cookies, opens no socket."""

import asyncio
from functools import partialmethod

import httpx


class AsgiBrowser:
    """Asks the application and waits for its answer."""

    def __init__(self, app, base_url):
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(transport=transport, base_url=base_url)

    def request(self, method, url, **given):
        return asyncio.run(self._client.request(method, url, **given))

    get, post = partialmethod(request, "GET"), partialmethod(request, "POST")
