"""Checks of files that tools read and write."""

from collections.abc import Sequence
from pathlib import Path

from commons.errors import UsageError
from commons.files import check_writable


def check_output(name: str, suffix: str = "") -> None:
    """Raises UsageError if a file cannot be written, or its name has another suffix."""
    if not name.endswith(suffix):
        raise UsageError(f"--output {name}: must end in {suffix}")
    if Path(name).is_dir():
        raise UsageError(f"--output {name}: is a folder; name a file")
    check_writable(Path(name).parent, "output")


def check_files(names: Sequence[str]) -> None:
    """Raises UsageError if a checkpoint is missing, or is an exported network."""
    from model.formats import is_exported

    for name in names:
        if not Path(name).is_file():
            raise UsageError(f"{name}: there is no such file")
        if is_exported(name):
            raise UsageError(
                f"{name}: this network is exported already; give the checkpoint from which it was exported"
            )
