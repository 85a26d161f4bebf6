"""A road of the demo country as a City that demo.render can draw: roadway, houses, fences, plants and furniture."""

from dataclasses import dataclass

import numpy as np

from demo import roadside, styles
from demo.city import BENCH, BIN, CONIFER, LAMP, TREE, City, make_table, make_walls
from demo.houses import FENCES, fence_style, house_style, roof_walls
from demo.land import Land, Skyline
from demo.traits import Look

SEGMENT, SEGMENTS = 48.0, 9  # metres; all periods of the road's paint divide a segment
LENGTH = SEGMENT * SEGMENTS
TREES = (
    TREE, CONIFER, roadside.POPLAR, roadside.BIRCH, roadside.PALM, roadside.UMBRELLA, roadside.POLLARD,
)  # fmt: skip
LAMPS = (LAMP, roadside.GLOBE, roadside.LANTERN, roadside.DOUBLE)
SEASONS = ("spring", "summer", "autumn", "winter")
LEAVES = {
    "spring": styles.palette("6f9a3f", "7fa84a", "5a8a42", "98a84f"),
    "summer": styles.palette("4f7a3a", "5f8a3f", "3f6a3a", "3f5f35"),
    "autumn": styles.palette("a8782f", "8a7f3a", "9a5a2c", "6f7a38", "b8923a"),
    "winter": styles.palette("5a5640", "6b6248", "4f5a42", "746a58"),
}
GRASS = {
    "spring": styles.palette("5f8a3a", "6f9444", "54803a"),
    "summer": styles.palette("52783a", "84884a", "6a7f3c", "9a904f"),
    "autumn": styles.palette("76793e", "8a7d48", "5f7040"),
    "winter": styles.palette("7a7350", "6a6a4c", "86805e", "d8dade"),
}
CROPS = styles.palette("8a9a44", "b8a04a", "5f8a3a", "a8904a", "74803a", "9a8a5c")
SOILS = styles.palette("7a5f44", "8f7350", "6a5a4a", "9a8464", "80705c", "8a6248")


