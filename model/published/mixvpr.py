"""MixVPR (https://arxiv.org/abs/2303.02190), trained on GSV-Cities."""

from functools import partial

from model.published.entry import Published, drive, rename, resnet

# Dimension: the file's id there, out_channels, out_rows.
FILES = {
    4096: ("1vuz3PvnR7vxnDDLQrdHJaOA04SQrtk5L", 1024, 4),
    512: ("1khiTUNzZhfV2UUupZoIsPIbsMRBYVDqj", 256, 2),
    128: ("1DQnefjk1hVICOEYPwE4-CZAZOvi1NSJz", 64, 2),
}
PREFIXES = {**resnet("backbone.model."), "aggregator.": "aggregation."}


def _entry(size: int, file_id: str, channels: int, rows: int) -> Published:
    options = {"out_channels": channels, "out_rows": rows, "mix_depth": 4, "mlp_ratio": 1.0, "grid": 20}
    network = {
        "backbone": "ResNet50",
        "cut_after": "layer3",
        "fc_output_dim": size,
        "aggregation": "mixvpr",
        "aggregation_options": options,
    }
    page, address = drive(file_id)
    return Published(
        network,
        f"resnet50_MixVPR_{size}_channels({channels})_rows({rows}).ckpt",
        page,
        320,
        address,
        partial(rename, prefixes=PREFIXES),
    )


MODELS = {f"mixvpr-resnet50-{size}": _entry(size, *about) for size, about in FILES.items()}
