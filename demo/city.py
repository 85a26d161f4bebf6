"""Geometry of the demo city: streets, blocks, buildings and street furniture.

All positions are metres (east, north) from ORIGIN, which lies in UTM zone 32T. Polygons run counter-clockwise, so the
outside of a wall p→q lies to the right of p→q, and someone who looks at it from outside sees p on the left.
"""

from dataclasses import dataclass

import numpy as np

from demo import styles
from demo.land import Land
from demo.sizes import Plan

ORIGIN = np.array([396_000.0, 4_990_000.0])
UTM_ZONE, UTM_LETTER = 32, "T"

JITTER = 6.0
TURN = np.deg2rad(17.0)
BUILT, PARK, SQUARE = range(3)
TREE, CONIFER, LAMP, SIGN, BIN, BENCH, WALKER = range(7)


@dataclass(frozen=True)
class City:
    """Everything that does not move.

    streets: columns a, b (S, 2) ends; road, half (S,) half widths of the roadway and from facade to facade;
        clear (S, 2) length of the junctions at both ends; marking, cobbled, parking, lawn (S,); zebra (S, 2);
        shade_height (S,); quarter (S,) names.
    blocks: corners (B, 4, 2), kind (B,).
    walls: p, q (M, 2), building (M,), blank (M,), bay, length, gable (M,) in metres.
    buildings: footprint (N, 4, 2) and what styles.draw_style gives, (N,) or (N, 3).
    props: kind (P,), xy (P, 2), size (P,), colour (P, 3), seed (P,).
    land: ground and horizon of a road in the demo country, None in the demo city.
    crowd: mean number of passers-by on each side of a street.
    """

    streets: dict[str, np.ndarray]
    blocks: dict[str, np.ndarray]
    walls: dict[str, np.ndarray]
    buildings: dict[str, np.ndarray]
    props: dict[str, np.ndarray]
    land: Land | None = None
    crowd: float = 0.8


