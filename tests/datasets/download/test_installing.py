import io
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from commons.errors import PlacewiseError
from datasets.download import http
from datasets.download.installing import install
from datasets.download.sources import ON_REQUEST, SOURCES, Source
from datasets.layouts import find_sets, train_folder
from datasets.readers.reader import Choice
from datasets.reading import read_places
from datasets.test_dataset import read_test_set
from tests.datasets.download.servers import Behaviour, serving


def jpeg() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 120, 60)).save(stream, "jpeg")
    return stream.getvalue()


JPEG = jpeg()
NAME = "@{}@4180000.00@10@S@37.76550@-122.43500@pano@@{}@@@@201311@@.jpg"


def zipped(names: Iterable[str], others: dict[str, bytes] | None = None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in (dict.fromkeys(names, JPEG) | (others or {})).items():
            archive.writestr(name, content)
    return stream.getvalue()


def install_from(content: bytes, name: str, folder: Path, images: dict[str, int] | None = None) -> Path:
    with serving(Behaviour(content)) as address:
        source = replace(SOURCES[name], kind="http", address=address, size=0, images=images or {})
        return install(name, source, folder)


def sf_xs() -> bytes:
    parts = ("train", "val/database", "val/queries", "test/database", "test/queries")
    return zipped(f"sf_xs/{part}/{NAME.format(f'55{number}000.00', 90)}" for part in parts for number in range(3))


SF_XS = dict.fromkeys(("train", "val/database", "val/queries", "test/database", "test/queries"), 3)


def test_sf_xs_is_read_after_the_download(tmp_path: Path):
    target = install_from(sf_xs(), "sf_xs", tmp_path / "new" / "data", SF_XS)
    assert target == tmp_path / "new" / "data" / "sf_xs"
    assert [path.name for path in target.parent.iterdir()] == ["sf_xs"]
    assert train_folder(str(target), None) == target / "train"
    (test,) = find_sets(target / "test", Choice())
    assert len(read_test_set(test, labelled=True).database) == 3


def test_svox_has_six_queries_folders(tmp_path: Path):
    parts = ("gallery", "queries", *(f"queries_{name}" for name in ("night", "overcast", "rain", "snow", "sun")))
    content = zipped(f"svox/images/test/{part}/@500000@4180000@201407@@.jpg" for part in parts)
    target = install_from(content, "svox", tmp_path)
    sets = find_sets(target, Choice(("all",)))
    assert len(sets) == 6 and {one.database.name for one in sets} == {"gallery"}
    assert set(SOURCES["svox"].images) == {f"images/test/{part}" for part in parts}


def test_sped_is_read_by_its_list(tmp_path: Path):
    stream = io.BytesIO()
    truth = np.empty((2, 2), object)
    truth[0], truth[1] = [0, [0]], [1, [1]]
    np.save(stream, truth, allow_pickle=True)
    names = [f"SPEDTEST/{part}/{number:07}.jpg" for part in ("ref", "query") for number in range(2)]
    target = install_from(
        zipped(names, {"SPEDTEST/ground_truth_new.npy": stream.getvalue()}), "sped", tmp_path, {"ref": 2, "query": 2}
    )
    (test,) = find_sets(target, Choice())
    assert test.layout == "vpr_bench" and len(read_test_set(test, labelled=True).queries) == 2


def test_amstertime_becomes_lists(tmp_path: Path):
    names = [f"new/{number:04}.png" for number in (3, 1, 2)] + [f"old/{number:04}.jpg" for number in (2, 3, 1)]
    outer = zipped([], {"AmsterTime-v1.0.zip": zipped(names), "README.txt": b"x"})
    target = install_from(outer, "amstertime", tmp_path, {"new": 3, "old": 3})
    (test,) = find_sets(target, Choice())
    read = read_test_set(test, labelled=True)
    assert test.layout == "npy" and read.queries.names.to_pylist() == ["old/0001.jpg", "old/0002.jpg", "old/0003.jpg"]
    assert read.database.names.to_pylist() == ["new/0001.png", "new/0002.png", "new/0003.png"]
    assert [read.positives.of(query).tolist() for query in range(3)] == [[0], [1], [2]]
    with pytest.raises(PlacewiseError, match="do not have the same names"):
        install_from(zipped(["new/0001.png", "old/0002.jpg"]), "amstertime", tmp_path / "other")


def test_gsv_cities_is_read_for_training(tmp_path: Path):
    image = "London_0000012_2015_05_090_51.5_-0.12_pano"
    table = "place_id,year,month,northdeg,city_id,lat,lon,panoid\n12,2015,5,90,London,51.5,-0.12,pano\n"
    content = zipped([f"Images/London/{image}.JPG"], {"Dataframes/London.csv": table.encode()})
    target = install_from(content, "gsv_cities", tmp_path)
    assert len(read_places(target)) == 1


def test_what_is_there_is_not_downloaded_again(tmp_path: Path):
    target = install_from(sf_xs(), "sf_xs", tmp_path, SF_XS)
    gone = replace(SOURCES["sf_xs"], kind="http", address="http://127.0.0.1:9/none")
    assert install("sf_xs", gone, tmp_path) == target


def test_a_set_that_lacks_images_does_not_appear(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="test/queries has 3 images instead of 4: .*sf_xs.zip is kept"):
        install_from(sf_xs(), "sf_xs", tmp_path, SF_XS | {"test/queries": 4})
    assert not (tmp_path / "sf_xs").exists() and (tmp_path / "sf_xs.zip").is_file()


def test_a_file_of_a_wrong_size_is_put_aside(tmp_path: Path):
    content = sf_xs()
    with serving(Behaviour(content)) as address:
        source = replace(SOURCES["sf_xs"], kind="http", address=address, size=len(content) * 2, images=SF_XS)
        with pytest.raises(PlacewiseError, match=r"instead of about .*kept as .*sf_xs.zip.odd.*rename it to sf_xs.zip"):
            install("sf_xs", source, tmp_path)
        assert not (tmp_path / "sf_xs").exists()
        (tmp_path / "sf_xs.zip.odd").rename(tmp_path / "sf_xs.zip")  # as the message says
        assert install("sf_xs", source, tmp_path).is_dir()


def test_an_archive_that_was_downloaded_by_hand_is_used(tmp_path: Path):
    (tmp_path / "sf_xs.zip").write_bytes(sf_xs())
    gone = replace(SOURCES["sf_xs"], address="https://drive.invalid/none", images=SF_XS)
    assert len(list(install("sf_xs", gone, tmp_path).rglob("*.jpg"))) == 15


def test_a_killed_unpacking_starts_again(tmp_path: Path):
    (tmp_path / "sf_xs.zip").write_bytes(sf_xs())
    (tmp_path / ".sf_xs" / "sf_xs" / "train").mkdir(parents=True)
    (tmp_path / ".sf_xs" / "sf_xs" / "train" / "half.jpg").write_bytes(b"half")
    target = install("sf_xs", replace(SOURCES["sf_xs"], images=SF_XS), tmp_path)
    assert not list(target.rglob("half.jpg")) and [path.name for path in tmp_path.iterdir()] == ["sf_xs"]


def test_a_hostile_archive_leaves_nothing_outside(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="a path outside of the folder"):
        install_from(zipped(["sf_xs/a.jpg", "../../evil.jpg"]), "sf_xs", tmp_path / "data" / "sets")
    assert not list(tmp_path.rglob("evil.jpg")) and not (tmp_path / "data" / "sets" / "sf_xs").exists()


def test_two_processes_do_not_write_one_set(tmp_path: Path):
    with FileLock(tmp_path / ".sf_xs.lock"), pytest.raises(PlacewiseError, match="another process is downloading it"):
        install_from(sf_xs(), "sf_xs", tmp_path)


def test_google_drive_is_asked_through_gdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def download(url: str, output: str, resume: bool) -> str:
        asked.append((url, resume))
        Path(output).write_bytes(sf_xs())
        return output

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=download))
    source = replace(SOURCES["sf_xs"], size=0, images=SF_XS)
    assert install("sf_xs", source, tmp_path).is_dir()
    assert asked == [("https://drive.google.com/uc?id=1tQqEyt3go3vMh4fj_LZrRcahoTbzzH-y", True)]
    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=lambda **_: None))  # as old versions fail
    with pytest.raises(PlacewiseError, match="Google Drive returned no file; .*in a browser .*save it as .*sf_xs.zip"):
        install("sf_xs", source, tmp_path / "other")
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(PlacewiseError, match="pip install gdown"):
        install("sf_xs", source, tmp_path / "other")


