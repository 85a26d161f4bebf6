"""Writes GeoTIFFs of JPEG blocks, one block after the other, so that the whole picture is never in memory."""

from collections.abc import Iterable
from pathlib import Path

from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import DOUBLE, LONG, SHORT

HEADER = b"II*\0" + bytes(4)
PROJECTED, PIXEL_IS_AREA = 1, 1


def write_geotiff(
    path: Path,
    blocks: Iterable[bytes],
    size: tuple[int, int],
    side: int,
    corner: tuple[float, float],
    metres_per_pixel: float,
    epsg: int,
) -> None:
    """Writes a GeoTIFF (https://docs.ogc.org/is/19-008r4/19-008r4.html) with the tags that GDAL and QGIS read.

    Args:
        path: path of the file.
        blocks: JPEG files of `side` x `side` RGB pixels with full colour resolution, row by row from the north west.
        size: columns and rows of the picture; what blocks hold beyond it is not shown.
        side: side of a block in pixels, a multiple of 16.
        corner: east and north of the north-western corner in metres.
        metres_per_pixel: metres per pixel of the picture.
        epsg: number of the projected coordinate system.
    """
    offsets, lengths = [], []
    with path.open("wb") as file:
        file.write(HEADER)
        for block in blocks:
            offsets.append(file.tell())
            lengths.append(len(block))
            file.write(block + bytes(len(block) % 2))
        end = file.tell()
        file.write(_tags(offsets, lengths, size, side, corner, metres_per_pixel, epsg).tobytes(end))
        file.seek(4)
        file.write(end.to_bytes(4, "little"))


def _tags(
    offsets: list[int],
    lengths: list[int],
    size: tuple[int, int],
    side: int,
    corner: tuple[float, float],
    metres: float,
    epsg: int,
) -> ImageFileDirectory_v2:
    keys = (1, 1, 0, 3) + (1024, 0, 1, PROJECTED) + (1025, 0, 1, PIXEL_IS_AREA) + (3072, 0, 1, epsg)
    jpeg, ycbcr = 7, 6
    tags = ImageFileDirectory_v2(prefix=b"II")
    for tag, kind, value in (
        (256, LONG, size[0]),  # width
        (257, LONG, size[1]),  # height
        (258, SHORT, (8, 8, 8)),  # bits of each sample
        (259, SHORT, jpeg),  # compression
        (262, SHORT, ycbcr),  # photometric interpretation
        (277, SHORT, 3),  # samples in a pixel
        (284, SHORT, 1),  # the samples of a pixel are next to each other
        (322, LONG, side),  # width of a block
        (323, LONG, side),  # height of a block
        (324, LONG, tuple(offsets)),
        (325, LONG, tuple(lengths)),
        (530, SHORT, (1, 1)),  # full resolution of colours
        (33550, DOUBLE, (metres, metres, 0.0)),  # scale
        (33922, DOUBLE, (0.0, 0.0, 0.0, *corner, 0.0)),  # the first pixel's corner lies there
        (34735, SHORT, keys),  # coordinate system
    ):
        tags.tagtype[tag] = kind
        tags[tag] = value
    return tags
