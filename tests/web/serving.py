"""A server in a thread, and requests to it."""

import http.client
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from accelerate import Accelerator
from PIL import Image

from tasks.locating import LocatorOptions, open_locator


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def photo(kind: str = "JPEG", size: tuple[int, int] = (96, 80), seed: int = 0, **options: object) -> bytes:
    """A photo of coarse colours."""
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(sink, kind, **options)
    return sink.getvalue()


def make_finder(checkpoint: Path, database: Path | None = None, top_k: int = 3, **limits: int):
    from web.answers import Finder
    from web.pictures import Pictures
    from web.uploads import PhotoLimits

    options = LocatorOptions(database=None if database is None else str(database), precision="fp32")
    locator = open_locator([checkpoint], Accelerator(cpu=True), options)
    return Finder(locator, PhotoLimits(**limits), top_k, Pictures())


@contextmanager
def serving(finder: object, places: int = 16, timeout: float = 20.0, **options: object) -> Iterator[int]:
    """Serves until the end of the context; yields the port."""
    import uvicorn

    from web.jobs import Jobs
    from web.server import make_server

    made = make_server(finder, Jobs(places, timeout), **options)
    server = uvicorn.Server(uvicorn.Config(made, port=0, ws="none", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
    """Sends one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Reply(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send(port: int, body: bytes, kind: str = "image/jpeg", path: str = "/api/locate", **headers: str) -> Reply:
    """Sends a photo."""
    return ask(port, "POST", path, body, Content_Type=kind, **headers)
