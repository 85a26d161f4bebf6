"""Networks whose weights their authors publish, by name.

A name consists of the method, the backbone and the dimension of the descriptor. A shorter name means the first one that
begins with it, the main one of its authors. Adding a family is a file here with its MODELS and a line in FAMILIES.
"""

from model.published import boq, convap, cosplace, eigenplaces, megaloc, mixvpr, netvlad, salad
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
}
PUBLISHED: dict[str, Published] = {name: entry for models in FAMILIES.values() for name, entry in models.items()}
