from pathlib import Path

import numpy as np
import pytest
import torch

from commons.errors import PlacewiseError
from datasets.decoding import ImageFiles
from datasets.layouts import TestFolders
from datasets.reading import read_places
from datasets.test_dataset import PENDING_BATCHES, image_batches, read_test_set
from datasets.unreadable import UnreadableImages
from tests.conftest import sf_name, write_picture

# Where images are decoded in turn, and where ahead.
DEVICES = [torch.device("cpu"), torch.device("mps")]


def write(folder: Path, sizes: list[tuple[int, int]]) -> None:
    draw = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        write_picture(folder / sf_name(number, 0), number, draw, size)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("workers", [0, 2])
def test_one_size_comes_in_order_and_full(tmp_path: Path, workers: int, device: torch.device):
    write(tmp_path, [(16, 12)] * 10)
    batches = list(image_batches(ImageFiles(read_places(tmp_path)), 4, workers, device))
    assert [rows.tolist() for rows, _ in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(images.shape[1:] == (3, 12, 16) and images.dtype == torch.uint8 for _, images in batches)


def test_mixed_sizes_are_gathered_by_size(tmp_path: Path):
    sizes = [(16, 12), (12, 16)] * 8
    write(tmp_path, sizes)
    batches = list(image_batches(ImageFiles(read_places(tmp_path)), 4, 0))
    assert [len(rows) for rows, _ in batches] == [4, 4, 4, 4]
    for rows, images in batches:
        assert {sizes[row] for row in rows} == {(images.shape[3], images.shape[2])}
    assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(16))


@pytest.mark.parametrize("device", DEVICES)
def test_every_image_of_its_own_size_waits_in_bounded_memory(tmp_path: Path, device: torch.device):
    write(tmp_path, [(8 + i, 8) for i in range(40)])
    decoded, yielded = [], []

    class Counted(ImageFiles):
        def finish(self, image: torch.Tensor) -> torch.Tensor:
            decoded.append(image)
            return super().finish(image)

    for rows, images in image_batches(Counted(read_places(tmp_path)), 2, 0, device):
        # At most PENDING_BATCHES batches and the chunks just decoded wait.
        assert len(decoded) - len(yielded) <= 2 * PENDING_BATCHES + 4
        yielded += rows.tolist()
        assert images.shape[3] == 8 + rows[0]
    assert sorted(yielded) == list(range(40))


def test_shorter_side(tmp_path: Path):
    write(tmp_path, [(40, 20), (20, 40)])
    shapes = sorted(tuple(images.shape) for _, images in image_batches(ImageFiles(read_places(tmp_path), 10), 2, 0))
    assert shapes == [(1, 3, 10, 20), (1, 3, 20, 10)]


def test_processes_share_the_rows(tmp_path: Path):
    write(tmp_path, [(8, 8)] * 7)
    places = read_places(tmp_path)
    shares = [
        [r for rows, _ in image_batches(ImageFiles(places), 2, 0, rank=k, processes=3) for r in rows] for k in range(3)
    ]
    assert sorted(sum(shares, [])) == list(range(7))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_undecodable_images_are_left_out_or_an_error(tmp_path: Path, device: torch.device):
    write(tmp_path, [(8, 8)] * 150)
    (tmp_path / sf_name(3, 0)).write_bytes(b"torn")
    batches = image_batches(ImageFiles(read_places(tmp_path)), 16, 0, device)
    rows = [row for rows, _ in batches for row in rows]
    assert rows == [row for row in range(150) if row != 3]
    (tmp_path / sf_name(4, 0)).write_bytes(b"torn")
    with pytest.raises(PlacewiseError, match="2 of 150"):
        list(image_batches(ImageFiles(read_places(tmp_path)), 16, 0, device))


@pytest.mark.parametrize("device", DEVICES)
def test_skipped_images_are_counted_for_who_asks(tmp_path: Path, device: torch.device):
    """One of six is less than the share of damage that ends a run, however small the set."""
    write(tmp_path, [(8, 8)] * 6)
    (tmp_path / sf_name(3, 0)).write_bytes(b"torn")
    unreadable = UnreadableImages(6)
    batches = image_batches(ImageFiles(read_places(tmp_path)), 4, 0, device, unreadable=unreadable)
    assert [row for rows, _ in batches for row in rows] == [0, 1, 2, 4, 5]
    assert unreadable.paths == {str(tmp_path / sf_name(3, 0))}


def test_read_test_set(city: Path):
    folders = TestFolders("city/test", city / "test/database", city / "test/queries")
    assert str(read_test_set(folders)) == "city/test: 6 database images, 6 queries"


def test_positions_that_cannot_be_compared_are_named_at_once(tmp_path: Path):
    for name in ("database/@500000@4000000@10@S@.jpg", "database/@500000@4000000@11@S@.jpg", "queries/@5@5@.jpg"):
        write_picture(tmp_path / name, 0, np.random.default_rng(0))
    folders = TestFolders("x", tmp_path / "database", tmp_path / "queries")
    with pytest.raises(PlacewiseError, match="has no UTM zone"):
        read_test_set(folders)
    assert len(read_test_set(folders, labelled=False).queries) == 1
