"""From an address to a folder that the readers accept.

A set appears under its name only when it is complete. Until then, its parts lie in NAME.zip.part, NAME.zip and .NAME.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from commons.errors import PlacewiseError
from commons.files import atomic_path
from datasets.download import archives, http
from datasets.download.disk import size_text
from datasets.download.sources import Source
from datasets.download.transfers import by_rsync, from_drive
from datasets.listing import find_images

ALIKE = 0.2  # files differ by less from the sizes that their pages name


def install(name: str, source: Source, folder: Path) -> Path:
    """Downloads, checks and unpacks a data set, unless it is there.

    Args:
        name: name of the set, and of its folder.
        source: where it is.
        folder: where data sets are kept; may not exist yet.

    Returns:
        The folder of the set.

    Raises:
        PlacewiseError: if another process downloads it, and as the downloads do; if the file has not the size, or its
            folders have not the images, that are known of the set. What has arrived is kept.
    """
    target = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise PlacewiseError(f"{target}: another process is downloading it; wait until it ends") from None
    try:
        if not target.exists():
            _install(name, source, target)
        return target
    finally:
        (folder / f".{name}.lock").unlink(missing_ok=True)
        lock.release()


def _install(name: str, source: Source, target: Path) -> None:
    work, archive = target.with_name(f".{name}"), target.with_name(f"{name}.zip")
    if source.kind == "rsync":
        by_rsync(source.address, work, source.page)
        root = work
    else:
        if not archive.is_file():
            {"http": http.download, "drive": from_drive}[source.kind](source.address, archive, source.page)
            _check_size(archive, source)
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
        work.mkdir()
        archives.unpack(archive, work)
        root = _only_folder(work)
        if name in ARRANGE:
            ARRANGE[name](root)
    check_images(root, source.images, f"{archive} is kept" if archive.is_file() else f"{work} is kept")
    root.replace(target)
    shutil.rmtree(work, ignore_errors=True)
    archive.unlink(missing_ok=True)


def check_images(folder: Path, expected: Mapping[str, int], kept: str) -> None:
    """Raises PlacewiseError if folders of a set hold fewer images than are known of it, or more.

    Args:
        folder: folder of the set.
        expected: numbers of images by the folders in it.
        kept: what remains, for the message.
    """
    for part, count in expected.items():
        found = len(find_images(folder / part).names) if (folder / part).is_dir() else 0
        if found != count:
            raise PlacewiseError(
                f"{part} has {found:,} images instead of {count:,}: the download is incomplete, or the authors have "
                f"changed the data set; {kept}: to use it as it is, move it to its place by hand"
            )


def _check_size(archive: Path, source: Source) -> None:
    size = archive.stat().st_size
    if source.size and abs(size - source.size) > ALIKE * source.size:
        odd = archive.with_name(f"{archive.name}.odd")
        archive.replace(odd)
        raise PlacewiseError(
            f"{source.address}: sent {size_text(size)} instead of about {size_text(source.size)}. It is kept as {odd}: "
            f"if it is the data set (see {source.page}), rename it to {archive.name} and start the same command again"
        )


def _only_folder(folder: Path) -> Path:
    """Returns the folder that an archive packs everything into; `folder` where there is none."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _arrange_amstertime(folder: Path) -> None:
    """Unpacks the inner archive, and lists the pairs, whose names are equal, for the reader of .npy lists."""
    inner = next(iter(sorted(folder.glob("AmsterTime*.zip"))), None)
    if inner is not None:
        archives.unpack(inner, folder)
        inner.unlink()
    database, queries = (
        {Path(name).stem: f"{part}/{name}" for name in find_images(folder / part).names} for part in ("new", "old")
    )
    if not queries or database.keys() != queries.keys():
        raise PlacewiseError(f"{folder}: the images in new/ and old/ do not have the same names")
    names = sorted(queries)
    lists = {
        "dbImages": np.array([database[name] for name in names]),
        "qImages": np.array([queries[name] for name in names]),
        "gt": np.arange(len(names))[:, None],
    }
    for name, values in lists.items():
        with atomic_path(folder / f"amstertime_{name}.npy") as temporary:
            np.save(temporary, values)


ARRANGE: dict[str, Callable[[Path], None]] = {"amstertime": _arrange_amstertime}
