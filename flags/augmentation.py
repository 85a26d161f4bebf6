"""Settings: augmentation."""

from dataclasses import dataclass

from augmentations import AUGMENTATIONS, COLOR_JITTERS, DEFAULT
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
        f"none, or some of these in the order in which they are applied: {', '.join(AUGMENTATIONS)}",
        values.names,
        metavar="NAME,...",
        explain=_explain_augmentation,
        explain_name="augmentation",
    )
    augmentation_options: dict = setting(
        {},
        "options of the augmentations, such as perspective.distortion=0.3; train.py --help_augmentation NAME lists "
        "them",
        values.pairs,
        metavar="NAME.KEY=VALUE,...",
        entries_of="augmentations",
    )
    brightness: float = setting(0.7, "brightness factors are drawn from 1 +- this", values.natural_float)
    contrast: float = setting(0.7, "contrast factors are drawn from 1 +- this", values.natural_float)
    saturation: float = setting(0.7, "saturation factors are drawn from 1 +- this", values.natural_float)
    hue: float = setting(
        0.5, "hue shifts are drawn from +- this fraction of the colour circle, at most 0.5", values.natural_float
    )
    random_resized_crop: float = setting(0.5, "crops keep at least 1 minus this of the area", values.natural_float)
    color_jitter: str = setting(
        "exact",
        "exact, or linear: one colour matrix per image, several times faster; it clips once and rotates the hue in YIQ",
        choices=tuple(COLOR_JITTERS),
    )
