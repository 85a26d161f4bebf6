"""Checks of flags: aerial images and regions. Without PyTorch, for programs that do not load it for --help."""

import argparse
from pathlib import Path

from commons.errors import UsageError
from demo.sizes import AERIALS


def check_regions(args: argparse.Namespace) -> None:
    """Checks that the files of aerial images and of the region are there, or in a demo data set that is made later.

    Raises:
        UsageError: if one is missing.
    """
    for name, what in (("tiles", "file or folder"), ("geojson", "file")):
        paths = getattr(args, name, None)  # localize.py has no --geojson
        for path in [paths] if isinstance(paths, str) else paths or []:
            if not Path(path).exists() and Path(path).parts[0] not in AERIALS:
                raise UsageError(f"--{name} {path}: there is no such {what}")
