"""DINOv2 SALAD (https://arxiv.org/abs/2311.15937), trained on GSV-Cities, and the same network with other weights."""

from functools import partial

from model.published.eigenplaces import INDOOR_PAGE, INDOOR_RELEASE
from model.published.entry import Published, dinov2, drive, rename

PAGE = "https://github.com/serizba/salad"
NETWORK = {
    "backbone": "DINOv2_B",
    "fc_output_dim": 8448,
    "aggregation": "salad",
    "aggregation_options": {"clusters": 64, "cluster_dim": 128, "token_dim": 256, "dropout": 0.3},
}


def _entry(file: str, page: str, address: str, side: int | None = 322, prefix: str = "") -> Published:
    prefixes = {**dinov2(f"{prefix}backbone.model."), f"{prefix}aggregator.": "aggregation."}
    return Published(NETWORK, file, page, side, address, partial(rename, prefixes=prefixes))


MODELS = {
    "salad-dinov2-8448": _entry("dino_salad.ckpt", PAGE, f"{PAGE}/releases/download/v1.0.0/dino_salad.ckpt"),
}
# Trained further on images of shops and stations.
INDOOR_FILE = "salad_Dinov2_8448_GB1_10_25.pth"
INDOOR = {
    "salad-indoor-dinov2-8448": _entry(
        INDOOR_FILE, INDOOR_PAGE, f"{INDOOR_RELEASE}/{INDOOR_FILE}", side=None, prefix="model."
    )
}
# CliqueMining (https://arxiv.org/abs/2407.02422), trained on GSV-Cities and MSLS with batches of similar places.
CLIQUE_MINING = {"clique-mining-dinov2-8448": _entry("cliquemining.ckpt", *drive("1B06ysb-Wjb4KDcNrl-7pyj1mJve1jqdk"))}
