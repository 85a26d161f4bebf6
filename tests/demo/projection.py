"""Where points of the demo city land in its pictures, worked out from the definitions without the renderer's lens."""

import numpy as np
from scipy import ndimage

from demo.camera import Camera


def project(camera: Camera, size: tuple[int, int], xyz: np.ndarray) -> np.ndarray:
    """Rows and columns (2, n) of points (n, 3) in metres in a picture of `size` columns and rows.

    A camera with a field of view of 360 degrees takes equirectangular panoramas. Points behind another camera are NaN.
    """
    (width, height), away = size, xyz[:, :2] - camera.position
    ahead, side, rise = away @ camera.forward, away @ camera.right, xyz[:, 2] - camera.height
    if camera.fov == 360:
        azimuth, elevation = np.arctan2(side, ahead), np.arctan2(rise, np.hypot(ahead, side))
        return np.stack([height * (0.5 - elevation / np.pi), width * (0.5 + azimuth / (2 * np.pi))])
    focal = width / 2 / np.tan(np.radians(camera.fov) / 2)
    depth = np.where(ahead > 0.5, ahead, np.nan)
    x, y = focal * side / depth, focal * (np.tan(np.radians(camera.pitch)) - rise / depth)
    sine, cosine = np.sin(np.radians(camera.roll)), np.cos(np.radians(camera.roll))
    return np.stack([height / 2 + sine * x + cosine * y, width / 2 + cosine * x - sine * y])


def colours_at(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (n, 3) of a picture (h, w, 3) at rows and columns (2, n), NaN outside of it."""
    channels = picture.astype(float).transpose(2, 0, 1)
    return np.stack([ndimage.map_coordinates(one, places - 0.5, order=1, cval=np.nan) for one in channels], axis=1)
