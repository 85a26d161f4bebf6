"""The second of two processes reads another list of images."""

import os

import numpy as np

from tools import build_database

read = build_database.read_new_images
if os.environ["RANK"] == "1":
    build_database.read_new_images = lambda source: read(source).take(np.arange(9))
