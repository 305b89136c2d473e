"""The review server: routes of the page, its data, its pictures and its decisions.

Slow work runs in threads: reading pictures in parallel, and heat maps and similar crops one
at a time, so that neither delays the next picture.
"""

import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import partial, wraps
from http import HTTPStatus

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import ConfigError, PipelineError
from pipeline.review.cards import scan_key
from pipeline.review.drawing import draw_missed, drawn_boxes, take_back
from pipeline.review.page import asset, login_html, page_html
from pipeline.review.pictures import Pictures
from pipeline.review.review import Review
from pipeline.review.security import HOURS, Access, Guard

Endpoint = Callable[["ReviewServer", Request, str], Awaitable[Response]]
PACK_EVERY = 64  # decisions
ASSETS = {"review.js": "text/javascript", "review.css": "text/css"}


def problem(message: str, status: HTTPStatus) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def reads(endpoint: Endpoint) -> Endpoint:
    """Let only reviewers in; the endpoint also gets whose request it is."""

    @wraps(endpoint)
    async def checked(self: "ReviewServer", request: Request) -> Response:
        reviewer = self.access.reviewer(request)
        if reviewer is None:
            message = "Open the link that `dental review` printed for you."
            return problem(message, HTTPStatus.UNAUTHORIZED)
        try:
            return await endpoint(self, request, reviewer)
        except ConfigError as error:
            return problem(str(error), HTTPStatus.BAD_REQUEST)
        except (PipelineError, OSError) as error:
            message = error.strerror if isinstance(error, OSError) else str(error)
            return problem(message or "The store is not at hand.", HTTPStatus.SERVICE_UNAVAILABLE)

    return checked


def writes(endpoint: Endpoint) -> Endpoint:
    """Let only requests of the reviewer's own page in."""

    @wraps(endpoint)
    async def checked(self: "ReviewServer", request: Request, reviewer: str) -> Response:
        if refusal := self.access.refusal(request):
            return problem(f"Refused: {refusal}.", HTTPStatus.FORBIDDEN)
        return await endpoint(self, request, reviewer)

    return reads(checked)


