"""Things in front of the walls: parked cars as boxes, trees, lamps and passers-by as flat cut-outs."""

from dataclasses import dataclass

import numpy as np

from demo import roadside
from demo.camera import Camera, Lens
from demo.city import BENCH, BIN, CONIFER, LAMP, SIGN, TREE, WALKER, City
from demo.styles import ACCENTS, palette, pick
from demo.weather import FINE, SOFT, Weather, sample_noise

CAR_PAINTS = palette("d8d8d8", "f0f0f0", "2a2a2e", "55585c", "8f9398", "7a1f24", "23365c", "2f5a48", "c9a227", "b04a2a")
REACH = 75.0
# Per kind: half width, height in metres before scaling.
EXTENT = {
    TREE: (3.0, 7.5), CONIFER: (1.3, 8.5), LAMP: (0.8, 6.4), SIGN: (0.5, 3.2),
    BIN: (0.32, 1.15), BENCH: (0.9, 0.95), WALKER: (0.32, 1.75),
} | roadside.EXTENT  # fmt: skip
HEADS = {LAMP: (0.45, 6.0)} | roadside.HEADS  # light of lamps: place of their heads

Cutout = tuple[np.ndarray, np.ndarray]  # colours (3, h, w) and opacity (h, w)


@dataclass(frozen=True)
class Box:
    """An upright box: centre (2,), unit vector along its length (2,), half length and half width, bottom and top."""

    centre: np.ndarray
    along: np.ndarray
    half: tuple[float, float]
    z: tuple[float, float]
    colour: np.ndarray
    kind: str  # "body", "cabin" or "van"


@dataclass
class Canvas:
    """The unfinished picture: colour (3, H, W), depth (H, W) in metres, 0 for sky."""

    colour: np.ndarray
    depth: np.ndarray
    camera: Camera
    lens: Lens
    weather: Weather

    def light(self, facing: float) -> np.ndarray:
        """Light (3,) on a surface whose normal meets the sun's direction at cosine `facing`."""
        return self.weather.ambient + self.weather.sun * max(facing, 0.0)

    def put(self, rows: slice, cols: slice, colour: np.ndarray, alpha: np.ndarray, depth: np.ndarray | float) -> None:
        """Lays colour (3, h, w) over the pixels that lie behind `depth`."""
        there = self.depth[rows, cols]
        alpha = alpha * ((there == 0) | (there > depth))
        part = self.colour[:, rows, cols]
        part += (colour - part) * alpha
        np.copyto(there, np.float32(depth), where=alpha > 0.5)


def draw_traffic(city: City, camera: Camera, rng: np.random.Generator) -> tuple[list[Box], list[dict]]:
    """Draws what is in this one picture only: cars and passers-by near the camera."""
    streets, boxes, walkers = city.streets, [], []
    density = rng.uniform(0.1, 0.6)
    for s in np.flatnonzero(np.linalg.norm((streets["a"] + streets["b"]) / 2 - camera.position, axis=1) < 80):
        span = streets["b"][s] - streets["a"][s]
        length = np.linalg.norm(span)
        along = span / length
        left = np.array([-along[1], along[0]])
        first, last = streets["clear"][s, 0] + 6, length - streets["clear"][s, 1] - 6
        for side in (-1, 1):
            lane = streets["road"][s] - 1.1 if streets["parking"][s] else streets["road"][s] / 2
            share = density if streets["parking"][s] else 0.07
            for at in np.arange(first + 2, last - 2, 5.8) + rng.uniform(-0.4, 0.4):
                place = streets["a"][s] + along * at + left * side * lane
                if rng.random() < share and np.linalg.norm(place - camera.position) > 4.5:
                    boxes += _car(rng, place, -along * side)
            for _ in range(rng.poisson(city.crowd)):
                off = side * rng.uniform(streets["road"][s] + 0.3, streets["half"][s] - 0.4)
                place = streets["a"][s] + along * rng.uniform(0, length) + left * off
                walkers.append({"kind": WALKER, "xy": place, "size": rng.uniform(0.92, 1.05)})
                walkers[-1] |= {"seed": rng.integers(999), "colour": pick(rng, ACCENTS + CAR_PAINTS)}
    return boxes, walkers


