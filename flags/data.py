"""Settings: where the images are, and how places are cut into classes."""

from dataclasses import dataclass

from flags import values
from flags.settings import setting

QUERIES = "the queries folder to use where a test set has several, e.g. queries_v1"


@dataclass(frozen=True)
class TrainData:
    """Data"""

    dataset_folder: str | None = setting(
        None,
        "folder with train/, val/ and test/ inside, or `demo` or `demo-large` for a procedural city made at first use",
        metavar="DIR",
        on_resume=True,
    )
    train_set_folder: str | None = setting(
        None, "training images, instead of dataset_folder/train", metavar="DIR", on_resume=True
    )
    val_set_folder: str | None = setting(
        None, "validation set (database/ and queries/), instead of dataset_folder/val", metavar="DIR", on_resume=True
    )
    test_set_folder: str | None = setting(
        None,
        "test set (database/ and queries*/), instead of dataset_folder/test",
        metavar="DIR",
        on_resume=True,
        changes_result=False,
    )
    queries_folder: str | None = setting(None, QUERIES, metavar="NAME", changes_result=False)


@dataclass(frozen=True)
class EvalData:
    """Data"""

    dataset_folder: list[str] = setting(
        [],
        "one or more folders with val/ and test/ inside, or with database/ and queries/; `demo` for the demo city",
        metavar="DIR",
        nargs="+",
    )
    val_set_folder: str | None = setting(None, "validation set, instead of dataset_folder/val", metavar="DIR")
    test_set_folder: list[str] = setting(
        [], "test sets, instead of dataset_folder/test", metavar="DIR", nargs="+", changes_result=False
    )
    queries_folder: str | None = setting(None, QUERIES, metavar="NAME", changes_result=False)
    no_labels: bool = setting(False, "queries and database have no positions: only predict")


@dataclass(frozen=True)
class GridSettings:
    """Classes and groups"""

    M: int = setting(10, "side of a cell in metres", values.positive)
    alpha: int = setting(30, "degrees of heading in a class; 360 ignores headings", values.positive)
    N: int = setting(5, "classes of the same group lie at least N cells apart", values.positive)
    L: int = setting(2, "classes of the same group lie at least L headings apart", values.positive)
    min_images_per_class: int = setting(10, "leave out classes with fewer images", values.positive)


@dataclass(frozen=True)
class ClassSettings(GridSettings):
    """Classes and groups"""

    groups_num: int = setting(8, "number of groups, 0 for all; epochs take them in turn", values.natural)


@dataclass(frozen=True)
class ValidationData:
    """Data"""

    dataset_folder: str | None = setting(None, "evaluate on the val/ of this folder, or on `demo`", metavar="DIR")
    val_set_folder: str | None = setting(None, "validation set (database/ and queries/)", metavar="DIR")
    queries_folder: str | None = setting(None, QUERIES, metavar="NAME")
