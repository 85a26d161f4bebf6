"""Houses and fences of the demo country: the looks of demo.styles with masonry, windows and roofs by the place."""

import numpy as np

from demo import styles
from demo.traits import Look

BOARDS, UPRIGHT, TIMBER, HEDGE, DRY_STONE, FENCE, RAILS, BLOCKS = range(4, 12)
MASONRY = (styles.PLAIN, BLOCKS, styles.STONE, styles.PANEL, BOARDS, UPRIGHT, TIMBER)
# The same colours everywhere: a region is known by how it builds, not by the mean colour of its photos.
WALLS = styles.PLASTER + styles.BRICKS + styles.STONES + styles.PANELS[:5] + styles.STRANGERS
# Per kind: bay in metres, width and height of the glass as shares of bay and storey, then switches as 0/1.
WINDOWS = (
    {"bay": 2.3, "wide": 0.34, "tall": 0.66, "arch": 1, "shutters": 0, "mullion": 1, "balcony": 0, "frame": 0.1},
    {"bay": 4.2, "wide": 0.84, "tall": 0.42, "arch": 0, "shutters": 0, "mullion": 0, "balcony": 0, "frame": 0.06},
    {"bay": 3.2, "wide": 0.32, "tall": 0.46, "arch": 0, "shutters": 1, "mullion": 1, "balcony": 0, "frame": 0.08},
    {"bay": 3.4, "wide": 0.26, "tall": 0.32, "arch": 0, "shutters": 0, "mullion": 0, "balcony": 0, "frame": 0.32},
    {"bay": 3.0, "wide": 0.44, "tall": 0.66, "arch": 0, "shutters": 0, "mullion": 1, "balcony": 1, "frame": 0.1},
    {"bay": 1.7, "wide": 0.6, "tall": 0.6, "arch": 0, "shutters": 0, "mullion": 1, "balcony": 0, "frame": 0.26},
)
TRIANGLE, STEPS, ROUND, HALF_HIPPED, CURVED, LEVEL = range(6)  # forms of render.gable_outline
EAVES = 5  # kind of roof that shows its slope to the road
# Per kind of fence: pattern, height in metres, colours.
FENCES = (
    (HEDGE, 1.3, styles.palette("4f7a3a", "5f8a3f", "3f6a3a")),
    (DRY_STONE, 1.0, styles.palette("8f8a80", "a39c8c", "7d7a75")),
    (FENCE, 1.2, styles.palette("d8d4c8", "8a6a4a", "6b7a6a", "a8583f")),
    (styles.PLAIN, 1.4, styles.palette("d8d0bc", "cdb89a", "b9b9b4")),
    (styles.BRICK, 1.1, styles.palette("9a4f3c", "8a5a44", "a88a74")),
    (RAILS, 1.1, styles.palette("7a6a58", "c8c4b8", "5a4a3c")),
)


def house_style(rng: np.random.Generator, look: Look, urban: float) -> dict[str, float | np.ndarray]:
    """Draws how one house looks: the place decides how it is built, chance its colours.

    Args:
        urban: 0 in the country, 1 in the middle of a large town.

    Returns:
        A row of City.buildings without its footprint.
    """
    style = styles.draw_style(rng, styles.OLD_TOWN if urban > 0.5 else styles.BRICK_ROWS)
    second = rng.random() < 0.2
    style["pattern"] = float(MASONRY[int(look["second_masonry" if second else "masonry"])])
    style["wall"] = styles.pick(rng, WALLS)
    style["shop"] = float(rng.random() < 0.7 * max(urban - 0.35, 0))
    style["ground_floor"] = rng.uniform(3.4, 4.2) if style["shop"] else rng.uniform(2.8, 3.1)
    style["floor_height"] = 2.6 + 1.1 * look["storey"] + rng.normal(0, 0.05)
    most = 0.6 + 1.6 * urban + 4.5 * max(urban - 0.6, 0)
    floors = int(np.clip(round(rng.normal(most, 0.5)), 0, 7))
    style["height"] = style["ground_floor"] + floors * style["floor_height"] + (0.8 if floors else 0.3)
    style |= _window(rng, look, style["floor_height"])
    style |= {"roof_band": 0.0, "gable": 0.0, "ledge": float(look["trim"] > 0.5), "awning": float(look["trim"] < 0.4)}
    style["cornice"] = 0.15 + 0.7 * look["trim"]
    return style


def roof_walls(rng: np.random.Generator, look: Look, urban: float, width: float) -> dict[str, np.ndarray]:
    """Draws the roof of a house: what rises above each of its four walls, the front first.

    Returns:
        gable (4,) in metres, gable_form (4,), roofed (4,) 1 where roof is seen instead of wall.
    """
    kind = int(look["roof"]) if rng.random() < 0.95 else int(rng.integers(6))
    tall = (1.2 + 3.4 * look["pitch"]) * np.clip(width / 9, 0.7, 1.3) * rng.uniform(0.9, 1.1)
    if urban > 0.75 and rng.random() < 0.35:
        tall = 0.0  # a flat roof
    ends = 0 if kind == EAVES else kind
    form = np.array([LEVEL, ends, LEVEL, ends] if kind == EAVES else [ends, LEVEL, ends, LEVEL], float)
    roofed = (form == LEVEL).astype(float)
    return {"gable": np.full(4, tall), "gable_form": form, "roofed": roofed * (tall > 0)}


def fence_style(rng: np.random.Generator, kind: int, colour: np.ndarray, seed: float) -> dict[str, float | np.ndarray]:
    """A fence as a row of City.buildings: low and without windows."""
    pattern, height, _ = FENCES[kind]
    style = styles.draw_style(rng, styles.BRICK_ROWS)
    capped = pattern in (styles.PLAIN, styles.BRICK)
    return style | {
        "pattern": float(pattern), "wall": colour, "height": height * rng.uniform(0.92, 1.08), "seed": seed,
        "roof_band": 0.0, "gable": 0.0, "cornice": 0.12 if capped else 0.0, "shop": 0.0, "ledge": 0.0,
    }  # fmt: skip


def _window(rng: np.random.Generator, look: Look, floor_height: float) -> dict[str, float]:
    """Draws windows of the place's kind; their size varies smoothly with the place."""
    kind = WINDOWS[int(look["window"]) if rng.random() < 0.95 else rng.integers(len(WINDOWS))]
    grow = 0.8 + 0.45 * look["window_size"]
    bay = kind["bay"] * rng.uniform(0.92, 1.08)
    tall = min(kind["tall"] * grow, 0.8)
    return {
        "bay": bay,
        "window_width": bay * min(kind["wide"] * grow, 0.92),
        "window_height": floor_height * tall,
        "sill": floor_height * min(0.3, 0.92 - tall),
    } | {key: float(kind[key]) for key in ("arch", "shutters", "mullion", "balcony", "frame")}
