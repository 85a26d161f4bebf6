"""Images before and after augmentation, to look at before training:
python -m tools.preview --dataset_folder DIR
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from augmentations import Augmentation
from commons.errors import PlacewiseError, first_line, run
from commons.files import atomic_path
from commons.options import with_options

TILE, GAP, HEADER = 256, 8, 28
CACHE = Path(__file__).parents[1] / "cache"
Row = tuple[str, torch.Tensor, torch.Tensor]


def draw_images(images: torch.Tensor, augment: Callable[[torch.Tensor], torch.Tensor], draws: int) -> torch.Tensor:
    """Augments uint8 images (n, 3, h, w), each in so many draws: uint8 (n, draws, 3, h, w)."""
    drawn = [augment(image.expand(draws, -1, -1, -1)).mul(255).round().byte() for image in images]
    return torch.stack(drawn)


def draw_sheet(rows: list[Row], load_font: Callable[[float], object], ink: object, paper: object) -> Image.Image:
    """Draws a row for each label, original (3, h, w) and draws (n, 3, h, w); all are uint8.

    Args:
        rows: what to draw; a label may be empty.
        load_font: gives a font of a size in pixels.
        ink, paper: colours of text and background.
    """
    columns = 1 + len(rows[0][2])
    labels = HEADER if any(label for label, _, _ in rows) else 0
    step = TILE + GAP + labels
    sheet = Image.new("RGB", (GAP + columns * (TILE + GAP), HEADER + len(rows) * step + GAP), paper)
    draw, font = ImageDraw.Draw(sheet), load_font(16)
    for column in range(columns):
        title = f"draw {column}" if column else "original"
        draw.text((GAP + column * (TILE + GAP), HEADER / 2), title, fill=ink, font=font, anchor="lm")
    for number, (label, original, drawn) in enumerate(rows):
        top = HEADER + number * step
        draw.text((GAP, top + labels / 2), label, fill=ink, font=font, anchor="lm")
        for column, image in enumerate([original, *drawn]):
            tile = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
            tile = tile.resize((TILE, TILE), Image.Resampling.LANCZOS)
            sheet.paste(tile, (GAP + column * (TILE + GAP), top + labels))
    return sheet


def each_alone(names: list[str], options: dict[str, dict], **strengths: object) -> dict[str, Augmentation]:
    """Returns an augmentation for each name that does nothing but this, with probability 1, under a label to read."""
    alone = {}
    for name in names:
        own = options.get(name, {})
        always = {name: {key: 1.0 if key == "p" else value for key, value in own.items()}}
        alone[with_options(name, own)] = Augmentation(**strengths, names=[name], options=always)
    return alone


def read_squares(folder: str, count: int, size: int, seed: int) -> torch.Tensor:
    """Reads images drawn from a folder as the squares that training makes of them.

    Args:
        folder: a data set with train/, a folder of images, or the name of a demo city, which is made at first use.
        count: how many; all where there are fewer.
        size: side of the squares.
        seed: which images.

    Returns:
        uint8 (n, 3, size, size).

    Raises:
        PlacewiseError: if there is no such folder or no image in it can be decoded.
    """
    from datasets.decoding import read_image
    from datasets.listing import list_images
    from datasets.samplers import Draw
    from datasets.train_dataset import square
    from demo import SIZES
    from demo.write import make_demo

    path = make_demo(CACHE / folder, folder) if folder in SIZES else Path(folder)
    path = path / "train" if (path / "train").is_dir() else path
    if not path.is_dir():
        raise PlacewiseError(f"--dataset_folder {folder}: there is no such folder")
    names, squares = list_images(path), []
    for number in np.random.default_rng(seed).permutation(len(names)):
        try:
            squares.append(square(read_image(path / names[number], size), size, Draw(number, 0, shift=0.5)))
        except OSError as error:
            print(f"{path / names[number]}: left out ({first_line(error)})")
        if len(squares) == count:
            break
    if not squares:
        raise PlacewiseError(f"--dataset_folder {folder}: none of its images can be decoded")
    return torch.stack(squares)


def main() -> None:
    """Entry point."""
    from flags.tools import parse_preview_arguments
    from reports.tiles import INK, PAPER, load_font

    args = parse_preview_arguments()
    images = read_squares(args.dataset_folder, args.images or (1 if args.each else 4), args.image_size, args.seed)
    flags = ("brightness", "contrast", "saturation", "hue", "random_resized_crop", "color_jitter")
    strengths = {flag: getattr(args, flag) for flag in flags}
    if args.each:
        ways = each_alone(args.augmentations, args.augmentation_options, **strengths)
    else:
        ways = {"": Augmentation(**strengths, names=args.augmentations, options=args.augmentation_options)}
    torch.manual_seed(args.seed)
    rows = [
        (label, image, drawn)
        for label, augment in ways.items()
        for image, drawn in zip(images, draw_images(images, augment, args.draws), strict=True)
    ]
    sheet = draw_sheet(rows, load_font, INK, PAPER)
    with atomic_path(args.output) as temporary:
        sheet.save(temporary, quality=90)
    print(f"{' '.join(args.augmentations) or 'no augmentation'}, drawn in {args.output}")


if __name__ == "__main__":
    run(main)
