"""Draws images before and after augmentation:
python -m tools.preview --dataset_folder DIR
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from augmentations import FLAGS
from augmentations.pipeline import Augmentation
from commons.errors import PlacewiseError, first_line, run
from commons.files import CACHE, atomic_path
from commons.options import with_options
from datasets.decoding import read_image
from datasets.listing import list_images
from datasets.samplers import Draw
from datasets.train_dataset import square
from demo.write import demo_or_folder
from flags.tools import PreviewSettings, parse_preview_settings
from reports.tiles import INK, PAPER, load_font

TILE, GAP, HEADER = 256, 8, 28
Row = tuple[str, torch.Tensor, torch.Tensor]


def draw_images(images: torch.Tensor, augment: Callable[[torch.Tensor], torch.Tensor], draws: int) -> torch.Tensor:
    """Augments each of the uint8 images (n, 3, h, w) `draws` times; returns uint8 (n, draws, 3, h, w)."""
    drawn = [augment(image.expand(draws, -1, -1, -1)).mul(255).round().byte() for image in images]
    return torch.stack(drawn)


def draw_sheet(rows: list[Row]) -> Image.Image:
    """Draws a sheet with one row per label, original (3, h, w) and draws (n, 3, h, w), all uint8.

    Labels may be empty. Images are drawn with a width of at most TILE pixels.
    """
    columns, tile = 1 + len(rows[0][2]), min(TILE, rows[0][1].shape[2])
    labels = HEADER if any(label for label, _, _ in rows) else 0
    step = tile + GAP + labels
    sheet = Image.new("RGB", (GAP + columns * (tile + GAP), HEADER + len(rows) * step + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), load_font(16)
    for column in range(columns):
        title = f"draw {column}" if column else "original"
        draw.text((GAP + column * (tile + GAP), HEADER / 2), title, fill=INK, font=font, anchor="lm")
    for number, (label, original, drawn) in enumerate(rows):
        top = HEADER + number * step
        draw.text((GAP, top + labels / 2), label, fill=INK, font=font, anchor="lm")
        for column, image in enumerate([original, *drawn]):
            picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
            picture = picture.resize((tile, tile), Image.Resampling.LANCZOS)
            sheet.paste(picture, (GAP + column * (tile + GAP), top + labels))
    return sheet


def each_alone(names: list[str], options: dict[str, dict], **strengths: object) -> dict[str, Augmentation]:
    """Returns an `Augmentation` of each name alone, with probability 1, by its label."""
    alone = {}
    for name in names:
        own = options.get(name, {})
        always = {name: {key: 1.0 if key == "p" else value for key, value in own.items()}}
        alone[with_options(name, own)] = Augmentation(**strengths, augmentations=[name], augmentation_options=always)
    return alone


def read_squares(folder: str, count: int, size: int, seed: int) -> torch.Tensor:
    """Reads random images of a folder as squares, as training does.

    Args:
        folder: a data set with train/, a folder of images, or the name of a demo city, which is rendered on first use.
        count: number of images; all images if there are fewer.
        size: side of the squares in pixels.
        seed: seed of the choice.

    Returns:
        uint8 (n, 3, size, size).

    Raises:
        PlacewiseError: if the folder does not exist or none of its images can be decoded.
    """
    path = Path(demo_or_folder(folder, CACHE))
    path = path / "train" if (path / "train").is_dir() else path
    if not path.is_dir():
        raise PlacewiseError(f"--dataset_folder {folder}: there is no such folder")
    names, squares = list_images(path), []
    for number in np.random.default_rng(seed).permutation(len(names)):
        try:
            squares.append(square(read_image(path / names[number], size), size, Draw(number, 0, shift=0.5)))
        except OSError as error:
            print(f"{path / names[number]}: skipped ({first_line(error)})")
        if len(squares) == count:
            break
    if not squares:
        raise PlacewiseError(f"--dataset_folder {folder}: none of its images can be decoded")
    return torch.stack(squares)


def main(settings: PreviewSettings | None = None) -> None:
    """Entry point."""
    settings = settings or parse_preview_settings()
    chosen, augmentation = settings.sheet, settings.augmentation
    count = chosen.images or (1 if chosen.each else 4)
    images = read_squares(chosen.dataset_folder, count, chosen.image_size, chosen.seed)
    strengths = {name: getattr(augmentation, name) for names in FLAGS.values() for name in names}
    if chosen.each:
        ways = each_alone(augmentation.augmentations, augmentation.augmentation_options, **strengths)
    else:
        ways = {"": Augmentation(**vars(augmentation))}
    torch.manual_seed(chosen.seed)
    rows = [
        (label, image, drawn)
        for label, augment in ways.items()
        for image, drawn in zip(images, draw_images(images, augment, chosen.draws), strict=True)
    ]
    sheet = draw_sheet(rows)
    with atomic_path(chosen.output) as temporary:
        sheet.save(temporary, quality=75)
    print(f"{' '.join(augmentation.augmentations) or 'no augmentation'}: {chosen.output}")


if __name__ == "__main__":
    run(main)
