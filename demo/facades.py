"""Colours of walls: every texel follows from the building's measures, the place on the wall and a hash."""

from dataclasses import dataclass

import numpy as np

from demo import styles
from demo.city import City
from demo.weather import FINE, SOFT, sample_noise

# Per pattern (plain, brick, stone, panel): width, height and joint of one piece in metres, darkness of the joint.
# Those of the demo country follow: boards, upright boards, timber frame, hedge, dry stone, fence boards, rails, blocks.
PATTERNS = np.array(
    [
        [6.0, 3.2, 0.02, 0.05], [0.5, 0.2, 0.035, 0.3], [1.2, 0.55, 0.04, 0.2], [1.6, 1.7, 0.05, 0.28],
        [40, 0.36, 0.05, 0.45], [0.42, 40, 0.055, 0.45], [1.3, 1.45, 0.1, 0.72],
        [6.0, 6.0, 0.0, 0.0], [0.55, 0.26, 0.06, 0.45], [0.22, 40, 0.035, 0.6], [40, 0.42, 0.09, 0.65],
        [0.9, 0.38, 0.045, 0.4],
    ],
    np.float32,
)  # fmt: skip
ROUGHNESS = np.float32([0.3] * 7 + [1.5, 0.9, 0.3, 0.3, 0.3])
ACCENTS = np.array(styles.ACCENTS, np.float32).T
DOORS = np.array(styles.DOORS, np.float32).T
GLASS_DARK = np.float32([0.15, 0.17, 0.2])[:, None]
WARM = np.float32([1.0, 0.78, 0.42])[:, None]


@dataclass
class Spots:
    """Points on walls, one a pixel: all arrays (P,).

    u, z: metres along the wall from its left end and above the ground. du, dz: metres one pixel spans there.
    """

    wall: np.ndarray
    u: np.ndarray
    z: np.ndarray
    du: np.ndarray
    dz: np.ndarray


def hashed(*keys: np.ndarray | int) -> np.ndarray:
    """Mixes integer arrays into numbers in 0..1 that look random."""
    mix = np.uint32(0)
    for key, prime in zip(keys, (73856093, 19349663, 83492791), strict=False):
        mix = mix ^ np.asarray(key).astype(np.int32).view(np.uint32) * np.uint32(prime)
    mix = (mix ^ (mix >> np.uint32(13))) * np.uint32(0x5BD1E995)
    mix = (mix ^ (mix >> np.uint32(15))) * np.uint32(0x27D4EB2F)
    return (mix ^ (mix >> np.uint32(14))).astype(np.float32) * np.float32(2.0**-32)


def frac(x: np.ndarray) -> np.ndarray:
    """x modulo 1; NumPy's % takes some thirty times as long."""
    return x - np.floor(x)


