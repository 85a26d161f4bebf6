import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import resize

from datasets import decoding
from datasets.decoding import open_jpeg, read_bytes, read_image, resize_shorter_side


def test_pixels_are_those_of_pillow(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == torch.uint8
    assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as decoded:
        expected = np.asarray(decoded.convert("RGB"), dtype=int)
    assert np.abs(read_image(tmp_path / "a.jpg").permute(1, 2, 0).numpy().astype(int) - expected).max() <= 3


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16", "1"])
@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode: str, extension: str):
    """A grey ramp has the same values in every mode: as it is, as the brightest of 16 bits, as black and white."""
    ramp = np.arange(0, 252, 4, dtype=np.uint8).reshape(7, 9)
    picture = Image.fromarray(257 * ramp.astype(np.uint16)) if mode == "I;16" else Image.fromarray(ramp)
    if mode in ("RGBA", "CMYK"):
        picture = picture.convert("RGB")
    try:
        if (mode, extension) == ("I;16", "webp"):
            raise ValueError("it writes 8 bits and cuts off what is brighter")
        (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / f"a.{extension}", quality=100)
    except (OSError, ValueError):
        pytest.skip(f"Pillow writes no {mode} {extension}")
    image = read_image(tmp_path / f"a.{extension}")
    assert image.shape == (3, 7, 9)
    assert image.dtype == torch.uint8
    if mode == "1":
        assert set(image.unique().tolist()) <= ({0, 255} if extension == "png" else set(range(256)))
        assert image.float().mean() == pytest.approx(ramp.mean(), abs=30)
    else:
        close = 0 if extension == "png" else 4
        assert np.abs(image.numpy().astype(int) - ramp).max() <= close


@pytest.mark.parametrize("extension", ["png", "webp"])
def test_orientation_of_other_formats(tmp_path: Path, extension: str):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / f"a.{extension}", exif=exif)
    assert read_image(tmp_path / f"a.{extension}").shape == (3, 40, 20)


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7, 0.95])
def test_a_damaged_png_raises_oserror(tmp_path: Path, where: float):
    """torchvision would take the whole process down."""
    photo(60, 40).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[int(where * len(content))] ^= 0xFF
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(OSError):
        read_image(tmp_path / "a.png")


def test_orientation_in_xmp_alone_counts_at_no_size(tmp_path: Path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    photo(400, 200).save(tmp_path / "a.jpg", xmp=xmp)
    assert read_image(tmp_path / "a.jpg").shape == (3, 200, 400)
    assert read_image(tmp_path / "a.jpg", 50).shape == (3, 50, 100)


def test_exif_orientation_turns_the_image(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image = Image.new("RGB", (40, 20), "black")
    image.paste("white", (0, 0, 20, 20))
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = read_image(tmp_path / "a.jpg")
    assert turned.shape == (3, 40, 20)
    assert turned[:, :15].float().mean() > 200
    assert turned[:, 25:].float().mean() < 50


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 torn"])
def test_damaged_files_raise_oserror(tmp_path: Path, content: bytes):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(OSError):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(OSError):
        read_image(tmp_path / "missing.jpg")


def photo(width: int, height: int) -> Image.Image:
    """A smooth picture with some detail, as a camera's."""
    draw = np.random.default_rng(0)
    layers = [Image.fromarray(draw.integers(0, 256, (side, side, 3), np.uint8)) for side in (4, 24)]
    coarse, fine = (np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC), float) for layer in layers)
    return Image.fromarray((0.7 * coarse + 0.3 * fine).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1001, 667), (667, 1001), (640, 640)])
def test_scaled_decoding_is_close_to_decoding_and_resizing(tmp_path: Path, size: tuple[int, int], orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(*size).save(tmp_path / "a.jpg", exif=exif, quality=90)
    assert min(open_jpeg(read_bytes(tmp_path / "a.jpg")).size) >= 2 * 97
    scaled, expected = read_image(tmp_path / "a.jpg", 97), resize_shorter_side(read_image(tmp_path / "a.jpg"), 97)
    assert scaled.shape == expected.shape
    assert not torch.equal(scaled, expected)
    assert (scaled.float() - expected.float()).abs().mean() < 2


@pytest.mark.parametrize(("name", "shorter_side"), [("a.jpg", 51), ("a.png", 20), ("a.jpg", 120)])
def test_other_images_are_resized_after_plain_decoding(
    tmp_path: Path, name: str, shorter_side: int, monkeypatch: pytest.MonkeyPatch
):
    photo(130, 101).save(tmp_path / name)
    expected = resize_shorter_side(read_image(tmp_path / name), shorter_side)
    assert torch.equal(read_image(tmp_path / name, shorter_side), expected)
    monkeypatch.setattr(decoding, "simplejpeg", None)
    assert decoding._decode_scaled(read_bytes(tmp_path / name), shorter_side) is None


def test_a_large_torn_jpeg_raises_oserror(tmp_path: Path):
    photo(400, 400).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-2000])
    with pytest.raises(OSError):
        read_image(tmp_path / "a.jpg", 100)


@pytest.mark.parametrize("size", [None, 100, 350])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_all_image_data_is_read(tmp_path: Path, progressive: bool, size: int | None):
    """Some cameras and downloads leave out the two bytes that end a file."""
    photo(400, 400).save(tmp_path / "a.jpg", progressive=progressive)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-2])
    (tmp_path / "c.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-1])
    for name in ("b.jpg", "c.jpg"):
        assert torch.equal(read_image(tmp_path / name, size), read_image(tmp_path / "a.jpg", size))


@pytest.mark.parametrize("size", [None, 100])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("cut", [0.5, 0.01])
def test_a_jpeg_without_some_image_data_raises_oserror(tmp_path: Path, progressive: bool, size: int | None, cut: float):
    photo(400, 400).save(tmp_path / "a.jpg", progressive=progressive)
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: -int(cut * len(content))])
    with pytest.raises(OSError):
        read_image(tmp_path / "a.jpg", size)


