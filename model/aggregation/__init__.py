"""Aggregations turn a feature map into one L2-normalised descriptor.

Adding one is a file here and a line in AGGREGATIONS. An aggregation is a module built with `(channels,
descriptor_dim, **options)` that maps float (b, channels, h, w) to (b, descriptor_dim) of unit length:

- `descriptor_dim` of the constructor is the size of its last linear layer, 0 for no such layer. Where its own options
  give the dimension, the default is 0 and any other number than theirs is refused (`head.check_dimension`);
- its keyword-only parameters are its options on the command line, with the types, defaults and meanings that stand in
  the signature and under `Args` (`commons.options` reads them there);
- `descriptor_dim` of the module is the dimension of its descriptors;
- with `needs_class_token = True` it takes (b, channels, 1 + h * w) instead, the class token first; `class_tokens` is
  their number, where the backbone must have another than 1;
- with `needs_grid = True`, too, it takes (b, channels, 1 + h, w), where the first row repeats the class token;
- with `encodes_across_batch = True` a descriptor depends on the other images of its batch, and results say so;
- with `over_levels = True` it can pool the positions of several maps together, such as the levels of a pyramid;
- with `not_exportable`, a reason or "", `model.export` refuses it;
- with `pooling` and `fc` its linear layer can start as a PCA; with `initialise` it is initialised from the feature maps
  of training images.
"""

from commons.registry import Registry

AGGREGATIONS = Registry(
    {
        "gem": "model.aggregation.gem:GeMAggregation",
        "cosplace": "model.aggregation.gem:GeMAggregation",
        "avg": "model.aggregation.pooling:AvgAggregation",
        "max": "model.aggregation.pooling:MaxAggregation",
        "rmac": "model.aggregation.rmac:RMACAggregation",
        "attention": "model.aggregation.attention:AttentionAggregation",
        "cls": "model.aggregation.cls:ClassTokenAggregation",
        "netvlad": "model.aggregation.netvlad:NetVLAD",
        "convap": "model.aggregation.convap:ConvAP",
        "mixvpr": "model.aggregation.mixvpr:MixVPR",
        "salad": "model.aggregation.salad:SALAD",
        "boq": "model.aggregation.boq:BoQ",
        "megaloc": "model.aggregation.megaloc:MegaLoc",
        "vlad": "model.aggregation.vlad:VLAD",
        "supervlad": "model.aggregation.supervlad:SuperVLAD",
        "cricavpr": "model.aggregation.cricavpr:CricaVPR",
        "edtformer": "model.aggregation.edtformer:EDTformer",
        "tokens": "model.aggregation.tokens:AggregationTokens",
        "spatial_softmax": "model.aggregation.spatial_softmax:SpatialSoftmax",
    }
)
