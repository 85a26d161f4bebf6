"""MegaLoc (https://arxiv.org/abs/2502.17237), trained on five data sets."""

from functools import partial

from model.published.entry import Published, dinov2, rename

PAGE = "https://huggingface.co/gberton/MegaLoc"
NETWORK = {
    "backbone": "DINOv2_B",
    "fc_output_dim": 8448,
    "aggregation": "megaloc",
    "aggregation_options": {"clusters": 64, "cluster_dim": 256, "token_dim": 256, "dropout": 0.3},
}
# The first release (megaloc.torch) wrapped DINOv2's own code, the present one does not.
PREFIXES = {**dinov2("backbone.model."), **dinov2("backbone."), "aggregator.": "aggregation."}
MODELS = {
    "megaloc-dinov2-8448": Published(
        NETWORK,
        "megaloc.safetensors",
        PAGE,
        None,
        f"{PAGE}/resolve/main/model.safetensors",
        partial(rename, prefixes=PREFIXES),
    )
}
