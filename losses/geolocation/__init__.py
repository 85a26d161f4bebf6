"""Losses of geolocation by classification over cells.

A loss is built with the geometry of the cells and keyword-only options, and called with what the network has predicted
and where the photos were taken (`losses.geolocation.geometry`). Adding one is a file here and a line in CELL_LOSSES.
`losses.geolocation.building` puts several together, each with a weight.
"""

from commons.registry import Registry

CELL_LOSSES = Registry(
    {
        "cross_entropy": "losses.geolocation.cross_entropy:CellCrossEntropy",
        "haversine": "losses.geolocation.haversine:HaversineSmoothing",
        "expected_distance": "losses.geolocation.expected_distance:ExpectedDistance",
        "distance_weighted": "losses.geolocation.distance_weighted:DistanceWeighted",
        "hierarchical": "losses.geolocation.hierarchical:HierarchicalCrossEntropy",
        "multi_head": "losses.geolocation.multi_head:MultiHeadCrossEntropy",
        "offset": "losses.geolocation.offset:OffsetRegression",
    }
)
