from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commons.errors import PlacewiseError
from datasets.exif import GPS_IFD
from datasets.geotagged import read_geotagged
from tests.conftest import sf_name
from tests.datasets.geotagged.pictures import picture, touch


def photo(path: Path, latitude: float | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if latitude is not None:
        exif[GPS_IFD] = {1: "N", 2: (latitude, 0, 0), 3: "W", 4: (9.5, 0, 0)}
    picture(0).save(path, exif=exif)


def test_photos_with_gps(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name, latitude in (("a/1.jpg", 55), ("2.jpg", None), ("3.jpg", 56)):
        photo(tmp_path / name, latitude)
    photos = read_geotagged(tmp_path)
    assert photos.places.names.to_pylist() == ["2.jpg", "3.jpg", "a/1.jpg"]
    assert photos.latitude.tolist()[1:] == [56, 55] and photos.longitude.tolist()[1:] == [-9.5, -9.5]
    assert photos.located.tolist() == [False, True, True]
    assert "1 of 3 photos have no position" in caplog.text


def test_photos_without_gps_are_an_error(tmp_path: Path):
    photo(tmp_path / "1.jpg", None)
    with pytest.raises(PlacewiseError, match="none of its 1 photos has a position"):
        read_geotagged(tmp_path)


def test_names_in_utm_give_degrees(tmp_path: Path):
    touch(tmp_path, sf_name(548_000, 4_180_000))
    photos = read_geotagged(tmp_path)
    # Of UTM and zone (10S): 37.7657 N, 122.4550 W, by the utm package.
    assert photos.latitude[0] == pytest.approx(37.766, abs=0.002)
    assert photos.longitude[0] == pytest.approx(-122.455, abs=0.002)


def test_a_places_table_with_utm_only(tmp_path: Path):
    touch(tmp_path, "a.jpg")
    (tmp_path / "places.csv").write_text("path,utm_east,utm_north,utm_zone\na.jpg,500000,0,31\n")
    photos = read_geotagged(tmp_path)
    assert photos.latitude[0] == pytest.approx(0, abs=1e-6) and photos.longitude[0] == pytest.approx(3, abs=1e-6)


def test_a_folder_for_each_place(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    places = ["55.6761,12.5683", "-33.9_18.42"]
    touch(tmp_path, *(f"{place}/{heading}.jpg" for place in places for heading in (0, 90, 270)), "cover.jpg")
    photos = read_geotagged(tmp_path)
    assert photos.latitude.tolist() == [-33.9] * 3 + [55.6761] * 3
    assert photos.longitude.tolist() == [18.42] * 3 + [12.5683] * 3
    assert photos.places.heading.tolist() == [0, 270, 90] * 2
    assert photos.codes("sequence").tolist() == [0, 0, 0, 1, 1, 1]
    assert "1 photo(s) outside of folders named after latitude and longitude" in caplog.text


@pytest.mark.parametrize("names", [("0", "1", "2"), ("10", "400", "2"), ("a", "b", "c")])
def test_counts_and_words_are_no_headings(tmp_path: Path, names: tuple[str, ...]):
    touch(tmp_path, *(f"55.6, 12.5/{name}.jpg" for name in names))
    assert np.isnan(read_geotagged(tmp_path).places.heading).all()


def test_folders_beyond_the_poles_and_empty_ones(tmp_path: Path):
    touch(tmp_path, "95.0,12.5/a.jpg")
    with pytest.raises(PlacewiseError, match="swapped"):
        read_geotagged(tmp_path)
    (tmp_path / "95.0,12.5/a.jpg").unlink()
    with pytest.raises(PlacewiseError, match="hold no image"):
        read_geotagged(tmp_path)
