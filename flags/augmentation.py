"""Settings: augmentation."""

from dataclasses import dataclass

from augmentations import AUGMENTATIONS, DEFAULT
from flags import values
from flags.settings import setting


def _explain_augmentation(name: str) -> str:
    from augmentations.options import describe_augmentation

    return describe_augmentation(name)


@dataclass(frozen=True)
class AugmentationSettings:
    """Augmentation"""

    augmentations: list[str] = setting(
        list(DEFAULT),
        f"augmentations in the order in which they are applied, or none: {', '.join(AUGMENTATIONS)}",
        values.names,
        metavar="NAME,...",
        explain=_explain_augmentation,
        explain_name="augmentation",
    )
    augmentation_options: dict = setting(
        {},
        "options of the augmentations, e.g. perspective.distortion=0.3; --help_augmentation NAME lists them",
        values.pairs,
        metavar="NAME.KEY=VALUE,...",
        entries_of="augmentations",
    )
    brightness: float = setting(0.7, "brightness factors are drawn from 1 - X to 1 + X", values.natural_float)
    contrast: float = setting(0.7, "contrast factors are drawn from 1 - X to 1 + X", values.natural_float)
    saturation: float = setting(0.7, "saturation factors are drawn from 1 - X to 1 + X", values.natural_float)
    hue: float = setting(
        0.5, "hue shifts are drawn from -X to X, as fractions of the colour circle; at most 0.5", values.natural_float
    )
    random_resized_crop: float = setting(
        0.5, "crops cover a share of the image area between 1 - X and 1", values.natural_float
    )
