"""NetVLAD (https://arxiv.org/abs/1511.07247), VGG16 trained on Pitts30k or on Tokyo Time Machine.

Its authors published MATLAB objects. The ETH's Computer Vision and Geometry group keeps the same networks as plain
structs, which SciPy reads without running anything in them.
"""

from functools import partial

from model.published.entry import Published, State
from model.published.netvlad_sizes import CHANNELS, CLUSTERS, MEAN

PAGE = "https://cvg-data.inf.ethz.ch/hloc/netvlad/{}_struct.mat"


def _read(path: str, whitened: bool) -> State:
    from model.published.netvlad_files import read  # SciPy is needed only here

    return read(path, whitened)


def _entry(training_set: str, size: int) -> Published:
    network = {
        "backbone": "VGG16",
        "fc_output_dim": size if size == 4096 else 0,
        "aggregation": "netvlad",
        "aggregation_options": {"clusters": CLUSTERS},
        "mean": [value / 255 for value in MEAN],
        "std": [1 / 255] * 3,
    }
    address = PAGE.format(training_set)
    file = address.rpartition("/")[2]
    return Published(network, file, address, None, address, read=partial(_read, whitened=size == 4096))


MODELS = {
    f"netvlad-{training_set.lower()}-{size}": _entry(training_set, size)
    for training_set in ("Pitts30K", "TokyoTM")
    for size in (4096, CHANNELS * CLUSTERS)
}
