"""Names of positions without a network: the nearest town of 15,000 inhabitants, and the country."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import shapely
from scipy.spatial import cKDTree

from commons.sphere import haversine_km, unit_vectors

FOLDER = Path(__file__).parent
TOWNS, COUNTRIES = "towns.parquet", "countries.parquet"
TOWN_KM = 10.0  # within this distance a position is said to be in a town
SHARE_KM = 300.0  # farther from every town, only the country is named


class Named(NamedTuple):
    """What a position is called.

    Attributes:
        name: name in words, such as "12 km from Ry, Central Jutland, Denmark".
        town, region, country: of the nearest town; "" where it is farther than SHARE_KM.
        km: distance to the town.
    """

    name: str
    town: str
    region: str
    country: str
    km: float


class Gazetteer:
    """34,006 towns of GeoNames (CC BY 4.0) and 177 countries of Natural Earth (public domain)."""

    def __init__(self) -> None:
        table = pq.read_table(FOLDER / TOWNS)
        self.columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
        self.columns |= {name: self.columns[name].astype(np.float64) for name in ("latitude", "longitude")}
        self.tree = cKDTree(unit_vectors(self.columns["latitude"], self.columns["longitude"]))
        countries = pq.read_table(FOLDER / COUNTRIES)
        self.country_names = countries["name"].to_numpy(zero_copy_only=False)
        self.outlines = shapely.from_wkb(countries["geometry"].to_numpy(zero_copy_only=False))

    def named(self, latitude: np.ndarray, longitude: np.ndarray) -> list[Named]:
        """Returns what positions are called.

        Args:
            latitude, longitude: degrees, (n,), finite.
        """
        rows = self.tree.query(unit_vectors(latitude, longitude))[1]
        km = haversine_km(latitude, longitude, self.columns["latitude"][rows], self.columns["longitude"][rows])
        inside = self._countries(latitude, longitude)
        return [self._name(int(row), float(far), own) for row, far, own in zip(rows, km, inside, strict=True)]

    def _countries(self, latitude: np.ndarray, longitude: np.ndarray) -> Sequence[str]:
        """Returns the country of each position, "" at sea."""
        points = shapely.points(np.asarray(longitude, np.float64), np.asarray(latitude, np.float64))
        pairs = shapely.STRtree(self.outlines).query(points, "intersects")
        found = np.full(len(points), "", dtype=object)
        found[pairs[0]] = self.country_names[pairs[1]]
        return found

    def _name(self, row: int, km: float, country: str) -> Named:
        town, region, of_town = (str(self.columns[name][row]) for name in ("name", "region", "country"))
        if km > SHARE_KM:
            return Named(country or f"at sea or far from any town ({km:.0f} km)", "", "", country, km)
        place = ", ".join(filter(None, (town, region if region != town else "", of_town)))
        return Named(place if km <= TOWN_KM else f"{km:.0f} km from {place}", town, region, of_town, km)


@cache
def gazetteer() -> Gazetteer:
    """Returns the gazetteer, which is read once."""
    return Gazetteer()
