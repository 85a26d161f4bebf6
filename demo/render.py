"""From camera to picture: rays against walls, then surface colours, light, things in front, air and lens."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from demo.camera import Camera, Lens, PanoramaLens
from demo.city import City
from demo.facades import Spots, paint_facades
from demo.ground import paint_ground, street_shade
from demo.props import HEADS, Box, Canvas, draw_traffic, paint_boxes, paint_cutouts
from demo.weather import Weather, develop, paint_sky

SIDE = 320
FINER = 1.1  # inner pixels per picture pixel: the roll's resampling smooths outlines
OVERSCAN = 1.06  # room for rolls up to 3.4 degrees
STRIPS = 4  # parts of a panorama: the ground is painted for what lies ahead
LAYERS = 7  # walls kept per column: a tower shows over the roofs in front of it
REACH = 180.0
CHUNK = 12_000


@dataclass
class Hits:
    """Walls met by each column's ray, the nearest first; (layers, columns) each, depth inf where there is none.

    u is metres along the wall from its left end, slant the cosine-like factor by which a pixel widens on the wall.
    """

    depth: np.ndarray
    wall: np.ndarray
    u: np.ndarray
    slant: np.ndarray


def render(
    city: City, camera: Camera, weather: Weather, rng: np.random.Generator, size: int | tuple[int, int] = SIDE
) -> Image.Image:
    """Takes a picture.

    Args:
        rng: draws cars, passers-by, lit windows, clouds and grain.
        size: pixels a side, or columns and rows.

    Returns:
        RGB picture of that size.
    """
    width, height = size if isinstance(size, tuple) else (size, size)
    room = (OVERSCAN - 1) * max(width, height)
    columns, rows = (int(np.ceil((side + room) * FINER)) for side in (width, height))
    lens = Lens.of(camera, columns, columns / (width * FINER), rows)
    canvas = draw(city, camera, lens, weather, _moment(city, camera, rng))
    picture = Image.fromarray(develop(canvas.colour, canvas.depth, weather, rng))
    return _through_lens(picture, camera.roll, (width, height))


def render_panorama(city: City, camera: Camera, weather: Weather, rng: np.random.Generator, width: int) -> Image.Image:
    """Takes an equirectangular panorama of 360 by 180 degrees, whose middle column looks along the camera's heading.

    Args:
        rng: as for `render`.
        width: pixels, twice the height.
    """
    columns = int(np.ceil(width * FINER / STRIPS))
    lens = PanoramaLens.strip(columns, columns * STRIPS // 2)
    moment = _moment(city, camera, rng)
    turns = (np.arange(STRIPS) - (STRIPS - 1) / 2) * 360 / STRIPS
    strips = [draw(city, replace(camera, heading=camera.heading + turn), lens, weather, moment) for turn in turns]
    colour = np.concatenate([strip.colour for strip in strips], axis=2)
    depth = np.concatenate([strip.depth for strip in strips], axis=1)
    picture = Image.fromarray(develop(colour, depth, weather, rng))
    return picture.resize((width, width // 2), Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class Moment:
    """What is in one picture only: cars, passers-by, and a number that lights windows and moves clouds."""

    salt: int
    boxes: list[Box]
    walkers: list[dict]


def _moment(city: City, camera: Camera, rng: np.random.Generator) -> Moment:
    return Moment(int(rng.integers(1 << 30)), *draw_traffic(city, camera, rng))


def draw(city: City, camera: Camera, lens: Lens, weather: Weather, moment: Moment) -> Canvas:
    """Draws what a camera sees through a lens, before air and grain."""
    hits = cast(city, camera, lens)
    layer = visible_layers(city, camera, lens, hits)
    shape = lens.rows, lens.columns
    canvas = Canvas(np.empty((3, *shape), np.float32), np.zeros(shape, np.float32), camera, lens, weather)
    lamps = _near_lamps(city, camera)
    _fill_walls(canvas, city, hits, layer, lamps, moment.salt)
    below = (lens.drops() > 0)[:, None] & (layer < 0)
    _fill_ground(canvas, city, below, lamps)
    _fill_sky(canvas, city, (layer < 0) & ~below, moment.salt)
    paint_boxes(canvas, moment.boxes)
    paint_cutouts(canvas, _with_walkers(city, moment.walkers))
    return canvas


def cast(city: City, camera: Camera, lens: Lens) -> Hits:
    """Intersects every column's ray with the walls that face the camera, and keeps the nearest LAYERS."""
    p, q = city.walls["p"] - camera.position, city.walls["q"] - camera.position
    faces = p[:, 1] * q[:, 0] - p[:, 0] * q[:, 1] > 0
    close = np.minimum((p**2).sum(1), (q**2).sum(1)) < REACH**2
    ends = np.stack([p, q])
    depth, side = ends @ camera.forward, ends @ camera.right
    wide = lens.tangent
    in_view = (depth.max(0) > 0.05) & ((side - depth * wide).min(0) < 0) & ((side + depth * wide).max(0) > 0)
    index = np.flatnonzero(faces & close & in_view)
    along, aside = lens.rays()
    if not len(index):
        none = np.full((1, lens.columns), np.inf, np.float32)
        return Hits(none, np.zeros(none.shape, np.int64), none, none)
    t0, s0 = depth[0, index].astype(np.float32)[:, None], side[0, index].astype(np.float32)[:, None]
    dt, ds = depth[1, index].astype(np.float32)[:, None] - t0, side[1, index].astype(np.float32)[:, None] - s0
    # The point p + a (q - p) lies on the ray where along * side = aside * ahead.
    turn = along * ds - aside * dt
    share = (aside * t0 - along * s0) / np.where(np.abs(turn) < 1e-9, 1e-9, turn)
    t = (t0 + share * dt) / along
    t = np.where((share >= 0) & (share <= 1) & (t > 0.05), t, np.inf)
    order = np.argsort(t, axis=0)[:LAYERS]
    pick = np.take_along_axis
    length = city.walls["length"][index][:, None]
    slant = np.abs(turn) / length
    wall = index[order]
    return Hits(pick(t, order, 0), wall, pick(share * length, order, 0), pick(slant, order, 0))


