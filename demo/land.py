"""Ground colours, road paint and horizon of a road in the demo country."""

from dataclasses import dataclass

import numpy as np

from demo.weather import FINE, SOFT, Weather, sample_noise


@dataclass(frozen=True)
class Skyline:
    """What rises at the horizon.

    kind: rolling hills, peaks, table mountains, a forest's edge, lone cones. height: tangent of the highest angle.
    """

    kind: int
    height: float
    phases: np.ndarray  # (4,), radians

    def paint(self, sky: np.ndarray, weather: Weather, azimuth: np.ndarray, rise: np.ndarray) -> np.ndarray:
        """Lays two ridges over sky pixels (3, P); arguments as for weather.paint_sky."""
        if weather.fog_density >= 0.01:
            return sky
        for near, haze in ((0.0, 0.72), (1.0, 0.5)):
            height = (1 - 0.45 * near) * self.height
            top = self._ridge(azimuth + 2.1 * near) * height
            tone = weather.sky_low * haze + (1 - haze) * np.float32([0.27, 0.33, 0.34]) * weather.ambient
            rough = sample_noise(FINE, azimuth * 160 + 900, rise * 260 + 900) - 0.5
            face = tone[:, None] * (1 + (0.1 + 0.25 * near) * rough)
            if self.kind == 1 and not near:
                snow = (rise > top * 0.62 + 0.02 * rough) & (rise > 0.35 * height)
                face = np.where(snow, (weather.sky_low * 0.55 + 0.45 * weather.ambient)[:, None], face)
            if self.kind == 2:
                face = face * (1 - 0.12 * (np.sin(rise * 500 / (1 + 20 * self.height)) > 0.3))
            sky = np.where(rise < top, face, sky)
        return sky

    def _ridge(self, azimuth: np.ndarray) -> np.ndarray:
        """Height of the ridge (P,) in about 0..1 by direction in radians."""
        a, b, c, d = self.phases
        wave = 0.5 + 0.28 * np.sin(3 * azimuth + a) + 0.16 * np.sin(7 * azimuth + b) + 0.06 * np.sin(17 * azimuth + c)
        if self.kind == 1:  # triangles of several widths
            saw = [np.abs((azimuth * n / (2 * np.pi) + p) % 1 * 2 - 1) for n, p in ((9, a), (20, b), (47, c))]
            return 0.55 * saw[0] + 0.3 * saw[1] + 0.15 * saw[2]
        if self.kind == 2:
            return np.clip((np.sin(5 * azimuth + a) + 0.6 * np.sin(9 * azimuth + b)) * 3, 0, 1) * 0.75 + 0.15
        if self.kind == 3:
            spikes = np.abs((azimuth * 150 / (2 * np.pi)) % 1 * 2 - 1)
            tall = sample_noise(SOFT, azimuth * 90 + 700, np.full_like(azimuth, a * 20))
            return 0.35 + 0.25 * wave + 0.3 * spikes * (0.4 + tall)
        if self.kind == 4:
            return 0.12 + 0.9 * np.clip(1 - 4.5 * np.abs((azimuth * 6 / (2 * np.pi) + d) % 1 - 0.5) ** 0.8, 0, 1)
        return wave


@dataclass(frozen=True)
class Land:
    """The ground along a road; colours are (3,) in 0..1, kinds are those of traits.KINDS.

    turn: direction of the rows in the fields in radians. tiles: whether the pavement has slabs.
    verge: metres of grass between roadway and field. shade: height in metres of what shades the road.
    """

    skyline: Skyline
    asphalt: np.ndarray
    grass: np.ndarray
    crop: np.ndarray
    soil: np.ndarray
    surface: int
    marking: int
    edge: int
    kerb: int
    field: int
    turn: float
    tiles: bool
    verge: float
    shade: float