def inside(distance: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Share of a pixel that lies on the positive side of an edge `distance` metres away (a box filter)."""
    return np.clip(distance / pixel + 0.5, 0, 1)


def keep(pixel: np.ndarray, period: np.ndarray | float) -> np.ndarray:
    """How much of a repeating pattern survives at this pixel size: 1 up to period / 4, 0 from 3/4 of it."""
    return np.clip(1.5 - 2 * pixel / period, 0, 1)


def blend(base: np.ndarray, colour: np.ndarray, share: np.ndarray) -> None:
    """Lays `colour` (3, P) or (3, 1) over `base` (3, P) in place."""
    base += (colour - base) * share


def paint_facades(city: City, spots: Spots, lit_windows: float, salt: int) -> tuple[np.ndarray, np.ndarray]:
    """Paints wall pixels.

    Args:
        lit_windows: share of the windows with a light behind them.
        salt: which windows are lit differs with it, nothing else does.

    Returns:
        Surface colours (3, P) and the light that windows give off (3, P).
    """
    index = city.walls["building"][spots.wall]
    at = {key: table.take(index, -1, mode="clip") for key, table in transposed(city).items()}
    at |= {key: city.walls[key][spots.wall] for key in ("bay", "blank", "roofed") if key in city.walls}
    colour = at["wall"].copy()
    _masonry(colour, spots, at)
    glow = np.zeros_like(colour)
    _windows(colour, glow, spots, at, lit_windows, salt)
    _ground_floor(colour, glow, spots, at, lit_windows)
    _crown(colour, spots, at)
    colour *= 0.78 + 0.22 * np.clip(spots.z * 0.6, 0, 1)  # less light reaches the foot of a wall
    return colour, glow


_cache: dict[int, tuple[City, dict[str, np.ndarray]]] = {}


def transposed(city: City) -> dict[str, np.ndarray]:
    """The buildings' table with the building as the last axis, kept for the city used last."""
    if id(city) not in _cache:
        _cache.clear()
        table = {k: np.ascontiguousarray(v.T) for k, v in city.buildings.items() if k != "footprint"}
        _cache[id(city)] = (city, table)
    return _cache[id(city)][1]


def _masonry(colour: np.ndarray, spots: Spots, at: dict[str, np.ndarray]) -> None:
    """Joints, stains and the ledges between floors."""
    pattern = at["pattern"].astype(np.int32)
    width, height, joint, dark = PATTERNS[pattern].T
    rough = ROUGHNESS[pattern]
    row = np.floor(spots.z / height)
    x = spots.u / width + frac(0.5 * row)
    across = inside(joint - np.abs(x - np.floor(x) - 0.5) * width, spots.du) * keep(spots.du, width)
    along = inside(joint - np.abs(spots.z - (row + 0.5) * height), spots.dz) * keep(spots.dz, height)
    grain = sample_noise(FINE, spots.u * 30 + at["seed"], spots.z * 30) - 0.5
    stain = sample_noise(SOFT, spots.u * 5 + at["seed"], spots.z * 5 + at["seed"]) - 0.5
    colour *= (1 - dark * np.maximum(across, along)) * (1 + rough * grain * keep(spots.dz, 0.25) + rough * stain)


def _windows(
    colour: np.ndarray, glow: np.ndarray, spots: Spots, at: dict[str, np.ndarray], lit_windows: float, salt: int
) -> None:
    """Windows with frame, mullion, arch, shutters and balcony, on all floors and, without shops, on the ground."""
    bay, floor_height = at["bay"], at["floor_height"]
    column = np.floor(spots.u / bay)
    x = np.abs(spots.u - (column + 0.5) * bay)
    floor = np.floor((spots.z - at["ground_floor"]) / floor_height)
    above = spots.z - at["ground_floor"] - floor * floor_height
    floor = np.maximum(floor, -1)
    tall = at["window_height"] * 0.5
    y = np.where(floor < 0, spots.z - 1.9, above - at["sill"] - tall)
    wide = at["window_width"] * 0.5
    bend = np.clip(y / tall, 0, 1)
    wide = wide * np.sqrt(1 - at["arch"] * 0.9 * bend * bend * bend)
    here = (spots.z < at["height"] - 0.7) & (at["blank"] == 0) & ((floor >= 0) | (at["shop"] == 0))
    sharp = keep(spots.du, bay) * keep(spots.dz, floor_height)
    y_off = np.abs(y)
    glass = inside(wide - x, spots.du) * inside(tall - y_off, spots.dz)
    mean = 4 * wide * tall / (bay * floor_height)
    glass = (mean + (glass - mean) * sharp) * here
    rim = at["frame"]
    frame = inside(wide + rim - x, spots.du) * inside(tall + rim - y_off, spots.dz) * here * sharp
    sill_line = inside(0.14 - np.abs(above), spots.dz) * at["ledge"] * (floor >= 0) * keep(spots.dz, 1.0)
    one = hashed(column, floor, at["seed"] + at["bay"] * 64)
    wings = inside(wide * 0.45 - np.abs(x - wide * 1.5), spots.du) * inside(tall - y_off, spots.dz) * here
    blend(colour, at["shutter"], wings * at["shutters"] * sharp)
    blend(colour, at["trim"], np.maximum(frame, sill_line))
    shut = at["shutters"] * (frac(one * 17.7) < 0.3)
    blend(colour, _pane(at, one, y / tall, shut, inside(0.05 - x, spots.du)), glass)
    rail = inside(wide + 0.35 - x, spots.du) * ((np.abs(y + tall - 0.35) < 0.5) & here & (floor >= 0))
    bars = 0.45 + (np.abs(frac(spots.u * 5) - 0.5) < 0.2) * keep(spots.du, 0.2) * 0.4
    blend(colour, np.float32([0.12, 0.12, 0.13])[:, None], rail * bars * at["balcony"] * sharp)
    if lit_windows > 0:
        tone = 0.35 + 0.65 * frac(one * 5.1)
        glow += WARM * (glass * (hashed(column + salt % 911, floor, at["seed"]) < lit_windows) * (1 - shut) * tone)


def _pane(
    at: dict[str, np.ndarray], one: np.ndarray, rise: np.ndarray, shut: np.ndarray, bar: np.ndarray
) -> np.ndarray:
    """Colours (3, P) within the frame: glass, curtain or closed shutter by the window's own number `one`."""
    pane = at["glass"] * (0.75 + 0.7 * one + 0.35 * rise)
    curtain = (frac(one * 7.3) > 0.62) * (0.3 + frac(one * 3.7) * 0.5)
    blend(pane, np.float32([0.85, 0.82, 0.76])[:, None], curtain)
    blend(pane, at["shutter"], shut)
    blend(pane, at["trim"], bar * at["mullion"] * 0.8)
    return pane


def _ground_floor(
    colour: np.ndarray, glow: np.ndarray, spots: Spots, at: dict[str, np.ndarray], lit_windows: float
) -> None:
    """Shops with glass, door, sign and awning; else a plinth and front doors. Works on the low pixels only."""
    low = np.flatnonzero((spots.z < at["ground_floor"]) & (at["blank"] == 0))
    if not len(low):
        return
    u, z, du, dz = spots.u[low], spots.z[low], spots.du[low], spots.dz[low]
    shop, top, width = at["shop"][low], at["ground_floor"][low], at["shop_width"][low]
    part, light = colour[:, low], glow[:, low]
    number = np.floor(u / width)
    x = u - (number + 0.5) * width
    one = hashed(number, at["seed"][low], 5)
    own = ACCENTS[:, (one * 9.99).astype(np.int32)]
    sharp = keep(du, width)
    blend(part, own * 0.55, shop * 0.8 * inside(top - 0.1 - z, dz))
    glass = inside(width * 0.44 - np.abs(x), du) * inside(np.minimum(z - 0.5, top - 1.1 - z), dz) * shop
    goods = hashed(np.floor(u * 2.2), np.floor(z * 1.7), at["seed"][low])
    wares = (GLASS_DARK + 0.3 * own) * (0.8 + 0.25 * goods * keep(du, 1.0)) * (0.8 + 0.25 * np.clip(z - 1, 0, 1))
    blend(part, wares, glass * sharp)
    light += WARM * (glass * (frac(one * 7.7) < 1.6 * lit_windows) * (0.5 + 0.4 * goods))
    door = inside(0.55 - np.abs(x - width * (one - 0.5) * 0.6), du) * inside(np.minimum(top - 1.2, 2.4) - z, dz)
    blend(part, DOORS[:, (frac(one * 13.7) * 6.99).astype(np.int32)], door * shop * sharp)
    _sign(part, light, (u, z, du, dz), (one, own, number), at["seed"][low], (shop, top), lit_windows)
    canvas = (np.abs(z - top + 1.35) < 0.4) * inside(width * 0.47 - np.abs(x), du) * shop * at["awning"][low]
    striped = (frac(u * 1.25) < 0.5) * keep(du, 0.8)
    blend(part, own + (np.float32(0.95) - own) * striped, canvas * (frac(one * 31) < 0.6))
    plain = 1 - shop
    blend(part, part * 0.6, inside(0.6 - z, dz) * plain)
    bay = at["bay"][low]
    column = np.floor(u / bay)
    entry = (hashed(column, at["seed"][low], 11) < 0.28) * plain
    x = np.abs(u - (column + 0.5) * bay)
    blend(part, at["trim"][:, low], inside(0.72 - x, du) * inside(2.55 - z, dz) * entry)
    blend(part, at["door"][:, low], inside(0.55 - x, du) * inside(2.4 - z, dz) * entry)
    colour[:, low], glow[:, low] = part, light


def _sign(
    part: np.ndarray,
    light: np.ndarray,
    place: tuple[np.ndarray, ...],
    shop: tuple[np.ndarray, ...],
    seed: np.ndarray,
    is_shop_top: tuple[np.ndarray, np.ndarray],
    lit_windows: float,
) -> None:
    """The band over a shop with blocks for letters, its own by shop."""
    u, z, du, dz = place
    one, own, number = shop
    is_shop, top = is_shop_top
    band = inside(0.36 - np.abs(z - top + 0.55), dz) * is_shop
    blend(part, own, band)
    letter = (hashed(np.floor(u / 0.28), number, seed) < 0.6) & (np.abs(z - top + 0.55) < 0.2)
    ink = np.float32(0.95) - np.float32(0.85) * (own.mean(0) > 0.55)
    blend(part, ink, letter * band * keep(du, 0.56) * (np.abs(frac(u * 3.57) - 0.5) < 0.38))
    light += own * (band * (frac(one * 3.3) < 1.3 * lit_windows) * 0.8)


def _crown(colour: np.ndarray, spots: Spots, at: dict[str, np.ndarray]) -> None:
    """Cornice under the eaves and the band of roof above them; a gable keeps the wall's colour."""
    high = np.flatnonzero(spots.z > at["height"] - 0.8)
    z, dz = spots.z[high] - at["height"][high], spots.dz[high]
    part = colour[:, high]
    ribs = 1 - 0.18 * (frac(z * 1.65) < 0.5) * keep(dz, 0.6)
    roofed = at["roofed"] if "roofed" in at else (at["roof_band"] > 0) * (at["gable"] == 0)
    roof = inside(z, dz) * roofed[high]
    blend(part, at["roof"][:, high] * ribs, roof)
    blend(part, at["trim"][:, high], inside(np.minimum(z + at["cornice"][high], -z), dz))
    colour[:, high] = part
