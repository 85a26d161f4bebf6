"""Settings: where the images are, and how places are cut into classes."""

from dataclasses import dataclass
from typing import ClassVar

from datasets.readers import READERS
from flags import values
from flags.settings import setting

LAYOUT = "layout of validation and test sets; by default, recognised from the contents of the folder (docs/data.md)"
QUERIES = "name of the queries folder, if a test set has several, e.g. queries_v1"


@dataclass(frozen=True)
class TrainData:
    """Data"""

    dataset_folder: str | None = setting(
        None,
        "folder that contains train/, val/ and test/; `demo` or `demo-large` for a procedural city, `demo-country` for "
        "a country, `demo-aerial` for street photos and aerial tiles (generated once)",
        metavar="DIR",
        on_resume=True,
    )
    train_set_folder: str | None = setting(
        None, "training images, instead of train/ in --dataset_folder", metavar="DIR", on_resume=True
    )
    val_set_folder: str | None = setting(
        None,
        "validation set (database/ and queries/), instead of val/ in --dataset_folder",
        metavar="DIR",
        on_resume=True,
    )
    test_set_folder: str | None = setting(
        None,
        "test set (database/ and queries*/), instead of test/ in --dataset_folder",
        metavar="DIR",
        on_resume=True,
        changes_result=False,
    )
    queries_folder: str | None = setting(None, QUERIES, metavar="NAME", changes_result=False)
    layout: str | None = setting(None, LAYOUT, choices=tuple(READERS), changes_result=False)


@dataclass(frozen=True)
class EvalData:
    """Data"""

    dataset_folder: list[str] = setting(
        [],
        "one or more folders that contain val/ and test/, or database/ and queries/; `demo` for the demo city, "
        "`demo-drive` for two drives through it, `demo-aerial` for street photos and aerial tiles",
        metavar="DIR",
        nargs="+",
    )
    val_set_folder: str | None = setting(None, "validation set, instead of val/ in --dataset_folder", metavar="DIR")
    test_set_folder: list[str] = setting(
        [],
        "one or more test sets, instead of test/ in --dataset_folder",
        metavar="DIR",
        nargs="+",
        changes_result=False,
    )
    database_folder: str | None = setting(
        None,
        "database, instead of a test set: a folder of images, or the output of tools.build_database; --queries_folder "
        "then takes one or more paths of folders",
        metavar="DIR",
        changes_result=False,
    )
    queries_folder: list[str] | None = setting(
        None,
        "queries folders, if a test set has several, e.g. queries_v1 queries_v2, or `all`; the descriptors of the "
        "database are extracted only once",
        metavar="NAME",
        nargs="+",
        changes_result=False,
    )
    layout: str | None = setting(None, LAYOUT, choices=tuple(READERS), changes_result=False)
    protocol: str | None = setting(
        None,
        "queries and ground truth, if a layout has several protocols, e.g. val, val-all or val-s2w of MSLS "
        "(docs/data.md)",
        metavar="NAME",
        changes_result=False,
    )
    no_labels: bool = setting(False, "only predict: queries and database images have no positions")


@dataclass(frozen=True)
class GridSettings:
    """Classes and groups"""

    M: int = setting(10, "side of a cell in metres", values.positive)
    alpha: int = setting(30, "range of headings in a class, in degrees; 360 ignores headings", values.positive)
    N: int = setting(5, "classes of the same group lie at least N cells apart", values.positive)
    L: int = setting(2, "classes of the same group lie at least L headings apart", values.positive)
    min_images_per_class: int = setting(10, "leave out classes with fewer images", values.positive)


@dataclass(frozen=True)
class ClassSettings(GridSettings):
    """Classes and groups"""

    tasks: ClassVar[tuple[str, ...]] = ("place_recognition",)

    groups_num: int = setting(8, "number of groups to train on, one per epoch in turn; 0 for all", values.natural)


@dataclass(frozen=True)
class ValidationData:
    """Data"""

    dataset_folder: str | None = setting(
        None, "evaluate on val/ in this folder, or on the demo city (`demo`)", metavar="DIR"
    )
    val_set_folder: str | None = setting(None, "validation set (database/ and queries/)", metavar="DIR")
    queries_folder: str | None = setting(None, QUERIES, metavar="NAME")
