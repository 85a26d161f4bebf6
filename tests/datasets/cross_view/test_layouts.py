"""Readers of paired views, on tiny data sets in their exact layouts."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from commons.errors import ArgumentError, PlacewiseError
from datasets.cross_view import PAIRED
from datasets.cross_view.layout import PairedSet, choose_protocol, paired_layout
from tests.paired_views import CITIES, write_cvact, write_cvusa, write_image, write_university, write_vigor


def read(folder: Path, split: str, protocol: str | None = None) -> PairedSet:
    layout = paired_layout(folder)
    return layout.read(folder, split, choose_protocol(layout, protocol), folder.name)


def lists(found: PairedSet, semi: bool = False) -> list[list[str]]:
    own = found.semi_positives if semi else found.positives
    names = found.references.names.to_pylist()
    return [[names[row] for row in rows] for rows in np.split(own.rows, own.offsets[1:-1])]


def colours(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.resize((4, 1), Image.Resampling.BOX), np.float64)


def assert_same_places(found: PairedSet) -> None:
    """Both images of each pair show the colours of one place: labels are those of the files."""
    for query, row in enumerate(found.positives.rows[found.positives.offsets[:-1]]):
        pair = colours(found.queries.path(query)), colours(found.references.path(int(row)))
        assert np.abs(pair[0] - pair[1]).max() < 25


def refused(folder: Path, words: str, split: str = "train", protocol: str | None = None) -> None:
    with pytest.raises(PlacewiseError, match=words) as error:
        read(folder, split, protocol)
    assert "\n" not in str(error.value)


def test_each_layout_is_recognised_and_nothing_else(tmp_path: Path):
    written = {
        "vigor": write_vigor(tmp_path / "a", CITIES[:1]), "cvusa": write_cvusa(tmp_path / "b", 2, 1),
        "cvact": write_cvact(tmp_path / "c", 2, 1, 1), "university1652": write_university(tmp_path / "d", 1, 1, 0),
    }  # fmt: skip
    assert set(written) == set(PAIRED)
    for name, folder in written.items():
        assert paired_layout(folder).name == name
    (tmp_path / "e" / "train").mkdir(parents=True)
    assert paired_layout(tmp_path / "e") is paired_layout(tmp_path / "nowhere") is paired_layout(None) is None


def test_vigor_same_area(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = write_vigor(tmp_path / "VIGOR")
    with caplog.at_level(logging.WARNING):
        train, test = read(folder, "train"), read(folder, "test", "same")
    assert not caplog.records
    assert len(train.queries) == len(test.queries) == 4 * 9 and len(test.references) == 4 * 16
    photos = [set(own.queries.names.to_pylist()) for own in (train, test)]
    assert not photos[0] & photos[1] and all(name.startswith(tuple(CITIES)) for name in photos[0])
    assert_same_places(train)
    own, others = lists(test)[0], lists(test, semi=True)[0]
    assert own == ["Chicago/satellite/satellite_40.0000000_-70.0000000.png"]
    assert others == [
        f"Chicago/satellite/satellite_{at}.png"
        for at in ("40.0003000_-70.0000000", "40.0000000_-70.0003000", "40.0003000_-70.0003000")
    ]
    assert test.queries.latitude[0] == 40.00009 and test.references.longitude[1] == -70.0003
    assert paired_layout(folder).evaluated(folder) == ["test"] and not test.from_above and not test.average_precision


def test_vigor_cross_area_has_other_cities_in_the_test(tmp_path: Path):
    folder = write_vigor(tmp_path / "VIGOR")
    cities = {}
    for split in ("train", "test"):
        found = read(folder, split, "cross")
        cities[split] = {name.split("/")[0] for name in found.references.names.to_pylist()}
        assert len(found.queries) == 2 * 18 and len(found.references) == 2 * 16
        assert_same_places(found)
    assert cities == {"train": {"NewYork", "Seattle"}, "test": {"Chicago", "SanFrancisco"}}
    with pytest.raises(ArgumentError, match="`protocol`: cros: data of the layout vigor have one of same, cross"):
        read(folder, "test", "cros")


def test_vigor_in_the_folders_of_sample4geo_and_with_corrected_labels(tmp_path: Path):
    folder = write_vigor(tmp_path / "VIGOR", ending="__corrected")
    before = lists(read(folder, "test"))
    for city in CITIES:
        for new, old in (("ground", "panorama"), ("satellite", "satellite")):
            (folder / new).mkdir(exist_ok=True)
            (folder / city / old).rename(folder / new / city)
    found = read(folder, "test")
    assert [name.split("/")[-1] for (name,) in lists(found)] == [name.split("/")[-1] for (name,) in before]
    assert_same_places(found)


def test_vigor_labels_that_contradict_the_positions_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = write_vigor(tmp_path / "VIGOR")
    file = folder / "splits" / "Seattle" / "same_area_balanced_test.txt"
    lines = file.read_text().splitlines()
    photo, first, a, b, second, *others = lines[2].split()
    lines[2] = " ".join([photo, second, a, b, first, *others])
    file.write_text("\n".join(lines))
    with caplog.at_level(logging.WARNING):
        read(folder, "test")
    (record,) = caplog.records
    assert "1 of 36 panoramas, " in record.message
    assert f"e.g. Seattle/panorama/{photo}, are" in record.message


def test_damaged_vigor(tmp_path: Path):
    folder = write_vigor(tmp_path / "VIGOR")
    file = folder / "splits" / "Chicago" / "same_area_balanced_train.txt"
    whole, listing = file.read_text(), file.with_name("satellite_list.txt")
    for damage, words in (
        (whole.replace(" 1.5", "", 1), "same_area_balanced_train.txt, line 1: has 12 fields, not 13"),
        (whole + whole.splitlines()[3], r"lists Chicago/panorama/pano100,40.000330,-70.000030,.jpg twice"),
        (whole.replace("satellite_40.0000000_-70.0003000", "satellite_1_2"), "line 1: contains satellite_1_2.png"),
        (whole.replace("pano000", "gone"), r"lists Chicago/panorama/gone,.* \(1 of 36 images\)"),
    ):
        file.write_text(damage)
        refused(folder, words)
    file.write_bytes(b"\xff\xfe\x00")
    refused(folder, "same_area_balanced_train.txt: is not UTF-8 text")
    file.unlink()
    refused(folder, "same_area_balanced_train.txt: there is no such file")
    file.write_text(whole)
    listing.write_text(listing.read_text() + listing.read_text().splitlines()[0])
    refused(folder, "lists Chicago/satellite/satellite_40.0000000_-70.0000000.png twice")
    (folder / "NewYork" / "panorama").rename(folder / "NewYork" / "photos")
    refused(folder, "there are no folders NewYork/panorama and NewYork/satellite in it", protocol="cross")


def test_cvusa(tmp_path: Path):
    folder = write_cvusa(tmp_path / "CVUSA")
    train, val = read(folder, "train"), read(folder, "val")
    assert [len(table) for own in (train, val) for table in own.tables.values()] == [24, 24, 8, 8]
    assert lists(val)[0] == ["bingmap/19/0000025.jpg"] and val.semi_positives is None
    assert val.queries.names[0].as_py() == "streetview/panos/0000025.jpg"
    assert (val.queries.latitude[0], val.queries.longitude[0]) == (54.5, -114.5)
    assert_same_places(train)
    assert paired_layout(folder).evaluated(folder) == ["val"]
    with pytest.raises(ArgumentError, match="`protocol`: same: data of the layout cvusa have none"):
        read(folder, "val", "same")
    (folder / "split_locations" / "all.csv").unlink()
    assert not read(folder, "val").queries.located.any()


def test_damaged_cvusa(tmp_path: Path):
    folder = write_cvusa(tmp_path / "CVUSA")
    file, where = folder / "splits" / "train-19zl.csv", folder / "split_locations" / "all.csv"
    whole = file.read_text()
    for damage, words in (
        (whole + "bingmap/19/0000003.jpg\n", "train-19zl.csv, line 25: is not of the form aerial image, panorama"),
        (whole + whole.splitlines()[2], "train-19zl.csv: lists streetview/panos/0000003.jpg twice"),
        (whole.replace("bingmap/19/0000002", "bingmap/19/0000001"), "lists bingmap/19/0000001.jpg twice"),
        (whole.replace("panos/0000004", "panos/0000099"), "has 32 lines, but .* lists image 99"),
        ("", "train-19zl.csv: lists no image"),
    ):
        file.write_text(damage)
        refused(folder, words)
    file.write_text(whole)
    where.write_text("1,2,x,4,5\n")
    refused(folder, "all.csv and .*train-19zl.csv: are not positions and numbered images")
    where.unlink()
    (folder / "streetview" / "panos" / "0000005.jpg").unlink()
    refused(folder, r"lists streetview/panos/0000005.jpg, which is not in .* \(1 of 24 images\)")


@pytest.mark.parametrize("within", [".", "ANU_data_small"])
def test_cvact(tmp_path: Path, within: str):
    folder = write_cvact(tmp_path / "CVACT", within=within)
    found = {split: read(folder, split) for split in ("train", "val", "test")}
    assert {split: len(own.queries) for split, own in found.items()} == {"train": 24, "val": 8, "test": 12}
    val, test = found["val"], found["test"]
    first = val.queries.names[0].as_py()
    assert first == test.queries.names[0].as_py() == "streetview/24_-ABcdEFghIJklMNopQR_grdView.jpg"
    assert (val.queries.folder.name, test.queries.folder.name) == ("ANU_data_small", "ANU_data_test")
    assert lists(val)[1] == ["satview_polish/25_-ABcdEFghIJklMNopQR_satView_polish.jpg"]
    for own in found.values():
        assert_same_places(own)
    # 694 km east and 6090 km north in zone 55 lie in Canberra.
    assert np.allclose(found["train"].queries.latitude, -35.3, atol=0.1)
    assert np.allclose(found["train"].queries.longitude, 149.1, atol=0.1)
    assert paired_layout(folder).evaluated(folder) == ["val", "test"]


def test_cvact_counts_pairs_that_lack_an_image(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = write_cvact(tmp_path / "CVACT")
    images = sorted((folder / "ANU_data_small" / "satview_polish").iterdir())
    images[3].unlink()
    with caplog.at_level(logging.WARNING):
        found = read(folder, "train")
    assert len(found.queries) == 23 and "03_-" not in "".join(found.queries.names.to_pylist())
    assert "1 of 24 pairs" in caplog.text and "streetview/03_-ABcdEFghIJklMNopQR_grdView.jpg among them" in caplog.text
    assert_same_places(found)
    images[5].unlink()
    refused(folder, "2 of 24 pairs of .* lack an image.*: is the download complete?")


def test_damaged_cvact(tmp_path: Path):
    folder = write_cvact(tmp_path / "CVACT")
    file = folder / "ACT_data.mat"
    content = {key: value for key, value in loadmat(file, simplify_cells=True).items() if not key.startswith("__")}
    for change, words in (
        ({"trainSet": {"trainInd": np.array([1, 1, 2])}}, "trainSet lists a panorama twice"),
        ({"trainSet": {"trainInd": np.array([0, 1])}}, "trainSet.trainInd and utm do not match its 36 panoramas"),
        ({"trainSet": {"trainInd": np.array([1.5])}}, "do not match its 36 panoramas"),
        ({"utm": np.zeros((3, 2))}, "do not match its 36 panoramas"),
        ({"trainSet": {"x": 1}}, r"cannot be read as the labels of CVACT, with panoIds and trainSet.trainInd \("),
    ):
        savemat(file, content | change)
        refused(folder, words)
    file.write_bytes(b"no MATLAB file at all" * 20)
    refused(folder, "ACT_data.mat: cannot be read as the labels of CVACT")


def test_university_in_all_directions(tmp_path: Path):
    folder = write_university(tmp_path / "U")
    counts = {}
    for protocol in paired_layout(folder).protocols:
        found = read(folder, "test", protocol)
        counts[protocol] = len(found.queries), len(found.references), int(np.diff(found.positives.offsets)[0])
        assert found.from_above == protocol.startswith("satellite") and found.average_precision
        assert_same_places(found)
        for name, own in zip(found.queries.names.to_pylist(), lists(found), strict=True):
            assert {reference.split("/")[0] for reference in own} == {name.split("/")[0]}
    assert counts == {
        "drone-satellite": (12, 6, 1), "satellite-drone": (4, 18, 3),
        "street-satellite": (8, 6, 1), "satellite-street": (4, 12, 2),
    }  # fmt: skip


def test_university_trains_on_photos_of_the_view_of_its_protocol(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = write_university(tmp_path / "U")
    for protocol, view, count in (("satellite-drone", "drone", 30), ("street-satellite", "street", 20)):
        found = read(folder, "train", protocol)
        assert (found.queries.folder.name, len(found.queries), len(found.references)) == (view, count, 10)
        assert found.references.folder.name == "satellite" and not found.from_above
    write_image(folder / "train" / "drone" / "9999" / "image-0.jpeg", 9)
    with caplog.at_level(logging.WARNING):
        assert len(read(folder, "train").queries) == 30
    assert "1 images of buildings without images in" in caplog.text and "are left out" in caplog.text
    write_image(folder / "test" / "query_drone" / "9999" / "image-0.jpeg", 9)
    with caplog.at_level(logging.WARNING):
        assert np.diff(read(folder, "test").positives.offsets).tolist() == 12 * [1] + [0]
    assert "cannot be answered, and count as wrong" in caplog.text


def test_damaged_university(tmp_path: Path):
    folder = write_university(tmp_path / "U")
    write_image(folder / "train" / "drone" / "stray.jpg", 1)
    refused(folder, "stray.jpg: is not in a folder named after its building")
    (folder / "test" / "gallery_satellite").rename(folder / "test" / "gone")
    refused(folder, "gallery_satellite: there are no images in it", "test")
    for building in sorted((folder / "test" / "query_street").iterdir()):
        building.rename(building.with_name(f"x{building.name}"))
    (folder / "test" / "gone").rename(folder / "test" / "gallery_satellite")
    refused(folder, "have no building in common", "test", "street-satellite")
