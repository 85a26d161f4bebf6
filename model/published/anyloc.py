"""AnyLoc (https://arxiv.org/abs/2308.00688): VLAD of the values in a late block of DINOv2; nothing is trained.

The authors published vocabularies for six kinds of images. The first entry has none.
"""

from model.published.entry import Published

PAGE = "https://github.com/AnyLoc/DINO"
RELEASE = f"{PAGE}/releases/download/v1"
DOMAINS = ("urban", "indoor", "aerial", "structured", "unstructured", "global")
NETWORK = {
    "backbone": "DINOv2_G",
    "cut_after": "blocks.31.value",
    "fc_output_dim": 0,
    "aggregation": "vlad",
    "aggregation_options": {"clusters": 32},
}


def _entry(domain: str) -> Published:
    file = f"dinov2_vitg14_l31_value_c32_{domain}_c_centers.pt"
    return Published(NETWORK, file, PAGE, None, f"{RELEASE}/{file}", vocabulary_only=True)


MODELS = {
    "anyloc-database-49152": Published(NETWORK, "", PAGE, None, vocabulary_only=True),
    **{f"anyloc-{domain}-49152": _entry(domain) for domain in DOMAINS},
}
