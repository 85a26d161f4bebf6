"""Databases of photos: extracted once, then opened by eval.py and localize.py without the images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from commons.checkpoints import network_fingerprint
from commons.errors import PlacewiseError
from datasets.decoding import Size
from datasets.places import Places, make_places
from model.test_time import keep_first
from retrieval.database import NETWORK, Manifest, StoredTable, read_manifest

UTM = ("utm_east", "utm_north", "utm_zone")


@dataclass(frozen=True)
class Database:
    """A database that is open.

    Attributes:
        folder: folder of the database.
        manifest: what it consists of.
        places: its images; their files are not needed.
        table: their descriptors, in the same order.
    """

    folder: Path
    manifest: Manifest
    places: Places
    table: StoredTable

    def match(self, network: torch.nn.Module, size: Size) -> None:
        """As `match_network`; also raises PlacewiseError if the images of the database had another size."""
        match_network(self.folder, self.manifest, network)
        if size != self.manifest.image_size:
            raise PlacewiseError(
                f"{self.folder}: its images have the size {self.manifest.image_size}, but the photos would have "
                f"{size}; give the same `image_size`, or build the database again"
            )


def open_database(folder: str | Path) -> Database:
    """Opens a database of tools.build_database; descriptors and index stay on disk.

    Raises:
        PlacewiseError: if it is damaged, or its building did not end.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if not manifest.complete:
        raise PlacewiseError(f"{folder}: the database is incomplete; repeat the command of tools.build_database")
    table = StoredTable(folder, manifest)
    places = _places(table.images())
    table.columns = lambda rows: _known(places.take(rows))
    return Database(folder, manifest, places, table)


def match_network(folder: Path, manifest: Manifest, network: torch.nn.Module) -> None:
    """Makes a network return as many dimensions of its descriptors as a database holds.

    Raises:
        PlacewiseError: if another network extracted the descriptors of the database.
    """
    same = network_fingerprint(network) == manifest.fingerprint
    if same and network.descriptor_dim > manifest.dim:
        keep_first(network, manifest.dim)
    if not same or network.descriptor_dim != manifest.dim:
        raise PlacewiseError(
            f"{folder}: another network extracted its descriptors ({manifest.dim} dimensions); use {folder / NETWORK}, "
            "or build the database again"
        )


def _places(images: pa.Table) -> Places:
    """Returns the places that `images_of` has made columns of."""
    values = {name: images[name].to_numpy() for name in ("latitude", "longitude", *UTM, "heading")}
    for names in (("latitude", "longitude"), UTM):
        if np.isnan(values[names[0]]).all():
            values |= dict.fromkeys(names)
    return make_places(
        Path(), images["path"].combine_chunks(), timestamp=images["timestamp"].combine_chunks(), **values
    )


def _known(places: Places) -> dict[str, list]:
    return {
        "path": places.names.to_pylist(), "latitude": places.latitude.tolist(), "longitude": places.longitude.tolist()
    }  # fmt: skip
