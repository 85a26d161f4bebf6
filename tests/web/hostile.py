"""Two hundred uploads that are meant to harm, made here."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.web.serving import photo


class Upload(NamedTuple):
    name: str
    data: bytes
    kind: str = "image/jpeg"
    statuses: tuple[int, ...] = (413, 415, 422)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes = b"", depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG with any header, and any compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    data = bytearray(photo())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of_size(width: int, height: int) -> bytes:
    return (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0"
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
    )


def bombs() -> Iterator[Upload]:
    zeros = bytes(30_000 * 3 + 1)
    for width, height in ((30_000, 30_000), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (30_000, 1), (1, 30_000),
                          (50_000, 4_000), (0, 0), (0, 100), (20_000, 20_000), (1, 1), (8, 8), (31, 400)):  # fmt: skip
        yield Upload(f"png {width}x{height}", png(width, height, zeros), "image/png")
        if width < 65_536:
            yield Upload(f"jpeg {width}x{height}", jpeg_of_size(width, height), statuses=(413, 415, 422))
        if 0 < width < 2**14:
            yield Upload(f"webp {width}x{height}", webp_of_size(width, height), "image/webp")
    rows = bytes((30_000 // 8 + 1) * 30_000)
    yield Upload("a whole PNG of 900 megapixels", png(30_000, 30_000, rows, depth=1, colour=0), "image/png", (413,))
    yield Upload("30,000 pixels wide", photo("JPEG", (30_000, 40)), statuses=(422,))
    bomb = b"a\0\0" + zlib.compress(bytes(50_000_000))
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        data = png(64, 64, bytes(64 * 193), extra=chunk(kind, bomb))
        yield Upload(f"bomb in {kind.decode()}", data, "image/png", (200, 413, 415, 422))
    yield Upload("rows that never end", png(64, 64, bytes(50_000_000)), "image/png", (200, 422))
    scans = bytearray(photo(progressive=True))
    start = scans.index(b"\xff\xda")
    scan = scans[start : scans.index(b"\xff", start + 20)]
    yield Upload("a thousand scans", bytes(scans[:-2]) + bytes(scan) * 1000 + b"\xff\xd9", statuses=(422,))
    frames = [Image.new("RGB", (64, 64), (own, 0, 0)) for own in range(200)]
    for kind, where in (("WEBP", "image/webp"), ("PNG", "image/png"), ("GIF", "image/gif")):
        sink = io.BytesIO()
        frames[0].save(sink, kind, save_all=True, append_images=frames[1:])
        yield Upload(f"animation {kind}", sink.getvalue(), where, (200,) if kind != "GIF" else (415,))


def truncated() -> Iterator[Upload]:
    for kind, where in (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")):
        whole = photo(kind, (200, 160))
        for part in np.linspace(1, len(whole) - 3, 12).astype(int):
            missing_end = (200, 415, 422) if part == len(whole) - 3 else (413, 415, 422)
            yield Upload(f"{part} bytes of {kind}", whole[:part], where, missing_end)
        # A changed byte may leave a photo that can be read.
        draw = np.random.default_rng(0)
        for number in range(15):
            broken = bytearray(whole)
            for at in draw.integers(0, len(whole), 1 + number):
                broken[at] = draw.integers(256)
            yield Upload(f"{number + 1} changed bytes of {kind}", bytes(broken), where, (200, 413, 415, 422))


def scripts() -> Iterator[Upload]:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    texts = {
        "svg": svg, "html": b"<!DOCTYPE html><script>alert(1)</script>",
        "xxe": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>', "pdf": b"%PDF-1.7\n1 0 obj",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) (r) file",
        "php": b"<?php system('id');", "shell": b"#!/bin/sh\nid", "elf": b"\x7fELF" + bytes(100),
        "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.", "path": b"../../../../etc/passwd",
        "url": b"http://169.254.169.254/latest/meta-data", "text": b"GPS" * 1000, "empty": b"", "zeros": bytes(10_000),
        "mvg": b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://a/\"|ls \"-la)'",
    }  # fmt: skip
    for name, data in texts.items():
        yield Upload(name, data)
        yield Upload(f"{name} called image/png", data, "image/png")
    for kind in ("image/svg+xml", "text/html", "application/json", "multipart/form-data; boundary=a", "", "image/gif",
                 "application/x-www-form-urlencoded", "text/plain", "../../image/jpeg", "image/jpegx"):  # fmt: skip
        yield Upload(f"a photo called {kind!r}", photo(), kind, (415,))
    multipart = (
        b'--a\r\nContent-Disposition: form-data; name="f"; filename="../../app.py"\r\n\r\n' + photo() + b"\r\n--a--\r\n"
    )
    yield Upload("a file name with ../", multipart, "multipart/form-data; boundary=a", (415,))
    yield Upload("a form called image/jpeg", multipart)


def other_formats() -> Iterator[Upload]:
    for kind in (
        "GIF",
        "BMP",
        "TIFF",
        "ICO",
        "PPM",
        "TGA",
        "PCX",
        "ICNS",
        "SGI",
        "DDS",
        "JPEG2000",
        "PDF",
        "EPS",
        "IM",
        "MSP",
    ):
        sink = io.BytesIO()
        image = Image.new("1" if kind == "MSP" else "RGB", (64, 64))
        image.save(sink, kind)
        yield Upload(kind, sink.getvalue(), "image/jpeg", (415,))
        yield Upload(f"{kind} after the start of a JPEG", b"\xff\xd8\xff" + sink.getvalue(), "image/jpeg")


def polyglots() -> Iterator[Upload]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../app.py", "import os")
    tails = {
        "zip": archive.getvalue(),
        "html": b"<script>alert(1)</script>",
        "php": b"<?php system('id'); ?>",
        "more": bytes(2_000_000),
        "photo": photo(),
    }
    for name, tail in tails.items():
        for kind, where in (("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")):
            whole = photo(kind)
            yield Upload(f"{kind} with {name} behind", whole + tail, where, (200, 415, 422))
            yield Upload(f"{kind} with {name} before", tail[:500] + whole, where, (200, 415, 422))
    comment = b"\xff\xfe" + struct.pack(">H", 40) + b"*/=alert(1)//<script>alert(1)</script>"
    yield Upload("JPEG that is JavaScript", photo()[:2] + comment + photo()[2:], statuses=(200,))
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>" * 1000
    yield Upload("a script in EXIF", photo(exif=exif), statuses=(200,))
    yield Upload(
        "EXIF that is cut",
        photo()[:2] + b"\xff\xe1\0\x10Exif\0\0MM\0*\xff\xff\xff\xff" + photo()[2:],
        statuses=(200, 422),
    )
    yield Upload(
        "an orientation of 999",
        photo(exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\xe7\x03\0\0\0\0\0\0"),
        statuses=(200, 422),
    )


def hostile() -> list[Upload]:
    return [own for made in (bombs, truncated, scripts, other_formats, polyglots) for own in made()]
