"""DINOv2 SALAD (https://arxiv.org/abs/2311.15937), trained on GSV-Cities."""

from functools import partial

from model.published.entry import Published, dinov2, rename

PAGE = "https://github.com/serizba/salad"
NETWORK = {
    "backbone": "DINOv2_B",
    "fc_output_dim": 8448,
    "aggregation": "salad",
    "aggregation_options": {"clusters": 64, "cluster_dim": 128, "token_dim": 256, "dropout": 0.3},
}
MODELS = {
    "salad-dinov2-8448": Published(
        NETWORK,
        "dino_salad.ckpt",
        PAGE,
        322,
        f"{PAGE}/releases/download/v1.0.0/dino_salad.ckpt",
        partial(rename, prefixes={**dinov2("backbone.model."), "aggregator.": "aggregation."}),
    )
}
