"""Networks whose weights their authors publish, by name.

A name consists of the method, the backbone and the dimension of the descriptor. A shorter name means the first one that
begins with it, the main one of its authors. Adding a family is a file here with its MODELS and a line in FAMILIES.
"""

from model.published import (
    anyloc,
    boq,
    convap,
    cosplace,
    cricavpr,
    edtformer,
    eigenplaces,
    image,
    megaloc,
    mixvpr,
    netvlad,
    salad,
    supervlad,
)
from model.published.entry import Published

FAMILIES = {
    "cosplace": cosplace.MODELS,
    "eigenplaces": eigenplaces.MODELS,
    "mixvpr": mixvpr.MODELS,
    "convap": convap.MODELS,
    "salad": salad.MODELS,
    "boq": boq.MODELS,
    "megaloc": megaloc.MODELS,
    "netvlad": netvlad.MODELS,
    "eigenplaces-indoor": eigenplaces.INDOOR,
    "salad-indoor": salad.INDOOR,
    "clique-mining": salad.CLIQUE_MINING,
    "anyloc": anyloc.MODELS,
    "edtformer": edtformer.MODELS,
    "supervlad": supervlad.MODELS,
    "supervlad-crossim": supervlad.CROSS_IMAGE,
    "cricavpr": cricavpr.MODELS,
    "image": image.MODELS,
}
PUBLISHED: dict[str, Published] = {name: entry for models in FAMILIES.values() for name, entry in models.items()}
