"""SuperVLAD (Lu et al., NeurIPS 2024), trained on GSV-Cities."""

from model.published.entry import Published, State, dinov2, drive, rename, without_parallel

PREFIXES = {**dinov2("backbone."), "encoder.": "aggregation.encoder."}


def _convert(state: State) -> State:
    return rename(without_parallel(state), PREFIXES)


def _entry(file: str, file_id: str, clusters: int, ghost_clusters: int, cross_image: bool = False) -> Published:
    network = {
        "backbone": "DINOv2_B",
        "fc_output_dim": 0,
        "aggregation": "supervlad",
        "aggregation_options": {
            "clusters": clusters, "ghost_clusters": ghost_clusters, "cross_image": cross_image,
        },
    }  # fmt: skip
    page, address = drive(file_id)
    return Published(network, file, page, 322, address, _convert)


MODELS = {
    "supervlad-dinov2-3072": _entry("SuperVLAD.pth", "1wRkUO4E8s5hNRNNIWcuA8RUvlGob3Tbf", 4, 1),
    "supervlad-1cluster-768": _entry("1-clusterVLAD.pth", "1pQcJx9n2-keAh9TttssZkz6D0vjpFWU6", 1, 2),
}
CROSS_IMAGE = {
    "supervlad-crossim-dinov2-3072": _entry(
        "SuperVLAD-CrossImage.pth", "1yomnWGTJko6nf3F2Ju6RWsLhP2EG82tL", 4, 1, cross_image=True
    )
}
