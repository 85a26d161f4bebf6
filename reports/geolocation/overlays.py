"""Maps of what a network looks at, drawn over photos."""

import numpy as np
from matplotlib import colormaps
from PIL import Image

MOST_OPAQUE = 0.75
GREY_SHARE = 0.6  # how much of the photo's colours gives way to grey, so that the map's colours stand out


def overlay_heat(photo: Image.Image, heat: np.ndarray) -> Image.Image:
    """Draws a map over a photo: what is largest in it is yellow, what is smallest shows the photo, in faint colours.

    Args:
        photo: photo of any size.
        heat: (h', w') of the whole photo, such as `model.attention.rollout` and `model.attention.grad_cam` return; its
            own least and largest values are the ends of the colours. An even map leaves the photo in faint colours.

    Returns:
        An RGB picture of the photo's size.
    """
    heat = np.nan_to_num(np.asarray(heat, np.float32))
    low, high = float(heat.min()), float(heat.max())
    share = (heat - low) / (high - low) if high > low else np.zeros_like(heat)
    large = Image.fromarray(share).resize(photo.size, Image.Resampling.BICUBIC)
    share = np.clip(np.asarray(large), 0, 1)[..., None]
    pixels = np.asarray(photo.convert("RGB"), np.float32)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None]
    faint = pixels + GREY_SHARE * (grey - pixels)
    colours = 255 * colormaps["inferno"](share[..., 0])[..., :3]
    opaque = MOST_OPAQUE * share
    return Image.fromarray(np.rint(faint * (1 - opaque) + colours * opaque).astype(np.uint8))
