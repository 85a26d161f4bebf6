"""EigenPlaces (https://arxiv.org/abs/2308.10832), trained on SF-XL: CosPlace's network with other weights."""

from functools import partial

from model.published.cosplace import gem_models
from model.published.entry import Published, rename

PAGE = "https://github.com/gmberton/EigenPlaces"
DIMENSIONS = {
    "ResNet50": (2048, 512, 256, 128),
    "ResNet18": (512, 256),
    "ResNet101": (2048, 512, 256, 128),
    "VGG16": (512,),
}
MODELS = gem_models("eigenplaces", PAGE, DIMENSIONS)

# Trained further on images of shops and stations.
INDOOR_PAGE = "https://github.com/Enrico-Chiavassa/Indoor-VPR"
INDOOR_RELEASE = f"{INDOOR_PAGE}/releases/download/v0.1.0"
INDOOR_FILE = "eigenplaces_ResNet50_2048_GB1_BAI_5_10.pth"
INDOOR = {
    "eigenplaces-indoor-resnet50-2048": Published(
        MODELS["eigenplaces-resnet50-2048"].network,
        INDOOR_FILE,
        INDOOR_PAGE,
        None,
        f"{INDOOR_RELEASE}/{INDOOR_FILE}",
        partial(rename, prefixes={"model.": ""}),
    )
}
