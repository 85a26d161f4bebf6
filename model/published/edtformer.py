"""EDTformer (https://arxiv.org/abs/2412.00784), trained on GSV-Cities."""

from model.published.entry import Published, State, dinov2, rename, without_parallel

PAGE = "https://github.com/Tong-Jin01/EDTformer"
NETWORK = {
    "backbone": "DINOv2_B_LoPA",
    "fc_output_dim": 4096,
    "aggregation": "edtformer",
    "aggregation_options": {"queries": 64, "layers": 2, "proj_channels": 256, "row_dim": 16},
}
PREFIXES = {
    # Our adapters belong to the blocks that they stand beside.
    **{f"backbone.adapters.{block}.": f"backbone.model.blocks.{block}.side." for block in range(12)},
    **dinov2("backbone."),
    "decoder.layers.": "aggregation.layers.",
    **{name: f"aggregation.{name}" for name in ("fc.", "queries", "channel_proj.", "row_proj.")},
}


def _convert(state: State) -> State:
    return rename(without_parallel(state), PREFIXES)


MODELS = {
    "edtformer-dinov2-4096": Published(
        NETWORK, "EDTformer.pth", PAGE, 322, f"{PAGE}/releases/download/v1.0.0/EDTformer.pth", _convert
    )
}
