import numpy as np
import pytest
from PIL import Image

from reports.tiles import EMPTY, UNREADABLE, load_tile

SOLID = {
    "gray.png": (Image.new("L", (50, 50), 77), (77, 77, 77)),
    "bilevel.png": (Image.new("1", (50, 50), 1), (255, 255, 255)),
    "palette.png": (Image.new("RGB", (50, 50), (9, 8, 7)).quantize(), (9, 8, 7)),
    "cmyk.tif": (Image.new("CMYK", (50, 50), (0, 255, 255, 0)), (255, 0, 0)),
    "clear.png": (Image.new("RGBA", (50, 50), (10, 20, 30, 0)), (255, 255, 255)),
    "opaque.png": (Image.new("RGBA", (50, 50), (10, 20, 30, 255)), (10, 20, 30)),
    "deep.png": (Image.fromarray(np.full((50, 50), 77 * 257, np.uint16)), (77, 77, 77)),
    "long.tif": (Image.fromarray(np.full((50, 50), 77 * 257, np.int32)), (77, 77, 77)),
}


@pytest.mark.parametrize("name", SOLID)
def test_modes(tmp_path, name):
    image, colour = SOLID[name]
    image.save(tmp_path / name)
    square = load_tile(tmp_path / name, 20)
    assert (square.mode, square.size) == ("RGB", (20, 20))
    assert (np.asarray(square) == colour).all()


def test_floating_point_values_are_stretched(tmp_path):
    Image.fromarray(np.tile(np.array([-3.0, 5.0], np.float32).repeat(10), (20, 1))).save(tmp_path / "float.tif")
    square = load_tile(tmp_path / "float.tif", 20)
    assert square.getpixel((0, 10)) == (0, 0, 0)
    assert square.getpixel((19, 10)) == (255, 255, 255)


def test_wide_and_tall_photos_are_letterboxed(tmp_path):
    Image.new("RGB", (60, 30), (255, 0, 0)).save(tmp_path / "wide.png")
    Image.new("RGB", (30, 60), (255, 0, 0)).save(tmp_path / "tall.png")
    expected = np.full((20, 20, 3), EMPTY)
    expected[5:15] = (255, 0, 0)
    assert (np.asarray(load_tile(tmp_path / "wide.png", 20)) == expected).all()
    assert (np.asarray(load_tile(tmp_path / "tall.png", 20)) == expected.transpose(1, 0, 2)).all()


def test_extreme_shapes_keep_one_row_of_pixels(tmp_path):
    Image.new("RGB", (4000, 2), (255, 0, 0)).save(tmp_path / "line.png")
    square = np.asarray(load_tile(tmp_path / "line.png", 20))
    assert ((square == (255, 0, 0)).all(axis=2).sum(axis=0) == 1).all()


def test_small_photos_are_enlarged(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "dot.png")
    assert (np.asarray(load_tile(tmp_path / "dot.png", 20)) == (1, 2, 3)).all()


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (400, 400), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 400, 200))  # the stored top is the right side of the scene
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    square = load_tile(tmp_path / "turned.jpg", 20)
    assert square.getpixel((2, 10)) == (255, 255, 255)
    assert square.getpixel((17, 10)) == (0, 0, 0)


@pytest.mark.parametrize("content", [None, b"", b"not a picture", "truncated"])
def test_unreadable_photos_become_a_grey_tile_with_text(tmp_path, content):
    path = tmp_path / "@1@2@ \u6771\u4eac.jpg"
    if content == "truncated":
        Image.effect_noise((200, 200), 50).save(path)
        content = path.read_bytes()[:2000]
    if content is not None:
        path.write_bytes(content)
    square = np.asarray(load_tile(path, 120))
    assert (square[0] == UNREADABLE).all()
    assert (square != UNREADABLE).any()


def test_missing_file_with_a_name_that_is_not_unicode(tmp_path):
    assert load_tile(tmp_path / "bad\udcff.jpg", 40).size == (40, 40)
