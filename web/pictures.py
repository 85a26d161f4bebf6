"""Small copies of pictures on disk, identified by tokens, so that requests never contain file names."""

import hashlib
import io
import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from reports.tiles import load_photo

SIDE = 640  # pixels of the longer side
QUALITY = 82
MOST_KNOWN = 10_000


class Pictures:
    """Pictures in answers.

    Only the last MOST_KNOWN of them can be requested; tokens do not reveal paths.
    """

    def __init__(self) -> None:
        self._paths: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, path: str | Path) -> str:
        """Returns the token of a picture."""
        token = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        with self._lock:
            self._paths[token] = Path(path)
            self._paths.move_to_end(token)
            if len(self._paths) > MOST_KNOWN:
                self._paths.popitem(last=False)
        return token

    def jpeg(self, token: str) -> bytes | None:
        """Returns a small copy without metadata; None if the token is unknown or the file cannot be read."""
        with self._lock:
            path = self._paths.get(token)
        if path is None:
            return None
        try:
            with Image.open(path) as header:
                side = min(SIDE, max(header.size))
        except (OSError, ValueError, Image.DecompressionBombError):
            return None
        photo = load_photo(path, side)
        return None if photo is None else jpeg_bytes(photo)


def jpeg_bytes(photo: Image.Image) -> bytes:
    """Returns a picture as a JPEG without metadata."""
    sink = io.BytesIO()
    photo.save(sink, "JPEG", quality=QUALITY)
    return sink.getvalue()