def _car(rng: np.random.Generator, place: np.ndarray, along: np.ndarray) -> list[Box]:
    """A car of two boxes or a van of one."""
    colour = pick(rng, CAR_PAINTS, 0.02)
    if rng.random() < 0.13:
        return [Box(place, along, (2.5, 0.98), (0.0, rng.uniform(1.9, 2.4)), colour, "van")]
    cabin = rng.uniform(1.1, 1.4)
    top = rng.uniform(1.4, 1.6)
    return [
        Box(place, along, (rng.uniform(1.9, 2.25), 0.88), (0.0, 0.82), colour, "body"),
        Box(place - along * rng.uniform(0.2, 0.6), along, (cabin, 0.78), (0.82, top), colour, "cabin"),
    ]


def paint_boxes(canvas: Canvas, boxes: list[Box]) -> None:
    """Paints boxes and the dark ground beneath them, behind everything that is nearer."""
    camera, lens = canvas.camera, canvas.lens
    for box in boxes:
        across = np.array([-box.along[1], box.along[0]])
        signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
        reach = np.array(box.half) + (0.3 if box.z[0] == 0 else 0)
        corners = box.centre - camera.position + signs * reach @ np.stack([box.along, across])
        ahead, side = corners @ camera.forward, corners @ camera.right
        if lens.depth(ahead, side).min() > REACH:
            continue
        first, last = lens.span(ahead, side)
        low, high = int(max(first, 0)), int(min(last + 1, lens.columns))
        if first < last and low < high:
            _paint_box(canvas, box, np.stack([box.along, across]), slice(low, high))


def _crossing(canvas: Canvas, box: Box, axes: np.ndarray, cols: slice, grow: float) -> tuple[np.ndarray, ...]:
    """Intersects each column's ray with the box, widened by `grow` metres, in the box's own two axes.

    Returns:
        Depths at which it enters and leaves (w,), axis of the face it enters (w,), start (2,) and step (2, w) of it.
    """
    camera = canvas.camera
    along, aside = canvas.lens.rays()[:, cols]
    rays = along * camera.forward[:, None] + aside * camera.right[:, None]
    start, step = axes @ (camera.position - box.centre), axes @ rays
    step = np.where(np.abs(step) < 1e-6, 1e-6, step)
    half = np.array(box.half) + grow
    one, two = (-half - start)[:, None] / step, (half - start)[:, None] / step
    near, far = np.minimum(one, two), np.maximum(one, two)
    return near.max(0), far.min(0), near.argmax(0), start, step


def _paint_box(canvas: Canvas, box: Box, axes: np.ndarray, cols: slice) -> None:
    """Paints shadow, sides and top of one box in the given columns."""
    lens, height = canvas.lens, canvas.camera.height
    near, far, axis, start, step = _crossing(canvas, box, axes, cols, 0.0)
    met = (near < far) & (far > 0)
    row = np.arange(lens.rows) + 0.5

    safe = np.maximum(near, 0.5)
    top, foot = (z - height for z in reversed(box.z))
    top_front, bottom = lens.row(top, safe), lens.row(foot, safe)
    top_back = np.minimum(lens.row(top, np.maximum(far, 0.5)), top_front)
    if box.z[0] == 0:
        grown = _crossing(canvas, box, axes, cols, 0.25)
        shadow = tuple(lens.row(-height, np.maximum(grown[k], 0.5)) for k in (1, 0))
        _shade_ground(canvas, cols, shadow, (grown[0] < grown[1]) & (grown[1] > 0))
    rows = slice(int(max(top_back.min(), 0)), int(np.clip(bottom.max() + 1, 0, lens.rows)))
    if rows.start >= rows.stop or not met.any():
        return
    r = row[rows, None]
    alpha = np.clip(np.minimum(r - top_back + 0.5, bottom - r + 0.5), 0, 1) * met
    on_top = np.maximum(lens.depth_below(-top, r, 0.5), safe)
    z = height + lens.rise(r, safe)
    other = 1 - axis
    pick_other = np.arange(len(axis))
    u = start[other] + near * step[other, pick_other]
    side = _box_sides(canvas, box, z, u, axis)
    front = axes[axis].T * -np.sign(step[axis, pick_other])
    facing = np.maximum(canvas.weather.sun_dir[:2] @ front, 0)
    side *= (canvas.weather.ambient[:, None] + canvas.weather.sun[:, None] * facing)[:, None, :]
    roof = box.colour[:, None, None] * canvas.light(float(canvas.weather.sun_dir[2]))[:, None, None] * 1.1
    colour = np.where(r < top_front, roof, side)
    depth = np.where(r < top_front, on_top, safe)
    canvas.put(rows, cols, colour.astype(np.float32), alpha, depth.astype(np.float32))


