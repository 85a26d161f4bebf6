"""Descriptors of images, search in them, and how descriptors are changed before a search.

Adding an index is a class or function here, built with (table, k, *, option=default), whose `search` is that of
`index.Index`, and a line in INDICES. Keyword-only parameters are its options on the command line.
"""

from commons.registry import Registry

INDICES = Registry(
    {
        "flat": "retrieval.index:Flat",
        "hnsw": "retrieval.index:hnsw",
        "ivfpq": "retrieval.index:IVFPQ",
        "binary": "retrieval.binary:Binary",
        "pq": "retrieval.pq:PQ",
        "ivf_fp16": "retrieval.ivf:IVFFloat16",
        "ivf_sq8": "retrieval.ivf:IVFInt8",
        "milvus": "retrieval.milvus:Milvus",
        "stored": "retrieval.database:stored",
    }
)
# Indices of aerial cells (retrieval.cell_index).
CELL_INDICES = ("auto", "flat", "hnsw", "ivfpq")
# How descriptors are stored; int8 and binary are those of retrieval.codes.
DESCRIPTOR_TYPES = ("float32", "float16", "int8", "binary")
# Exponents p of a PCA's variances: component i is divided by variance_i^p.
WHITENING = {"none": 0.0, "half": 0.25, "full": 0.5}
