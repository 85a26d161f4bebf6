"""Downloads with other programs: gdown for Google Drive, rsync for folders."""

import re
import shutil
import subprocess
from pathlib import Path

from commons.errors import PlacewiseError, first_line
from datasets.download.disk import check_room, writing_to


def from_drive(address: str, target: Path, page: str) -> None:
    """Downloads a file of Google Drive, and continues where an earlier download broke off.

    Args:
        address: address of the file.
        target: where it is put when it is complete.
        page: where people find the file, for messages.

    Raises:
        PlacewiseError: if gdown is not installed, Google Drive refuses or the connection breaks.
    """
    try:
        import gdown
    except ImportError:
        raise PlacewiseError("files on Google Drive need gdown: pip install gdown") from None
    by_hand = f"start the same command again, or download {address} in a browser and save it as {target} (see {page})"
    with writing_to(target):
        try:
            done = gdown.download(url=address, output=str(target), resume=True)
        except OSError as error:
            if not isinstance(error, ConnectionError) and error.errno is not None:
                raise
            raise PlacewiseError(f"Google Drive: {first_line(error)}; {by_hand}") from error
        except Exception as error:  # gdown's own errors differ between its versions
            raise PlacewiseError(f"Google Drive: {first_line(error)}; {by_hand}") from error
    if done is None or not target.is_file():
        raise PlacewiseError(f"Google Drive returned no file; {by_hand}")


def by_rsync(address: str, folder: Path, page: str) -> None:
    """Downloads a folder, without links. Files that are there already are not sent again.

    Args:
        address: address of the folder, rsync://host/path.
        folder: where its content is put; may hold a part of it.
        page: where people find the data, for messages.

    Raises:
        PlacewiseError: if rsync is not installed, or fails.
    """
    if shutil.which("rsync") is None:
        raise PlacewiseError(f"{address}: needs the program rsync, which is not installed (apt install rsync)")
    # No links (-l is missing), and no owners or permissions of the server.
    command = ["rsync", "--recursive", "--times", "--partial", "--timeout=60"]
    paths = [f"{address}/", f"{folder}/"]
    listed = _run([*command, "--dry-run", "--stats", *paths], page, capture=True)
    folder.mkdir(parents=True, exist_ok=True)
    size = re.search(r"Total transferred file size: ([\d,.]+)", listed)
    if size:
        check_room(folder, int(re.sub(r"\D", "", size[1])), f"the files of {address}")
    _run([*command, "--info=progress2", *paths], page)


def _run(command: list[str], page: str, capture: bool = False) -> str:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE if capture else None, stderr=subprocess.PIPE)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise PlacewiseError(
            f"{command[-2]}: rsync failed ({lines[0][:160]}); start the same command again to continue, or see {page}"
        )
    return done.stdout or ""