class ReviewServer:
    """The routes over one review."""

    def __init__(self, review: Review, access: Access):
        self.review, self.access = review, access
        self.pictures = Pictures(review.settings)
        # Created in the loop that uses it.
        self._one_at_a_time: anyio.CapacityLimiter | None = None

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/login/{token}", self.login),
            Route("/", self.page),
            *(Route(f"/{name}", partial(self.asset, name)) for name in ASSETS),
            Route("/api/cards", self.cards),
            Route("/api/crop/{crop_id:path}", self.crop),
            Route("/api/scan/{scan:path}", self.scan),
            Route("/api/about/{crop_id:path}", self.about),
            Route("/api/heat/{crop_id:path}", self.heat_map),
            Route("/api/agreement", self.agreement),
            Route("/api/decide", self.decide, methods=["POST"]),
            Route("/api/undo", self.undo, methods=["POST"]),
            Route("/api/draw", self.draw, methods=["POST"]),
            Route("/api/take-back", self.take_back, methods=["POST"]),
        ]
        return Starlette(routes=routes, middleware=[Middleware(Guard, access=self.access)])

    async def login(self, request: Request) -> Response:
        """Exchange a link's token for a cookie, once."""
        # What only looks at a link, such as a chat's preview, must not use it up.
        if request.method == "HEAD" or "sec-purpose" in request.headers:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        session = self.access.exchange(request.path_params["token"])
        if session is None and self.access.reviewer(request) is None:
            return HTMLResponse(login_html(refused=True), HTTPStatus.FORBIDDEN)
        # Not a redirect: a browser that came from another site would not send the strict cookie.
        response = HTMLResponse(login_html(refused=False))
        if session:
            response.set_cookie(
                self.access.cookie, session, HOURS * 3600, httponly=True, samesite="strict"
            )
        return response

    async def page(self, request: Request) -> Response:
        reviewer = self.access.reviewer(request)
        if reviewer is None:
            return HTMLResponse(login_html(refused=True), HTTPStatus.UNAUTHORIZED)
        return HTMLResponse(page_html(reviewer))

    async def asset(self, name: str, _: Request) -> Response:
        return Response(asset(name), media_type=ASSETS[name])

    @reads
    async def cards(self, request: Request, reviewer: str) -> Response:
        batch = request.query_params.get("batch") or None
        return JSONResponse(await anyio.to_thread.run_sync(self._cards, reviewer, batch))

    def _cards(self, reviewer: str, batch: str | None) -> dict:
        cards = self.review.cards_for(reviewer, batch)
        found = self.review.refresh(batch)
        return {
            "reviewer": reviewer,
            "cards": cards,
            "total": found.total,
            "batches": found.batches,
            "classes": vars(found.classes),
            "regions": drawn_boxes(self.review.store),
            "done": self.review.decided(reviewer),
            "news": self.review.news(reviewer, 0)[0],
        }

    @reads
    async def crop(self, request: Request, reviewer: str) -> Response:
        found = self.review.find(request.path_params["crop_id"])
        if found is None:
            return problem("There is no such crop.", HTTPStatus.NOT_FOUND)
        return picture(await anyio.to_thread.run_sync(self.pictures.crop, found[1]))

    @reads
    async def scan(self, request: Request, reviewer: str) -> Response:
        rows = self.review.rows_of_scan(request.path_params["scan"])
        if not rows:
            return problem("There is no such scan.", HTTPStatus.NOT_FOUND)
        return picture(await anyio.to_thread.run_sync(self.pictures.scan, rows))

    @reads
    async def about(self, request: Request, reviewer: str) -> Response:
        return await self._alone(self.review.about, request, reviewer)

    @reads
    async def heat_map(self, request: Request, reviewer: str) -> Response:
        return await self._alone(self.review.heat_map, request, reviewer)

    @reads
    async def agreement(self, _: Request, reviewer: str) -> Response:
        return JSONResponse(await self._slow(self.review.agreement))

    async def _slow(self, work: Callable, *given: str) -> object:
        """Run `work` in a thread, one request at a time."""
        self._one_at_a_time = self._one_at_a_time or anyio.CapacityLimiter(1)
        return await anyio.to_thread.run_sync(work, *given, limiter=self._one_at_a_time)

    async def _alone(self, work: Callable, request: Request, reviewer: str) -> Response:
        """Answer with what `work` computes for a crop."""
        crop_id = request.path_params["crop_id"]
        if self.review.find(crop_id) is None:
            return problem("There is no such crop.", HTTPStatus.NOT_FOUND)
        found = await self._slow(work, crop_id, reviewer)
        if found is None:
            message = "There is no score to explain, or this crop is to be judged without it."
            return problem(message, HTTPStatus.NOT_FOUND)
        return JSONResponse(found)

    @writes
    async def decide(self, request: Request, reviewer: str) -> Response:
        return await self._change(self.review.decide, request, reviewer)

    @writes
    async def undo(self, request: Request, reviewer: str) -> Response:
        return await self._change(self.review.undo, request, reviewer)

    @writes
    async def draw(self, request: Request, reviewer: str) -> Response:
        given = await _json(request)
        crop_id, box, label = (given.get(name) for name in ("crop_id", "box", "label"))
        whole = isinstance(box, list) and len(box) == 4 and all(type(each) is int for each in box)
        if not whole or not isinstance(crop_id, str):
            raise ConfigError("The request names no crop_id, or no box of four whole numbers.")
        work = partial(draw_missed, self.review, reviewer, crop_id, box, label)
        drawn = await anyio.to_thread.run_sync(work)
        return await self._drawn(crop_id, drawn.crop_id)

    @writes
    async def take_back(self, request: Request, reviewer: str) -> Response:
        given = await _json(request)
        crop_id, drawn_id = str(given.get("crop_id")), str(given.get("drawn"))
        await anyio.to_thread.run_sync(take_back, self.review, reviewer, crop_id, drawn_id)
        return await self._drawn(crop_id, drawn_id)

    async def _drawn(self, crop_id: str, drawn_id: str) -> Response:
        """Answer with the boxes on the scan of a crop, and which one was drawn or taken back."""
        found = await anyio.to_thread.run_sync(drawn_boxes, self.review.store)
        scan = scan_key(self.review.require(crop_id)[1])
        return JSONResponse({"regions": found.get(scan, []), "drawn": drawn_id})

    async def _change(self, change: Callable, request: Request, reviewer: str) -> Response:
        """Store a decision of `reviewer`, whoever the request names, and answer with the card."""
        given = await _json(request)
        values = [given.get(name) for name in ("crop_id", "decision", "label")]
        if not all(isinstance(each, str) for each in values[:2]):
            raise ConfigError("The request names no crop_id and decision.")
        card = await anyio.to_thread.run_sync(change, reviewer, *values)
        since = given.get("news")
        count, news = self.review.news(reviewer, since if isinstance(since, int) else 0)
        # After the answer, which does not wait for it.
        pack = BackgroundTask(self.review.pack) if count % PACK_EVERY == 0 else None
        return JSONResponse({"card": card, "count": count, "news": news}, background=pack)


async def _json(request: Request) -> dict:
    """The JSON object of a request."""
    try:
        found = await request.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError("The request is not a JSON object.")
    return found


def picture(data: bytes | None) -> Response:
    if data is None:
        message = "The crop was deleted, and its scan is not at hand."
        return problem(message, HTTPStatus.NOT_FOUND)
    return Response(data, media_type="image/webp")


def open_port(port: int) -> socket.socket:
    """Listen on a port of the loopback, 0 for any free one; ConfigError when it is taken."""
    listening = socket.socket()
    # A server that was killed may be started again at once.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen()  # a link that is opened before the server accepts waits for it
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"Port {port} of this machine cannot be used ({error.strerror}). Name another one: "
            "--port 8124"
        ) from None
    return listening


def serve(
    review: Review,
    reviewers: Iterable[str],
    port: int,
    announce: Callable[[dict[str, str]], None],
) -> None:
    """Serve until interrupted; `announce` gets the link of every reviewer once one may open it."""
    listening = open_port(port)
    access = Access(reviewers, listening.getsockname()[1])
    review.pack()
    review.refresh()
    app = ReviewServer(review, access).app()
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    announce(access.urls())
    uvicorn.Server(config).run(sockets=[listening])
