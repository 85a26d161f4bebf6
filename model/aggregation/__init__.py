"""Aggregations turn a feature map into one L2-normalised descriptor.

Adding one is a file here and a line in AGGREGATIONS. An aggregation is a module built with `(channels,
descriptor_dim, **options)` that maps float (b, channels, h, w) to (b, descriptor_dim) of unit length:

- `descriptor_dim` of the constructor is the size of its last linear layer, 0 for none; where its own options give the
  dimension, the default is 0 and any other number but theirs is refused (`head.check_dimension`);
- its keyword-only parameters are its options on the command line, with the types, defaults and meanings that stand in
  the signature and under `Args` (`commons.options` reads them there);
- `descriptor_dim` of the module is what it really gives;
- with `needs_class_token = True` it takes (b, channels, 1 + h * w) instead, the class token first;
- with `not_exportable`, a reason, `model.export` refuses it;
- with `pooling` and `fc` its linear layer can start as a PCA, with `initialise` it learns from training images' maps.
"""

from torch import nn

from model.aggregation.attention import AttentionAggregation
from model.aggregation.boq import BoQ
from model.aggregation.cls import ClassTokenAggregation
from model.aggregation.convap import ConvAP
from model.aggregation.gem import GeMAggregation
from model.aggregation.megaloc import MegaLoc
from model.aggregation.mixvpr import MixVPR
from model.aggregation.netvlad import NetVLAD
from model.aggregation.pooling import AvgAggregation, MaxAggregation
from model.aggregation.rmac import RMACAggregation
from model.aggregation.salad import SALAD

AGGREGATIONS: dict[str, type[nn.Module]] = {
    "gem": GeMAggregation,
    "cosplace": GeMAggregation,
    "avg": AvgAggregation,
    "max": MaxAggregation,
    "rmac": RMACAggregation,
    "attention": AttentionAggregation,
    "cls": ClassTokenAggregation,
    "netvlad": NetVLAD,
    "convap": ConvAP,
    "mixvpr": MixVPR,
    "salad": SALAD,
    "boq": BoQ,
    "megaloc": MegaLoc,
}
