"""How large the demo cities, the demo country and the city of demo-aerial are."""

from dataclasses import dataclass

GAP_BLOCKS = 2  # between quarters: two blocks of at least 48 m less the jitter of their corners are more than 60 m


@dataclass(frozen=True)
class Plan:
    """How many blocks (columns, rows) each quarter spans."""

    train: tuple[int, int]
    val: tuple[int, int]
    test: tuple[int, int]

    def quarters(self) -> dict[str, tuple[int, int, int, int]]:
        """First and last street line of each quarter: column, row, column, row. One block of rim lies around all."""
        east = 1 + self.train[0] + GAP_BLOCKS
        north = 1 + self.val[1] + GAP_BLOCKS
        return {
            "train": (1, 1, 1 + self.train[0], 1 + self.train[1]),
            "val": (east, 1, east + self.val[0], 1 + self.val[1]),
            "test": (east, north, east + self.test[0], north + self.test[1]),
        }


@dataclass(frozen=True)
class DemoSize:
    """How large a demo city is. Every evaluation position gives HEADINGS database pictures."""

    plan: Plan
    classes: int
    images_per_class: int
    val_positions: int
    val_queries: int
    test_positions: int
    test_queries: int


@dataclass(frozen=True)
class Drive:
    """Two drives along one route through the test quarter of a city, as database and queries.

    Attributes:
        plan: plan of the city.
        spacing: metres between two frames of the database and of the queries.
        conditions: weather or time of day of the database and of the queries.
    """

    plan: Plan
    spacing: tuple[float, float]
    conditions: tuple[str, str]


DEMO, AERIAL = Plan((6, 6), (2, 2), (3, 2)), Plan((8, 12), (3, 4), (3, 6))
SIZES: dict[str, DemoSize | Drive] = {
    "demo": DemoSize(DEMO, 64, 10, 30, 60, 60, 120),
    "demo-large": DemoSize(Plan((14, 14), (5, 5), (7, 7)), 512, 10, 240, 480, 480, 960),
    "demo-drive": Drive(DEMO, (5.0, 8.0), ("day", "night")),
    "demo-aerial-drive": Drive(AERIAL, (40.0, 10.0), ("night", "overcast")),
}


@dataclass(frozen=True)
class CountrySize:
    """How large a demo country is.

    sequences: drives for training, validation and test. photos: of each drive.
    """

    municipalities: int
    regions: int
    sequences: tuple[int, int, int]
    photos: int


COUNTRIES = {"demo-country": CountrySize(48, 6, (750, 100, 150), 4)}


@dataclass(frozen=True)
class AerialSize:
    """Blocks of the city's quarters, and street photos of each split."""

    plan: Plan
    photos: tuple[int, int, int]


AERIALS = {"demo-aerial": AerialSize(AERIAL, (1600, 200, 300))}
