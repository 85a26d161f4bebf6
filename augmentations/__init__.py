"""Augmentations: they change whole batches on the device, with a draw for each image.

An augmentation is a module that maps float (b, 3, h, w) between 0 and 1 to the same range. It draws from PyTorch's
generator on the CPU, so a GPU never waits for a draw. The keyword-only parameters of its constructor are its options
on the command line; types, defaults and meanings are those of the signature and of `Args` (commons/options.py reads
them). To add one, write a module and add a line to AUGMENTATIONS; augmentations/pipeline.py chains them.
"""

from commons.registry import Registry

AUGMENTATIONS = Registry(
    {
        "color_jitter": "augmentations.color_jitter:ColorJitter",
        "random_resized_crop": "augmentations.random_resized_crop:RandomResizedCrop",
        "perspective": "augmentations.kornia_adapters:Perspective",
        "rotation": "augmentations.kornia_adapters:Rotation",
        "horizontal_flip": "augmentations.kornia_adapters:HorizontalFlip",
        "blur": "augmentations.kornia_adapters:Blur",
        "motion_blur": "augmentations.kornia_adapters:MotionBlur",
        "gamma": "augmentations.gamma:Gamma",
        "auto_contrast": "augmentations.kornia_adapters:AutoContrast",
        "equalize": "augmentations.kornia_adapters:Equalize",
        "solarize": "augmentations.kornia_adapters:Solarize",
        "channel_dropout": "augmentations.kornia_adapters:ChannelDropout",
        "erasing": "augmentations.erasing:Erasing",
        "randaugment": "augmentations.torchvision_adapters:RandAugment",
        "augmix": "augmentations.torchvision_adapters:AugMix",
        "night": "augmentations.night:Night",
        "rain": "augmentations.kornia_adapters:Rain",
        "snow": "augmentations.kornia_adapters:Snow",
        "fog": "augmentations.fog:Fog",
        "plasma_shadow": "augmentations.kornia_adapters:PlasmaShadow",
        "jpeg": "augmentations.jpeg:Jpeg",
    }
)
DEFAULT = ("color_jitter", "random_resized_crop")
# The two of CosPlace are set by parameters of their own instead of options.
FLAGS = {
    "color_jitter": ("brightness", "contrast", "saturation", "hue"),
    "random_resized_crop": ("random_resized_crop",),
}
