"""Light and weather of the demo city: the random draws of an image, the sky, and the effects of air and camera."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CONDITIONS = ("day", "sunny", "overcast", "fog", "rain", "dusk", "night")
TILE = 256


def noise_tile(seed: int, power: float) -> np.ndarray:
    """Fractal noise (256, 256) in 0..1 with spectrum 1/f^power that repeats without a seam."""
    rng = np.random.default_rng([99, seed])
    freq = np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.fftfreq(TILE)[None])
    freq[0, 0] = np.inf
    tile = np.fft.ifft2(np.fft.fft2(rng.standard_normal((TILE, TILE))) / freq**power).real
    return np.clip(0.5 + tile / tile.std() * 0.2, 0, 1).astype(np.float32)


FINE, SOFT = noise_tile(0, 0.6), noise_tile(1, 1.7)


def sample_noise(tile: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Looks up a noise tile at texel coordinates u, v of any range."""
    return tile[u.astype(np.int32) & (TILE - 1), v.astype(np.int32) & (TILE - 1)]


@dataclass(frozen=True)
class Weather:
    """One image's light. Colours are (3,) float32 in 0..1; sun_dir is a unit vector (east, north, up)."""

    name: str
    sun_dir: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    sky_top: np.ndarray
    sky_low: np.ndarray
    clouds: float
    fog: np.ndarray
    fog_density: float  # 1/m
    wet: float
    lamps: float
    lit_windows: float  # share of windows with a light behind them
    gain: np.ndarray
    contrast: float
    noise: float
    rain: float


# name: sun, ambient, sky top, sky low, cloud cover, fog density (1/m), wet, lamps, lit windows, sensor noise
_TABLE = {
    "day": (0.60, (0.70, 0.71, 0.74), (0.36, 0.56, 0.86), (0.78, 0.86, 0.94), 0.45, 0.0012, 0, 0, 0, 0.006),
    "sunny": (0.95, (0.55, 0.57, 0.64), (0.22, 0.45, 0.84), (0.74, 0.84, 0.95), 0.25, 0.0010, 0, 0, 0, 0.006),
    "overcast": (0.06, (0.80, 0.81, 0.83), (0.66, 0.69, 0.73), (0.83, 0.84, 0.86), 1.0, 0.0040, 0, 0, 0.04, 0.008),
    "fog": (0.02, (0.76, 0.77, 0.78), (0.80, 0.81, 0.82), (0.80, 0.81, 0.82), 0.2, 0.0320, 0.2, 0.3, 0.12, 0.010),
    "rain": (0.02, (0.50, 0.52, 0.56), (0.44, 0.47, 0.52), (0.62, 0.64, 0.67), 1.0, 0.0110, 1, 0.2, 0.18, 0.012),
    "dusk": (0.28, (0.40, 0.38, 0.46), (0.22, 0.26, 0.48), (0.95, 0.62, 0.42), 0.6, 0.0025, 0, 0.6, 0.35, 0.014),
    "night": (0.0, (0.13, 0.14, 0.21), (0.03, 0.04, 0.09), (0.13, 0.13, 0.20), 0.5, 0.0020, 0.2, 1, 0.42, 0.018),
}


def draw_weather(rng: np.random.Generator, name: str) -> Weather:
    """Draws a weather of the named condition.

    Raises:
        KeyError: if the name is not in CONDITIONS.
    """
    sun, ambient, top, low, clouds, density, wet, lamps, lit, noise = _TABLE[name]
    calm = name == "day"
    azimuth = rng.uniform(150, 230) if calm else rng.uniform(80, 280)
    elevation = {"day": rng.uniform(38, 58), "dusk": rng.uniform(4, 12)}.get(name, rng.uniform(18, 60))
    azimuth, elevation = np.deg2rad(azimuth), np.deg2rad(elevation)
    flat = np.cos(elevation)
    warm = np.array([1.0, 0.62, 0.36] if name == "dusk" else [1.0, 0.95, 0.86])
    spread = 0.4 if calm else 1.0
    tint = 1 + rng.normal(0, 0.025, 3) * spread
    low = np.array(low) * (1 + rng.normal(0, 0.03, 3))
    return Weather(
        name=name,
        sun_dir=np.array([np.sin(azimuth) * flat, np.cos(azimuth) * flat, np.sin(elevation)], np.float32),
        sun=np.float32(sun * rng.uniform(0.85, 1.15) * warm),
        ambient=np.float32(ambient),
        sky_top=np.float32(np.array(top) * (1 + rng.normal(0, 0.05, 3))),
        sky_low=np.float32(low),
        clouds=float(clouds * rng.uniform(0.5, 1.2)),
        fog=np.float32(low * (0.95 if name in ("fog", "rain") else 0.85)),
        fog_density=density * rng.uniform(0.6, 1.4),
        wet=float(wet),
        lamps=lamps * rng.uniform(0.8, 1.2),
        lit_windows=lit * rng.uniform(0.6, 1.3),
        gain=np.float32(tint * (1 + rng.normal(0, 0.09) * spread)),
        contrast=1 + rng.normal(0, 0.07) * spread,
        noise=noise * rng.uniform(0.7, 1.4),
        rain=float(name == "rain"),
    )


