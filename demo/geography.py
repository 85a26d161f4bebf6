"""The demo country: an invented island in the North Atlantic with regions, municipalities and towns.

Plans are in kilometres (east, north) from CENTRE. The coast and all borders are Voronoi cells bent by a smooth map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely

COUNTRY = "Valdora"
CENTRE = (46.0, -33.0)  # latitude and longitude of a place without land
RADIUS_KM = 150.0
KM_A_DEGREE = 6371.0088 * np.pi / 180
WAVES = ((170.0, 6.0), (60.0, 3.5), (16.0, 0.85))  # wavelength and size in km; slopes add up to less than 1
STEP_KM = 2.0  # between the vertices of a border
VILLAGES = 3

# Per region: the beginnings and the endings of its names.
SOUNDS = (
    (("Bar", "Cor", "Mal", "Ser", "Tar", "Val", "Por", "Lam"), ("ena", "ola", "aro", "ino", "eta", "ura")),
    (("Hol", "Skar", "Nor", "Vin", "Elm", "Tor", "Ask", "Grim"), ("vik", "stad", "holm", "dal", "fjord", "by")),
    (("Kres", "Dol", "Brat", "Zel", "Mir", "Stan", "Vod", "Lip"), ("ovo", "ice", "any", "sko", "grad", "nik")),
    (("Ash", "Kel", "Wor", "Hather", "Bram", "Ox", "Stow", "Pem"), ("ton", "ford", "ham", "ley", "wick", "by")),
    (("Aur", "Bel", "Mont", "Clair", "Fon", "Roch", "Vern", "Sav"), ("ac", "igny", "ville", "eaux", "mont", "ey")),
    (("Lau", "Kai", "Pur", "Sil", "Var", "Hel", "Joen", "Rau"), ("la", "nen", "maa", "salo", "koski", "pelto")),
)
COMPASS = ("East", "Northeast", "North", "Northwest", "West", "Southwest", "South", "Southeast")


@dataclass(frozen=True)
class Country:
    """Everything on the map; M municipalities, R regions, T towns.

    Attributes:
        region_seeds: middles of the regions (R, 2), km.
        regions: their names (R,).
        shapes: polygons of the municipalities in degrees (longitude, latitude), an object array (M,).
        names: names of the municipalities (M,).
        region: region of each municipality, its row (M,).
        towns: places of the towns (T, 2), km; town_names, town_size (inhabitants), town_km (radius) (T,).
        plan: outline of the country, km.
    """

    region_seeds: np.ndarray
    regions: np.ndarray
    shapes: np.ndarray
    names: np.ndarray
    region: np.ndarray
    towns: np.ndarray
    town_names: np.ndarray
    town_size: np.ndarray
    town_km: np.ndarray
    plan: shapely.Polygon

    def municipality(self, xy: np.ndarray) -> np.ndarray:
        """Rows of the municipalities that hold points (n, 2) in km, -1 at sea."""
        found = np.full(len(xy), -1)
        points, areas = shapely.STRtree(self.shapes).query(shapely.points(to_degrees(xy)), predicate="intersects")
        found[points[::-1]] = areas[::-1]  # on a border, the first
        return found

    def coast_km(self, xy: np.ndarray) -> float:
        """Distance of a point (2,) from the border of the country in km."""
        return shapely.boundary(self.plan).distance(shapely.Point(xy))

    def nearest_town(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the nearest towns of points (n, 2), and their distances in km."""
        away = np.linalg.norm(xy[:, None] - self.towns, axis=2)
        return away.argmin(1), away.min(1)


def to_degrees(xy: np.ndarray) -> np.ndarray:
    """Longitudes and latitudes (..., 2) of plan positions (..., 2) in km, on the parallels' own scale."""
    latitude = CENTRE[0] + xy[..., 1] / KM_A_DEGREE
    longitude = CENTRE[1] + xy[..., 0] / (KM_A_DEGREE * np.cos(np.deg2rad(latitude)))
    return np.stack([longitude, latitude], axis=-1)


def make_country(seed: int, municipalities: int, regions: int) -> Country:
    """Draws the country. The same numbers give the same country."""
    rng = np.random.default_rng([seed, 20])
    bend = _bend(rng)
    coast = _coast(rng)
    centres = _spread(rng, coast, regions, 8)
    seeds = _spread(rng, coast, municipalities, 2)
    region = np.linalg.norm(seeds[:, None] - centres, axis=2).argmin(1)
    plans = np.array([_bent(cell, bend) for cell in _voronoi(seeds, coast)])
    names, town_names = _names(rng, region)
    towns, size = _towns(rng, plans, bend(seeds))
    return Country(
        region_seeds=bend(centres),
        regions=_region_names(bend(centres)),
        shapes=shapely.transform(plans, lambda xy: np.round(to_degrees(xy), 6)),
        names=names,
        region=region,
        towns=towns,
        town_names=town_names,
        town_size=size,
        town_km=0.35 * (size / 1000) ** 0.45,
        plan=shapely.union_all(plans),
    )


