"""Looks of the buildings: one draw of colours and measures per building, by district."""

import numpy as np

RGB = tuple[float, float, float]


def palette(*codes: str) -> list[RGB]:
    """Turns "rrggbb" codes into colours in 0..1."""
    return [tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)) for code in codes]


OLD_TOWN, BRICK_ROWS, BUSINESS, BOULEVARD, MODERN = range(5)
PLAIN, BRICK, STONE, PANEL = range(4)

PLASTER = palette("d9b382", "e6c79c", "c98f65", "d6a3a0", "efe0c0", "b9c4a6", "c9b7a2", "e2b04f", "a9b9c8", "c2694f")
BRICKS = palette("9a4f3c", "7f3f35", "b3694d", "a88a74", "8a5a44", "c29a7c", "6e4238")
STONES = palette("d8cdb4", "cbbfa6", "e3dac6", "bfb5a3", "c7b690")
PANELS = palette("8d99a3", "b5bcc0", "5d6b78", "a3a096", "d4d6d4", "3f4a55", "7d8f86")
ACCENTS = palette("d04a3a", "2f6db0", "e0a82e", "3f8f5f", "7a4a8f", "e07b39", "3aa0a0", "f0f0ea", "4a4a4a", "b8356a")
STRANGERS = palette("a8584a", "4f7396", "c9a050", "6d9078", "86708f", "c88a5c", "6d9a9a", "e8e4d8", "5f5f60", "a8657f")
ROOFS = palette("8c4a35", "6b6f75", "4c5058", "a35b3f", "5f5148")
TRIMS = palette("f2efe6", "e0d8c8", "ffffff", "5a5048", "3b4a3f", "8a8f94", "c9b28c")
SHUTTERS = palette("4f6b4a", "3f5670", "7a4a35", "8fa39a", "6b2f2f", "e8e4d8", "2f4a4a")
DOORS = palette("5a3620", "2f3f2f", "7a1f1f", "23395a", "1f1f1f", "8a6a3a", "d8d0c0")

# Per district: floors low/high, facade width low/high (m), floor height (m), bay (m), walls, pattern, share of shops.
DISTRICTS = {
    OLD_TOWN: ((3, 5), (7, 15), (3.1, 3.6), (2.4, 3.4), PLASTER, PLAIN, 0.6),
    BRICK_ROWS: ((2, 4), (6, 12), (2.9, 3.3), (2.4, 3.6), BRICKS, BRICK, 0.12),
    BUSINESS: ((6, 14), (18, 34), (3.4, 4.0), (1.8, 4.5), PANELS, PANEL, 0.5),
    BOULEVARD: ((5, 7), (12, 22), (3.2, 3.7), (2.5, 3.3), STONES, STONE, 0.65),
    MODERN: ((3, 8), (10, 24), (2.9, 3.3), (2.8, 5.0), PLASTER + PANELS + STRANGERS, PLAIN, 0.3),
}


def pick(rng: np.random.Generator, colours: list[RGB], spread: float = 0.04) -> np.ndarray:
    """Draws one colour (3,) of a palette and shifts it a little."""
    return np.clip(np.array(colours[rng.integers(len(colours))]) + rng.normal(0, spread, 3), 0.02, 1.0)


def lot_width(rng: np.random.Generator, district: int) -> float:
    """Draws the width of a facade in metres."""
    return float(rng.uniform(*DISTRICTS[district][1]))


def draw_style(rng: np.random.Generator, district: int) -> dict[str, float | np.ndarray]:
    """Draws how one building looks.

    Returns:
        Lengths in metres, switches as 0/1, colours as (3,) arrays in 0..1. `height` is the eaves' height.
    """
    floors, _, floor_height, bay, walls, pattern, shops = DISTRICTS[district]
    if rng.random() < 0.12:  # a stranger in the row: what people remember of a street
        walls, pattern = STRANGERS, PLAIN
    style: dict[str, float | np.ndarray] = {
        "shop": float(rng.random() < shops),
        "shop_width": rng.uniform(3.6, 7.0),
        "ground_floor": rng.uniform(3.4, 4.6),
        "floor_height": rng.uniform(*floor_height),
        "bay": rng.uniform(*bay),
        "pattern": float(pattern if rng.random() < 0.85 else rng.integers(4)),
        "seed": float(rng.integers(1, 1 << 20)),
        "wall": pick(rng, walls),
        "trim": pick(rng, TRIMS),
        "roof": pick(rng, ROOFS),
        "shutter": pick(rng, SHUTTERS),
        "door": pick(rng, DOORS),
        "sign": pick(rng, ACCENTS),
        "glass": np.array([0.16, 0.2, 0.25]) + rng.uniform(-0.05, 0.08, 3),
    }
    style["height"] = style["ground_floor"] + rng.integers(floors[0], floors[1] + 1) * style["floor_height"] + 0.8
    style |= _openings(rng, district, float(style["bay"]), float(style["floor_height"]))
    return style | _crown(rng, district)


def _openings(rng: np.random.Generator, district: int, bay: float, floor_height: float) -> dict[str, float]:
    """Draws windows, shutters, balconies and ledges."""
    wide = rng.uniform(0.7, 0.92) if district in (BUSINESS, MODERN) else rng.uniform(0.33, 0.55)
    tall = rng.uniform(0.45, 0.72)
    classic = district in (OLD_TOWN, BOULEVARD)
    return {
        "window_width": bay * wide,
        "window_height": floor_height * tall,
        "sill": floor_height * rng.uniform(0.15, 0.95 - tall),
        "frame": rng.uniform(0.06, 0.22),
        "mullion": float(rng.random() < 0.7),
        "arch": float(rng.random() < (0.3 if classic else 0.08)),
        "shutters": float(wide < 0.5 and rng.random() < (0.55 if classic else 0.15)),
        "balcony": float(rng.random() < (0.45 if classic or district == MODERN else 0.08)),
        "ledge": float(rng.random() < 0.5),
        "awning": float(rng.random() < 0.45),
    }


def _crown(rng: np.random.Generator, district: int) -> dict[str, float]:
    """Draws the roof line: a band of roof above the eaves, a gable over the front, or neither."""
    band = {OLD_TOWN: 0.6, BRICK_ROWS: 0.3, BUSINESS: 0.1, BOULEVARD: 0.8, MODERN: 0.15}[district]
    gable = {OLD_TOWN: 0.2, BRICK_ROWS: 0.5, BUSINESS: 0.0, BOULEVARD: 0.0, MODERN: 0.1}[district]
    return {
        "roof_band": float(rng.uniform(1.2, 3.0)) if rng.random() < band else 0.0,
        "gable": float(rng.uniform(1.5, 3.5)) if rng.random() < gable else 0.0,
        "cornice": float(rng.choice([0.25, 0.45, 0.7])),
    }
