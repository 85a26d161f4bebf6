"""Small pictures and tables for the tests of geotagged photos."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture of coarse blocks; another number gives another one."""
    coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def jpeg(number: int, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    picture(number).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def touch(folder: Path, *names: str) -> None:
    """Writes pictures under some names; the first one has number 0."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(number))


def write_csv(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_shard(path: Path, members: dict[str, bytes | dict | str]) -> Path:
    """Writes a tar file of members; dictionaries become JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            content = json.dumps(content) if isinstance(content, dict) else content
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
