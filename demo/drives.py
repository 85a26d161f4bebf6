"""Who took which photos of the demo country: users, their drives, and the cameras of the photos."""

from dataclasses import dataclass

import numpy as np

from demo.camera import Camera
from demo.geography import Country
from demo.roads import LENGTH, SEASONS, Path
from demo.sizes import CountrySize

SPLITS = ("train", "val", "test")
WEATHER = {"day": 0.35, "sunny": 0.2, "overcast": 0.22, "fog": 0.04, "rain": 0.1, "dusk": 0.06, "night": 0.03}
RURAL = 0.4  # share of drives outside towns
NEAR_HOME = 0.3  # share of drives within a day's trip of the user's home
LETTERS = np.array(list("abcdefghijkmnpqrstuvwxyz23456789"))


@dataclass(frozen=True)
class User:
    """One uploader and the traits of the camera: colour gain (3,), field of view, height, JPEG quality."""

    name: str
    gain: np.ndarray
    fov: float
    height: float
    quality: float


@dataclass(frozen=True)
class Drive:
    """A sequence of photos along one road.

    split, number: which drive. xy: place in km (2,). urban: 0 in the country, 1 in the middle of a large town.
    """

    split: int
    number: int
    name: str
    user: User
    xy: np.ndarray
    urban: float
    weather: str
    season: str


def plan_drives(country: Country, size: CountrySize, seed: int) -> list[Drive]:
    """All drives of a data set. Every user's drives lie in one split."""
    drives = []
    for split, count in enumerate(size.sequences):
        rng = np.random.default_rng([seed, 30, split])
        users = [_user(rng) for _ in range(max(count // 5, 1))]
        homes = [_in_town(rng, country) for _ in users]
        weights = rng.exponential(size=len(users)) + 0.2  # some take many photos
        for number in range(count):
            # A generator each: a drive does not depend on how many there are.
            one = np.random.default_rng([seed, 31, split, number])
            who = int(one.choice(len(users), p=weights / weights.sum()))
            xy = _place(one, country, homes[who])
            weather = str(one.choice(list(WEATHER), p=list(WEATHER.values())))
            name = "".join(one.choice(LETTERS, 12))
            drives.append(
                Drive(split, number, name, users[who], xy, urbanity(country, xy), weather, str(one.choice(SEASONS)))
            )
    return drives


def urbanity(country: Country, xy: np.ndarray) -> float:
    """How urban a place (2,) is: 0 in the country; about 0.3 in a village, 1 in the middle of the largest town."""
    away = np.linalg.norm(country.towns - xy, axis=1) / country.town_km
    peak = np.clip(0.25 + 0.28 * np.log10(country.town_size / 1000), 0.28, 1.0)
    return float(np.clip((peak * np.clip(1.3 - 0.6 * away, 0, 1)).max(), 0, 1))


def draw_cameras(drive: Drive, path: Path, count: int, rng: np.random.Generator) -> list[Camera]:
    """Cameras some 20 metres apart on the right-hand lane, most of them looking obliquely along the road."""
    cameras = []
    way = 1 if rng.random() < 0.5 else -1
    for k in range(count):
        along = LENGTH / 2 + way * (22.0 * (k - (count - 1) / 2) + rng.uniform(-6, 6))
        ahead = path.ahead(along) * way
        turn = rng.choice([-48, -25, 0, 25, 48, 180, 150, 210], p=[0.16, 0.16, 0.14, 0.16, 0.16, 0.08, 0.07, 0.07])
        heading = round(np.rad2deg(np.arctan2(*ahead)) + turn + rng.uniform(-9, 9)) % 360
        place = path.at(along, -way * rng.uniform(0.8, 1.8))
        cameras.append(
            Camera(
                east=float(place[0]),
                north=float(place[1]),
                heading=float(heading),
                fov=float(drive.user.fov + rng.normal(0, 1)),
                height=drive.user.height,
                pitch=float(np.clip(rng.normal(1.5, 2), -3, 6)),
                roll=float(np.clip(rng.normal(0, 0.9), -3, 3)),
            )
        )
    return cameras


def _user(rng: np.random.Generator) -> User:
    return User(
        name="".join(rng.choice(LETTERS, 8)),
        gain=np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.03, 3)),
        fov=rng.uniform(66, 84),
        height=rng.uniform(1.6, 2.6),
        quality=rng.uniform(76, 94),
    )


def _in_town(rng: np.random.Generator, country: Country) -> np.ndarray:
    """A place (2,) in km within a town; large towns are drawn more often."""
    weights = country.town_size**0.6
    town = rng.choice(len(country.towns), p=weights / weights.sum())
    return country.towns[town] + rng.normal(0, 0.5, 2) * country.town_km[town]


def _place(rng: np.random.Generator, country: Country, home: np.ndarray) -> np.ndarray:
    """A place (2,) in km on land: in a town, near one, or anywhere in the country."""
    low, high = np.min(country.towns, 0) - 30, np.max(country.towns, 0) + 30
    near_home, rural, anywhere = rng.random() < NEAR_HOME, rng.random() < RURAL, rng.random() < 0.6
    for attempt in range(10_000):
        town = None if rural and anywhere else _in_town(rng, country) + rng.normal(0, 7, 2) * rural
        xy = rng.uniform(low, high) if town is None else town
        close = not near_home or np.linalg.norm(xy - home) < 40 or attempt > 2000
        # Not at the water: the road and the rounding of its positions stay on land.
        if close and country.municipality(xy[None])[0] >= 0 and country.coast_km(xy) > 1.0:
            return xy
    raise ValueError("no place on land found")


def names_of(country: Country, xy: np.ndarray, town_reach: float = 2.5) -> dict[str, str]:
    """Region, municipality and town of a place (2,); the town is empty beyond `town_reach` radii and 2 km of it."""
    municipality = int(country.municipality(xy[None])[0])
    towns, away = country.nearest_town(xy[None])
    town = int(towns[0])
    near = away[0] <= town_reach * country.town_km[town] + 2.0
    return {
        "region": str(country.regions[country.region[municipality]]),
        "sub_region": str(country.names[municipality]),
        "city": str(country.town_names[town]) if near else "",
    }