def paint_sky(
    weather: Weather, azimuth: np.ndarray, rise: np.ndarray, salt: int, skyline: Callable | None = None
) -> np.ndarray:
    """Colours (3, P) of sky pixels.

    Args:
        azimuth: compass direction of each pixel in radians (P,).
        rise: tangent of each pixel's angle above the horizon (P,).
        salt: shifts the clouds from image to image.
        skyline: paints what rises at the horizon (land.Skyline.paint), by default low hills.
    """
    height = np.sqrt(np.clip(rise * 1.5, 0, 1))
    sky = weather.sky_low[:, None] * (1 - height) + weather.sky_top[:, None] * height
    flat = 1 / np.maximum(rise + 0.12, 0.05)  # clouds hang in a plane, so they shrink towards the horizon
    u, v = np.sin(azimuth) * flat * 40 + salt % 997, np.cos(azimuth) * flat * 40 + salt % 743
    puff = 0.75 * sample_noise(SOFT, u + 4096, v + 4096) + 0.25 * sample_noise(SOFT, u * 3.1 + 9000, v * 3.1 + 9000)
    cover = np.clip((puff - 0.85 + 0.4 * weather.clouds) * 4, 0, 1) * np.clip(rise * 5, 0, 0.85)
    cloud = np.minimum(weather.sky_low * 0.9 + 0.35 * weather.ambient, 1)[:, None] * (0.78 + 0.3 * puff)
    if weather.name == "overcast" or weather.rain:
        cloud = weather.sky_low[:, None] * (0.7 + 0.5 * puff)
    sky += (cloud - sky) * cover
    if skyline is not None:
        return skyline(sky, weather, azimuth, rise)
    hills = 0.05 + 0.035 * np.sin(azimuth * 5 + 1) + 0.015 * np.sin(azimuth * 17)
    hazy = 0.72 * weather.sky_low + 0.28 * np.float32([0.25, 0.32, 0.38]) * weather.ambient
    return np.where(rise < hills, hazy[:, None], sky) if weather.fog_density < 0.01 else sky


def develop(picture: np.ndarray, depth: np.ndarray, weather: Weather, rng: np.random.Generator) -> np.ndarray:
    """Adds the air between and the camera's own traits.

    Args:
        picture: lit colours (3, H, W), changed in place.
        depth: metres (H, W), 0 where there is only sky.

    Returns:
        uint8 picture (H, W, 3).
    """
    haze = 1 - np.exp(-weather.fog_density * depth)
    picture += (weather.fog[:, None, None] - picture) * haze
    if weather.rain:
        _rain_streaks(picture, rng)
    pivot = 0.15 if weather.name == "night" else 0.45  # the tone that contrast leaves as it is
    picture -= pivot
    picture *= (weather.gain * weather.contrast)[:, None, None]
    picture += (pivot * weather.gain)[:, None, None]
    grain = rng.standard_normal(picture.shape[1:], dtype=np.float32)
    picture += grain * weather.noise
    np.clip(picture, 0, 1, out=picture)
    picture *= 255
    return np.ascontiguousarray(picture.transpose(1, 2, 0)).astype(np.uint8)


def _rain_streaks(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Brightens a few slanting lines."""
    _, height, width = picture.shape
    slant = rng.uniform(-0.25, 0.25)
    for _ in range(90):
        length, x, y = rng.integers(8, 30), rng.integers(0, width), rng.integers(0, height)
        rows = np.arange(y, min(y + length, height))
        cols = np.clip(x + (slant * (rows - y)).astype(int), 0, width - 1)
        picture[:, rows, cols] += 0.07
