"""What a flag's text may be: numbers in their ranges, names, pairs."""

import argparse
import os

from commons.errors import UsageError

MOST_SCALE = 10


def pairs(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(key and value for key, _, value in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value,key=value")
    return {key.strip(): value.strip() for key, _, value in pairs}


def names(text: str) -> list[str]:
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name,name")
    return names


def picture(text: str) -> str:
    if not text.lower().endswith((".jpg", ".jpeg", ".png")):
        raise argparse.ArgumentTypeError(f"{text} must end in .jpg or .png")
    return text


def descriptor_format(text: str) -> str | None:
    known = {"npy": "npy", "hloc": "hloc", "true": "npy", "false": None}  # files of earlier versions have a switch
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text} must be npy or hloc")
    return known[text.lower()]


def scales(text: str) -> list[float]:
    scales = [positive_float(scale) for scale in text.split(",")]
    if len(set(scales)) < len(scales) or scales == [1]:
        raise argparse.ArgumentTypeError(f"{text!r} must be different scales, not 1 alone")
    if max(scales) > MOST_SCALE:
        raise argparse.ArgumentTypeError(f"{text!r} must be factors of the image size, at most {MOST_SCALE}")
    return scales


def dimensions(text: str) -> list[int]:
    dimensions = [] if text == "none" else [positive(part) for part in text.split(",")]
    if len(set(dimensions)) < len(dimensions):
        raise argparse.ArgumentTypeError(f"{text!r} must not contain a number of dimensions twice")
    return sorted(dimensions)


def radii(text: str) -> list[float]:
    radii = [positive_float(radius) for radius in text.split(",")]
    if len(set(radii)) < len(radii):
        raise argparse.ArgumentTypeError(f"{text!r} must not contain a radius twice")
    return sorted(radii)


def share(text: str) -> float:
    if natural_float(text) > 1:
        raise argparse.ArgumentTypeError("must be at most 1, the shorter side")
    return float(text)


def fraction(text: str) -> float:
    if not 0 < natural_float(text) < 1:
        raise argparse.ArgumentTypeError("must be above 0 and below 1")
    return float(text)


def cores() -> int:
    """This process's share of the cores, at most 8; torchrun and accelerate launch say how many processes there are."""
    return max(1, min(8, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def positive(text: str) -> int:
    return int(at_least(text, int, 1))


def natural(text: str) -> int:
    return int(at_least(text, int, 0))


def seed(text: str) -> int:
    if natural(text) >= 2**32:
        raise argparse.ArgumentTypeError("must be below 2^32")
    return int(text)


def natural_float(text: str) -> float:
    return at_least(text, float, 0)


def positive_float(text: str) -> float:
    value = at_least(text, float, 0)
    if value == 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def at_least(text: str, kind: type, least: int) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole number' if kind is int else 'a number'}") from None
    if not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is out of range, must be {least} or more")
    return value


def check_image_size(args: argparse.Namespace) -> None:
    """Makes a single --image_size of a list a number; raises UsageError if there are more than two."""
    if args.image_size is None or isinstance(args.image_size, int):
        return
    if len(args.image_size) > 2:
        sizes = " ".join(map(str, args.image_size))
        raise UsageError(f"--image_size {sizes}: give one number, or height and width")
    if len(args.image_size) == 1:
        (args.image_size,) = args.image_size