def make_city(plan: Plan, seed: int) -> City:
    """Draws the city. The same plan and seed give the same city."""
    rng = np.random.default_rng([seed, 1])
    boxes = plan.quarters()
    n_cols = max(box[2] for box in boxes.values()) + 1
    n_rows = max(box[3] for box in boxes.values()) + 1
    corners = _crossings(rng, n_cols, n_rows)
    halves = [rng.choice([5.5, 6.5, 7.5, 9.0, 11.5], n + 1, p=[0.2, 0.25, 0.25, 0.2, 0.1]) for n in (n_cols, n_rows)]
    streets = _streets(rng, corners, halves, boxes)
    districts = rng.integers(0, 5, (n_cols // 2 + 1, n_rows // 2 + 1))
    kinds = rng.choice([BUILT, PARK, SQUARE], (n_cols, n_rows), p=[0.86, 0.08, 0.06])
    blocks, lots, props = [], [], _street_props(rng, streets)
    for i in range(n_cols):
        for j in range(n_rows):
            block_rng = np.random.default_rng([seed, 2, i, j])
            district = int(districts[i // 2, j // 2])
            quad = np.array([corners[i, j], corners[i + 1, j], corners[i + 1, j + 1], corners[i, j + 1]])
            insets = np.array([halves[1][j], halves[0][i + 1], halves[1][j + 1], halves[0][i]])
            quad = inset(quad, insets)
            blocks.append(quad)
            if kinds[i, j] == BUILT:
                lots += _built_block(block_rng, quad, district)
            else:
                lots += _pavilion(block_rng, quad)
                props += _green_props(block_rng, quad, park=kinds[i, j] == PARK)
    buildings = make_table([{"footprint": footprint} | style for footprint, style, _ in lots])
    return City(
        streets=streets,
        blocks={"corners": np.array(blocks), "kind": kinds.reshape(-1)},
        walls=make_walls(buildings, np.array([open_sides for _, _, open_sides in lots])),
        buildings=buildings,
        props=make_table(props),
    )


def inset(quad: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Moves edge k (corner k to k + 1) of a counter-clockwise polygon (4, 2) inwards by widths[k] metres."""
    edges = np.roll(quad, -1, axis=0) - quad
    along = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    moved = quad + np.stack([-along[:, 1], along[:, 0]], axis=1) * widths[:, None]
    out = np.empty_like(quad)
    for k in range(4):
        step = np.linalg.solve(np.stack([along[k - 1], -along[k]], axis=1), moved[k] - moved[k - 1])
        out[k] = moved[k - 1] + step[0] * along[k - 1]
    return out


def inside_building(city: City, xy: np.ndarray) -> bool:
    """Whether the point (2,) lies inside any footprint."""
    corners = city.buildings["footprint"]
    edges = np.roll(corners, -1, axis=1) - corners
    to = xy - corners
    return bool((edges[..., 0] * to[..., 1] - edges[..., 1] * to[..., 0] > 0).all(axis=1).any())


def street_clearance(city: City, xy: np.ndarray, edge: str = "road") -> float:
    """How many metres the point (2,) lies inside the roadway ("road") or the facades ("half"); negative: outside."""
    a, b = city.streets["a"], city.streets["b"]
    along = b - a
    t = np.clip(((xy - a) * along).sum(1) / (along**2).sum(1), 0, 1)
    away = np.linalg.norm(xy - a - t[:, None] * along, axis=1)
    return float((city.streets[edge] - away).max())


def make_table(rows: list[dict]) -> dict[str, np.ndarray]:
    """Turns a list of equal dictionaries into a dictionary of stacked arrays; numbers become float32."""
    table = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return {k: v if k in ("footprint", "xy", "kind") else v.astype(np.float32) for k, v in table.items()}


def _crossings(rng: np.random.Generator, n_cols: int, n_rows: int) -> np.ndarray:
    """Street crossings (n_cols + 1, n_rows + 1, 2): a grid of uneven spacing, jittered and turned."""
    x, y = (np.concatenate([[0], np.cumsum(rng.uniform(48, 74, n))]) for n in (n_cols, n_rows))
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    grid = grid + rng.uniform(-JITTER, JITTER, grid.shape)
    cos, sin = np.cos(TURN), np.sin(TURN)
    return grid @ np.array([[cos, sin], [-sin, cos]])


def _streets(rng: np.random.Generator, corners: np.ndarray, halves: list[np.ndarray], boxes: dict) -> dict:
    """One street per pair of neighbouring crossings; width and furniture are those of the whole line of streets."""
    pavement = [half * rng.uniform(0.28, 0.4, len(half)) for half in halves]
    looks = [{k: rng.random(len(half)) for k in ("marking", "cobbled", "parking", "lawn")} for half in halves]
    rows = []
    for axis in (0, 1):  # 0: along a column line, 1: along a row line
        other = 1 - axis
        for i, j in np.ndindex(corners.shape[0] - axis, corners.shape[1] - other):
            line, first = (i, j) if axis == 0 else (j, i)
            end = (i + axis, j + other)
            road = halves[axis][line] - pavement[axis][line]
            inside = [k for k, (c0, r0, c1, r1) in boxes.items() if c0 <= i <= end[0] <= c1 and r0 <= j <= end[1] <= r1]
            rows.append(
                {
                    "a": corners[i, j],
                    "b": corners[end],
                    "road": road,
                    "half": halves[axis][line],
                    "clear": [halves[other][first + k] - pavement[other][first + k] + 0.5 for k in (0, 1)],
                    "zebra": rng.random(2) < 0.5,
                    "marking": np.floor(looks[axis]["marking"][line] * 4) if road > 3.8 else 0,
                    "cobbled": float(looks[axis]["cobbled"][line] < (0.5 if road < 4.2 else 0.1)),
                    "parking": float(road > 4 and looks[axis]["parking"][line] < 0.75),
                    "lawn": float(looks[axis]["lawn"][line] < 0.5),
                    "trees": float(rng.random() < (0.7 if road > 4.6 else 0.25)),
                    "quarter": inside[0] if inside else "",
                }
            )
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def _built_block(rng: np.random.Generator, quad: np.ndarray, district: int) -> list[tuple]:
    """Buildings along the four edges of a block: (footprint (4, 2), style, which of its four walls face a street)."""
    setback = rng.uniform(1.5, 4.0) if district == styles.BRICK_ROWS else rng.choice([0.0, 0.0, 1.0])
    quad = inset(quad, np.full(4, setback))
    edges = np.roll(quad, -1, axis=0) - quad
    lengths = np.linalg.norm(edges, axis=1)
    along = edges / lengths[:, None]
    depth = float(min(rng.uniform(9, 13), lengths.min() * 0.4))
    lots = []
    for k in range(4):
        inward = np.array([-along[k, 1], along[k, 0]])
        start = depth  # the corner itself belongs to the last lot of the edge before
        while start < lengths[k]:
            width = styles.lot_width(rng, district)
            last = start + width > lengths[k] - 6
            stop = lengths[k] if last else start + width
            back = 0.0 if last else rng.choice([0.0, 0.0, 0.35, 0.8])
            a, b = (quad[k] + along[k] * s + inward * back for s in (start, stop))
            far_b = b + along[(k + 1) % 4] * depth if last else b + inward * (depth - back)
            footprint = np.array([a, b, far_b, a + inward * (depth - back)])
            style = styles.draw_style(rng, district)
            if last:
                style["gable"] = 0.0
            if rng.random() < 0.96 or last:  # else an empty lot
                lots.append((footprint, style, (True, last, rng.random() < 0.5, False)))
            start = stop
    return lots


def _pavilion(rng: np.random.Generator, quad: np.ndarray) -> list[tuple]:
    """A small building in the middle of a park or square."""
    side = rng.uniform(0.12, 0.25)
    style = styles.draw_style(rng, styles.MODERN)
    style["height"], style["roof_band"], style["gable"] = style["ground_floor"] + 0.3, rng.uniform(0.5, 3), 0.0
    return [(quad.mean(0) + (quad - quad.mean(0)) * side, style, (True, True, True, True))]


def make_walls(buildings: dict[str, np.ndarray], faces_street: np.ndarray) -> dict[str, np.ndarray]:
    """The four walls of each building, the front first."""
    p = buildings["footprint"]
    q = np.roll(p, -1, axis=1)
    length = np.linalg.norm(q - p, axis=2)
    bay = length / np.maximum(np.round(length / buildings["bay"][:, None]), 1)
    gable = buildings["gable"][:, None] * np.array([1, 0, 1, 0])
    flat = {"length": length, "bay": bay, "gable": gable, "blank": ~faces_street}
    out = {key: value.reshape(-1).astype(np.float32) for key, value in flat.items()}
    return out | {"p": p.reshape(-1, 2), "q": q.reshape(-1, 2), "building": np.repeat(np.arange(len(p)), 4)}


def _prop(rng: np.random.Generator, kind: int, xy: np.ndarray) -> dict:
    """One piece of furniture; size is a scale around 1."""
    greens = styles.palette("4f7a3a", "5f8a3f", "3f6a3a", "7a8f3a", "8a7f3a", "3f5f35")
    leafy = kind in (TREE, CONIFER)
    colour = styles.pick(rng, greens if leafy else styles.ACCENTS, 0.03)
    return {"kind": kind, "xy": xy, "size": rng.uniform(0.75, 1.35), "colour": colour, "seed": rng.integers(1 << 20)}


def _street_props(rng: np.random.Generator, streets: dict[str, np.ndarray]) -> list[dict]:
    """Trees, lamps and small things on both pavements of every street, off the junctions."""
    props = []
    for s in range(len(streets["road"])):
        a, b = streets["a"][s], streets["b"][s]
        length = np.linalg.norm(b - a)
        along = (b - a) / length
        across = np.array([along[1], -along[0]])
        for side in (-1, 1):
            at = streets["clear"][s, 0] + rng.uniform(4, 8)
            while at < length - streets["clear"][s, 1] - 4:
                small = rng.choice([SIGN, BIN, BENCH])
                tree = CONIFER if rng.random() < 0.12 else TREE
                shares = [0.25, 0.5, 0.25] if streets["trees"][s] else [0.45, 0.05, 0.5]
                kind = rng.choice([LAMP, tree, small], p=shares)
                offset = streets["road"][s] + (0.5 if kind in (LAMP, SIGN) else 0.9)
                props.append(_prop(rng, int(kind), a + along * at + across * side * offset))
                at += rng.uniform(5.5, 10)
    return props


def _green_props(rng: np.random.Generator, quad: np.ndarray, park: bool) -> list[dict]:
    """Trees and benches of a park (many) or square (few)."""
    centre, props = quad.mean(0), []
    for _ in range(rng.integers(18, 30) if park else rng.integers(5, 12)):
        s, t = rng.uniform(0.05, 0.95, 2)
        low, high = quad[0] * (1 - s) + quad[1] * s, quad[3] * (1 - s) + quad[2] * s
        xy = low * (1 - t) + high * t
        if np.linalg.norm(xy - centre) > 13:
            kind = rng.choice([TREE, CONIFER, BENCH, LAMP], p=[0.6, 0.15, 0.15, 0.1])
            props.append(_prop(rng, int(kind), xy))
    return props
