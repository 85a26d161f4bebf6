"""Flat cut-outs along the roads of the demo country: trees, poles, posts, lamps, flags and signs.

Shapes take x and z in metres from the foot, a colour (3,), a seed and the metres a pixel spans, and return colours
(3, h, w) and opacity (h, w). A seed holds the variant of a pole or post and the second colour of a flag or sign.
"""

import numpy as np

from demo.facades import frac, inside
from demo.styles import palette
from demo.weather import FINE, SOFT, sample_noise

POPLAR, BIRCH, PALM, UMBRELLA, POLLARD, POLE, POST, GLOBE, LANTERN, DOUBLE, FLAG, SHIELD = range(10, 22)
# Per kind: half width, height in metres before scaling.
EXTENT = {
    POPLAR: (1.6, 11.0), BIRCH: (2.0, 8.5), PALM: (2.7, 8.0), UMBRELLA: (3.4, 7.5), POLLARD: (1.9, 5.4),
    POLE: (1.5, 8.6), POST: (0.2, 1.25), GLOBE: (0.5, 4.0), LANTERN: (0.5, 4.6), DOUBLE: (1.6, 7.0),
    FLAG: (1.1, 5.6), SHIELD: (0.75, 3.3),
}  # fmt: skip
HEADS = {GLOBE: (0.0, 3.6), LANTERN: (0.0, 4.1), DOUBLE: (1.1, 6.6)}  # where light comes from
COLOURS = np.array(palette("c8342c", "24509a", "e8b820", "2e7d4a", "f2f2ee", "26262a", "e07428", "7a3f8c"), np.float32)

Cutout = tuple[np.ndarray, np.ndarray]


def _paint(colour: np.ndarray | tuple[float, float, float]) -> np.ndarray:
    return np.asarray(colour, np.float32)[:, None, None]


BARK, GREY, WOOD, BLACK = (_paint(c) for c in palette("52422f", "9a9a96", "6a5440", "202022"))


def _rough(x: np.ndarray, z: np.ndarray, seed: int, fine: float = 28.0) -> np.ndarray:
    """Noise around 0 that belongs to one plant."""
    u, v = x * fine + seed % 251 + 800 + 0 * z, z * fine + seed % 241 + 800 + 0 * x
    return sample_noise(FINE, u, v) * 0.6 + sample_noise(SOFT, u * 0.4, v * 0.4) * 0.7 - 0.65


def _crown(
    x: np.ndarray, z: np.ndarray, colour: np.ndarray, crown: np.ndarray, trunk: np.ndarray, bark: np.ndarray
) -> Cutout:
    """Leaves where `crown` is positive, in front of a trunk."""
    leaf = inside(crown, 0.25)
    shade = np.clip(0.8 + 0.05 * (z - 4) - 0.08 * x + 0.45 * crown, 0.25, 1.3)
    return bark + (_paint(colour) * shade - bark) * leaf, np.maximum(leaf, trunk)


