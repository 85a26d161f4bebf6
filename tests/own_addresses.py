"""Keeps the addresses of the localize.py that imports it beside its --output."""

import sys
from pathlib import Path

import localize

localize.CACHE = Path(sys.argv[sys.argv.index("--output") + 1]).parent / "cache"
