"""BoQ (https://arxiv.org/abs/2405.07364), trained on GSV-Cities."""

from functools import partial

from model.published.entry import Published, dinov2, rename

PAGE = "https://github.com/amaralibey/Bag-of-Queries"
# The last block of DINOv2, without the normalisation after it.
CUTS = {"ResNet50": "layer3", "DINOv2_B": "blocks.11"}
DINOV2 = {"backbone.dino.norm.": None, **dinov2("backbone.dino.")}


def _entry(backbone: str, file: str, channels: int, side: int, prefixes: dict[str, str | None]) -> Published:
    network = {
        "backbone": backbone,
        "cut_after": CUTS[backbone],
        "fc_output_dim": 32 * channels,
        "aggregation": "boq",
        "aggregation_options": {"proj_channels": channels, "queries": 64, "layers": 2, "row_dim": 32},
    }
    return Published(
        network,
        file,
        PAGE,
        side,
        f"{PAGE}/releases/download/v1.0/{file}",
        partial(rename, prefixes={**prefixes, "aggregator.": "aggregation."}),
    )


MODELS = {
    "boq-resnet50-16384": _entry("ResNet50", "resnet50_16384.pth", 512, 384, {"backbone.net.": "backbone."}),
    "boq-dinov2-12288": _entry("DINOv2_B", "dinov2_12288.pth", 384, 322, DINOV2),
}