@dataclass(frozen=True)
class Path:
    """The middle of a road: joints (SEGMENTS + 1, 2) in metres."""

    joints: np.ndarray

    def at(self, along: float, left: float = 0.0) -> np.ndarray:
        """Point (2,) `along` metres from the start and `left` metres off the middle."""
        k = int(np.clip(along // SEGMENT, 0, SEGMENTS - 1))
        ahead = self.ahead(along)
        return self.joints[k] + ahead * (along - k * SEGMENT) + np.array([-ahead[1], ahead[0]]) * left

    def ahead(self, along: float) -> np.ndarray:
        """Unit vector (2,) of the road's direction."""
        k = int(np.clip(along // SEGMENT, 0, SEGMENTS - 1))
        return (self.joints[k + 1] - self.joints[k]) / SEGMENT


def make_road(look: Look, urban: float, season: str, rng: np.random.Generator) -> tuple[City, Path]:
    """Draws a road with what stands along it.

    Args:
        look: traits of the place.
        urban: 0 in the country, 1 in the middle of a large town.
        season: one of SEASONS.
    """
    bends = np.cumsum(np.append(rng.uniform(0, 360), rng.normal(0, 2.0 + 3 * (urban < 0.3), SEGMENTS - 1)))
    steps = SEGMENT * np.stack([np.sin(np.deg2rad(bends)), np.cos(np.deg2rad(bends))], axis=1)
    path = Path(np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]))
    road = 2.6 + 1.1 * look["lane"] + 1.6 * max(urban - 0.4, 0)
    half = road + (0.7 if urban < 0.25 else 1.6 + 2.2 * urban)
    rows = _houses(rng, path, look, urban, half) + _fences(rng, path, look, urban, half)
    buildings = make_table([{"footprint": footprint} | style for footprint, style, _, _ in rows])
    walls = make_walls(buildings, np.array([open_sides for _, _, open_sides, _ in rows]))
    walls |= {key: np.concatenate([roof[key] for *_, roof in rows]).astype(np.float32) for key in rows[0][3]}
    props = make_table(_plants(rng, path, look, urban, (road, half), season) + _furniture(rng, path, look, urban, road))
    streets = _streets(rng, path, urban, road, half)
    blocks = {"corners": np.zeros((0, 4, 2)), "kind": np.zeros(0, int)}
    land = _land(rng, path, look, urban, season)
    return City(streets, blocks, walls, buildings, props, land, crowd=0.05 + 0.7 * max(urban - 0.3, 0)), path


def _streets(rng: np.random.Generator, path: Path, urban: float, road: float, half: float) -> dict[str, np.ndarray]:
    """City.streets of the path, without junctions."""
    count = np.ones(SEGMENTS)
    return {
        "a": path.joints[:-1], "b": path.joints[1:], "road": road * count, "half": half * count,
        "clear": np.full((SEGMENTS, 2), -10.0), "zebra": np.zeros((SEGMENTS, 2), bool), "marking": 0 * count,
        "cobbled": count * (urban > 0.5 and rng.random() < 0.12),
        "parking": count * (urban > 0.45 and road > 3.4 and rng.random() < 0.6),
        "lawn": count * (urban < 0.25 or rng.random() < 0.3),
    }  # fmt: skip


def _land(rng: np.random.Generator, path: Path, look: Look, urban: float, season: str) -> Land:
    """Ground and horizon; tones of asphalt, grass, crop and soil are by season and chance."""
    tone = rng.uniform(0.33, 0.5) + rng.normal(0, 0.012, 3)
    turn = np.arctan2(*path.ahead(LENGTH / 2)[::-1]) + rng.choice([0.0, 0.35, np.pi / 2], p=[0.4, 0.2, 0.4])
    height = 0.03 + 0.2 * look["hills"] ** 1.3 * rng.uniform(0.85, 1.15)
    return Land(
        skyline=Skyline(int(look["skyline"]), height, rng.uniform(0, 2 * np.pi, 4)),
        asphalt=tone,
        grass=styles.pick(rng, GRASS[season], 0.03),
        crop=styles.pick(rng, CROPS, 0.03),
        soil=styles.pick(rng, SOILS, 0.03),
        surface=int(look["surface"]),
        marking=int(look["marking"]),
        edge=int(look["edge"]),
        kerb=int(look["kerb"]) if urban >= 0.25 else 4,
        field=int(look["field"]) if urban < 0.3 else 0,
        turn=float(turn),
        tiles=urban >= 0.25,
        verge=rng.uniform(2.5, 4.5) + 1.5 if urban < 0.3 else 14.0,
        shade=1.0 + 9 * urban,
    )


def _houses(rng: np.random.Generator, path: Path, look: Look, urban: float, half: float) -> list[tuple]:
    """Houses on both sides: (footprint (4, 2), style, which walls have windows, what rises above the walls)."""
    rows = []
    for side in (1, -1):
        at = rng.uniform(0, 20)
        while True:
            width = rng.uniform(7, 13) + 4 * max(urban - 0.6, 0)
            if at + width > LENGTH:
                break
            terraced = rng.random() < 1.6 * (urban - 0.35) * (1.2 - 0.6 * look["gap"])
            loose = 3 + 9 * look["gap"] * (1 - urban) + rng.exponential(70) * max(0.45 - urban, 0) / 0.45
            back = 0.4 + 10 * max(0.7 - urban, 0) * (0.35 + look["setback"]) * rng.uniform(0.8, 1.2)
            back += rng.uniform(0, 14) * (urban < 0.25)
            depth = rng.uniform(7, 10)
            footprint = _along(path, side, (at, at + width), half + back, depth)
            roof = roof_walls(rng, look, urban, width)
            sides = not terraced and rng.random() < 0.8
            rows.append((footprint, house_style(rng, look, urban), (True, sides, True, sides), roof))
            at += width + (0.0 if terraced else loose)
    return rows


def _along(path: Path, side: int, span: tuple[float, float], left: float, depth: float) -> np.ndarray:
    """Footprint (4, 2) whose first wall faces the road; side is 1 on its left."""
    a, b = span if side == 1 else span[::-1]
    front = [path.at(a, side * left), path.at(b, side * left)]
    return np.array([*front, path.at(b, side * (left + depth)), path.at(a, side * (left + depth))])


def _fences(rng: np.random.Generator, path: Path, look: Look, urban: float, half: float) -> list[tuple]:
    """Fences along both sides, with gaps; few in the middle of towns."""
    rows = []
    flat = {"gable": np.zeros(4), "gable_form": np.zeros(4), "roofed": np.zeros(4)}
    for side in (1, -1):
        kind = int(look["fence"]) if rng.random() < 0.92 else int(rng.integers(len(FENCES)))
        colour, seed = styles.pick(rng, FENCES[kind][2], 0.03), float(rng.integers(1 << 20))
        share = 0.75 if urban < 0.7 else 0.15
        at, left = rng.uniform(0, 8), half + (0.2 if urban >= 0.25 else 2.2)
        while at < LENGTH - 14:
            long = rng.uniform(6, 13)
            if rng.random() < share:
                footprint = _along(path, side, (at, at + long), left, 0.6 if kind == 0 else 0.3)
                rows.append((footprint, fence_style(rng, kind, colour, seed), (False,) * 4, flat))
            at += long + (rng.uniform(1.5, 4) if rng.random() < 0.3 else 0.0)
    return rows


def _prop(kind: int, xy: np.ndarray, colour: np.ndarray, seed: int, size: float = 1.0) -> dict:
    return {"kind": kind, "xy": xy, "size": size, "colour": colour, "seed": seed}


def _plants(
    rng: np.random.Generator, path: Path, look: Look, urban: float, widths: tuple[float, float], season: str
) -> list[dict]:
    """Trees of the place's kinds: rows along streets, groups in gardens and fields."""
    road, half = widths
    props = []
    for _ in range(int(16 + 60 * look["tree_share"] * (1.15 - urban) * rng.uniform(0.8, 1.2))):
        draw = rng.random()
        kind = TREES[int(look["tree" if draw < 0.7 else "second_tree"])] if draw < 0.96 else rng.choice(TREES)
        street = road + 1.0 if half > road + 2 else half + 3
        left = street if urban > 0.45 else half + 3 + rng.exponential(9)
        size = (0.7 + 0.55 * look["tree_height"]) * rng.uniform(0.85, 1.15)
        xy = path.at(rng.uniform(0, LENGTH), left * rng.choice([-1, 1]))
        props.append(_prop(int(kind), xy, styles.pick(rng, LEAVES[season], 0.03), int(rng.integers(1 << 20)), size))
    return props


def _furniture(rng: np.random.Generator, path: Path, look: Look, urban: float, road: float) -> list[dict]:
    """Poles, posts, lamps, flags, signs and small things beside the roadway."""
    first, second, pattern = look.flag
    props = []
    grey = np.full(3, 0.5)
    side = rng.choice([-1, 1])

    def line(kind: int, seed: int, gap: float, sides: tuple[int, ...], off: float, size: float = 1.0) -> None:
        for one in sides:
            for at in np.arange(rng.uniform(0, gap), LENGTH, gap):
                xy = path.at(at + rng.normal(0, 0.06 * gap), one * (road + off))
                props.append(_prop(kind, xy, roadside.COLOURS[first], seed, size * rng.uniform(0.95, 1.05)))

    arms = pattern + 8 * second
    if urban < 0.75:
        line(roadside.POLE, int(look["pole"]), 16 + 22 * look["pole_gap"], (side,), 1.4)
    line(roadside.POST, int(look["post"]), 9.0 if urban < 0.4 else 14.0, (-1, 1), 0.5)
    if urban > 0.25:
        line(LAMPS[int(look["lamp"])], 0, 24.0, (-side,), 0.6)
        line(roadside.FLAG, arms, 27.0, (-1, 1), 0.8)
    line(roadside.SHIELD, arms + 64 * int(look["sign"]), 22.0, (-1, 1), 0.7)
    for _ in range(int(14 * urban)):
        kind = int(rng.choice([BIN, BENCH]))
        xy = path.at(rng.uniform(0, LENGTH), rng.choice([-1, 1]) * (road + 1.2))
        props.append(_prop(kind, xy, styles.pick(rng, styles.ACCENTS) if kind == BIN else grey, 0))
    return props
