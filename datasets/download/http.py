"""Downloads over HTTP that continue where they broke off."""

import http.client
import re
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from commons.errors import PlacewiseError, first_line
from datasets.download.disk import check_room, size_text, writing_to

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
TRIES = 4  # in a row that bring nothing
PAUSE = 1.0  # seconds before the second try, doubled before each further one
FOR_NOW = (408, 425, 429, 500, 502, 503, 504)
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


class _Incomplete(ConnectionError):
    """The connection ended before the file did."""


def download(address: str, target: Path, page: str) -> None:
    """Downloads a file, and continues `target`.part if it is there.

    A connection that breaks is opened again. Servers that do not know HTTP's Range send the file from its beginning.

    Args:
        address: address of the file.
        target: where it is put when it is complete.
        page: where people find the file, for messages.

    Raises:
        PlacewiseError: if the server refuses, sends a web page or fails repeatedly, or the disk has no room. What has
            arrived stays in `target`.part.
    """
    part = target.with_name(f"{target.name}.part")
    without = 0
    while True:
        before = _size(part)
        try:
            _continue(address, part, page)
            break
        except BROKEN as error:
            without = 0 if _size(part) > before else without + 1
            if without == TRIES:
                kept = f"{size_text(_size(part))} are kept in {part}; " if _size(part) else ""
                raise PlacewiseError(
                    f"{address}: the download failed ({first_line(error)}); {kept}start the same command again, or see "
                    f"{page}"
                ) from error
            time.sleep(PAUSE * 2**without)
    part.replace(target)


def _continue(address: str, part: Path, page: str) -> None:
    there = _size(part)
    request = urllib.request.Request(address, headers={"User-Agent": "placewise"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:  # nothing after these bytes
            if _whole(error.headers) == there:
                return
            part.unlink()
            raise _Incomplete("the file has changed on the server") from error
        if error.code in FOR_NOW:
            raise
        raise PlacewiseError(f"{address}: the server answered {error.code} {error.reason}; see {page}") from error
    with response:
        if response.headers.get_content_type() == "text/html":
            raise PlacewiseError(
                f"{address}: the server returned a web page instead of a file. Download the file from {page} in a "
                f"browser, save it as {part.with_suffix('')} and start the same command again"
            )
        if response.status != 206:
            there, total = 0, _number(response.headers["Content-Length"])
        elif _first(response.headers) == there:
            total = _whole(response.headers)
        else:
            raise _Incomplete("the server sends another part of the file than the one that was asked for")
        if total is not None:
            check_room(part.parent, 2 * total - there, f"the download and the {size_text(total)} that it unpacks to")
        with writing_to(part), open(part, "r+b" if there else "wb") as file:
            file.seek(there)
            _copy(response, file, there, total, part.stem)
    if total is not None and _size(part) != total:
        raise _Incomplete(f"{_size(part):,} of {total:,} bytes arrived")


def _copy(response: http.client.HTTPResponse, file: BinaryIO, there: int, total: int | None, name: str) -> None:
    with tqdm(total=total, initial=there, desc=name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _first(headers: Message) -> int | None:
    found = re.match(r"bytes (\d+)-", headers["Content-Range"] or "")
    return int(found[1]) if found else None


def _whole(headers: Message) -> int | None:
    return _number((headers["Content-Range"] or "").rpartition("/")[2])
