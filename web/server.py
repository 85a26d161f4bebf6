"""The server of the page and of its JSON API."""

import json
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from reports.geolocation.pages import FOLDER as REPORTS
from web.answers import Finder, Located
from web.bodies import TYPES, drain, read_body
from web.guard import Guard
from web.jobs import Busy, Jobs, Late
from web.pictures import jpeg_bytes
from web.places import map_outlines
from web.uploads import RefusedUpload

PAGE = Path(__file__).parent / "page"
RETRY_SECONDS = 2
PICTURES_WAITING = 64
KEPT = {"Cache-Control": "private, max-age=3600"}
Result = TypeVar("Result")

BODY = {"requestBody": {
    "required": True,
    "description": "a photo as a JPEG, PNG or WebP file",
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
}}  # fmt: skip


class Refused(BaseModel):
    """The reason why a request was refused."""

    detail: str = Field(description="a sentence for users")


REFUSALS = {
    403: "a request for an unknown host name or from another site", 408: "the upload is too slow",
    413: "too many bytes or pixels", 415: "not a photo in a supported format",
    422: "damaged, empty, too small or too long", 503: "busy: try again after the seconds in Retry-After",
}  # fmt: skip
RESPONSES = {status: {"model": Refused, "description": text} for status, text in REFUSALS.items()}


class Info(BaseModel):
    """Information about the server for the page."""

    attention: bool = Field(description="whether /api/attention works with this network")
    max_bytes: int = Field(description="size of the largest upload")
    examples: list[str] = Field(description="addresses of example photos")
    background: list[float] | None = Field(
        description="west, south, east and north of /api/background, a picture of the region in degrees; null for none"
    )


def make_server(finder: Finder, jobs: Jobs, examples: Sequence[str] = (), names: Sequence[str] = ()) -> ASGIApp:
    """Creates the server for one network.

    Uploads are kept in memory only until they are answered; requests never contain paths.

    Args:
        finder: finder of positions for uploads.
        jobs: queue in which uploads are processed.
        examples: tokens of pictures of the finder.
        names: as for `Guard`.
    """
    pictures = Jobs(PICTURES_WAITING, jobs.timeout)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield
        jobs.close()
        pictures.close()

    # FastAPI's own pages of the API load scripts from another host.
    app = FastAPI(title="Placewise", summary="Finds where photos were taken.", version="1", docs_url=None,
                  redoc_url=None, openapi_url="/openapi.json", lifespan=lifespan)  # fmt: skip
    _add_errors(app, finder.limits.max_bytes)
    _add_page(app, finder, examples, pictures)
    _add_api(app, finder, jobs)
    return Guard(app, names)


def _add_api(app: FastAPI, finder: Finder, jobs: Jobs) -> None:
    async def answered(request: Request, function: Callable[[bytes], Result]) -> Result:
        with jobs.place():
            data = await read_body(request, finder.limits.max_bytes, jobs.timeout)
            return await jobs.run(function, data)

    @app.post("/api/locate", openapi_extra=BODY, responses=RESPONSES, summary="Find where a photo was taken")
    async def locate(request: Request) -> Located:
        return await answered(request, finder.locate)

    @app.post(
        "/api/attention", openapi_extra=BODY, response_class=Response, summary="Draw the attention of the network",
        responses=RESPONSES | {200: {"content": {"image/jpeg": {}}, "description": "the photo, small, with colours"}},
    )  # fmt: skip
    async def attention(request: Request) -> Response:
        return Response(await answered(request, finder.attention), media_type="image/jpeg")


def _add_page(app: FastAPI, finder: Finder, examples: Sequence[str], pictures: Jobs) -> None:
    info = Info(
        attention=finder.explains, max_bytes=finder.limits.max_bytes,
        examples=[f"/pictures/{token}.jpg" for token in examples],
        background=None if finder.background is None else list(finder.background.bounds),
    )  # fmt: skip
    below = None if finder.background is None else jpeg_bytes(finder.background.picture)
    outlines = json.dumps(map_outlines(finder.regions), separators=(",", ":")).encode()

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/api", include_in_schema=False)
    async def api() -> FileResponse:
        return FileResponse(PAGE / "api.html")

    @app.get("/page/base.css", include_in_schema=False)
    async def base_style() -> FileResponse:
        return FileResponse(REPORTS / "page.css")

    @app.get("/api/map", include_in_schema=False)
    async def outlines_of_map() -> Response:
        return Response(outlines, media_type="application/json", headers=KEPT)

    @app.get(
        "/api/background", response_class=Response, summary="The region from above, in Web Mercator",
        responses={200: {"content": {"image/jpeg": {}}}, 404: {"model": Refused}},
    )  # fmt: skip
    async def background() -> Response:
        if below is None:
            raise RefusedUpload(404, "This picture does not exist.")
        return Response(below, media_type="image/jpeg", headers=KEPT)

    @app.get("/api/info", summary="Information about this server")
    async def info_of_server() -> Info:
        return info

    @app.get(
        "/pictures/{token}.jpg", response_class=Response, summary="A small copy of a database picture or example",
        responses={200: {"content": {"image/jpeg": {}}}, 404: {"model": Refused}},
    )  # fmt: skip
    async def picture(token: str) -> Response:
        with pictures.place():
            found = await pictures.run(finder.pictures.jpeg, token)
        if found is None:
            raise RefusedUpload(404, "This picture does not exist.")
        return Response(found, media_type="image/jpeg", headers=KEPT)

    app.mount("/page", StaticFiles(directory=PAGE))


def _add_errors(app: FastAPI, max_bytes: int) -> None:
    @app.exception_handler(RefusedUpload)
    async def refused(request: Request, error: RefusedUpload) -> JSONResponse:
        return JSONResponse({"detail": error.message}, error.status)

    @app.exception_handler(Busy)
    @app.exception_handler(Late)
    async def busy(request: Request, error: Exception) -> JSONResponse:
        await drain(request, max_bytes)
        detail = "The server is busy. Please try again in a few seconds."
        return JSONResponse({"detail": detail}, 503, {"Retry-After": str(RETRY_SECONDS)})

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it
