"""Networks whose weights their authors publish, by name.

A name is a method's, what it is built on, and the dimension of its descriptor; a shorter one means the first that
begins with it, the authors' main one. Adding a family is a file here with its MODELS and a line in FAMILIES.
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
