"""Bodies of requests, read into memory up to a limit."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

from web.uploads import RefusedUpload

TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
DRAINED, DRAIN_SECONDS = 4, 10.0  # times the limit, and time, that is read and dropped so that the client sees why


async def read_body(request: Request, most: int, timeout: float) -> bytes:
    """Reads an upload.

    Args:
        request: request whose body is the file itself.
        most: bytes.
        timeout: seconds.

    Raises:
        RefusedUpload: 413 if it is too large, 415 if its type is no image's, 408 if it is too slow.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        await drain(request, most)
        raise RefusedUpload(415, f"Send the file itself as the body, with a Content-Type of {', '.join(TYPES)}.")
    too_large = RefusedUpload(413, f"The file is too large; at most {most / 1e6:g} MB are accepted.")
    if int(request.headers.get("content-length", 0)) > most:
        await drain(request, most)
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(timeout):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    break
                parts.append(part)
    except TimeoutError:
        raise RefusedUpload(408, "The upload took too long.") from None
    if size > most:
        parts.clear()
        await drain(request, most)
        raise too_large
    return b"".join(parts)


async def drain(request: Request, most: int) -> None:
    """Reads and drops a body: a connection that is closed before gives the client an error instead of the answer."""
    size = 0
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # RuntimeError: it has been read
        async with asyncio.timeout(DRAIN_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > DRAINED * most:
                    break