def test_the_real_gdown_continues(tmp_path: Path):
    pytest.importorskip("gdown")
    content = sf_xs()
    (tmp_path / "sf_xs.zipabcd1234.part").write_bytes(content[:1000])
    behaviour = Behaviour(content)
    with serving(behaviour) as address:
        source = replace(SOURCES["sf_xs"], address=address, size=len(content), images=SF_XS)
        assert install("sf_xs", source, tmp_path).is_dir()
    assert behaviour.asked[-1] == "bytes=1000-"


def test_folders_come_by_rsync(tmp_path: Path):
    server = tmp_path / "server" / "images" / "test"
    for part in ("database", "queries"):
        (server / part).mkdir(parents=True)
        (server / part / "@500000@4180000@.jpg").write_bytes(JPEG)
    (server / "database" / "link.jpg").symlink_to("/etc/passwd")
    images = {"images/test/database": 1, "images/test/queries": 1}
    source = replace(SOURCES["st_lucia"], address=str(tmp_path / "server"), images=images)
    try:
        target = install("st_lucia", source, tmp_path / "data")
    except PlacewiseError as error:
        pytest.skip(str(error)) if "not installed" in str(error) else pytest.fail(str(error))
    assert sorted(path.name for path in target.rglob("*.jpg")) == ["@500000@4180000@.jpg"] * 2
    with pytest.raises(PlacewiseError, match=r"rsync failed \(.*none.*; start the same command again"):
        install("nordland", replace(source, address=str(tmp_path / "none")), tmp_path / "data")


def test_rsync_that_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PlacewiseError, match="needs the program rsync, which is not installed"):
        install("st_lucia", SOURCES["st_lucia"], tmp_path)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_sources_are_complete(source: Source):
    start = {"http": "https://", "drive": "https://drive.google.com/uc?id=", "rsync": "rsync://"}[source.kind]
    assert source.address.startswith(start) and source.page.startswith("https://") and "{}" in source.use
    assert source.size == 0 or source.size > 1e8
    assert http.TRIES > 1 and not SOURCES.keys() & ON_REQUEST.keys()
