"""Where data sets are found on the web. The addresses were read on READ, in the places that COLLECTED names.

They were not tried: the machine that this was written on reaches none of these hosts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

READ = "2026-11-30"
COLLECTED = "the authors' repositories, gmberton/VPR-datasets-downloader and gmberton/Simple_VPR_codebase"

NETVLAD = "https://www.di.ens.fr/willow/research/netvlad/"
DRIVE = "https://drive.google.com/uc?id="
POLITO = "rsync://vandaldata.polito.it/sf_xl/VPR-datasets-downloader"


@dataclass(frozen=True)
class Source:
    """A data set with a public address.

    Attributes:
        kind: http and drive (Google Drive) give a zip file, rsync a folder.
        address: address of the file or folder.
        page: where people find it if the address no longer works.
        about: a phrase for the list.
        use: how the programs read it; `{}` stands for its folder.
        size: bytes of the file, about; 0 if unknown.
        images: how many images its folders hold; empty if unknown.
    """

    kind: Literal["http", "drive", "rsync"]
    address: str
    page: str
    about: str
    use: str
    size: int = 0
    images: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OnRequest:
    """A data set that its authors give on request.

    Attributes:
        page: where to ask.
        about: a phrase for the list.
        put: what to put where; `{}` stands for the folder.
        use: how the programs read it.
    """

    page: str
    about: str
    put: str
    use: str


SOURCES: dict[str, Source] = {
    "sf_xs": Source(
        "drive",
        DRIVE + "1tQqEyt3go3vMh4fj_LZrRcahoTbzzH-y",
        "https://github.com/gmberton/Simple_VPR_codebase",
        "training, validation and test set of the coursework, San Francisco",
        "train.py --dataset_folder {} --groups_num 1",
        1_220_000_000,
        {"train": 59_650, "val/database": 8_015, "val/queries": 7_993, "test/database": 27_191, "test/queries": 1_000},
    ),
    "tokyo_xs": Source(
        "drive",
        DRIVE + "15QB3VNKj93027UAQWv7pzFQO1JDCdZj2",
        "https://github.com/gmberton/Simple_VPR_codebase",
        "test set of the coursework, Tokyo by day and by night",
        "eval.py --dataset_folder {}",
        165_000_000,
        {"test/database": 12_771, "test/queries": 315},
    ),
    "svox": Source(
        "drive",
        DRIVE + "16iuk8voW65GaywNUQlWAbDt6HZzAJ_t9",
        "https://github.com/gmberton/VPR-datasets-downloader",
        "Oxford in night, rain, snow, sun and clouds; six folders of queries",
        "eval.py --dataset_folder {} --queries_folder all",
        images={
            "images/test/gallery": 17_166,
            "images/test/queries": 14_278,
            "images/test/queries_night": 823,
            "images/test/queries_overcast": 872,
            "images/test/queries_rain": 937,
            "images/test/queries_snow": 870,
            "images/test/queries_sun": 854,
        },
    ),
    "st_lucia": Source(
        "rsync",
        f"{POLITO}/st_lucia",
        "https://github.com/gmberton/VPR-datasets-downloader",
        "test set, a suburb seen from a car",
        "eval.py --dataset_folder {}",
        images={"images/test/database": 1_549, "images/test/queries": 1_464},
    ),
    "nordland": Source(
        "rsync",
        f"{POLITO}/nordland",
        "https://github.com/gmberton/VPR-datasets-downloader",
        "test set, a railway in summer and winter; 10 frames of tolerance",
        "eval.py --dataset_folder {}",
        images={"images/test/database": 27_592, "images/test/queries": 27_592},
    ),
    "sped": Source(
        "http",
        "https://surfdrive.surf.nl/files/index.php/s/sbZRXzYe3l0v67W/download?path=%2F&files=SPEDTEST.zip",
        "https://surfdrive.surf.nl/files/index.php/s/sbZRXzYe3l0v67W",
        "test set, surveillance cameras in all seasons (VPR-Bench)",
        "eval.py --dataset_folder {}",
        images={"ref": 607, "query": 607},
    ),
    "amstertime": Source(
        "http",
        "https://data.4tu.nl/ndownloader/items/d2ee2551-986a-46bc-8540-b43f5b01ec4d/versions/4",
        "https://doi.org/10.4121/19580806",
        "test set, old photos of Amsterdam and today's street views",
        "eval.py --dataset_folder {}",
        images={"new": 1_231, "old": 1_231},
    ),
    "gsv_cities": Source(
        "http",
        "https://www.kaggle.com/api/v1/datasets/download/amaralibey/gsv-cities",
        "https://www.kaggle.com/datasets/amaralibey/gsv-cities",
        "training set, 23 cities",
        "train.py --method gsv --train_set_folder {} --val_set_folder data/sf_xs/val",
        23_400_000_000,
    ),
    "gsv_cities_light": Source(
        "http",
        "https://github.com/amaralibey/OpenVPRLab/releases/download/v0.1/gsv-cities-light.zip",
        "https://github.com/amaralibey/OpenVPRLab",
        "training set, a small part of GSV-Cities",
        "train.py --method gsv --train_set_folder {} --val_set_folder data/sf_xs/val",
        1_200_000_000,
    ),
}

ON_REQUEST: dict[str, OnRequest] = {
    "msls": OnRequest(
        "https://www.mapillary.com/dataset/places",
        "Mapillary Street-level Sequences",
        "unpack all files, so that {}/train_val/cph and {}/train_val/sf are there",
        "eval.py --dataset_folder {}",
    ),
    "pitts30k": OnRequest(
        "http://www.ok.ctrl.titech.ac.jp/~torii/project/repttile/",
        "Pittsburgh, the smaller selection",
        f"put the folders 000 to 006 and queries_real into {{}}, and pitts30k_*.mat of {NETVLAD} into {{}}/datasets",
        "eval.py --dataset_folder {} --protocol pitts30k_test",
    ),
    "pitts250k": OnRequest(
        "http://www.ok.ctrl.titech.ac.jp/~torii/project/repttile/",
        "Pittsburgh, all of it",
        f"put the folders 000 to 010 and queries_real into {{}}, and pitts250k_*.mat of {NETVLAD} into {{}}/datasets",
        "eval.py --dataset_folder {} --protocol pitts250k_test",
    ),
    "tokyo247": OnRequest(
        "http://www.ok.ctrl.titech.ac.jp/~torii/project/247/",
        "Tokyo 24/7",
        "put the folders 03814, ... and 247query_subset_v2 into {}, and tokyo247.mat of "
        f"{NETVLAD} into {{}}/datasets",
        "eval.py --dataset_folder {}",
    ),
    "sf_xl": OnRequest(
        "https://github.com/gmberton/CosPlace",
        "San Francisco eXtra Large",
        "unpack small/, processed/ or panoramas into {}",
        "train.py --dataset_folder {}/processed --queries_folder queries_v1",
    ),
}
