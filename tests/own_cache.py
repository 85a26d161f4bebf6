"""Keeps the features of the program that imports it beside its --output_folder."""

import sys
from pathlib import Path

import tasks.cached_features

tasks.cached_features.CACHE = Path(sys.argv[sys.argv.index("--output_folder") + 1]).parent / "cache"
