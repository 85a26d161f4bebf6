"""What a place of the demo country looks like: traits that vary with the place at several scales.

A kind (of tree, fence, roof ...) prevails around sites that are spread over the country, with soft borders. A
measure (slope of the roofs, distance between poles ...) is a smooth field. The outline of signs is a region's own, and
the colours of signs and flags are a municipality's own.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from demo.geography import RADIUS_KM, Country

# Kinds per trait: how many there are, how many sites, how soft the borders are in km.
KINDS = {
    "tree": (7, 14, 4.0),
    "second_tree": (7, 16, 6.0),
    "pole": (6, 13, 3.0),
    "post": (8, 18, 3.0),
    "fence": (6, 13, 4.0),
    "marking": (5, 11, 3.0),
    "edge": (4, 10, 3.0),
    "kerb": (5, 12, 3.0),
    "surface": (3, 8, 4.0),
    "field": (6, 13, 5.0),
    "roof": (6, 12, 5.0),
    "masonry": (7, 13, 4.0),
    "second_masonry": (7, 15, 6.0),
    "window": (6, 13, 5.0),
    "lamp": (4, 9, 3.0),
    "skyline": (5, 9, 8.0),
}
# Measures: wavelength in km.
MEASURES = {
    "hills": 150.0, "pitch": 170.0, "storey": 130.0, "window_size": 110.0, "gap": 140.0, "setback": 120.0,
    "tree_height": 130.0, "tree_share": 100.0, "pole_gap": 110.0, "lane": 150.0, "trim": 90.0,
}  # fmt: skip
FLAG_COLOURS, FLAG_PATTERNS = 8, 6


@dataclass(frozen=True)
class Look:
    """The traits of one drive: kinds (row numbers), measures in 0..1, and the municipality's flag and sign."""

    kinds: dict[str, int]
    measures: dict[str, float]
    flag: tuple[int, int, int]  # two colours and a pattern

    def __getitem__(self, name: str) -> int | float:
        return self.kinds[name] if name in self.kinds else self.measures[name]


class Traits:
    """All traits of a country."""

    def __init__(self, country: Country, seed: int) -> None:
        self.country, self.seed = country, seed

    def look(self, xy: np.ndarray, municipality: int, rng: np.random.Generator) -> Look:
        """Draws the traits of a place (2,) in km."""
        kinds = {}
        for name, (sites, values) in self._sites.items():
            away = np.linalg.norm(sites - xy, axis=1) + KINDS[name][2] * rng.gumbel(size=len(sites))
            kinds[name] = int(values[away.argmin()])
        kinds["sign"] = int(self.country.region[municipality])
        noisy = {name: float(np.clip(v + rng.normal(0, 0.04), 0, 1)) for name, v in self.measures(xy).items()}
        return Look(kinds, noisy, self._flags[municipality])

    def measures(self, xy: np.ndarray) -> dict[str, float]:
        """The smooth fields at a place (2,), in 0..1."""
        values = {}
        for name, (ways, phases) in self._fields.items():
            height = np.cos(ways @ xy + phases).sum() / np.sqrt(len(phases) / 2)
            values[name] = float(1 / (1 + np.exp(-1.7 * height)))
        return values

    @cached_property
    def _sites(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Per kind: sites (n, 2) spread over the country, and the value that reigns around each (n,)."""
        found = {}
        for number, (name, (values, count, _)) in enumerate(KINDS.items()):
            rng = np.random.default_rng([self.seed, 21, number])
            sites = _apart(rng, count)
            found[name] = (sites, rng.permutation(np.resize(rng.permutation(values), count)))
        return found

    @cached_property
    def _fields(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Per measure: wave vectors (6, 2) in 1/km and phases (6,)."""
        found = {}
        for number, (name, wavelength) in enumerate(MEASURES.items()):
            rng = np.random.default_rng([self.seed, 22, number])
            turn = rng.uniform(0, 2 * np.pi, 6)
            length = 2 * np.pi / (wavelength * rng.uniform(1.2, 2.4, 6))
            found[name] = (np.stack([np.cos(turn), np.sin(turn)], 1) * length[:, None], rng.uniform(0, 2 * np.pi, 6))
        return found

    @cached_property
    def _flags(self) -> list[tuple[int, int, int]]:
        """A flag per municipality, no two alike while there are enough: two different colours and a pattern."""
        rng = np.random.default_rng([self.seed, 23])
        every = [(a, b, p) for a in range(FLAG_COLOURS) for b in range(FLAG_COLOURS) if a != b
                 for p in range(FLAG_PATTERNS)]  # fmt: skip
        order = rng.permutation(len(every))
        return [every[order[k % len(every)]] for k in range(len(self.country.names))]


def _apart(rng: np.random.Generator, count: int) -> np.ndarray:
    """Points (count, 2) over the country, each the farthest of some draws from those before."""
    points = rng.uniform(-0.8, 0.8, (1, 2)) * RADIUS_KM
    while len(points) < count:
        turn, away = rng.uniform(0, 2 * np.pi, 12), RADIUS_KM * np.sqrt(rng.uniform(0, 1.2, 12))
        drawn = np.stack([np.cos(turn), np.sin(turn)], 1) * away[:, None]
        gap = np.linalg.norm(drawn[:, None] - points, axis=2).min(1)
        points = np.concatenate([points, drawn[gap.argmax()][None]])
    return points
