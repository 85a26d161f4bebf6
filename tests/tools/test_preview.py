import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers import assert_mistakes
from tools.preview import GAP, HEADER, TILE, draw_images, draw_sheet, each_alone, main, read_squares

SIDE = 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of three images, one of them oblong, and one that cannot be read."""
    train = tmp_path / "set" / "train"
    train.mkdir(parents=True)
    for number, size in enumerate([(40, 40), (60, 40), (40, 40)]):
        Image.new("RGB", size, (80 * number, 100, 200)).save(train / f"{number}.png")
    (train / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "set"


def preview(*flags: object) -> None:
    sys.argv = ["preview", *map(str, flags)]
    main()


def tile(sheet: Path, row: int, column: int, labels: int = 0) -> np.ndarray:
    pixels = np.asarray(Image.open(sheet).convert("RGB")).astype(int)
    top, left = HEADER + row * (SIDE + GAP + labels) + labels, GAP + column * (SIDE + GAP)
    return pixels[top : top + SIDE, left : left + SIDE]


def test_originals_stand_beside_their_draws(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", [])
    sheet = tmp_path / "sheet.png"
    flags = ("--dataset_folder", folder, "--image_size", SIDE, "--images", 2, "--draws", 3, "--output", sheet)
    preview(*flags, "--augmentations", "erasing", "--augmentation_options", "erasing.p=1")
    with Image.open(sheet) as image:
        assert image.size == (GAP + 4 * (SIDE + GAP), HEADER + 2 * (SIDE + GAP) + GAP)
    for row in range(2):
        original, *drawn = [tile(sheet, row, column) for column in range(4)]
        assert (original == original[0, 0]).all() and original[0, 0, 1] == 100
        changed = [(np.abs(image - original).max(2) > 10).mean() for image in drawn]
        assert all(0.01 < share < 0.5 for share in changed) and len(set(changed)) == 3
    first = sheet.read_bytes()
    preview(*flags, "--augmentations", "erasing", "--augmentation_options", "erasing.p=1")
    assert sheet.read_bytes() == first
    assert [path.name for path in tmp_path.glob("*sheet*")] == ["sheet.png"]


def test_each_has_a_row_of_its_own(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", [])
    sheet = tmp_path / "sheet.jpg"
    flags = ("--dataset_folder", folder / "train", "--image_size", SIDE, "--draws", 1, "--output", sheet)
    preview(*flags, "--each", "--augmentations", "fog,horizontal_flip,gamma")
    with Image.open(sheet) as image:
        assert image.size == (GAP + 2 * (SIDE + GAP), HEADER + 3 * (SIDE + GAP + HEADER) + GAP)
    assert tile(sheet, 0, 1, HEADER).std((0, 1)).max() > 3  # more fog above
    assert abs(tile(sheet, 1, 0, HEADER) - tile(sheet, 1, 1, HEADER)).mean() < 4  # one colour, mirrored


def test_large_images_are_shown_smaller():
    images = torch.zeros(2, 3, 300, 300, dtype=torch.uint8)
    assert draw_sheet([("", images[0], images)]).size == (GAP + 3 * (TILE + GAP), HEADER + TILE + GAP + GAP)


def test_each_alone_is_always_done():
    ways = each_alone(["color_jitter", "fog"], {"fog": {"density": 2.0, "p": 0.3}}, hue=0.1)
    assert list(ways) == ["color_jitter", "fog (density=2, p=0.3)"]
    assert ways["fog (density=2, p=0.3)"][0].p == 1 and ways["color_jitter"][0].ranges[3] == (-0.1, 0.1)


def test_draws_are_uint8():
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    drawn = draw_images(images, lambda batch: batch / 255, 3)
    assert drawn.dtype == torch.uint8 and torch.equal(drawn, images.unsqueeze(1).expand(2, 3, 3, 8, 8))


def test_squares_skip_what_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert read_squares(str(folder), 10, 20, seed=0).shape == (3, 3, 20, 20)
    assert "broken.jpg: skipped" in capsys.readouterr().out


def test_the_demo_is_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """It is made at first use; here three images stand for it."""
    made = []
    monkeypatch.setattr("demo.write.make_demo", lambda path, name: made.append((path.name, name)) or folder)
    assert read_squares("demo", 3, 20, seed=0).shape == (3, 3, 20, 20) and made == [("demo", "demo")]


def test_mistakes_end_in_one_line(folder: Path):
    for path in (folder / "train").glob("*.png"):
        path.unlink()
    assert_mistakes(
        "tools.preview",
        [
            (["--dataset_folder", "nowhere"], 1, "--dataset_folder nowhere: there is no such folder"),
            (["--dataset_folder", folder], 1, "none of its images can be decoded"),
            (["--dataset_folder", folder, "--augmentations", "smog"], 2, "--augmentations: smog is unknown"),
            (["--dataset_folder", folder, "--output", Path(__file__, "x.png")], 1, "--output"),
        ],
    )