def wall_tops(city: City, hits: Hits) -> np.ndarray:
    """Height of the wall's upper edge at each hit in metres (layers, columns)."""
    building = city.walls["building"][hits.wall]
    tops = (city.buildings["height"] + city.buildings["roof_band"])[building]
    half = city.walls["length"][hits.wall] / 2
    rise = np.clip(1 - np.abs(hits.u / half - 1), 0, 1)
    if "gable_form" in city.walls:
        rise = gable_outline(city.walls["gable_form"][hits.wall], rise)
    return tops + city.walls["gable"][hits.wall] * rise


def gable_outline(form: np.ndarray, rise: np.ndarray) -> np.ndarray:
    """Share of a gable's height where the straight slope of a triangle has risen to the share `rise`.

    Forms: triangle, steps, round, half-hipped, curved, level.
    """
    round_top = np.sqrt(np.clip(2 * rise - rise * rise, 0, 1))
    curved = 0.5 * (rise > 0.25) + 0.5 * rise**2
    shapes = [rise, np.ceil(rise * 4) / 4, round_top, np.minimum(rise * 1.7, 1), curved, np.ones_like(rise)]
    return np.choose(form.astype(np.int64), [shape.astype(np.float32) for shape in shapes])


def visible_layers(city: City, camera: Camera, lens: Lens, hits: Hits) -> np.ndarray:
    """Which hit (its layer) each pixel shows, -1 for ground and sky; int8 (rows, columns)."""
    rise = (wall_tops(city, hits) - camera.height) / hits.depth  # no hit: 0 / inf, an empty span at the horizon
    foot = -camera.height / hits.depth
    drops = lens.drops()[:, None]
    layer = np.full((lens.rows, lens.columns), -1, np.int8)
    for k in reversed(range(len(hits.depth))):
        covered = (drops >= -rise[k]) & (drops <= -foot[k]) & np.isfinite(hits.depth[k])
        layer[covered] = k
    return layer


def _fill_walls(canvas: Canvas, city: City, hits: Hits, layer: np.ndarray, lamps: np.ndarray, salt: int) -> None:
    """Colours the pixels that show walls."""
    camera, lens, weather = canvas.camera, canvas.lens, canvas.weather
    facing, stretch = _wall_facing(city, weather), lens.stretch()
    for rows, cols in _chunks(layer >= 0):
        at = layer[rows, cols].astype(np.int64) * lens.columns + cols
        depth, wall, u = (table.take(at) for table in (hits.depth, hits.wall, hits.u))
        z = camera.height - lens.drops()[rows] * depth
        step = depth / lens.focal
        spots = Spots(wall, u, z, step / np.maximum(hits.slant.take(at), 0.02), step * stretch[rows])
        colour, glow = paint_facades(city, spots, weather.lit_windows, salt)
        light = weather.ambient[:, None] + weather.sun[:, None] * facing[wall]
        if weather.lamps:
            xy = _plan_position(camera, lens, depth, cols)
            light += weather.lamps * _lamp_light(lamps, xy, np.maximum(z, 0))
        colour *= light
        if weather.lit_windows:
            colour += glow * min(0.25 + 0.75 * weather.lamps, 1.0)
        canvas.colour[:, rows, cols] = colour
        canvas.depth[rows, cols] = depth


