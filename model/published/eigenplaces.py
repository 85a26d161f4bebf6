"""EigenPlaces (https://arxiv.org/abs/2308.10832), trained on SF-XL: CosPlace's network with other weights."""

from model.published.cosplace import gem_models

PAGE = "https://github.com/gmberton/EigenPlaces"
DIMENSIONS = {
    "ResNet50": (2048, 512, 256, 128),
    "ResNet18": (512, 256),
    "ResNet101": (2048, 512, 256, 128),
    "VGG16": (512,),
}
MODELS = gem_models("eigenplaces", PAGE, DIMENSIONS)
