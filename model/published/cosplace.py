"""CosPlace (https://arxiv.org/abs/2204.02287), trained on SF-XL."""

from model.published.entry import Published

PAGE = "https://github.com/gmberton/CosPlace"
# The authors' default comes first: the short name means it.
DIMENSIONS = {
    "ResNet50": (2048, 1024, 512, 256, 128, 64, 32),
    "ResNet18": (512, 256, 128, 64, 32),
    "ResNet101": (2048, 1024, 512, 256, 128, 64, 32),
    "ResNet152": (2048, 1024, 512, 256, 128, 64, 32),
    "VGG16": (512, 256, 128, 64),
}


def gem_models(method: str, page: str, dimensions: dict[str, tuple[int, ...]]) -> dict[str, Published]:
    """Returns entries of the authors of CosPlace, whose releases hold state dicts with our names."""
    models = {}
    for backbone, sizes in dimensions.items():
        for size in sizes:
            file = f"{backbone}_{size}_{method}.pth"
            network = {"backbone": backbone, "fc_output_dim": size, "aggregation": "gem", "aggregation_options": {}}
            address = f"{page}/releases/download/v1.0/{file}"
            models[f"{method}-{backbone.lower()}-{size}"] = Published(network, file, page, None, address)
    return models


MODELS = gem_models("cosplace", PAGE, DIMENSIONS)
