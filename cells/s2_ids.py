"""S2 cell ids of millions of points at once (https://s2geometry.io/devguide/s2cell_hierarchy).

A cell id is a uint64: 3 bits for the face of a cube, 2 bits a level for the position along a Hilbert curve, then a one
and zeros. Ids of leaf cells (level 30) that a cell holds form a range. Ids equal those of s2cell and Google's library.
"""

import numpy as np

MAX_LEVEL = 30
SIDE = 1 << MAX_LEVEL  # leaf cells along the edge of a face
NIBBLE = 4  # levels of the curve that one look-up follows
_POS_TO_IJ = np.array([[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]])
_POS_TO_ORIENTATION = np.array([1, 0, 0, 3])
_U_SIGNS, _V_SIGNS = np.array([1, -1, -1, 1, 1, -1]), np.array([1, 1, -1, 1, -1, -1])  # by face


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Returns the curve over 4 levels: from (orientation, i, j) to (position, orientation), and back, each (1024,).

    The index and the value hold the orientation in the last two bits.
    """
    position = np.arange(256)
    to_pos, to_ij = np.empty(1024, np.uint64), np.empty(1024, np.uint64)
    for start in range(4):
        orientation, i, j = np.full(256, start), np.zeros(256, int), np.zeros(256, int)
        for level in range(NIBBLE):
            digit = position >> 2 * (NIBBLE - 1 - level) & 3
            ij = _POS_TO_IJ[orientation, digit]
            i, j = i << 1 | ij >> 1, j << 1 | ij & 1
            orientation = orientation ^ _POS_TO_ORIENTATION[digit]
        forward = i << 6 | j << 2 | start
        to_pos[forward] = position << 2 | orientation
        to_ij[position << 2 | start] = i << 6 | j << 2 | orientation
    return to_pos, to_ij


_TO_POS, _TO_IJ = _tables()


def leaf_ids(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Returns the ids of the leaf cells that hold points in degrees, uint64 (n,)."""
    lat, lon = np.radians(latitude), np.radians(longitude)
    cos = np.cos(lat)
    x, y, z = cos * np.cos(lon), cos * np.sin(lon), np.sin(lat)
    face, u, v = _face_uv(x, y, z)
    i, j = _to_leaf(u), _to_leaf(v)
    bits, ids = face & 1, np.zeros(len(face), np.uint64)
    for shift in range(28, -1, -NIBBLE):
        nibbles = (i >> shift & 15) << 6 | (j >> shift & 15) << 2 | bits
        found = _TO_POS[nibbles]
        ids = ids << np.uint64(2 * NIBBLE) | found >> np.uint64(2)
        bits = (found & np.uint64(3)).astype(np.int64)
    return face.astype(np.uint64) << np.uint64(61) | ids << np.uint64(1) | np.uint64(1)


def _face_uv(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the face of the cube and the coordinates on it, in [-1, 1], each (n,)."""
    ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
    axis = np.where((ax >= ay) & (ax >= az), 0, np.where(ay >= az, 1, 2))
    main = np.choose(axis, (x, y, z))
    face = axis + 3 * (main < 0)
    u = np.choose(face, (y, x, x, z, z, y)) / main * _U_SIGNS[face]
    v = np.choose(face, (z, z, y, y, x, x)) / main * _V_SIGNS[face]
    return face, u, v


def _to_leaf(u: np.ndarray) -> np.ndarray:
    """Returns the row of leaf cells of a coordinate on a face, by S2's quadratic projection."""
    root = 0.5 * np.sqrt(1 + 3 * np.abs(u))
    return np.clip(np.floor(SIDE * np.where(u >= 0, root, 1 - root)), 0, SIDE - 1).astype(np.int64)


def lowest_bit(ids: np.ndarray) -> np.ndarray:
    """Returns the last set bit of ids, uint64 (n,), which tells their level."""
    return ids & (~ids + np.uint64(1))


def levels(ids: np.ndarray) -> np.ndarray:
    """Returns the levels of ids, int (n,), from 0 (faces) to 30."""
    return MAX_LEVEL - np.rint(np.log2(lowest_bit(ids).astype(np.float64))).astype(int) // 2


def first_leaf(ids: np.ndarray) -> np.ndarray:
    """Returns the first leaf id that each cell holds."""
    return ids - (lowest_bit(ids) - np.uint64(1))


def last_leaf(ids: np.ndarray) -> np.ndarray:
    """Returns the last leaf id that each cell holds."""
    return ids + (lowest_bit(ids) - np.uint64(1))


def parents(ids: np.ndarray, level: int) -> np.ndarray:
    """Returns the cells of a level, at most that of the ids, that hold other cells."""
    bit = np.uint64(1 << 2 * (MAX_LEVEL - level))
    return ids & (~bit + np.uint64(1)) | bit


def tokens(ids: np.ndarray) -> np.ndarray:
    """Returns the usual short names, hexadecimal without zeros at the end, str (n,)."""
    return np.array([f"{int(number):016x}".rstrip("0") or "X" for number in ids], dtype=object)


def corners(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the four corners of cells, counter-clockwise, and their centres, as unit vectors (n, 4, 3) and (n, 3)."""
    leaves = first_leaf(ids)
    face = (leaves >> np.uint64(61)).astype(np.int64)
    bits = (face & 1).astype(np.uint64)
    i, j = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64)
    for shift in range(28, -1, -NIBBLE):
        # The first look-up follows two levels only, as there are 30.
        nibbles = leaves >> np.uint64(2 * shift + 1) & np.uint64(15 if shift == 28 else 255)
        found = _TO_IJ[(nibbles << np.uint64(2) | bits).astype(np.int64)]
        i |= (found >> np.uint64(6)).astype(np.int64) << shift
        j |= (found >> np.uint64(2) & np.uint64(15)).astype(np.int64) << shift
        bits = found & np.uint64(3)
    size = 1 << (MAX_LEVEL - levels(ids))
    low_i, low_j = i & ~(size - 1), j & ~(size - 1)
    steps = [(0, 0), (1, 0), (1, 1), (0, 1)]
    ring = [_to_vector(face, low_i + a * size, low_j + b * size) for a, b in steps]
    return np.stack(ring, axis=1), _to_vector(face, low_i + size / 2, low_j + size / 2)


def _to_vector(face: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Returns unit vectors (n, 3) of positions on faces, in leaf cells."""
    u, v = (np.where(s >= 0.5, (4 * s**2 - 1) / 3, (1 - 4 * (1 - s) ** 2) / 3) for s in (i / SIDE, j / SIDE))
    one = np.ones_like(u)
    by_face = [(one, u, v), (-u, one, v), (-u, -v, one), (-one, -v, -u), (v, -one, -u), (v, u, -one)]
    vectors = np.choose(face[:, None], [np.stack(axes, axis=1) for axes in by_face])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
