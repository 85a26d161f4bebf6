"""A web server on this machine that breaks in chosen ways."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What a server sends.

    Attributes:
        content: of its only file.
        ranges: whether it knows Range.
        breaks_after: bytes after which it closes a connection, for each request in turn; then none does.
        length: Content-Length that it names, where it is wrong.
        shift: how far its parts begin behind the byte that was asked for.
        status, kind: of its answers.
        asked: Range of each request that it got.
    """

    content: bytes
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    length: int | None = None
    shift: int = 0
    status: int = 200
    kind: str = "application/zip"
    asked: list[str | None] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Yields the address of the file."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            behaviour.asked.append(asked)
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and behaviour.ranges else 0
            start += behaviour.shift if start else 0
            whole = len(behaviour.content)
            if start and start >= whole:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{whole}")
                self.end_headers()
                return
            rest = behaviour.content[start:]
            self.send_response(206 if start else behaviour.status)
            self.send_header("Content-Type", behaviour.kind)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.send_header("Content-Length", str(behaviour.length or len(rest)))
            self.end_headers()
            self.wfile.write(rest[: behaviour.breaks_after.pop(0)] if behaviour.breaks_after else rest)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/set.zip"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
