"""Losses of geolocation by location embeddings.

A position loss compares predicted with true positions, both unit vectors (b, 3): it is built without arguments, and
maps them to a scalar. Adding one is a file here and a line in POSITION_LOSSES.
"""

from commons.registry import Registry

POSITION_LOSSES = Registry({"chord": "losses.location.chord:Chord", "angle": "losses.location.angle:Angle"})
