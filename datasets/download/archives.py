"""Unpacking zip files of strangers: nothing leaves the folder, and there are no links."""

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from commons.errors import PlacewiseError, first_line
from datasets.download.disk import check_room, size_text, writing_to

LEFT_OUT = ("__MACOSX", ".DS_Store")
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a zip file into a folder that exists.

    All names are checked before the first file is written, and each file against its checksum.

    Raises:
        PlacewiseError: if the file is damaged or no zip file, its names lead out of the folder or are links, or the
            disk has no room.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened.infolist(), archive)
            size = sum(member.file_size for member, _ in members)
            check_room(folder, size, f"the {len(members):,} files of {archive}")
            with tqdm(total=size, desc=f"unpacking {archive.name}", unit="B", unit_scale=True) as bar:
                for member, name in members:
                    _write(opened, member, folder / name)
                    bar.update(member.file_size)
    except DAMAGED as error:
        raise PlacewiseError(
            f"{archive}: is damaged or not a zip file ({first_line(error)}); remove it and start the same command again"
        ) from error


def _members(listed: Sequence[zipfile.ZipInfo], archive: Path) -> list[tuple[zipfile.ZipInfo, str]]:
    members = []
    for member in listed:
        name = member.filename.replace("\\", "/")
        parts = name.split("/")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if ".." in parts or name.startswith("/") or re.match("[A-Za-z]:", name):
            raise PlacewiseError(f"{archive}: contains {member.filename!r}, a path outside of the folder; not unpacked")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise PlacewiseError(f"{archive}: contains {member.filename!r}, a link or device; not unpacked")
        if not name.endswith("/") and not set(parts).intersection(LEFT_OUT) and not parts[-1].startswith("._"):
            members.append((member, name))
    if len({name for _, name in members}) < len(members):
        raise PlacewiseError(f"{archive}: contains two files with the same name; not unpacked")
    return members


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_to(path), opened.open(member) as source, open(path, "xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    if path.stat().st_size != member.file_size:
        raise PlacewiseError(f"{path}: does not have the size given in the archive ({size_text(member.file_size)})")
