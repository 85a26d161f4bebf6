"""How fast a running app.py answers, and pictures of its page: python -m benchmarks.app ADDRESS [--pictures DIR]

    python app.py --port 8000 &
    python -m benchmarks.app http://127.0.0.1:8000 --pictures docs

Uploads a photo of 12 megapixels 50 times, one after the other and from 50 clients at once. The pictures need
`pip install playwright` and Chromium.
"""

import argparse
import http.client
import io
import shutil
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from benchmarks.common import machine

COUNT, SIZE = 50, (4000, 3000)
WINDOWS = {
    "app.jpg": {"viewport": {"width": 1280, "height": 800}},
    "app_phone.jpg": {
        "viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5, "is_mobile": True, "has_touch": True,
        "color_scheme": "dark",
    },
}  # fmt: skip


def test_photo() -> bytes:
    """A JPEG of SIZE with content of all frequencies."""
    coarse = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC).save(sink, "JPEG", quality=90)
    return sink.getvalue()


def upload(address: str, photo: bytes) -> tuple[int, float]:
    """Returns the status and the seconds of one upload."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    connection.request("POST", "/api/locate", photo, {"Content-Type": "image/jpeg"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, time.perf_counter() - start


def save_pictures(address: str, folder: Path, example: int) -> None:
    """Saves the page with the answer for one of its examples, in a window and on a phone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, options in WINDOWS.items():
            page = browser.new_context(**options).new_page()
            page.goto(address)
            page.click(f"#examples button:nth-child({example})")
            page.wait_for_selector("#answers button")
            page.wait_for_timeout(600)
            page.screenshot(path=folder / name, type="jpeg", quality=85)
            print(f"Written: {folder / name} ({(folder / name).stat().st_size / 1e3:.0f} kB)")
        browser.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Measure a running app.py.")
    parser.add_argument("address", metavar="ADDRESS", help="of the page, e.g. http://127.0.0.1:8000")
    parser.add_argument("--pictures", metavar="DIR", help="save pictures of the page to this folder")
    parser.add_argument("--example", type=int, default=1, metavar="N", help="example photo in the pictures")
    args = parser.parse_args()
    print(machine())
    photo = test_photo()
    print(f"One photo: {SIZE[0]} x {SIZE[1]}, {len(photo) / 1e6:.1f} MB")
    seconds = sorted(upload(args.address, photo)[1] for _ in range(COUNT))
    print(f"One after the other: median {statistics.median(seconds):.3f} s, slowest {seconds[-1]:.3f} s")
    with ThreadPoolExecutor(COUNT) as clients:
        found = list(clients.map(lambda _: upload(args.address, photo), range(COUNT)))
    for status, count in sorted(Counter(own[0] for own in found).items()):
        slowest = max(own[1] for own in found if own[0] == status)
        print(f"{COUNT} at once: {count} with status {status}, slowest {slowest:.2f} s")
    if args.pictures:
        save_pictures(args.address, Path(args.pictures), args.example)


if __name__ == "__main__":
    main()