def _wall_facing(city: City, weather: Weather) -> np.ndarray:
    """Cosine between each wall's outward normal and the sun, 0 for walls in the shade (M,)."""
    edge = city.walls["q"] - city.walls["p"]
    facing = (edge[:, 1] * weather.sun_dir[0] - edge[:, 0] * weather.sun_dir[1]) / city.walls["length"]
    return np.maximum(facing, 0).astype(np.float32)


def _fill_ground(canvas: Canvas, city: City, below: np.ndarray, lamps: np.ndarray) -> None:
    """Colours the pixels that show the ground."""
    camera, lens, weather = canvas.camera, canvas.lens, canvas.weather
    for rows, cols in _chunks(below):
        depth = np.minimum(camera.height / lens.drops()[rows], 400)
        xy = _plan_position(camera, lens, depth, cols)
        pixel = depth / lens.focal * np.sqrt(np.maximum(depth / camera.height, 1))  # mean of across and along the view
        colour, lateral, street = paint_ground(city, xy, pixel, camera.position)
        shade = street_shade(city, lateral, street, weather)
        light = weather.ambient[:, None] * 0.95 + weather.sun[:, None] * (float(weather.sun_dir[2]) * 0.9 * shade)
        if weather.lamps:
            light += weather.lamps * _lamp_light(lamps, xy, np.zeros_like(depth))
        colour *= light * (1 - 0.35 * weather.wet)
        if weather.wet:
            mirror = np.clip(depth / 40, 0.05, 0.5) * weather.wet
            colour += (weather.sky_low[:, None] * 0.8 - colour) * mirror
        canvas.colour[:, rows, cols] = colour
        canvas.depth[rows, cols] = depth


def _chunks(mask: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of the set pixels, CHUNK at a time so that the data fits into the processor's cache."""
    rows, cols = np.nonzero(mask)
    for first in range(0, len(rows), CHUNK):
        yield rows[first : first + CHUNK], cols[first : first + CHUNK]


def _fill_sky(canvas: Canvas, city: City, sky: np.ndarray, salt: int) -> None:
    """Colours the pixels that show the sky."""
    rows, cols = np.nonzero(sky)
    along, aside = canvas.lens.rays()
    azimuth = np.deg2rad(canvas.camera.heading) + canvas.lens.angles()
    rise = -canvas.lens.drops()[rows] / np.sqrt(along**2 + aside**2)[cols]
    canvas.colour[:, rows, cols] = paint_sky(
        canvas.weather, azimuth[cols].astype(np.float32), rise, salt, city.land.skyline.paint if city.land else None
    )


def _plan_position(camera: Camera, lens: Lens, depth: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Metres east and north (2, P) of pixels by depth and column."""
    along, side = depth * lens.rays()[:, cols]
    ahead, right = camera.forward.astype(np.float32), camera.right.astype(np.float32)
    start = camera.position.astype(np.float32)
    return np.stack([start[k] + along * ahead[k] + side * right[k] for k in (0, 1)])


def _near_lamps(city: City, camera: Camera) -> np.ndarray:
    """Positions (L, 2) of the lamps whose light the camera may see."""
    away = city.props["xy"] - camera.position
    near = np.isin(city.props["kind"], list(HEADS)) & ((away**2).sum(1) < 45**2) & (away @ camera.forward > -12)
    return city.props["xy"][near].astype(np.float32)


def _lamp_light(lamps: np.ndarray, xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Light (3, P) of street lamps on points; heads hang 6 m up and light mostly what lies below them."""
    total = np.zeros_like(z)
    drop = np.square(z - 5.5)
    for lamp in lamps:
        total += 1 / (14 + np.square(xy[0] - lamp[0]) + np.square(xy[1] - lamp[1]) + drop)
    total *= np.clip((8.5 - z) / 3, 0.12, 1) * 22
    return np.float32([1.0, 0.82, 0.55])[:, None] * np.minimum(total, 1.2)


def _with_walkers(city: City, walkers: list[dict]) -> dict[str, np.ndarray]:
    """The city's props and the passers-by of one picture in one table."""
    if not walkers:
        return city.props
    return {k: np.concatenate([v, np.array([w[k] for w in walkers], v.dtype)]) for k, v in city.props.items()}


def _through_lens(picture: Image.Image, roll: float, size: tuple[int, int]) -> Image.Image:
    """Turns by `roll` degrees clockwise, and crops and shrinks to `size`."""
    turn, (width, height) = np.deg2rad(roll), size
    cos, sin = FINER * np.cos(turn), FINER * np.sin(turn)
    left = picture.width / 2 - width / 2 * (cos + sin * (height / width))
    top = picture.height / 2 - height / 2 * (cos - sin * (width / height))
    matrix = (cos, sin, left, -sin, cos, top)
    return picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