def _poplar(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A slender column."""
    crown = 1 - (x / 1.15) ** 2 - ((z - 5.8) / 4.9) ** 4 + 0.9 * _rough(x, z, seed)
    return _crown(x, z, colour, crown, inside(0.14 - np.abs(x), pixel) * (z < 3), BARK)


def _birch(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A white stem with dark marks and an airy crown."""
    rough = _rough(x, z, seed, 40)
    crown = 0.62 - (x / 1.75) ** 2 - ((z - 5.6) / 2.7) ** 2 + 2.0 * rough
    marks = (frac(z * 2.3 + 0.3 * np.floor(z * 5)) < 0.22)[None]
    bark = np.where(marks, np.float32(0.15), np.float32(0.88)) * np.ones((3, 1, x.shape[1]), np.float32)
    return _crown(x, z, colour, crown, inside(0.15 - np.abs(x), pixel) * (z < 6.5), bark)


def _palm(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A bare stem with a star of bent fronds."""
    lean = 0.05 * (seed % 5 - 2) * (z / 6) ** 2
    x = x - lean * 4
    turn, away = np.arctan2(z - 6.3, x), np.hypot(x, (z - 6.3) * 1.15)
    frond = np.abs(frac((turn + 0.35 * away) * 11 / (2 * np.pi)) - 0.5)
    crown = np.minimum(0.62 - frond * away * 0.9, 2.3 - away - 0.6 * (turn < -0.9) * (turn > -2.2))
    leaf = inside(crown * (away > 0.1), pixel + 0.08)
    trunk = inside(0.17 - np.abs(x), pixel) * (z < 6.4)
    bark = BARK * (1.2 + 0.5 * (frac(z * 2.5) < 0.4))
    shade = np.clip(0.95 - 0.8 * frond + 0.1 * (z - 6), 0.3, 1.3)
    return bark + (_paint(colour) * shade - bark) * leaf, np.maximum(leaf, trunk)


def _umbrella(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A flat crown on a bare stem that forks."""
    crown = 1 - (x / 2.9) ** 2 - ((z - 6.2) / 0.95) ** 2 + 0.9 * _rough(x, z, seed)
    fork = np.abs(np.abs(x) - np.clip(z - 3, 0, None) * 0.4)
    return _crown(x, z, colour, crown, inside(0.16 - fork, pixel) * (z < 6), BARK * 1.4)


def _pollard(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A clipped ball on a short thick stem."""
    crown = 1 - (x / 1.55) ** 2 - ((z - 3.7) / 1.5) ** 2 + 0.25 * _rough(x, z, seed)
    return _crown(x, z, colour, crown, inside(0.2 - np.abs(x), pixel) * (z < 3), BARK)


def _pole(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """Carrier of overhead lines, by variant: one arm, two arms, lattice, transformer, two legs, a fork."""
    kind = seed % 6
    off = np.abs(x)

    def bar(at: float, reach: float) -> np.ndarray:
        return np.minimum(0.09 - np.abs(z - at), reach - off)

    stem = np.minimum(0.13 - off, 8.2 - z)
    if kind == 0:
        shape = np.maximum(stem, bar(7.6, 1.1))
    elif kind == 1:
        shape = np.maximum(np.maximum(stem, bar(7.6, 1.3)), bar(6.5, 0.85))
    elif kind == 2:
        wide = 0.62 - 0.055 * z
        brace = 0.07 - np.abs(off - wide * 2 * np.abs(frac(z * 0.55) - 0.5))
        shape = np.maximum(np.maximum(0.08 - np.abs(off - wide), np.minimum(brace, 8.2 - z)), bar(7.2, 1.2))
    elif kind == 3:
        can = np.minimum(0.42 - np.abs(x - 0.5), 0.6 - np.abs(z - 6))
        shape = np.maximum(np.maximum(stem, can), bar(7.9, 0.6))
    elif kind == 4:
        legs = np.minimum(0.1 - np.abs(off - 0.75), 8.0 - z)
        shape = np.maximum(np.maximum(legs, bar(7.3, 1.4)), bar(5.9, 0.75))
    else:
        arms = 0.09 - np.abs(off - np.clip(z - 6.2, 0, None) * 0.75)
        shape = np.maximum(np.minimum(stem, 6.3 - z), np.minimum(arms, np.minimum(z - 6.1, 8.2 - z)))
    tone = WOOD if kind in (0, 3, 5) else GREY
    return tone * (0.85 + 0.3 * (x > 0))[None] + 0 * z[None], inside(shape, pixel)


def _post(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """Marker at the edge of a road, by variant of its bands and outline."""
    kind = seed % 8
    white, red, yellow, blue = (_paint(COLOURS[i]) for i in (4, 0, 2, 1))
    wide = np.where(z > 1.0, 0.12 * (kind not in (1, 5)) + 0.05, 0.13 if kind != 2 else 0.19 - 0.07 * z)
    paint = {
        0: np.where(np.abs(z - 0.82 + x * 0.8) < 0.14, BLACK, white),
        1: np.where(z > 0.85, BLACK, yellow),
        2: np.where(frac(z * 2.2) < 0.5, red, white),
        3: np.where(z > 0.75, red, GREY),
        4: np.where(frac(z * 2.6) < 0.5, BLACK, white),
        5: np.where(z > 0.9, white, WOOD),
        6: np.where(np.abs(z - 0.75) < 0.2, yellow, BLACK),
        7: np.where(np.abs(z - 0.6) < 0.18, blue, white),
    }[kind]
    return paint + 0 * x[None], inside(np.minimum(wide - np.abs(x), 1.2 - z), pixel)


def _globe(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A low lamp with a white ball."""
    ball = 0.3 - np.hypot(x, z - 3.6)
    return np.where(ball > 0, np.float32(0.93), BLACK), inside(
        np.maximum(ball, np.minimum(0.07 - np.abs(x), 3.4 - z)), pixel
    )


def _lantern(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """An old lamp with a tapered glass box and a cap."""
    glass = np.minimum(0.16 + 0.3 * (z - 3.7) - np.abs(x), 0.3 - np.abs(z - 4.0))
    cap = np.minimum(0.36 - 1.1 * (z - 4.3) - np.abs(x), z - 4.25)
    base = np.maximum(np.minimum(0.06 - np.abs(x), 3.8 - z), np.minimum(0.16 - np.abs(x), 0.9 - z))
    paint = np.where((glass > 0.05)[None], _paint((0.9, 0.86, 0.7)), _paint((0.12, 0.2, 0.16)))
    return paint, inside(np.maximum(np.maximum(glass, cap), base), pixel)


def _double(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A tall mast with two arms that rise."""
    off = np.abs(x)
    arm = np.minimum(0.07 - np.abs(z - 6.2 - 0.35 * off), 1.2 - off)
    head = np.minimum(0.1 - np.abs(z - 6.6), 0.3 - np.abs(off - 1.15))
    shape = np.maximum(np.maximum(np.minimum(0.09 - off, 6.4 - z), arm), head)
    return GREY * 0.8 + 0.3 * (head > 0)[None], inside(shape, pixel)


def _arms(u: np.ndarray, v: np.ndarray, colour: np.ndarray, seed: int) -> np.ndarray:
    """Colours (3, h, w) of a flag at u, v in -1..1: halves, bands, diagonal, cross, disc or border."""
    second = _paint(COLOURS[seed // 8 % len(COLOURS)])
    pattern = seed % 8
    share = {
        0: v > 0, 1: np.abs(v) < 0.34, 2: u + v > 0, 3: np.minimum(np.abs(u), np.abs(v)) < 0.24,
        4: np.hypot(u, v) < 0.62, 5: np.maximum(np.abs(u), np.abs(v)) > 0.62,
    }[pattern % 6]  # fmt: skip
    return np.where(share & (u == u), second, _paint(colour))


def _flag(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A banner of the municipality that hangs from a mast."""
    cloth = np.minimum(0.5 - np.abs(x - 0.55), 1.0 - np.abs(z - 4.3))
    mast = np.minimum(0.06 - np.abs(x), 5.5 - z)
    paint = np.where((cloth > 0)[None], _arms((x - 0.55) / 0.5, z - 4.3, colour, seed), GREY)
    return paint * (0.9 + 0.12 * np.sin(x * 9))[None], inside(np.maximum(cloth, mast), pixel)


def _shield(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A road sign in the municipality's colours, its outline by the place."""
    y, off = z - 2.5, np.abs(x)
    plate = {
        0: 0.62 - np.hypot(x, y), 1: 0.54 - np.maximum(off, np.abs(y)), 2: 0.72 - off - np.abs(y),
        3: np.minimum(0.5 + 0.55 * y - off * 0.95, 0.55 - y), 4: np.minimum(0.7 - off, 0.36 - np.abs(y)),
        5: np.minimum(0.58 - np.maximum(off, np.abs(y)), 0.82 - off - np.abs(y)),
    }[seed // 64 % 6]  # fmt: skip
    paint = np.where(plate > 0.08, _arms(x / 0.55, y / 0.55, colour, seed), np.float32(0.92))
    paint = np.where(plate > 0, paint, GREY)
    return paint, inside(np.maximum(plate, np.minimum(0.05 - off, 2.2 - z)), pixel)


SHAPES = {
    POPLAR: _poplar, BIRCH: _birch, PALM: _palm, UMBRELLA: _umbrella, POLLARD: _pollard, POLE: _pole, POST: _post,
    GLOBE: _globe, LANTERN: _lantern, DOUBLE: _double, FLAG: _flag, SHIELD: _shield,
}  # fmt: skip