def _bend(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A smooth one-to-one map of the plane: steps along sums of waves whose slopes stay below 1."""
    waves = []
    for wavelength, size in WAVES:
        turn, phase = rng.uniform(0, 2 * np.pi, (2, 4))
        way = np.stack([np.cos(turn), np.sin(turn)]) * 2 * np.pi / wavelength
        waves.append((way, phase, rng.normal(size=(4, 2)), size))

    def bend(xy: np.ndarray) -> np.ndarray:
        moved = xy.astype(float)
        for way, phase, push, size in waves:
            push = push / np.linalg.norm(push, axis=1).sum()
            moved = moved + size * np.sin(xy @ way + phase) @ push
        return moved

    return bend


def _coast(rng: np.random.Generator) -> shapely.Polygon:
    """The island before it is bent."""
    turn = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    away = np.ones_like(turn)
    for k, size in ((2, 0.12), (3, 0.08), (5, 0.05), (9, 0.03), (14, 0.015), (23, 0.012), (37, 0.007)):
        away += size * np.sin(k * turn + rng.uniform(0, 2 * np.pi))
    return shapely.Polygon(RADIUS_KM * away[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1))


def _spread(rng: np.random.Generator, coast: shapely.Polygon, count: int, rounds: int) -> np.ndarray:
    """Points (count, 2) inside, moved to the middles of their Voronoi cells some times."""
    points = np.empty((0, 2))
    while len(points) < count:
        drawn = rng.uniform(-1.4 * RADIUS_KM, 1.4 * RADIUS_KM, (count, 2))
        points = np.concatenate([points, drawn[shapely.contains_xy(coast, drawn)]])[:count]
    for _ in range(rounds):
        points = shapely.get_coordinates(shapely.centroid(_voronoi(points, coast)))
    return points


def _voronoi(seeds: np.ndarray, coast: shapely.Polygon) -> np.ndarray:
    """Voronoi cell of each seed within the coast, an object array."""
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=coast))
    owner = shapely.STRtree(cells).query(shapely.points(seeds), predicate="intersects")
    order = np.empty(len(seeds), int)
    order[owner[0]] = owner[1]
    return shapely.intersection(cells[order], coast)


def _bent(cell: shapely.Polygon, bend: Callable[[np.ndarray], np.ndarray]) -> shapely.Polygon:
    """A cell with wavy borders; both sides of a border get the same vertices."""
    ring = np.round(shapely.get_coordinates(shapely.get_exterior_ring(cell)), 6)
    out = []
    for a, b in zip(ring[:-1], ring[1:], strict=True):
        steps = max(int(np.ceil(np.linalg.norm(b - a) / STEP_KM - 1e-6)), 1)
        share = np.arange(steps)[:, None] / steps
        if tuple(a) > tuple(b):
            share = 1 - share
            out.append(b + (a - b) * share)
        else:
            out.append(a + (b - a) * share)
    return shapely.Polygon(bend(np.concatenate(out)))


def _names(rng: np.random.Generator, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the municipalities, and of their towns, the main town of each first."""
    used: set[str] = set()

    def draw(row: int) -> str:
        first, last = SOUNDS[row % len(SOUNDS)]
        for _ in range(1000):
            name = str(rng.choice(first)) + str(rng.choice(last))
            few_are_left = len(used) > 30 * len(SOUNDS)
            if few_are_left or rng.random() < 0.1:
                name = f"{name} {rng.choice(['Bay', 'Hill', 'Mill', 'Cross'])}"
            if name not in used:
                used.add(name)
                return name
        raise ValueError("no names are left")

    names = [draw(row) for row in region]
    villages = [draw(row) for row in region for _ in range(VILLAGES)]
    return np.array(names), np.array(names + villages)


def _region_names(centres: np.ndarray) -> np.ndarray:
    """Names by direction from the middle of the country, numbered where two would be equal."""
    names: list[str] = []
    for east, north in centres:
        name = f"{COMPASS[round(np.arctan2(north, east) / (np.pi / 4)) % 8]} {COUNTRY}"
        if np.hypot(east, north) < RADIUS_KM / 3:
            name = f"Central {COUNTRY}"
        names.append(name if name not in names else f"Inner {name}" if f"Inner {name}" not in names else f"{name} 2")
    return np.array(names)


def _towns(rng: np.random.Generator, plans: np.ndarray, middles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (T, 2) in km and inhabitants (T,): a main town near each middle, villages anywhere in the municipality."""
    places = [_inside(rng, plan, lambda at=middle: at + rng.normal(0, 3, 2)) for plan, middle in
              zip(plans, middles, strict=True)]  # fmt: skip
    for plan in plans:
        low, high = np.array(plan.bounds).reshape(2, 2)
        places += [_inside(rng, plan, lambda low=low, high=high: rng.uniform(low, high)) for _ in range(VILLAGES)]
    rank = rng.permutation(len(plans)) + 1
    size = np.concatenate([500_000 / rank**0.9, rng.uniform(600, 6000, VILLAGES * len(plans))])
    return np.array(places), np.round(size)


def _inside(rng: np.random.Generator, plan: shapely.Polygon, draw: Callable[[], np.ndarray]) -> np.ndarray:
    """A drawn point that lies in the polygon, a little off its border where it is wide enough."""
    for margin in np.linspace(2, 0, 200):
        point = draw()
        if shapely.contains_xy(plan, *point) and plan.exterior.distance(shapely.Point(point)) > margin:
            return point
    return shapely.get_coordinates(plan.representative_point())[0]