def _box_sides(canvas: Canvas, box: Box, z: np.ndarray, u: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Surface colours (3, h, w) of a box's sides at height z (h, w), u (w,) metres along the face."""
    colour = np.repeat(box.colour[:, None, None], z.shape[0], 1) * np.ones(z.shape[1])
    glass = np.array([0.1, 0.12, 0.15])[:, None, None]
    if box.kind == "cabin":
        pillar = (np.abs(u) > np.array(box.half)[1 - axis] - 0.09) | ((axis == 1) & (np.abs(u) < 0.05))
        return np.where((z > box.z[1] - 0.08) | pillar, colour, glass)
    wheel = (np.hypot(np.abs(u) - 0.66 * box.half[0], z - 0.32) < 0.34) & (axis == 1)
    colour = np.where(wheel | (z < 0.22), 0.07, colour)
    lights = (axis == 0) & (np.abs(np.abs(u) - 0.62) < 0.18) & (np.abs(z - 0.62) < 0.09)
    colour = np.where(lights, np.array([0.85, 0.35, 0.3])[:, None, None], colour)
    if box.kind == "van":
        window = (np.abs(z - 1.5) < 0.27) & (np.abs(u) < 0.8) & (axis == 0)
        colour = np.where(window, glass, colour)
    return colour


def _shade_ground(canvas: Canvas, cols: slice, lines: tuple[np.ndarray, np.ndarray], met: np.ndarray) -> None:
    """Darkens the ground under a box, between two picture rows in each column."""
    rows = canvas.lens.rows
    top = int(np.clip(lines[0][met].min(initial=rows), 0, rows))
    bottom = int(np.clip(lines[1][met].max(initial=0) + 1, 0, rows))
    if top >= bottom:
        return
    row = np.arange(top, bottom)[:, None] + 0.5
    dark = np.clip(np.minimum(row - lines[0], lines[1] - row) + 0.5, 0, 1) * met
    ground = canvas.lens.depth_below(canvas.camera.height, row, 0.1)
    dark *= canvas.depth[top:bottom, cols] > ground * 0.99  # else a wall or a car stands in front
    canvas.colour[:, top:bottom, cols] *= (1 - 0.6 * dark).astype(np.float32)


def paint_cutouts(canvas: Canvas, things: dict[str, np.ndarray]) -> None:
    """Paints the props (and passers-by) that the camera sees, the far ones first."""
    camera, lens = canvas.camera, canvas.lens
    away = things["xy"] - camera.position
    ahead, side = away @ camera.forward, away @ camera.right
    depth = lens.depth(ahead, side)
    order = np.flatnonzero(lens.sees(ahead, side) & (depth < REACH))
    for i in order[np.argsort(-depth[order])]:
        kind, size, t = int(things["kind"][i]), float(things["size"][i]), float(depth[i])
        wide, tall = np.array(EXTENT[kind]) * size
        middle, scale = lens.column(ahead[i], side[i]), lens.focal / t
        roof, foot, heights = lens.upright(t, camera.height, tall)
        edges = np.array([middle - wide * scale, middle + wide * scale + 1, roof, foot + 1])
        left, right = np.clip(edges[:2], 0, lens.columns).astype(int)
        top, bottom = np.clip(edges[2:], 0, lens.rows).astype(int)
        if left >= right or top >= bottom:
            continue
        x = ((np.arange(left, right) + 0.5 - middle) / scale / size).astype(np.float32)[None]
        z = (heights[top:bottom] / size).astype(np.float32)[:, None]
        colour, alpha = SHAPES[kind](x, z, things["colour"][i], int(things["seed"][i]), 1 / scale / size)
        light = canvas.light(0.55)[:, None, None]
        rows, cols = slice(top, bottom), slice(left, right)
        canvas.put(rows, cols, colour * light, alpha, t)
        if kind in HEADS and canvas.weather.lamps > 0.3:
            glow = np.exp(-((x - HEADS[kind][0]) ** 2 + (z - HEADS[kind][1]) ** 2) * 9) * min(canvas.weather.lamps, 1.0)
            canvas.put(rows, cols, np.float32([1.0, 0.9, 0.65])[:, None, None], np.minimum(glow * 1.6, 1), t - 0.1)


def _cover(distance: np.ndarray, pixel: float) -> np.ndarray:
    """Opacity of a pixel `distance` metres inside an outline."""
    return np.clip(distance / pixel + 0.5, 0, 1)


def _tree(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A trunk and a ragged crown."""
    u, v = x * 12 + seed % 251 + 500 + 0 * z, z * 12 + seed % 241 + 500 + 0 * x
    ragged = sample_noise(FINE, u * 2.5, v * 2.5) * 0.5 + sample_noise(SOFT, u, v) * 0.8 - 0.65
    crown = 1 - (x / 2.5) ** 2 - ((z - 5.0) / 2.2) ** 2 + 1.3 * ragged
    leaf = _cover(crown, 0.25)
    trunk = _cover(0.16 - np.abs(x), pixel) * (z < 4.5)
    shade = np.clip(0.75 + 0.16 * (z - 5.0) - 0.08 * x + 0.9 * ragged, 0.25, 1.3)
    bark = np.float32([0.32, 0.26, 0.2])[:, None, None]
    return bark + (colour[:, None, None] * shade - bark) * leaf, np.maximum(leaf, trunk)


def _conifer(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A slim dark cone."""
    ragged = sample_noise(FINE, x * 28 + seed % 251 + 0 * z, z * 28 + seed % 241 + 0 * x) - 0.5
    leaf = _cover((8.2 - z) * 0.16 - np.abs(x) + 0.5 * ragged, 0.2) * (z > 0.5)
    shade = np.clip(0.6 - 0.2 * x + 0.7 * ragged, 0.2, 1.1)
    return colour[:, None, None] * shade, np.maximum(leaf, _cover(0.12 - np.abs(x), pixel) * (z < 1))


def _lamp(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A pole with an arm and a head to one side."""
    pole = _cover(0.07 - np.abs(x), pixel) * (z < 6.2)
    arm = _cover(np.minimum(0.4 - np.abs(x - 0.35), 0.07 - np.abs(z - 6.1)), pixel)
    head = _cover(np.minimum(0.25 - np.abs(x - 0.5), 0.11 - np.abs(z - 6.0)), pixel)
    tone = np.float32([0.25, 0.27, 0.28])[:, None, None] + 0.5 * head
    return tone, np.maximum(np.maximum(pole, arm), head)


def _sign(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A pole with a round or square plate."""
    distance = np.hypot(x, z - 2.7) if seed % 2 else np.maximum(np.abs(x), np.abs(z - 2.7) * 0.8)
    plate, inner = _cover(0.36 - distance, pixel), _cover(0.26 - distance, pixel)
    paint = colour[:, None, None] + (np.float32(0.92) - colour[:, None, None]) * (plate - inner)
    return np.where(plate > 0, paint, 0.5), np.maximum(plate, _cover(0.04 - np.abs(x), pixel) * (z < 2.5))


def _bin(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """A round post box, bin or hydrant in its own colour."""
    round_shade = np.sqrt(np.clip(1.05 - (x / 0.32) ** 2, 0.1, 1)) * np.where(np.abs(z - 0.85) < 0.07, 0.35, 1.0)
    return colour[:, None, None] * round_shade, _cover(np.minimum(0.28 - np.abs(x), 1.1 - z), pixel)


def _bench(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """Two planks on legs."""
    planks = np.maximum(0.06 - np.abs(z - 0.45), 0.17 - np.abs(z - 0.72))
    legs = np.minimum(0.05 - np.abs(np.abs(x) - 0.6), 0.5 - z)
    wood = np.float32([0.45, 0.32, 0.2])[:, None, None] * np.ones_like(planks)
    return wood, _cover(np.maximum(np.minimum(planks, 0.85 - np.abs(x)), legs), pixel)


def _walker(x: np.ndarray, z: np.ndarray, colour: np.ndarray, seed: int, pixel: float) -> Cutout:
    """Somebody passing by: legs, coat and head."""
    legs = np.minimum(0.08 - np.abs(np.abs(x) - 0.1), 0.85 - z)
    coat = np.minimum(0.24 - np.abs(x) * (1 + 0.3 * (z > 1.3)), 0.36 - np.abs(z - 1.1))
    head = 0.12 - np.hypot(x, z - 1.6)
    skin = np.float32([0.7, 0.55, 0.45] if seed % 3 else [0.4, 0.28, 0.2])[:, None, None]
    trousers = np.float32([0.15, 0.16, 0.2])[:, None, None]
    paint = np.where(coat > 0, colour[:, None, None], np.where(head > 0, skin, trousers))
    return paint, _cover(np.maximum(np.maximum(legs, coat), head), pixel)


SHAPES = {TREE: _tree, CONIFER: _conifer, LAMP: _lamp, SIGN: _sign, BIN: _bin, BENCH: _bench, WALKER: _walker}
SHAPES |= roadside.SHAPES