def png_16(path: Path, pixels: np.ndarray, bits: int | None = None) -> None:
    """Writes grey pixels of 16 bits, with the chunk sBIT where `bits` are declared."""
    Image.fromarray(pixels.astype(np.uint16)).save(path)
    if bits:
        chunk = b"sBIT" + bytes([bits])
        content = path.read_bytes()
        start = 8 + 25  # after the signature and the first chunk
        chunk = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(content[:start] + chunk + content[start:])


def test_12_bits_in_files_of_16_are_scaled_by_the_declared_range(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """4095 of 12 bits are white; where a file has its 12 bits at the top, as it should, 65535 are."""
    values = np.array([[0, 1365, 4095]])
    png_16(tmp_path / "low.png", values, 12)
    png_16(tmp_path / "high.png", values * 65535 // 4095, 12)
    for name in ("low.png", "high.png"):
        assert read_image(tmp_path / name)[0].tolist() == [[0, 85, 255]]
    assert not caplog.records


def test_dark_images_of_16_bits_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    decoding._warn_dark.cache_clear()
    for name in ("a.png", "b.png"):
        png_16(tmp_path / name, np.array([[0, 1365, 4095]]))
        assert read_image(tmp_path / name)[0].tolist() == [[0, 5, 16]]
    (record,) = caplog.records
    assert "16 bits" in record.getMessage() and "nearly black" in record.getMessage()


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [((40, 80), 20, (20, 40)), ((80, 40), 20, (40, 20)), ((33, 50), 33, (33, 50)), ((10, 15), 20, (20, 30))],
)
def test_resize_keeps_the_aspect_ratio(shape: tuple, size: int, expected: tuple):
    image = resize_shorter_side(torch.zeros(3, *shape, dtype=torch.uint8), size)
    assert image.shape == (3, *expected)
    assert image.dtype == torch.uint8


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(60, 90), (200, 90), (640, 480)])
def test_height_and_width_whatever_the_shape(tmp_path: Path, size: tuple[int, int], orientation: int):
    """Three ways: decoded at a half of its size, whole because one side is too short for that, and enlarged."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(380, 270).save(tmp_path / "a.jpg", exif=exif, quality=90)
    whole = read_image(tmp_path / "a.jpg")
    expected = resize(whole, list(size), antialias=True)
    found = read_image(tmp_path / "a.jpg", size)
    assert found.shape == (3, *size)
    halved = whole.shape[1] >= 2 * size[0] and whole.shape[2] >= 2 * size[1]
    assert torch.equal(found, expected) != halved
    assert (found.float() - expected.float()).abs().mean() < 3


def noisy_jpeg(path: Path, mode: str = "RGB", size: tuple[int, int] = (301, 211), **options: object) -> torch.Tensor:
    """The bytes of a smooth photo with some noise."""
    draw = np.random.default_rng(0)
    coarse = Image.fromarray(draw.integers(0, 255, (7, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.clip(np.asarray(coarse, int) + draw.integers(-9, 9, (*size[::-1], 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, quality=90, **options)
    return read_bytes(path)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("wanted", [30, 60, 105, 106, 150, 211, 260, (40, 90), (100, 60)])
def test_simplejpeg_gives_the_same_pixels(tmp_path: Path, mode: str, wanted: object, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("simplejpeg")
    exif = Image.Exif()
    exif[0x0112] = 6
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"exif": exif}):
        data = noisy_jpeg(tmp_path / "a.jpg", mode, **options)
        with monkeypatch.context() as without:
            without.setattr(decoding, "simplejpeg", None)
            expected = decoding.decode(data, wanted)
        assert torch.equal(decoding.decode(data, wanted), expected), options


def test_simplejpeg_decodes_what_is_damaged_as_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("simplejpeg")
    data = noisy_jpeg(tmp_path / "a.jpg")
    flipped = data.clone()
    flipped[len(data) // 2 : len(data) // 2 + 40] = 77
    for damaged in (data[:-2], data[: len(data) // 2], flipped):
        found = []
        for module in (decoding.simplejpeg, None):
            monkeypatch.setattr(decoding, "simplejpeg", module)
            try:
                found.append(decoding.decode(damaged, 60).tolist())
            except OSError as error:
                found.append(str(error))
        assert found[0] == found[1]


def test_simplejpeg_is_asked_for_the_size_that_pillow_decodes_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a stand-in for the package, which need not be installed."""
    data, asked = noisy_jpeg(tmp_path / "a.jpg"), []

    class Package:
        @staticmethod
        def decode_jpeg(content: np.ndarray, colours: str, min_factor: int, min_height: int, min_width: int):
            asked.append((min_height, min_width))
            return np.zeros((min_height, min_width, 3), np.uint8)

    monkeypatch.setattr(decoding, "simplejpeg", Package)
    for side, wanted in ((211, (211, 301)), (106, (211, 301)), (105, (106, 151)), (52, (53, 76)), (26, (27, 38)),
                         (9, (27, 38))):  # fmt: skip
        assert min(decoding.decode(data, side).shape[1:]) == side
        assert asked.pop() == wanted
